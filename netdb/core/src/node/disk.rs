//! What a node keeps on disk: one ordered map from bytes to bytes, whose layout is here.

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{
    codec,
    gossip::Member,
    identity::{ClusterId, Generation, Name, NodeId},
    keyring::Keyring,
    time::Wall,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::io::{DiskOp, StartError};
use crate::{
    entry::{Entry, MAX_GENERATION, RowKey, Writer},
    wire::{Batch, BatchBuilder},
};

/// The highest number of an attachment that is believed: each attachment and each life adds one.
const MAX_ATTACHMENT: u32 = u32::MAX / 2;

/// First byte of a key: which kind of record.
mod kind {
    pub(super) const CLUSTER: u8 = b'c';
    pub(super) const GENERATION: u8 = b'g';
    pub(super) const CLOCK: u8 = b't';
    pub(super) const KEYRING: u8 = b'k';
    pub(super) const PEERS: u8 = b'p';
    pub(super) const ATTACHMENT: u8 = b'a';
    pub(super) const ROW: u8 = b'r';
    pub(super) const WRITER: u8 = b'w';
}

/// Which cluster a disk belongs to, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClusterRecord {
    pub(super) cluster: ClusterId,
    pub(super) node: NodeId,
}

/// A network this node was attached to, and the number of its last attachment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attachment {
    pub(super) number: u32,
    pub(super) attached: bool,
}

/// A row of `Cluster` lifetime.
#[derive(Debug, Serialize, Deserialize)]
struct StoredRow {
    batch: Batch,
    /// Cluster time of the moment it was stored, against which a tombstone's age counts.
    stored_at: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredWriter {
    contiguous: u64,
    purged: u64,
    retired: bool,
}

/// A row read back.
pub(super) struct LoadedRow {
    pub(super) entry: Arc<Entry>,
    pub(super) age: Duration,
}

/// A writer's progress read back.
pub(super) struct LoadedWriter {
    pub(super) writer: Writer,
    pub(super) contiguous: u64,
    pub(super) purged: u64,
    pub(super) retired: bool,
}

/// Everything on disk, understood.
pub(super) struct Loaded {
    pub(super) cluster: ClusterRecord,
    pub(super) generation: Generation,
    pub(super) clock: u64,
    pub(super) keyring: Keyring,
    pub(super) peers: Vec<Member>,
    pub(super) attachments: BTreeMap<Name, Attachment>,
    pub(super) rows: BTreeMap<Name, Vec<LoadedRow>>,
    pub(super) writers: BTreeMap<Name, Vec<LoadedWriter>>,
}

/// Changes waiting to be committed together.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pending: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    last_commit: u64,
}

impl Disk {
    /// The id that the pending changes will be committed under.
    pub(super) fn next_commit(&self) -> u64 {
        self.last_commit + 1
    }

    /// The pending changes, if there are any.
    pub(super) fn take(&mut self) -> Option<(u64, Vec<DiskOp>)> {
        if self.pending.is_empty() {
            return None;
        }
        self.last_commit += 1;
        let ops = core::mem::take(&mut self.pending).into_iter();
        Some((self.last_commit, ops.map(|(key, value)| DiskOp { key, value }).collect()))
    }

    fn put<T: Serialize>(&mut self, key: Vec<u8>, record: &T) {
        self.pending.insert(key, Some(codec::encode(record)));
    }

    pub(super) fn put_cluster(&mut self, record: ClusterRecord) {
        self.put(alloc::vec![kind::CLUSTER], &record);
    }

    /// After this the disk belongs to no cluster.
    pub(super) fn remove_cluster(&mut self) {
        self.pending.insert(alloc::vec![kind::CLUSTER], None);
        self.pending.insert(alloc::vec![kind::KEYRING], None);
    }

    pub(super) fn put_generation(&mut self, generation: Generation) {
        self.put(alloc::vec![kind::GENERATION], &generation);
    }

    pub(super) fn put_clock(&mut self, last: u64) {
        self.put(alloc::vec![kind::CLOCK], &last);
    }

    pub(super) fn put_keyring(&mut self, keyring: &Keyring) {
        self.put(alloc::vec![kind::KEYRING], keyring);
    }

    pub(super) fn put_peers(&mut self, peers: &[Member]) {
        self.put(alloc::vec![kind::PEERS], &peers);
    }

    pub(super) fn put_attachment(&mut self, network: &Name, attachment: Attachment) {
        let mut key = alloc::vec![kind::ATTACHMENT];
        key.extend_from_slice(network.as_str().as_bytes());
        self.put(key, &attachment);
    }

    pub(super) fn put_row(&mut self, network: &Name, entry: &Entry, age: Duration, now: Wall) {
        let mut builder = BatchBuilder::new(0);
        builder.add(entry, age);
        let row = StoredRow { batch: builder.finish(), stored_at: now.0 };
        self.put(row_key(network, &entry.row), &row);
    }

    pub(super) fn remove_row(&mut self, network: &Name, row: &RowKey) {
        self.pending.insert(row_key(network, row), None);
    }

    pub(super) fn put_writer(
        &mut self,
        network: &Name,
        writer: &Writer,
        contiguous: u64,
        purged: u64,
        retired: bool,
    ) {
        self.put(writer_key(network, writer), &StoredWriter { contiguous, purged, retired });
    }

