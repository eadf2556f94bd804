//! The hand-written paths beside hickory: what one understands, the other understands alike.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::{
    op::{self, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, RecordType},
};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    Edns, MAX_NAME, Via, ede, flags,
    plain::{self, Head, Plain},
    rcode, reply,
    text::{self, Text},
};
use crate::names::Family;

/// A query as a resolver sends it.
fn query(name: &Name, kind: RecordType, edns: Option<(u16, bool)>) -> Vec<u8> {
    let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name.clone(), kind));
    if let Some((size, dnssec_ok)) = edns {
        let mut edns = op::Edns::new();
        edns.set_max_payload(size).set_dnssec_ok(dnssec_ok);
        message.set_edns(edns);
    }
    message.to_vec().unwrap()
}

/// Whether it was read by hand; if so, hickory must have read the same.
fn is_plain_and_agreed(message: &[u8]) -> bool {
    let mut text = Text::default();
    let Some(Plain { head, family }) = plain::read(message, &mut text) else { return false };
    let read = Message::from_vec(message).unwrap();
    let metadata = &read.metadata;
    assert_eq!(metadata.id, head.id);
    assert_eq!(metadata.message_type, MessageType::Query);
    assert_eq!(metadata.op_code, OpCode::Query);
    assert_eq!(metadata.response_code, ResponseCode::NoError);
    assert_eq!(metadata.recursion_desired, head.flags & flags::RD != 0);
    assert_eq!(metadata.checking_disabled, head.flags & flags::CD != 0);
    assert_eq!(metadata.authentic_data, head.flags & flags::AD != 0);
    assert!(!metadata.truncation && !metadata.authoritative && !metadata.recursion_available);
    let [query] = &read.queries[..] else { panic!("one question") };
    assert_eq!(query.query_class, DNSClass::IN);
    assert_eq!(query.query_type == RecordType::AAAA, family == Family::V6);
    assert_eq!(query.query_type == RecordType::A, family == Family::V4);
    assert_eq!(text::of_labels(query.name.iter()), text.as_str());
    assert_eq!(head.question, &message[12..12 + head.question.len()]);
    let edns = read.edns.map(|edns| {
        assert!(edns.version() == 0 && edns.options().as_ref().is_empty());
        Edns { size: edns.max_payload(), dnssec_ok: edns.flags().dnssec_ok }
    });
    assert_eq!(edns, head.edns);
    assert!(read.answers.is_empty() && read.authorities.is_empty() && read.additionals.is_empty());
    true
}

fn labels() -> impl Strategy<Value = Name> {
    vec("[a-zA-Z0-9_-]{1,63}", 1..5).prop_filter_map("too long", |labels| {
        let mut name = Name::from_labels(labels.iter().map(String::as_bytes)).ok()?;
        name.set_fqdn(true);
        Some(name)
    })
}

fn edns() -> impl Strategy<Value = Option<(u16, bool)>> {
    proptest::option::of((any::<u16>(), any::<bool>()))
}

