//! The core alone: writes, reads, received entries and watches, without socket and disk.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use netdb_core::{
    config::Config,
    entry::{Dot, Entry, Lifetime, RowKey, Writer},
    node::{Node, Operation, Output, Setup, Write},
    replica::Replica,
    view::Filter,
    wire::{self, BatchBuilder, Message, Push},
};
use netdb_gossip_core::{
    identity::{ClusterId, Generation, Identity, Name, NodeId},
    time::{Now, Time, Wall},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// Rows in the network before anything is measured; what adds rows begins anew at twice as many.
const ROWS: u32 = 10_000;
/// Entries in one received message: about what fits into a packet.
const RECEIVED: u32 = 10;
static ENDPOINTS: LazyLock<Arc<str>> = LazyLock::new(|| "endpoints".into());
const EPOCH_US: u64 = 1_800_000_000_000_000;
/// Between two inputs: what was written in the last seconds is kept track of, and that is no second's worth
/// of the fastest loop there is.
const STEP_US: u64 = 50;

pub(crate) fn measure(criterion: &mut Criterion) {
    writes(criterion);
    received(criterion);
    watched(criterion);
}

/// A node alone in its cluster, attached to one network.
struct Alone {
    node: Node,
    now_us: u64,
}

impl Alone {
    fn start() -> Self {
        let mut entropy = ChaCha20Rng::seed_from_u64(1);
        let identity = Identity::generate(&mut entropy);
        let now = at(0);
        let name = name("bench");
        let ops =
            Node::found(ClusterId([7; 16]), &mut entropy, &identity.public(), &name, now.wall);
        let disk: BTreeMap<_, _> = ops.into_iter().map(|op| (op.key, op.value)).collect();
        let setup = Setup {
            config: Config::lan(),
            identity,
            name,
            addr: ([10, 0, 0, 1], 7946).into(),
            seed: 1,
            entropy: Box::new(entropy),
            disk: disk.into_iter().filter_map(|(key, value)| Some((key, value?))).collect(),
        };
        let mut alone = Self { node: Node::start(setup, now).unwrap(), now_us: 0 };
        alone.drain();
        alone.node.attach(at(0), &network()).unwrap();
        alone.drain();
        alone
    }

    /// One with `ROWS` rows.
    fn filled() -> Self {
        let mut alone = Self::start();
        (0..ROWS).for_each(|number| alone.write(&write(number, Operation::Create)));
        alone
    }

    fn now(&mut self) -> Now {
        self.now_us += STEP_US;
        at(self.now_us)
    }

    /// Carries out nothing, but says that all commits are durable.
    fn drain(&mut self) {
        let now = self.now();
        while let Some(output) = self.node.poll_output(now) {
            if let Output::Commit { id, .. } = output {
                self.node.handle_committed(now, id);
            }
        }
    }

    fn write(&mut self, write: &Write) {
        let now = self.now();
        self.node.write(now, write).unwrap();
        self.drain();
    }
}

fn write(number: u32, operation: Operation) -> Write {
    Write {
        network: network(),
        table: name("endpoints"),
        lifetime: Lifetime::Owner,
        key: key(number),
        operation,
        value: value(),
    }
}

fn writes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("write");
    let node = RefCell::new(Alone::filled());
    let mut next = ROWS;
    group.bench_function("create", |bencher| {
        let write = || {
            next += 1;
            if next.is_multiple_of(ROWS) {
                // It grows to twice its size, and begins anew.
                *node.borrow_mut() = Alone::filled();
            }
            write(next, Operation::Create)
        };
        let create = |write: Write| node.borrow_mut().write(&write);
        bencher.iter_batched(write, create, BatchSize::SmallInput);
    });
    let mut alone = Alone::filled();
    let mut next = 0;
    group.bench_function("update", |bencher| {
        let write = || {
            next = (next + 7919) % ROWS;
            write(next, Operation::Update)
        };
        bencher.iter_batched(write, |write| alone.write(&write), BatchSize::SmallInput);
    });
    group.bench_function("get", |bencher| {
        bencher.iter(|| {
            next = (next + 7919) % ROWS;
            let filter = Filter {
                network: Some(network()),
                table: Some(name("endpoints")),
                lifetime: Some(Lifetime::Owner),
                prefix: key(next),
                ..Filter::default()
            };
            alone.node.rows_page(&filter, None, 1)
        });
    });
    group.finish();
}