    pub(super) fn remove_writer(&mut self, network: &Name, writer: &Writer) {
        self.pending.insert(writer_key(network, writer), None);
    }
}

fn row_key(network: &Name, row: &RowKey) -> Vec<u8> {
    let mut key = alloc::vec![kind::ROW];
    key.extend(codec::encode(&(network, &*row.table, serde_bytes::Bytes::new(&row.key))));
    key
}

fn writer_key(network: &Name, writer: &Writer) -> Vec<u8> {
    let mut key = alloc::vec![kind::WRITER];
    key.extend(codec::encode(&(network, writer)));
    key
}

fn damaged(what: &'static str) -> impl Fn(codec::Malformed) -> StartError {
    move |_| StartError::Damaged { what }
}

/// Reads back everything, whatever its order.
pub(super) fn load(disk: Vec<(Vec<u8>, Vec<u8>)>, now: Wall) -> Result<Loaded, StartError> {
    let mut single: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let (mut attachments, mut rows, mut writers) =
        (BTreeMap::new(), BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
    for (key, value) in disk {
        let Some((kind, rest)) = key.split_first() else { continue };
        match *kind {
            kind::ATTACHMENT => {
                let malformed = StartError::Damaged { what: "list of networks" };
                let text = core::str::from_utf8(rest).map_err(|_| malformed.clone())?;
                let name = Name::new(text).map_err(|_| malformed.clone())?;
                let record: Attachment =
                    codec::decode(&value).map_err(damaged("list of networks"))?;
                if record.number > MAX_ATTACHMENT {
                    return Err(malformed);
                }
                attachments.insert(name, record);
            }
            kind::ROW => {
                let (network, row) = load_row(rest, &value, now).map_err(damaged("table row"))?;
                rows.entry(network).or_default().push(row);
            }
            kind::WRITER => {
                let what = damaged("record of what was received");
                let (network, writer): (Name, Writer) = codec::decode(rest).map_err(&what)?;
                let stored: StoredWriter = codec::decode(&value).map_err(&what)?;
                let StoredWriter { contiguous, purged, retired } = stored;
                let loaded = LoadedWriter { writer, contiguous, purged, retired };
                writers.entry(network).or_default().push(loaded);
            }
            other => {
                single.insert(other, value);
            }
        }
    }
    if !single.contains_key(&kind::CLUSTER) {
        return Err(StartError::NotAMember);
    }
    let generation = record(&single, kind::GENERATION, "generation")?;
    // What is written under the next one would be believed by nobody, nor read back from here.
    if generation >= MAX_GENERATION {
        return Err(StartError::Damaged { what: "generation" });
    }
    Ok(Loaded {
        cluster: record(&single, kind::CLUSTER, "cluster identity")?,
        generation,
        clock: record(&single, kind::CLOCK, "clock reading")?,
        keyring: record(&single, kind::KEYRING, "keyring")?,
        peers: record(&single, kind::PEERS, "list of peers")?,
        attachments,
        rows,
        writers,
    })
}

fn record<T: DeserializeOwned>(
    single: &BTreeMap<u8, Vec<u8>>,
    kind: u8,
    what: &'static str,
) -> Result<T, StartError> {
    let bytes = single.get(&kind).ok_or(StartError::Damaged { what })?;
    codec::decode(bytes).map_err(damaged(what))
}

fn load_row(key: &[u8], value: &[u8], now: Wall) -> Result<(Name, LoadedRow), codec::Malformed> {
    let (network, _table, _key): (Name, String, serde_bytes::ByteBuf) = codec::decode(key)?;
    let stored: StoredRow = codec::decode(value)?;
    let rows = stored.batch.unpack(|table| Arc::from(table))?;
    let row = rows.into_iter().next().ok_or(codec::Malformed)?;
    let on_disk = Duration::from_micros(now.0.saturating_sub(stored.stored_at));
    Ok((network, LoadedRow { entry: row.entry, age: row.age + on_disk }))
}

#[cfg(test)]
mod tests {
    use netdb_gossip_core::identity::Identity;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::node::Node;

    /// What a founder's disk is said to be once one record in it is another.
    fn loaded(key: &[u8], value: Vec<u8>) -> Option<StartError> {
        let mut entropy = ChaCha20Rng::seed_from_u64(1);
        let identity = Identity::generate(&mut entropy).public();
        let name = Name::new("n").unwrap();
        let cluster = ClusterId([7; 16]);
        let ops = Node::found(cluster, &mut entropy, &identity, &name, Wall(1_000_000));
        let ops = ops.into_iter().map(|op| (op.key, op.value.unwrap()));
        let mut disk: BTreeMap<_, _> = ops.collect();
        disk.insert(key.to_vec(), value);
        load(disk.into_iter().collect(), Wall(2_000_000)).err()
    }

    #[test]
    fn numbers_that_leave_no_room_for_the_next_are_damage() {
        let generation = |number| loaded(b"g", codec::encode(&Generation(number)));
        assert_eq!(generation(MAX_GENERATION.0 - 1), None);
        let damaged = |what| Some(StartError::Damaged { what });
        assert_eq!(generation(MAX_GENERATION.0), damaged("generation"));
        let attachment =
            |number| loaded(b"anet", codec::encode(&Attachment { number, attached: false }));
        assert_eq!(attachment(MAX_ATTACHMENT), None);
        assert_eq!(attachment(MAX_ATTACHMENT + 1), damaged("list of networks"));
    }
}
