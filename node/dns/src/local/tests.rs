//! What each kind of query is answered, told by hickory.

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{DNSClass, Name, RData, RecordType, rdata::opt::EdnsOption},
};

use super::*;
use crate::{
    names::fake::{Fake, TTL, four},
    wire::reverse,
};

fn message(name: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    let mut name = Name::from_ascii(name).unwrap();
    name.set_fqdn(true);
    message.add_query(Query::query(name, kind));
    message
}

fn outcome(bytes: &[u8], may_forward: bool) -> (Outcome, Vec<u8>) {
    let mut out = Vec::new();
    let names = Fake { may_forward };
    let outcome = answer(&names, bytes, Via::Udp, &mut Scratch::default(), &mut out);
    (outcome, out)
}

fn answered(message: &Message) -> Message {
    let (outcome, out) = outcome(&message.to_vec().unwrap(), true);
    assert_eq!(outcome, Outcome::Answered);
    let read = Message::from_vec(&out).unwrap();
    assert_eq!(read.metadata.id, 7);
    assert_eq!(read.metadata.message_type, MessageType::Response);
    assert!(read.metadata.recursion_available);
    read
}

fn code(message: &Message) -> ResponseCode {
    answered(message).metadata.response_code
}

#[test]
fn every_verdict_has_its_answer() {
    let read = answered(&message("WEB", RecordType::A));
    assert_eq!(read.answers.len(), 2);
    assert!(read.metadata.authoritative && read.answers[0].ttl == TTL);
    assert_eq!(read.queries[0].name.to_ascii(), "WEB.");
    assert_eq!(answered(&message("web", RecordType::AAAA)).answers.len(), 1);
    let nodata = answered(&message("four", RecordType::AAAA));
    assert_eq!(nodata.metadata.response_code, ResponseCode::NoError);
    assert!(nodata.answers.is_empty() && nodata.authorities.len() == 1);
    assert_eq!(code(&message("gone", RecordType::A)), ResponseCode::NXDomain);
    assert_eq!(code(&message("unsure", RecordType::A)), ResponseCode::ServFail);
    let bytes = message("a.example", RecordType::A).to_vec().unwrap();
    assert!(matches!(outcome(&bytes, true).0, Outcome::Forward(_)));
}

#[test]
fn an_answer_that_is_too_long_is_cut() {
    let mut asked = message("many", RecordType::A);
    let short = answered(&asked);
    assert!(short.metadata.truncation);
    assert_eq!(short.answers.len(), (512 - 12 - 10) / 16);
    let mut edns = Edns::new();
    edns.set_max_payload(4_096);
    asked.set_edns(edns);
    let long = answered(&asked);
    assert_eq!(long.answers.len(), (1_232 - 12 - 10 - 11) / 16);
    let mut out = Vec::new();
    let bytes = asked.to_vec().unwrap();
    let names = Fake { may_forward: true };
    answer(&names, &bytes, Via::Tcp, &mut Scratch::default(), &mut out);
    let whole = Message::from_vec(&out).unwrap();
    assert!(whole.answers.len() == 100 && !whole.metadata.truncation);
}

#[test]
fn a_name_that_exists_has_no_data_of_other_types() {
    for kind in [RecordType::MX, RecordType::TXT, RecordType::SRV, RecordType::HTTPS] {
        let read = answered(&message("web", kind));
        assert_eq!(read.metadata.response_code, ResponseCode::NoError);
        assert!(read.answers.is_empty() && read.metadata.authoritative);
        assert_eq!(read.authorities[0].record_type(), RecordType::SOA);
    }
    assert_eq!(code(&message("gone", RecordType::MX)), ResponseCode::NXDomain);
    assert_eq!(code(&message("unsure", RecordType::MX)), ResponseCode::ServFail);
}

#[test]
fn addresses_have_names() {
    for address in [four(1), crate::names::fake::six()] {
        let read = answered(&message(&reverse::name(address), RecordType::PTR));
        let names: Vec<String> =
            read.answers.iter().map(|record| record.data.to_string()).collect();
        assert_eq!(names, ["web.blue.", "web."], "and what is no name is left out");
        assert!(read.metadata.authoritative);
    }
    assert_eq!(code(&message(&reverse::name(four(9)), RecordType::PTR)), ResponseCode::NXDomain);
    let other = message(&reverse::name(four(1)), RecordType::A);
    assert_eq!(code(&other), ResponseCode::NoError);
    assert!(answered(&other).answers.is_empty());
    let foreign = message(&reverse::name(four(200)), RecordType::PTR).to_vec().unwrap();
    assert!(matches!(outcome(&foreign, true).0, Outcome::Forward(_)));
}

