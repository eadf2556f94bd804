//! What one node says to another about tables: whatever decodes is stable and within its limits, and the
//! node that hears it from an insider lives on.
#![no_main]

use std::{sync::Arc, time::Duration};

use libfuzzer_sys::fuzz_target;
use netdb_core::{
    digest::MAX_SEQUENCE,
    entry::{Dot, Entry, Lifetime, MAX_GENERATION, MAX_KEY, MAX_VALUE, RowKey, Writer},
    node::MAX_STREAM_MESSAGE,
    wire::{
        self, Batch, BatchBuilder, Chunk, Compare, Holding, Message, Part, PartContent, Pull,
        PullWhat, Push, Reached, Resume, Want,
        inspect::{Answer, Question, Rows},
    },
};
use netdb_fuzz::{
    cluster::{NETWORK, name},
    lone::{Lone, past},
    script::{self, Script},
    seeds,
};
use netdb_gossip_core::relay::Span;

/// The message comes on a stream, in a packet, or a while passes first.
const STREAM: u8 = 0;
const FRAME: u8 = 1;
const WAIT: u8 = 2;

fuzz_target!(init: seeds::plant(seeds), |input: &[u8]| {
    let mut lone = Lone::start();
    for (operation, message) in Script::new(input) {
        check(message);
        match operation % 3 {
            STREAM => lone.hear(message),
            FRAME => lone.hear_framed(message),
            _ => {
                lone.hear(message);
                lone.wait(Duration::from_millis(1500));
            }
        }
    }
    lone.end();
});

/// What is read and written again reads as the same.
fn check(bytes: &[u8]) {
    let Ok(message) = wire::decode(bytes) else { return };
    let written = wire::encode(&message);
    let again = wire::decode(&written).expect("what was decoded can be sent on");
    assert_eq!(wire::encode(&again), written);
    match message {
        Message::Push(Push { batch, .. }) | Message::Chunk(Chunk { batch, .. }) => unpack(batch),
        _ => {}
    }
}

fn unpack(batch: Batch) {
    let Ok(writes) = batch.unpack(|table| table.into()) else { return };
    let mut builder = BatchBuilder::new(MAX_STREAM_MESSAGE);
    let mut packed = Vec::new();
    for write in &writes {
        let entry = &write.entry;
        assert!((1..=MAX_KEY).contains(&entry.row.key.len()));
        assert!(entry.value.as_ref().is_none_or(|value| value.len() <= MAX_VALUE));
        assert!((1..=MAX_SEQUENCE).contains(&entry.dot.sequence));
        assert!(entry.dot.writer.generation <= MAX_GENERATION);
        assert!(entry.row.table_name().is_some());
        if builder.add(entry, write.age) {
            packed.push(Arc::clone(entry));
        }
    }
    let again =
        builder.finish().unpack(|table| table.into()).expect("what was unpacked can be packed");
    assert!(again.into_iter().map(|write| write.entry).eq(packed));
}

fn seeds() -> Vec<Vec<u8>> {
    let mut messages = messages();
    messages.extend(questions());
    let encoded: Vec<Vec<u8>> = messages.iter().map(wire::encode).collect();
    let alone = encoded.iter().map(|message| script::write([(STREAM, message.as_slice())]));
    let framed = encoded.iter().map(|message| (FRAME, message.as_slice()));
    let slowly = encoded.iter().map(|message| (WAIT, message.as_slice()));
    alone.chain([script::write(framed), script::write(slowly)]).collect()
}

/// What a person has a node ask, and an answer.
fn questions() -> [Message; 5] {
    let (network, places) = (name(NETWORK), vec![7]);
    let writer = Writer::first_of(past().peer.identity.node_id(), Lifetime::Owner);
    let ranges = vec![Want { writer, after: 0, through: 9 }];
    let rows = vec![Rows::Sum(25, 7), Rows::List(Vec::new())];
    [
        Message::Question(1, Question::Held { network: network.clone(), ranges }),
        Message::Question(2, Question::Standing { network, places }),
        Message::Answer(1, Answer::Held(rows)),
        Message::Request(3, name("ring"), vec![1, 2, 3]),
        Message::Response(3, Some(vec![4])),
    ]
}

/// A row of each lifetime, and a deleted one.
fn batch(own: Writer, shared: Writer) -> Batch {
    let mut builder = BatchBuilder::new(1000);
    for (writer, sequence, value) in
        [(own, 1, Some("a")), (shared, 2, Some("b")), (shared, 3, None)]
    {
        let row = RowKey::of(&name("t"), writer.lifetime, b"there", writer.node);
        let value = value.map(|value: &str| value.as_bytes().into());
        let entry = Entry::new(row, Dot { writer, sequence }, 1_700_000_000_000_000, value);
        assert!(builder.add(&entry, Duration::from_secs(1)));
    }
    builder.finish()
}

/// One of each kind, as the peer would say it.
fn messages() -> Vec<Message> {
    let network = name(NETWORK);
    let node = past().peer.identity.node_id();
    let of = |lifetime| Writer { node, lifetime, generation: past().generation, attachment: 1 };
    let (own, writer) = (of(Lifetime::Owner), of(Lifetime::Cluster));
    let dot = Dot { writer, sequence: 3 };
    let batch = batch(own, writer);
    let reached = Reached { writer, contiguous: 3 };
    let want = Want { writer, after: 0, through: 9 };
    let resume = Resume { table: name("t"), lifetime: Lifetime::Owner, key: vec![1], owner: node };
    let cutoff = u64::MAX;
    let part = |content| Part { from: 0, through: u64::MAX, content };
    let held = |content| Part { from: 0, through: u64::MAX, content };
    let (items, place) = (PartContent::Items(vec![reached]), 7);
    let pull = |what| Message::Pull(Pull { network: network.clone(), id: 1, what });
    vec![
        Message::Push(Push { network: network.clone(), span: None, batch: batch.clone() }),
        Message::Push(Push {
            network: network.clone(),
            span: Some(Span::all_but(node)),
            batch: batch.clone(),
        }),
        Message::Compare(vec![Compare { network: network.clone(), cutoff, received: 1, held: 2 }]),
        Message::Same(vec![(network.clone(), true)]),
        Message::NotAttached(network.clone()),
        Message::Received { network: network.clone(), cutoff, parts: vec![part(items)] },
        Message::Received {
            network: network.clone(),
            cutoff,
            parts: vec![part(PartContent::Hash(1)), part(PartContent::Differing(vec![reached]))],
        },
        Message::Held {
            network: network.clone(),
            settled: true,
            parts: vec![
                held(PartContent::Items(vec![Holding { place, dot }])),
                held(PartContent::Hash(9)),
            ],
        },
        pull(PullWhat::All(None)),
        pull(PullWhat::All(Some(resume))),
        pull(PullWhat::Ranges(vec![want])),
        pull(PullWhat::Dots(vec![dot])),
        Message::Chunk(Chunk {
            network: network.clone(),
            id: 0,
            copy: 1,
            batch,
            complete: vec![reached],
            synced: true,
            purged: true,
            more: Some(PullWhat::Ranges(vec![want])),
        }),
        Message::Gone { network, dots: vec![dot] },
        Message::KeysWanted,
        Message::Keys {
            keyring: Lone::start().node().gossip().keyring().clone(),
            admitted: Batch::default(),
        },
    ]
}
