//! Answers of upstreams, honest and not, without any socket.

use hickory_proto::{
    op::{Edns, OpCode},
    rr::{
        DNSClass, Name, RecordType,
        rdata::{A, CNAME, NULL, SOA},
    },
};

use super::*;
use crate::wire::{Via, plain, text::Text};

/// An answer of so many bytes.
pub(in crate::forward) fn answer(bytes: usize, ttl: u32) -> Answer {
    Answer { wire: vec![0; bytes], ttl }
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

fn query() -> Query {
    Query::query(name("a.example."), RecordType::A)
}

fn record(ttl: u32, data: RData) -> Record {
    Record::from_rdata(name("a.example."), ttl, data)
}

fn address(ttl: u32) -> Record {
    record(ttl, RData::A(A::new(192, 0, 2, 1)))
}

fn soa(ttl: u32, minimum: u32) -> Record {
    record(ttl, RData::SOA(SOA::new(Name::root(), Name::root(), 1, 2, 3, 4, minimum)))
}

fn response(code: ResponseCode, answers: Vec<Record>, authorities: Vec<Record>) -> Message {
    let mut message = Message::response(9, OpCode::Query);
    message.metadata.response_code = code;
    message.metadata.authoritative = true;
    message.add_query(query());
    message.answers = answers;
    message.authorities = authorities;
    message
}

fn looked(message: &Message) -> Looked {
    look(&query(), 9, &message.to_vec().unwrap())
}

fn ttl(message: &Message) -> u32 {
    match looked(message) {
        Looked::Answer(answer) => answer.ttl,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_holds_as_long_as_its_least_record() {
    let ok = ResponseCode::NoError;
    assert_eq!(ttl(&response(ok, vec![address(60), address(30)], vec![])), 30);
    assert_eq!(ttl(&response(ok, vec![address(60)], vec![soa(20, 10)])), 20);
    assert_eq!(ttl(&response(ok, vec![address(MAX_TTL + 1)], vec![])), MAX_TTL);
    assert_eq!(ttl(&response(ok, vec![address(u32::MAX)], vec![])), 0);
    assert_eq!(ttl(&response(ok, vec![address(1 << 31)], vec![])), 0);
}

#[test]
fn a_no_holds_as_long_as_its_soa_says() {
    let no = ResponseCode::NXDomain;
    assert_eq!(ttl(&response(no, vec![], vec![soa(60, 30)])), 30);
    assert_eq!(ttl(&response(no, vec![], vec![soa(20, 30)])), 20);
    assert_eq!(ttl(&response(no, vec![], vec![soa(9_999, 9_999)])), MAX_NEGATIVE_TTL);
    assert_eq!(ttl(&response(no, vec![], vec![])), 0);
    let ok = ResponseCode::NoError;
    assert_eq!(ttl(&response(ok, vec![], vec![soa(60, 30)])), 30);
    let alias = record(10, RData::CNAME(CNAME(name("b.example."))));
    assert_eq!(ttl(&response(ok, vec![alias.clone()], vec![soa(60, 30)])), 10);
    assert_eq!(ttl(&response(ok, vec![alias], vec![])), 0);
}

#[test]
fn what_is_no_answer_to_the_question_is_a_stray() {
    let good = response(ResponseCode::NoError, vec![address(60)], vec![]);
    let bytes = good.to_vec().unwrap();
    assert!(matches!(look(&query(), 9, &bytes), Looked::Answer(_)));
    assert_eq!(look(&query(), 8, &bytes), Looked::Stray);
    let mut others = vec![good.clone(), good.clone(), good.clone(), good.clone(), good];
    others[0].queries[0].name = name("b.example.");
    others[1].queries[0].query_type = RecordType::AAAA;
    others[2].queries[0].query_class = DNSClass::CH;
    others[3].queries.clear();
    others[4].metadata.message_type = MessageType::Query;
    for other in &others {
        assert_eq!(looked(other), Looked::Stray);
    }
    for length in 0..bytes.len() {
        assert_eq!(look(&query(), 9, &bytes[..length]), Looked::Stray);
    }
    // The answer's name points at itself.
    let mut endless = bytes;
    let place = 12 + 11 + 4;
    assert_eq!(endless[place], 0xc0);
    endless[place + 1] = u8::try_from(place).unwrap();
    assert_eq!(look(&query(), 9, &endless), Looked::Stray);
}

#[test]
fn letters_do_not_matter() {
    let mut other = response(ResponseCode::NoError, vec![address(60)], vec![]);
    other.queries[0].name = name("A.eXample.");
    assert!(matches!(looked(&other), Looked::Answer(_)));
}

#[test]
fn an_answer_has_a_bound_of_records() {
    let of = |count| response(ResponseCode::NoError, vec![address(60); count], vec![]);
    assert!(matches!(looked(&of(MAX_RECORDS)), Looked::Answer(_)));
    assert_eq!(looked(&of(MAX_RECORDS + 1)), Looked::Stray);
}

#[test]
fn refusals_and_cut_answers_are_told_apart() {
    let of = |code| looked(&response(code, vec![], vec![]));
    for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NotAuth] {
        assert_eq!(of(code), Looked::Refused { form: false });
    }
    assert_eq!(of(ResponseCode::FormErr), Looked::Refused { form: true });
    let mut extended = response(ResponseCode::BADVERS, vec![], vec![]);
    extended.set_edns(Edns::new());
    assert_eq!(looked(&extended), Looked::Refused { form: false });
    let mut cut = response(ResponseCode::NoError, vec![address(60)], vec![]);
    cut.metadata.truncation = true;
    assert_eq!(looked(&cut), Looked::Truncated);
}

/// Asks as a client would, with AD and EDNS or without.
fn asked(cares: bool) -> Asked {
    let mut message = Message::new(5, MessageType::Query, OpCode::Query);
    message.metadata.authentic_data = cares;
    message.add_query(Query::query(name("A.Example."), RecordType::A));
    if cares {
        message.set_edns(Edns::new());
    }
    let bytes = message.to_vec().unwrap();
    Asked::new(&plain::read(&bytes, &mut Text::default()).unwrap().head, Via::Udp)
}

#[test]
fn a_kept_answer_grows_old_and_is_the_clients_own() {
    let mut message = response(ResponseCode::NoError, vec![address(60)], vec![]);
    message.metadata.authentic_data = true;
    message.set_edns(Edns::new());
    let Looked::Answer(answer) = looked(&message) else { panic!("an answer") };
    let now = Instant::now();
    let found = Found::new(answer, now);
    assert_eq!(found.ends(), Some(now + Duration::from_mins(1)));
    for (cares, age_ms, left) in [(true, 0, 60), (false, 1_999, 59), (true, 59_999, 1)] {
        let mut out = Vec::new();
        found.tell(&asked(cares), now + Duration::from_millis(age_ms), &mut out);
        let told = Message::from_vec(&out).unwrap();
        assert_eq!((told.metadata.id, told.answers[0].ttl), (5, left));
        assert_eq!(told.queries[0].name.to_ascii(), "A.Example.");
        assert!(told.metadata.recursion_available && !told.metadata.authoritative);
        assert_eq!(told.metadata.authentic_data, cares);
        assert_eq!(told.edns.map(|edns| edns.max_payload()), cares.then_some(UDP_SIZE));
    }
}

#[test]
fn a_failure_is_told_and_kept_for_a_moment() {
    let now = Instant::now();
    let found = Found::failure(ede::NETWORK_ERROR, now);
    assert_eq!(found.ends(), Some(now + FAILURE_LIFE));
    let mut out = Vec::new();
    found.tell(&asked(true), now, &mut out);
    let told = Message::from_vec(&out).unwrap();
    assert_eq!(told.metadata.response_code, ResponseCode::ServFail);
    assert_eq!(out[out.len() - 2..], [0, 23]);
}

#[test]
fn what_is_not_known_passes_as_it_is() {
    let odd =
        RData::Unknown { code: RecordType::Unknown(65_280), rdata: NULL::with(vec![1, 2, 3]) };
    let message = response(ResponseCode::NoError, vec![address(9), record(9, odd.clone())], vec![]);
    let Looked::Answer(answer) = looked(&message) else { panic!("an answer") };
    let mut out = Vec::new();
    let now = Instant::now();
    Found::new(answer, now).tell(&asked(false), now, &mut out);
    assert_eq!(Message::from_vec(&out).unwrap().answers[1].data, odd);
}