proptest! {
    #[test]
    fn what_a_resolver_sends_is_plain(
        name in labels(),
        kind in select(vec![RecordType::A, RecordType::AAAA]),
        edns in edns(),
    ) {
        prop_assert!(is_plain_and_agreed(&query(&name, kind, edns)));
    }

    #[test]
    fn what_is_damaged_is_never_read_differently(
        name in labels(),
        edns in edns(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
        tail in vec(any::<u8>(), 0..3),
    ) {
        let mut message = query(&name, RecordType::A, edns);
        for (place, byte) in changes {
            let place = place.index(message.len());
            message[place] = byte;
        }
        if let Some(cut) = cut {
            message.truncate(cut.index(message.len() + 1));
        }
        message.extend(tail);
        is_plain_and_agreed(&message);
    }

    #[test]
    fn noise_is_never_read_differently(message in vec(any::<u8>(), 0..80)) {
        is_plain_and_agreed(&message);
    }

    #[test]
    fn addresses_arrive(
        name in labels(),
        edns in edns(),
        four in vec(any::<u32>(), 1..120),
        six in vec(any::<u128>(), 1..60),
        family in select(vec![Family::V4, Family::V6]),
        tcp: bool,
        ttl: u32,
    ) {
        let kind = if family == Family::V4 { RecordType::A } else { RecordType::AAAA };
        let asked = query(&name, kind, edns);
        let plain = plain::read(&asked, &mut Text::default()).unwrap();
        let four = four.into_iter().map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits)));
        let six = six.into_iter().map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)));
        let addresses: Vec<IpAddr> = four.chain(six).collect();
        let limit = if tcp { Via::Tcp } else { Via::Udp }.limit(plain.head.edns);
        let mut out = Vec::new();
        reply::addresses(&plain.head, family, &addresses, ttl, limit, &mut out);
        prop_assert!(out.len() <= limit);
        let read = Message::from_vec(&out).unwrap();
        prop_assert_eq!(read.metadata.id, 0x1234);
        prop_assert_eq!(&read.queries[0].name.to_ascii(), &name.to_ascii(), "letters are kept");
        let wanted: Vec<IpAddr> =
            addresses.into_iter().filter(|address| address.is_ipv4() == (family == Family::V4)).collect();
        let got: Vec<IpAddr> = read.answers.iter().map(address).collect();
        prop_assert!(wanted.starts_with(&got));
        prop_assert_eq!(read.metadata.truncation, got.len() < wanted.len());
        let each = if family == Family::V4 { 16 } else { 28 };
        prop_assert!(got.len() == wanted.len() || out.len() + each > limit, "all that fit");
        prop_assert!(read.answers.iter().all(|record| record.ttl == ttl && record.name == name));
        prop_assert_eq!(read.edns.is_some(), edns.is_some());
        if let (Some(ours), Some((_, dnssec_ok))) = (read.edns, edns) {
            prop_assert_eq!(ours.max_payload(), 1_232);
            prop_assert_eq!(ours.flags().dnssec_ok, dnssec_ok);
        }
    }
}

fn address(record: &hickory_proto::rr::Record) -> IpAddr {
    match &record.data {
        RData::A(address) => IpAddr::V4(address.0),
        RData::AAAA(address) => IpAddr::V6(address.0),
        other => panic!("{other}"),
    }
}

#[test]
fn what_is_unusual_is_left_to_hickory() {
    let plain = query(&Name::from_ascii("web.blue.").unwrap(), RecordType::A, Some((4096, false)));
    assert!(is_plain_and_agreed(&plain));
    let question = 12 + 10;
    let edits: &[(usize, u8)] = &[
        (2, 0x81),          // a response
        (2, 0x11),          // another operation
        (2, 0x03),          // cut
        (2, 0x05),          // authoritative
        (3, 0x80),          // recursion available
        (3, 0x40),          // the reserved bit
        (3, 0x03),          // a response code
        (5, 2),             // two questions
        (5, 0),             // none
        (7, 1),             // an answer
        (9, 1),             // an authority
        (11, 2),            // two additional records
        (11, 0),            // more than is said
        (12, 0xc0),         // a pointer
        (12, 0),            // the root
        (13, b'.'),         // a dot in a label
        (question + 1, 15), // MX
        (question + 3, 3),  // CHAOS
        (question + 4, 1),  // EDNS of a name
        (question + 6, 40), // no EDNS
        (question + 9, 1),  // an extended response code
        (question + 10, 1), // another version
        (question + 14, 1), // an option that is not there
    ];
    let mut text = Text::default();
    for (place, byte) in edits {
        let mut message = plain.clone();
        assert_ne!(message[*place], *byte);
        message[*place] = *byte;
        assert_eq!(plain::read(&message, &mut text), None, "{place}");
    }
    for length in 0..plain.len() {
        assert_eq!(plain::read(&plain[..length], &mut text), None, "{length}");
    }
    assert_eq!(plain::read(&[&plain[..], &[0]].concat(), &mut text), None);
}

