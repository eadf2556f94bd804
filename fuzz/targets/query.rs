//! What a container sends to the DNS of its sandbox. A hand-written reader understands it as hickory does or
//! leaves it to hickory, and every query gets an answer that can be read.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::{
    op::{self, Message, MessageType, OpCode, Query},
    rr::{DNSClass, Name, RecordType, rdata::opt::EdnsOption},
};
use libfuzzer_sys::fuzz_target;
use netdb_fuzz::seeds;
use netnode_dns::{
    Family, Names, Verdict,
    local::{self, Outcome, Scratch},
    wire::{
        Edns, Via, flags,
        plain::{self, Plain},
        reverse,
        text::{self, Text},
    },
};

fuzz_target!(init: seeds::plant(seeds), |query: &[u8]| {
    let mut text = Text::default();
    let plain = plain::read(query, &mut text);
    if let Some(plain) = &plain {
        agrees(query, plain, text.as_str());
    }
    for via in [Via::Udp, Via::Tcp] {
        for may_forward in [true, false] {
            let names = AFew { may_forward };
            let (mut scratch, mut out, mut other) = (Scratch::default(), Vec::new(), Vec::new());
            let outcome = local::answer(&names, query, via, &mut scratch, &mut out);
            let full = local::full::answer(&names, query, via, &mut scratch, &mut other);
            assert_eq!((&outcome, &out), (&full, &other), "the two paths answer alike");
            judge(query, &outcome, &out, via);
            assert!(may_forward || !matches!(outcome, Outcome::Forward(_)));
        }
    }
});

/// What was read by hand is what hickory reads.
fn agrees(query: &[u8], plain: &Plain<'_>, name: &str) {
    let read = Message::from_vec(query).expect("hickory reads it too");
    let head = &plain.head;
    assert_eq!(read.metadata.id, head.id);
    assert_eq!(read.metadata.message_type, MessageType::Query);
    assert_eq!(read.metadata.op_code, OpCode::Query);
    assert_eq!(read.metadata.recursion_desired, head.flags & flags::RD != 0);
    assert_eq!(read.metadata.checking_disabled, head.flags & flags::CD != 0);
    assert_eq!(read.metadata.authentic_data, head.flags & flags::AD != 0);
    let [asked] = &read.queries[..] else { panic!("one question") };
    let family = if asked.query_type == RecordType::A { Family::V4 } else { Family::V6 };
    assert!(matches!(asked.query_type, RecordType::A | RecordType::AAAA));
    assert_eq!((asked.query_class, family), (DNSClass::IN, plain.family));
    assert_eq!(text::of_labels(asked.name.iter()), name);
    let edns = read.edns.map(|edns| {
        assert_eq!(edns.version(), 0);
        Edns { size: edns.max_payload(), dnssec_ok: edns.flags().dnssec_ok }
    });
    assert_eq!(edns, head.edns);
    assert!(read.answers.is_empty() && read.authorities.is_empty() && read.additionals.is_empty());
}

/// Nobody is left without an answer who may wait for one, and nobody gets what can't be read.
fn judge(query: &[u8], outcome: &Outcome, out: &[u8], via: Via) {
    let is_query = query.len() >= 12 && query[2] & 0x80 == 0;
    assert_eq!(*outcome != Outcome::Dropped, is_query);
    if *outcome != Outcome::Answered {
        return;
    }
    assert!(out.len() <= if via == Via::Tcp { 65_535 } else { 1_232 });
    let told = Message::from_vec(out).expect("it can be read");
    assert_eq!(out[..2], query[..2]);
    assert_eq!(told.metadata.message_type, MessageType::Response);
}

/// A few names of each kind.
struct AFew {
    may_forward: bool,
}

impl Names for AFew {
    fn addresses(&self, name: &str, family: Family, out: &mut Vec<IpAddr>) -> Verdict {
        match (name.bytes().next().unwrap_or(0) % 6, family) {
            (0, Family::V4) => out.extend((0..90).map(|n| IpAddr::from(Ipv4Addr::from_bits(n)))),
            (0, Family::V6) => out.extend((0..90).map(|n| IpAddr::from(Ipv6Addr::from_bits(n)))),
            (1, _) => return Verdict::NoData,
            (2, _) => return Verdict::NoName,
            (3, _) => return Verdict::Unsure,
            (4, _) => {}
            _ => return Verdict::NotOurs,
        }
        Verdict::Found
    }

    fn pointers(&self, address: IpAddr, out: &mut Vec<String>) -> Verdict {
        if address.is_loopback() {
            return Verdict::NotOurs;
        }
        out.extend((0..200).map(|n| format!("web-{n}.blue")));
        Verdict::Found
    }

    fn ttl(&self) -> u32 {
        5
    }

    fn may_forward(&self) -> bool {
        self.may_forward
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let message = |name: &str, kind| {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).expect("a name"), kind));
        message
    };
    let bytes = |message: &Message| message.to_vec().expect("a message");
    let address = reverse::name(Ipv4Addr::new(10, 0, 0, 1).into());
    let mut seeds = Vec::new();
    // The first letters are of each kind of name.
    for name in ["f.", "g.blue.", "Hotel.", "i.", "j.", "k.example."] {
        for kind in [RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::ANY] {
            seeds.push(bytes(&message(name, kind)));
        }
    }
    for kind in [RecordType::PTR, RecordType::A, RecordType::AXFR, RecordType::OPT] {
        seeds.push(bytes(&message(&address, kind)));
    }
    let mut edns = op::Edns::new();
    edns.set_max_payload(4_096).set_dnssec_ok(true);
    let mut asked = message("f.", RecordType::A);
    asked.set_edns(edns.clone());
    seeds.push(bytes(&asked));
    edns.options_mut().insert(EdnsOption::Unknown(10, vec![1; 8]));
    asked.set_edns(edns.clone());
    seeds.push(bytes(&asked));
    edns.set_version(1);
    asked.set_edns(edns);
    seeds.push(bytes(&asked));
    asked.metadata.op_code = OpCode::Notify;
    seeds.push(bytes(&asked));
    seeds
}
