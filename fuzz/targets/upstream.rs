//! What an upstream sends in answer to a forwarded query. It is refused, or told to the client within the
//! client's size, to the client's question, and for no longer than a day.
#![no_main]

use std::{
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, CNAME, HINFO, MX, SOA},
    },
};
use libfuzzer_sys::fuzz_target;
use netdb_fuzz::{script, seeds};
use netnode_dns::{
    Family, Names, Verdict,
    forward::{
        Asked,
        answer::{self, Found, Looked},
    },
    limits::MAX_TTL,
    local::{self, Outcome, Scratch},
    wire::Via,
};

/// The number of the question that is under way.
const ID: u16 = 0x1234;
/// The type that is asked for, in the first byte.
const KINDS: [RecordType; 4] = [RecordType::A, RecordType::MX, RecordType::ANY, RecordType::CNAME];

fuzz_target!(init: seeds::plant(seeds), |input: &[u8]| {
    let mut input = input;
    let (how, age) = (script::byte(&mut input), script::byte(&mut input));
    let query = question(how);
    let mut message = input.to_vec();
    // A wrong number is soon found out.
    if let Some(id) = message.get_mut(..2) {
        id.copy_from_slice(&ID.to_be_bytes());
    }
    let Looked::Answer(answer) = answer::look(&query, ID, &message) else { return };
    let via = if how & 0x10 == 0 { Via::Udp } else { Via::Tcp };
    let (asked, limit) = (asked(how, via), if via == Via::Tcp { 65_535 } else { 1_232 });
    let now = Instant::now();
    let found = Found::new(answer, now);
    let ends = found.ends().unwrap_or(now);
    assert!(ends <= now + Duration::from_secs(u64::from(MAX_TTL)));
    let mut out = Vec::new();
    found.tell(&asked, now + Duration::from_secs(u64::from(age)), &mut out);
    assert!(out.len() <= limit);
    let told = Message::from_vec(&out).expect("it can be read");
    assert_eq!((told.metadata.id, told.metadata.message_type), (7, MessageType::Response));
    assert_eq!(told.queries, [query]);
    assert_eq!(told.edns.is_some(), how & 0x20 != 0);
    for record in told.answers.iter().chain(&told.authorities).chain(&told.additionals) {
        assert!(record.ttl <= MAX_TTL);
        assert_ne!(record.record_type(), RecordType::OPT);
    }
    // What is told by one forwarder can be taken by another, unless it was cut to fit.
    if !told.metadata.truncation {
        let again = answer::look(&question(how), 7, &out);
        assert!(matches!(again, Looked::Answer(_) | Looked::Refused { .. }), "{again:?}");
    }
});

fn question(how: u8) -> Query {
    let kind = KINDS[usize::from(how) % KINDS.len()];
    Query::query(Name::from_ascii("a.example.").expect("a name"), kind)
}

/// The client's query, by the door that clients use.
fn asked(how: u8, via: Via) -> Asked {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(question(how));
    if how & 0x20 != 0 {
        let mut edns = Edns::new();
        edns.set_max_payload(if how & 0x40 == 0 { 512 } else { 4_096 });
        message.set_edns(edns);
    }
    let bytes = message.to_vec().expect("a message");
    match local::answer(&Nobodys, &bytes, via, &mut Scratch::default(), &mut Vec::new()) {
        Outcome::Forward(asked) => asked,
        other => panic!("{other:?}"),
    }
}

/// Nothing is ours.
struct Nobodys;

impl Names for Nobodys {
    fn addresses(&self, _: &str, _: Family, _: &mut Vec<IpAddr>) -> Verdict {
        Verdict::NotOurs
    }

    fn pointers(&self, _: IpAddr, _: &mut Vec<String>) -> Verdict {
        Verdict::NotOurs
    }

    fn ttl(&self) -> u32 {
        5
    }

    fn may_forward(&self) -> bool {
        true
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let name = |text: &str| Name::from_ascii(text).expect("a name");
    let record = |data| Record::from_rdata(name("a.example."), 60, data);
    let address = || record(RData::A(A(Ipv4Addr::new(192, 0, 2, 1))));
    let soa = || record(RData::SOA(SOA::new(name("ns.example."), Name::root(), 1, 2, 3, 4, 5)));
    let answers: [Vec<Record>; 4] = [
        vec![address(); 40],
        vec![record(RData::MX(MX::new(10, name("mail.a.example."))))],
        vec![record(RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new())))],
        vec![record(RData::CNAME(CNAME(name("b.example.")))), address()],
    ];
    let mut seeds = Vec::new();
    for (how, answers) in (0_u8..).zip(answers) {
        for how in [how, how | 0x10, how | 0x60] {
            let mut message = Message::response(ID, OpCode::Query);
            message.add_query(question(how));
            message.answers.clone_from(&answers);
            message.authorities.push(soa());
            message.additionals.push(address());
            message.set_edns(Edns::new());
            let bytes = message.to_vec().expect("a message");
            seeds.push([&[how, 1], &bytes[..]].concat());
        }
        let mut no = Message::response(ID, OpCode::Query);
        no.metadata.response_code = ResponseCode::NXDomain;
        no.add_query(question(how));
        no.authorities.push(soa());
        seeds.push([&[how, 1], &no.to_vec().expect("a message")[..]].concat());
    }
    seeds
}