#[test]
fn any_gets_one_record_that_says_why() {
    let read = answered(&message("web", RecordType::ANY));
    let [record] = &read.answers[..] else { panic!("one record") };
    assert!(matches!(&record.data, RData::HINFO(info) if &*info.cpu == b"RFC8482"));
    assert_eq!(code(&message("gone", RecordType::ANY)), ResponseCode::NXDomain);
}

#[test]
fn what_is_not_served_is_refused() {
    let mut chaos = message("web", RecordType::A);
    chaos.queries[0].query_class = DNSClass::CH;
    assert_eq!(code(&chaos), ResponseCode::Refused);
    for kind in [RecordType::AXFR, RecordType::IXFR, RecordType::OPT, RecordType::Unknown(128)] {
        assert_eq!(code(&message("web", kind)), ResponseCode::Refused, "{kind}");
    }
    for operation in [OpCode::Status, OpCode::Notify, OpCode::Update] {
        let mut other = message("web", RecordType::A);
        other.metadata.op_code = operation;
        let read = answered(&other);
        assert_eq!(read.metadata.response_code, ResponseCode::NotImp);
        assert_eq!(read.metadata.op_code, operation);
    }
}

#[test]
fn an_unknown_version_of_edns_is_told_ours() {
    let mut asked = message("web", RecordType::A);
    let mut edns = Edns::new();
    edns.set_version(1);
    asked.set_edns(edns);
    let read = answered(&asked);
    // The number is BADSIG's too.
    assert_eq!(u16::from(read.metadata.response_code), 16);
    assert!(read.answers.is_empty() && read.edns.unwrap().version() == 0);
}

#[test]
fn options_that_are_not_known_change_nothing() {
    let mut asked = message("web", RecordType::A);
    let mut edns = Edns::new();
    edns.options_mut().insert(EdnsOption::Unknown(10, vec![1; 8]));
    asked.set_edns(edns);
    let read = answered(&asked);
    assert_eq!(read.answers.len(), 2);
    assert!(read.edns.unwrap().options().as_ref().is_empty());
}

#[test]
fn what_is_malformed_is_told_so_and_what_is_no_query_gets_nothing() {
    let good = message("web", RecordType::A).to_vec().unwrap();
    let with = |place: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[place] = byte;
        bytes
    };
    for bad in [
        with(5, 0),                                      // no question
        with(5, 2),                                      // two, of which one is there
        with(4, 255),                                    // thousands
        with(12, 64),                                    // a label of an unknown kind
        with(12, 63),                                    // a label beyond the end
        with(11, 1),                                     // a record that is not there
        good[..good.len() - 1].to_vec(),                 // cut
        [&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat(), // a name that points at itself
    ] {
        let (outcome, out) = outcome(&bad, true);
        assert_eq!(outcome, Outcome::Answered, "{bad:?}");
        assert!(out.len() == 12 && out[3] & 0xf == 1, "{bad:?}");
    }
    for nothing in [with(2, 0x81), good[..11].to_vec(), Vec::new()] {
        assert_eq!(outcome(&nothing, true).0, Outcome::Dropped);
    }
}

#[test]
fn names_with_other_bytes_are_nobodys() {
    let mut asked = message("web", RecordType::A);
    asked.queries[0].name = Name::from_labels([&b"we.b"[..]]).unwrap();
    assert_eq!(code(&asked), ResponseCode::NXDomain);
    asked.queries[0].name = Name::root();
    assert_eq!(code(&asked), ResponseCode::NXDomain);
}

#[test]
fn nothing_leaves_an_internal_network() {
    for kind in [RecordType::A, RecordType::MX] {
        let mut asked = message("a.example", kind);
        asked.set_edns(Edns::new());
        let (outcome, out) = outcome(&asked.to_vec().unwrap(), false);
        assert_eq!(outcome, Outcome::Answered);
        let read = Message::from_vec(&out).unwrap();
        assert_eq!(read.metadata.response_code, ResponseCode::NXDomain);
        let edns = read.edns.unwrap();
        let (_, option) = &edns.options().as_ref()[0];
        assert_eq!(*option, EdnsOption::Unknown(15, vec![0, 18]));
    }
}
