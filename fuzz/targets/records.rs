//! Every record of the cluster's own tables: read from any bytes, and as rows that an insider writes.
#![no_main]

use std::{fmt::Debug, time::Duration};

use libfuzzer_sys::fuzz_target;
use netdb_core::{
    entry::{Dot, Entry, Lifetime, RowKey, Writer},
    node::CLUSTER_NETWORK,
    records::{
        self, ADMITTED, ATTACHMENTS, AdmittedRecord, AttachmentRecord, KEYS, KeyRecord, KeyStage,
        NODES, NodeRecord, NodeStatus, SEALED_KEYS, SELF_KEY, TOKENS, TokenRecord,
    },
    wire::{self, BatchBuilder, Message, Push},
};
use netdb_fuzz::{
    cluster::{NETWORK, name},
    lone::{Lone, past},
    script::{self, Script},
    seeds,
};
use netdb_gossip_core::{gossip::Member, identity::NodeId};
use serde::{Serialize, de::DeserializeOwned};

const TABLES: [&str; 6] = [NODES, ATTACHMENTS, ADMITTED, KEYS, SEALED_KEYS, TOKENS];
/// Set in an operation: the row goes. Beside it, the low bits name the table.
const DELETE: u8 = 0x80;
/// Set: time passes after it.
const WAIT: u8 = 0x40;
/// Set: the row is the node's own, as if the insider were it.
const MINE: u8 = 0x20;

fuzz_target!(init: seeds::plant(seeds), |input: &[u8]| {
    let mut lone = Lone::start();
    let mut sequences = [1000; 4];
    for (operation, mut about) in Script::new(input) {
        let length = usize::from(script::byte(&mut about)).max(1);
        let (key, value) = (script::bytes(&mut about, length), about);
        let table = TABLES[usize::from(operation & 0x1f) % TABLES.len()];
        check(table, key, value);
        let value = (operation & DELETE == 0).then_some(value);
        if let Some(message) = row(&lone, table, key, value, operation & MINE != 0, &mut sequences) {
            lone.hear(&message);
        }
        if operation & WAIT != 0 {
            lone.wait(Duration::from_secs(3));
        }
    }
    lone.end();
});

/// Reads the bytes as a record of each kind.
fn check(table: &str, key: &[u8], value: &[u8]) {
    stable::<NodeRecord>(value);
    stable::<AttachmentRecord>(value);
    stable::<AdmittedRecord>(value);
    stable::<KeyRecord>(value);
    stable::<TokenRecord>(value);
    let fields = records::describe(table, key, value).unwrap_or_default();
    assert!(fields.iter().all(|(field, _)| !field.contains("secret")));
}

fn stable<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(record) = records::decode::<T>(bytes) else { return };
    assert_eq!(records::decode::<T>(&records::encode(&record)).as_ref(), Ok(&record));
}

/// A write of the row, on its way from the peer.
fn row(
    lone: &Lone,
    table: &str,
    key: &[u8],
    value: Option<&[u8]>,
    mine: bool,
    sequences: &mut [u64; 4],
) -> Option<Vec<u8>> {
    let owned = table == NODES || table == ATTACHMENTS;
    let lifetime = if owned { Lifetime::Owner } else { Lifetime::Cluster };
    let (node, generation) = if mine {
        (lone.id(), lone.node().info().member.generation)
    } else {
        (past().peer.identity.node_id(), past().generation)
    };
    let sequence = &mut sequences[usize::from(mine) * 2 + usize::from(owned)];
    *sequence += 1;
    let writer = Writer { node, lifetime, generation, attachment: 1 };
    let row = RowKey::of(&name(table), lifetime, key, node);
    let dot = Dot { writer, sequence: *sequence };
    let entry = Entry::new(row, dot, 1_700_000_100_000_000 + *sequence, value.map(Into::into));
    let mut builder = BatchBuilder::new(0);
    let push = Push {
        network: name(CLUSTER_NETWORK),
        span: None,
        batch: { builder.add(&entry, Duration::ZERO).then(|| builder.finish())? },
    };
    Some(wire::encode(&Message::Push(push)))
}

fn step(table: &str, key: &[u8], value: &[u8], more: u8) -> Vec<u8> {
    let number = TABLES.iter().position(|known| *known == table).unwrap_or(0);
    let length = u8::try_from(key.len()).expect("a short key");
    let about = [&[length], key, value].concat();
    script::write([(u8::try_from(number).unwrap_or(0) | more, about.as_slice())])
}

fn seeds() -> Vec<Vec<u8>> {
    let peer = &past().peer;
    let id = peer.identity.node_id();
    let key = Lone::start().node().gossip().keyring().primary().clone();
    let member = Member { id, generation: past().generation, revision: 0, addr: peer.addr };
    let node = |status| {
        let keys = vec![key.id()];
        let name = peer.name.clone();
        records::encode(&NodeRecord { name, member, status, complete: 1, keys, primary: key.id() })
    };
    let attachment = |complete| records::encode(&AttachmentRecord { attachment: 1, complete });
    let admitted = |identity, admitted| {
        records::encode(&AdmittedRecord { identity, name: peer.name.clone(), admitted })
    };
    let public = peer.identity.public();
    let stage = |stage| records::encode(&KeyRecord { epoch: 2, stage, made_at: 1 });
    let token = |expires| records::encode(&TokenRecord { secret: [3; 16], expires });
    let sealed = records::sealed_key_row(key.id(), id);
    let mut seeds = Vec::new();
    for more in [0, WAIT, MINE | WAIT, DELETE] {
        for status in [NodeStatus::Active, NodeStatus::Restarting, NodeStatus::Left] {
            seeds.push(step(NODES, SELF_KEY, &node(status), more));
        }
        seeds.push(step(ATTACHMENTS, NETWORK.as_bytes(), &attachment(Some(1)), more));
        seeds.push(step(ATTACHMENTS, b"elsewhere", &attachment(None), more));
        seeds.push(step(ADMITTED, &id.0, &admitted(public, true), more));
        seeds.push(step(ADMITTED, &NodeId([9; 16]).0, &admitted(public, false), more));
        for known in [KeyStage::Install, KeyStage::Use, KeyStage::RemoveOlder] {
            seeds.push(step(KEYS, &key.id().0, &stage(known), more));
        }
        seeds.push(step(SEALED_KEYS, &sealed, &[7; 80], more));
        seeds.push(step(TOKENS, records::CURRENT_TOKEN, &token(Some(5)), more));
        seeds.push(step(TOKENS, records::CURRENT_TOKEN, &token(None), more));
    }
    seeds
}
