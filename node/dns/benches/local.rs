//! What an A query for one of 10,000 names costs from its bytes to those of its answer: by the way that the
//! server goes, and by hickory-proto alone.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark that can't run has failed")]

#[path = "../examples/names/services.rs"]
mod services;

use std::{hint::black_box, net::Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query},
    rr::{Name, RData, Record, RecordType, rdata::A},
};
use netnode_dns::{
    local::{self, Outcome, Scratch},
    wire::Via,
};
use services::Services;

const NAMES: u32 = 10_000;
/// Queries that are asked in turn, so that not one name alone is in the processor's cache.
const QUERIES: u32 = 1_000;

fn services() -> Services {
    Services((0..NAMES).map(|n| (name(n), Ipv4Addr::from_bits(n))).collect())
}

fn name(n: u32) -> String {
    format!("service-{n}.blue.example")
}

fn queries() -> Vec<Vec<u8>> {
    let query = |n| {
        let mut message = Message::new(7, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        let name = Name::from_ascii(format!("{}.", name(n * (NAMES / QUERIES)))).unwrap();
        message.add_query(Query::query(name, RecordType::A));
        let mut edns = Edns::new();
        edns.set_max_payload(1_232);
        message.set_edns(edns);
        message.to_vec().unwrap()
    };
    (0..QUERIES).map(query).collect()
}

/// The same by hickory-proto, as its users write it.
fn by_hickory(map: &Services, query: &[u8]) -> Vec<u8> {
    let asked = Message::from_vec(query).unwrap();
    let query = asked.queries.first().unwrap();
    let name = query.name.to_lowercase().to_ascii();
    let address = map.0.get(name.strip_suffix('.').unwrap_or(&name)).unwrap();
    let mut answer = Message::response(asked.metadata.id, OpCode::Query);
    answer.metadata.authoritative = true;
    answer.metadata.recursion_desired = asked.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.add_query(query.clone());
    answer.add_answer(Record::from_rdata(query.name.clone(), 5, RData::A(A(*address))));
    if asked.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(1_232);
        answer.set_edns(edns);
    }
    answer.to_vec().unwrap()
}

fn answer(criterion: &mut Criterion) {
    let (map, queries) = (services(), queries());
    let mut group = criterion.benchmark_group("answer");
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    for query in &queries {
        let outcome = local::answer(&map, query, Via::Udp, &mut scratch, &mut out);
        assert_eq!((outcome, &out), (Outcome::Answered, &by_hickory(&map, query)));
    }
    let mut next = queries.iter().cycle();
    group.bench_function("plain", |bencher| {
        bencher.iter(|| {
            let query = black_box(next.next().unwrap());
            black_box(local::answer(&map, query, Via::Udp, &mut scratch, &mut out));
        });
    });
    group.bench_function("hickory", |bencher| {
        bencher.iter(|| black_box(by_hickory(&map, black_box(next.next().unwrap()))));
    });
    group.bench_function("lookup", |bencher| {
        let names: Vec<String> = (0..QUERIES).map(|n| name(n * (NAMES / QUERIES))).collect();
        let mut next = names.iter().cycle();
        bencher.iter(|| black_box(map.0.get(black_box(next.next().unwrap()))));
    });
}

criterion_group!(benches, answer);
criterion_main!(benches);