#[test]
fn names_are_read_up_to_their_longest() {
    let of = |last: usize| {
        let mut name = Vec::new();
        for length in [63, 63, 63, last] {
            name.push(u8::try_from(length).unwrap());
            name.extend(vec![b'a'; length]);
        }
        name.push(0);
        [&[0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0], &name[..], &[0, 1, 0, 1]].concat()
    };
    assert_eq!(of(61).len() - 16, MAX_NAME);
    assert!(is_plain_and_agreed(&of(61)));
    assert!(!is_plain_and_agreed(&of(62)));
    assert!(Message::from_vec(&of(62)).is_err());
}

#[test]
fn a_no_says_for_how_long() {
    let asked = query(&Name::from_ascii("no.").unwrap(), RecordType::A, Some((512, true)));
    let head = plain::read(&asked, &mut Text::default()).unwrap().head;
    let mut out = Vec::new();
    reply::negative(&head, rcode::NX_DOMAIN, 7, Some(ede::PROHIBITED), &mut out);
    let read = Message::from_vec(&out).unwrap();
    assert_eq!(read.metadata.response_code, ResponseCode::NXDomain);
    assert!(read.metadata.authoritative && read.metadata.recursion_available);
    let [soa] = &read.authorities[..] else { panic!("one authority") };
    assert!(soa.name.is_root() && soa.ttl == 7);
    assert!(matches!(&soa.data, RData::SOA(soa) if soa.minimum == 7));
    assert_eq!(told_error(&read), Some(18));
}

#[test]
fn a_failure_says_why_to_who_understands() {
    let name = Name::from_ascii("web.").unwrap();
    for (edns, told) in [(Some((512, false)), Some(14)), (None, None)] {
        let asked = query(&name, RecordType::A, edns);
        let head = plain::read(&asked, &mut Text::default()).unwrap().head;
        let mut out = Vec::new();
        reply::failure(&head, rcode::SERV_FAIL, Some(ede::NOT_READY), &mut out);
        let read = Message::from_vec(&out).unwrap();
        assert_eq!(read.metadata.response_code, ResponseCode::ServFail);
        assert!(!read.metadata.authoritative && read.answers.is_empty());
        assert_eq!(told_error(&read), told);
    }
}

#[test]
fn a_header_alone_is_answered() {
    let mut out = vec![1, 2, 3];
    reply::bare(0x1234, flags::RD | 4 << 11 | flags::AA | flags::AD, rcode::NOT_IMP, &mut out);
    assert_eq!(out, [0x12, 0x34, 0xa1, 0x84, 0, 0, 0, 0, 0, 0, 0, 0]);
}

/// The extended error that a message tells.
fn told_error(message: &Message) -> Option<u16> {
    use hickory_proto::rr::rdata::opt::EdnsOption;
    let (_, option) = message.edns.as_ref()?.options().as_ref().first()?;
    match option {
        EdnsOption::Unknown(15, bytes) => Some(u16::from_be_bytes([bytes[0], bytes[1]])),
        _ => None,
    }
}

#[test]
fn sizes_over_udp_are_bounded_on_both_sides() {
    let limit = |size| Via::Udp.limit(Some(Edns { size, dnssec_ok: false }));
    assert_eq!(
        [0, 511, 512, 513, 1_232, 1_233, 65_535].map(limit),
        [512, 512, 512, 513, 1_232, 1_232, 1_232]
    );
    assert_eq!(Via::Udp.limit(None), 512);
    assert_eq!(Via::Tcp.limit(None), 65_535);
}

#[test]
fn other_bytes_of_a_name_are_escaped() {
    let labels: [&[u8]; 2] = [b"A.b\\", &[0xff, b' ', b'-']];
    assert_eq!(text::of_labels(labels.into_iter()), "a\\046b\\092.\\255\\032-");
    assert_eq!(text::of_labels(std::iter::empty()), "");
}

#[test]
fn a_head_is_kept_as_it_came() {
    let asked = query(&Name::from_ascii("WeB.").unwrap(), RecordType::AAAA, None);
    let mut text = Text::default();
    let Head { id, question, edns, .. } = plain::read(&asked, &mut text).unwrap().head;
    assert_eq!((id, question, edns), (0x1234, &b"\x03WeB\0\0\x1c\0\x01"[..], None));
    assert_eq!(text.as_str(), "web");
}
