//! What the tests of `NetworkDB` ask of it, asked here: `docs/parity.md` says which test answers which.

mod churn;
mod failures;
mod faults;
mod tables;

use alloc::{
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::{ops::Bound, time::Duration};

use netdb_gossip_core::identity::Name;

use super::net::{Net, name};
use crate::{
    entry::{Entry, Lifetime},
    node::{CLUSTER_NETWORK, MemberState, Operation, WatchId, Write, WriteError},
    view::{EventKind, Filter, OwnerState, Row},
    wire::Unpacked,
};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// The rows of the test's network.
fn visible() -> Filter {
    Filter { network: Some(name("net")), ..Filter::default() }
}

/// The same with those of failed nodes.
fn remembered() -> Filter {
    Filter { include_failed: true, ..visible() }
}

fn texts(entry: &Entry) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&entry.row.key), text(entry.value.as_deref().unwrap_or_default()))
}

/// The rows that a filter selects, as `key=value` and the state of the owner.
fn rows(net: &Net, index: usize, filter: &Filter) -> Vec<(String, OwnerState)> {
    let rows = net.node(index).rows(filter).into_iter();
    let shown = |row: Row| {
        let (key, value) = texts(&row.entry);
        (format!("{key}={value}"), row.owner_state)
    };
    rows.map(|(_, row)| shown(row)).collect()
}

/// The rows in view, as `key=value`.
fn shown(net: &Net, index: usize) -> Vec<String> {
    rows(net, index, &visible()).into_iter().map(|(row, _)| row).collect()
}

/// What a watch has to tell: `+key=value`, `~key=old>new`, `-key=value reason`, and `.` for the end of what
/// was there.
fn told(net: &mut Net, index: usize, watch: WatchId) -> Vec<String> {
    let event = |kind| match kind {
        EventKind::Created { new } => {
            let (key, value) = texts(&new);
            format!("+{key}={value}")
        }
        EventKind::Updated { old, new } => {
            let ((key, before), (_, after)) = (texts(&old), texts(&new));
            format!("~{key}={before}>{after}")
        }
        EventKind::Deleted { old, reason } => {
            let (key, value) = texts(&old);
            format!("-{key}={value} {reason:?}")
        }
        EventKind::SnapshotEnd => ".".to_string(),
    };
    net.poll(index, watch).into_iter().map(|e| event(e.kind)).collect()
}

fn watch(net: &mut Net, index: usize, filter: Filter) -> WatchId {
    net.call(index, |node, now| node.watch(now, filter))
}

fn attach(net: &mut Net, index: usize, network: &str) {
    net.call(index, |node, now| node.attach(now, &name(network))).unwrap();
}

fn detach(net: &mut Net, index: usize, network: &str) {
    net.call(index, |node, now| node.detach(now, &name(network))).unwrap();
}

/// Writes a row of the node's own in the test's network.
fn put(net: &mut Net, index: usize, key: &str, value: &str) {
    net.write(index, Lifetime::Owner, key, Operation::Upsert, value.as_bytes()).unwrap();
}

fn delete(net: &mut Net, index: usize, lifetime: Lifetime, key: &str) -> Result<(), WriteError> {
    net.write(index, lifetime, key, Operation::Delete, b"").map(|_| ())
}

/// A write anywhere.
fn write_of(network: &str, table: &str, lifetime: Lifetime, key: &str, value: &str) -> Write {
    Write {
        network: name(network),
        table: name(table),
        lifetime,
        key: key.as_bytes().to_vec(),
        operation: Operation::Upsert,
        value: value.as_bytes().into(),
    }
}

/// Cuts a node off until all others call it failed.
fn fail(net: &mut Net, index: usize) {
    let others: Vec<usize> = (0..net.hosts.len()).filter(|other| *other != index).collect();
    net.cut.extend(others.iter().flat_map(|other| [(index, *other), (*other, index)]));
    let id = net.id(index);
    net.until(secs(20), |net| {
        others.iter().all(|i| net.node(*i).presences.state(id) == MemberState::Failed)
    });
}

/// Lets a node that was cut off return.
fn heal(net: &mut Net) {
    net.cut.clear();
    let all = net.hosts.len();
    net.until(secs(20), |net| {
        (0..all).all(|i| net.node(i).peers(&name(CLUSTER_NETWORK)).len() == all)
    });
}

/// What a node holds of a network, deletes included.
fn held(net: &Net, index: usize, network: &str) -> Vec<Arc<Entry>> {
    let network = net.node(index).networks.get(&name(network)).unwrap();
    network.replica.rows_from(Bound::Unbounded).cloned().collect()
}

/// The write of a node that stands for a key there.
fn written(net: &Net, index: usize, network: &str, table: &str, key: &str) -> Arc<Entry> {
    let id = net.id(index);
    let mut held = held(net, index, network).into_iter();
    held.find(|e| {
        &*e.row.table == table && &*e.row.key == key.as_bytes() && e.dot.writer.node == id
    })
    .unwrap()
}

/// Has a node hear of writes as if somebody passed them on.
fn tell(net: &mut Net, index: usize, network: &str, entries: &[Arc<Entry>]) {
    let from = net.id((index + 2) % net.hosts.len());
    net.call(index, |node, now| {
        let network: Arc<Name> = Arc::clone(&node.networks.get(&name(network)).unwrap().name);
        let age = Duration::ZERO;
        let rows = entries.iter().map(|entry| Unpacked { entry: Arc::clone(entry), age });
        node.take_rows(now, from, &network, rows.collect());
    });
}

/// Live rows and tombstones that a node holds of the test's network.
fn counts(net: &Net, index: usize) -> (usize, usize) {
    let infos = net.node(index).networks();
    let info = infos.iter().find(|info| info.name == name("net")).unwrap();
    (info.entries, info.tombstones)
}