fn received(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("received");
    let mut sequence = 0;
    let apply = |replica: &mut Replica, entry: Entry| {
        replica.apply(Time(1), Wall(entry.at), entry, Duration::ZERO)
    };
    let filled = |sequence: &mut u64| {
        let mut replica = Replica::new(Duration::from_mins(10), 1_000_000);
        (0..ROWS).for_each(|_| drop(apply(&mut replica, entry(sequence))));
        replica
    };
    let replica = RefCell::new(filled(&mut sequence));
    group.bench_function("merged", |bencher| {
        let next = || {
            if sequence.is_multiple_of(u64::from(ROWS)) {
                *replica.borrow_mut() = filled(&mut sequence);
            }
            entry(&mut sequence)
        };
        let merge = |entry| apply(&mut replica.borrow_mut(), entry);
        bencher.iter_batched(next, merge, BatchSize::SmallInput);
    });
    let node = RefCell::new(Alone::filled());
    let mut messages = 0;
    group.throughput(Throughput::Elements(RECEIVED.into()));
    group.bench_function("taken", |bencher| {
        let next = || {
            messages += RECEIVED;
            if messages.is_multiple_of(ROWS) {
                *node.borrow_mut() = Alone::filled();
            }
            message(&mut sequence)
        };
        let take = |bytes: Vec<u8>| {
            let mut alone = node.borrow_mut();
            let now = alone.now();
            alone.node.handle_stream(now, peer(), &bytes);
            alone.drain();
        };
        bencher.iter_batched(next, take, BatchSize::SmallInput);
    });
    group.finish();
}

/// An update that all of some watches hear of.
fn watched(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("watched");
    for watches in [1, 10, 100] {
        let mut alone = Alone::start();
        alone.write(&write(0, Operation::Create));
        let filter = || Filter { network: Some(network()), ..Filter::default() };
        let ids: Vec<_> = (0..watches).map(|_| alone.node.watch(at(1), filter())).collect();
        let update = write(0, Operation::Update);
        group.bench_function(BenchmarkId::from_parameter(watches), |bencher| {
            bencher.iter(|| {
                alone.write(&update);
                for id in &ids {
                    while alone.node.poll_watch(*id).is_some() {}
                }
            });
        });
    }
    group.finish();
}

/// The next new row of the peer.
fn entry(sequence: &mut u64) -> Entry {
    *sequence += 1;
    let node = peer();
    let writer =
        Writer { node, lifetime: Lifetime::Owner, generation: Generation(1), attachment: 1 };
    // Neighbours in time are no neighbours in order.
    let number = u32::try_from(*sequence).unwrap().wrapping_mul(0x9e37_79b1);
    // A replica has one copy of a table's name, which unpacking a message hands out.
    let row = RowKey {
        table: Arc::clone(&ENDPOINTS),
        ..RowKey::of(&name("endpoints"), Lifetime::Owner, &key(number), node)
    };
    let at = EPOCH_US + *sequence * STEP_US;
    Entry::new(row, Dot { writer, sequence: *sequence }, at, Some(value()))
}

pub(crate) fn message(sequence: &mut u64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(usize::MAX);
    for _ in 0..RECEIVED {
        builder.add(&entry(sequence), Duration::ZERO);
    }
    wire::encode(&Message::Push(Push { network: network(), span: None, batch: builder.finish() }))
}

fn at(micros: u64) -> Now {
    Now { mono: Time(1_000_000 + micros), wall: Wall(EPOCH_US + micros) }
}

fn peer() -> NodeId {
    NodeId([9; 16])
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn network() -> Name {
    name("net")
}

fn key(number: u32) -> Vec<u8> {
    format!("endpoint-{number:07}").into_bytes().into_iter().take(16).collect()
}

fn value() -> Arc<[u8]> {
    [1; 100].into()
}
