//! Writes packed together: writers and table names once, then the writes.

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{
    codec::Malformed,
    identity::{Name, NodeId},
    time::micros,
};
use serde::{Deserialize, Serialize};

use crate::{
    digest::MAX_SEQUENCE,
    entry::{Dot, Entry, Lifetime, MAX_GENERATION, MAX_KEY, MAX_VALUE, RowKey, Writer},
};

/// Writes as they travel.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Batch {
    writers: Vec<Writer>,
    tables: Vec<String>,
    writes: Vec<Packed>,
}

/// The format has room for the owner's signature over a write; no scheme for it exists yet.
const NO_SIGNATURE: &[u8] = &[];

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Packed {
    writer: u32,
    table: u32,
    /// How far above the last sequence of this writer in the batch: mostly one.
    step: i64,
    /// How far above the stamp of the write before: mostly little.
    later: i64,
    /// How many bytes the key has in common with the one before: keys of a table often begin alike.
    shared: u32,
    /// The rest of the key.
    #[serde(with = "serde_bytes")]
    key: Vec<u8>,
    content: Content,
    #[serde(with = "serde_bytes")]
    signature: Vec<u8>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Content {
    Value(#[serde(with = "serde_bytes")] Vec<u8>),
    /// With its age in milliseconds.
    Tombstone(u64),
}

/// One write out of a batch, checked.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// The write.
    pub entry: Arc<Entry>,
    /// How long ago a tombstone was written.
    pub age: Duration,
}

impl Batch {
    /// Number of writes.
    pub fn len(&self) -> usize {
        self.writes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Checks every write and takes the batch apart.
    ///
    /// # Errors
    /// [`Malformed`] for the batch as a whole if any write in it breaks a rule of the format.
    pub fn unpack(
        self,
        mut intern: impl FnMut(&str) -> Arc<str>,
    ) -> Result<Vec<Unpacked>, Malformed> {
        let mut tables = Vec::with_capacity(self.tables.len().min(64));
        for table in &self.tables {
            Name::new(table).map_err(|_| Malformed)?;
            tables.push(intern(table));
        }
        let mut last = Last::default();
        let unpack = |packed: Packed| unpack(packed, &self.writers, &tables, &mut last);
        self.writes.into_iter().map(unpack).collect()
    }
}

/// What the next write is told against.
#[derive(Debug, Default)]
struct Last {
    sequences: BTreeMap<u32, u64>,
    at: u64,
    key: Vec<u8>,
}

impl Last {
    fn differences(&self, writer: u32, entry: &Entry) -> (i64, i64) {
        let sequence = self.sequences.get(&writer).copied().unwrap_or(0);
        let step = entry.dot.sequence.wrapping_sub(sequence).cast_signed();
        (step, entry.at.wrapping_sub(self.at).cast_signed())
    }

    /// Sequence and stamp of the next write.
    fn advance(&mut self, writer: u32, (step, later): (i64, i64)) -> (u64, u64) {
        let sequence = self.sequences.entry(writer).or_default();
        *sequence = sequence.wrapping_add_signed(step);
        self.at = self.at.wrapping_add_signed(later);
        (*sequence, self.at)
    }

    /// The next key.
    fn complete(&mut self, shared: u32, rest: &[u8]) -> Result<&[u8], Malformed> {
        let shared = usize::try_from(shared).map_err(|_| Malformed)?;
        if shared > self.key.len() || !(1..=MAX_KEY).contains(&(shared + rest.len())) {
            return Err(Malformed);
        }
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        Ok(&self.key)
    }
}

fn unpack(
    packed: Packed,
    writers: &[Writer],
    tables: &[Arc<str>],
    last: &mut Last,
) -> Result<Unpacked, Malformed> {
    let at = |index: u32| usize::try_from(index).map_err(|_| Malformed);
    let writer = *writers.get(at(packed.writer)?).ok_or(Malformed)?;
    let (sequence, stamp) = last.advance(packed.writer, (packed.step, packed.later));
    let table = tables.get(at(packed.table)?).ok_or(Malformed)?.clone();
    let (value, age): (Option<Arc<[u8]>>, u64) = match packed.content {
        Content::Value(value) if value.len() <= MAX_VALUE => (Some(value.into()), 0),
        Content::Value(_) => return Err(Malformed),
        Content::Tombstone(age_ms) => (None, age_ms),
    };
    let sane = (1..=MAX_SEQUENCE).contains(&sequence)
        && writer.generation <= MAX_GENERATION
        && packed.signature == NO_SIGNATURE;
    if !sane {
        return Err(Malformed);
    }
    let key = last.complete(packed.shared, &packed.key)?.into();
    let owner = if writer.lifetime == Lifetime::Owner { writer.node } else { NodeId::default() };
    let row = RowKey { table, lifetime: writer.lifetime, key, owner };
    let dot = Dot { writer, sequence };
    let entry = Arc::new(Entry::new(row, dot, stamp, value));
    Ok(Unpacked { entry, age: Duration::from_millis(age) })
}

/// Packs writes up to a budget of bytes.
#[derive(Debug)]
pub struct BatchBuilder {
    batch: Batch,
    writers: BTreeMap<Writer, u32>,
    tables: BTreeMap<Arc<str>, u32>,
    last: Last,
    size: usize,
    budget: usize,
}

/// An upper bound of what a writer costs: id, lifetime, generation, attachment.
const WRITER_COST: usize = 16 + 1 + 9 + 5;
/// An upper bound of the three lengths of a batch.
const BATCH_COST: usize = 3 + 3 + 5;

/// With how many equal bytes two keys begin.
fn in_common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// Bytes that a number takes (bincode's variable encoding).
fn width(number: u64) -> usize {
    match number {
        0..=250 => 1,
        251..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// The same for one that may be below zero.
fn width_signed(number: i64) -> usize {
    width((number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned())
}

fn width_of(bytes: &[u8]) -> usize {
    width(bytes.len() as u64) + bytes.len()
}

impl BatchBuilder {
    /// An empty batch that may take up to `budget` bytes.
    pub fn new(budget: usize) -> Self {
        Self {
            batch: Batch::default(),
            writers: BTreeMap::new(),
            tables: BTreeMap::new(),
            last: Last::default(),
            size: BATCH_COST,
            budget,
        }
    }

    /// Bytes of a batch of writes like this one, beside the writes.
    pub fn overhead(entry: &Entry) -> usize {
        BATCH_COST + WRITER_COST + entry.row.table.len() + 3
    }

    /// About what a write adds to a batch of writes that follow each other, behind the one `before`.
    pub fn cost_among(entry: &Entry, before: Option<&Entry>) -> usize {
        let shared = before.map_or(0, |before| in_common(&before.row.key, &entry.row.key));
        Self::write_cost(entry, (0, 0), (1, 1000), shared)
    }

    /// Upper bound of the bytes that a batch with only this write takes.
    pub fn cost_alone(entry: &Entry) -> usize {
        let first = Last::default().differences(0, entry);
        Self::overhead(entry) + Self::write_cost(entry, (0, 0), first, 0)
    }

    fn write_cost(
        entry: &Entry,
        (writer, table): (u32, u32),
        (step, later): (i64, i64),
        shared: usize,
    ) -> usize {
        let content = entry.value.as_ref().map_or(9, |value| width_of(value));
        width(u64::from(writer))
            + width(u64::from(table))
            + width_signed(step)
            + width_signed(later)
            + width(shared as u64)
            + width_of(entry.row.key.get(shared..).unwrap_or_default())
            + 1
            + content
            + width_of(NO_SIGNATURE)
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Adds a write with the age of its tombstone. False, and nothing added, if it does not fit; the
    /// first write always fits.
    pub fn add(&mut self, entry: &Entry, age: Duration) -> bool {
        let known = self.writers.get(&entry.dot.writer).copied();
        let writer = known.unwrap_or_else(|| index(self.batch.writers.len()));
        let known_table = self.tables.get(&entry.row.table).copied();
        let table = known_table.unwrap_or_else(|| index(self.batch.tables.len()));
        let differences = self.last.differences(writer, entry);
        let shared = in_common(&self.last.key, &entry.row.key);
        let cost = Self::write_cost(entry, (writer, table), differences, shared)
            + if known.is_none() { WRITER_COST } else { 0 }
            + if known_table.is_none() { entry.row.table.len() + 3 } else { 0 };
        if self.size + cost > self.budget && !self.is_empty() {
            return false;
        }
        self.size += cost;
        if known.is_none() {
            self.writers.insert(entry.dot.writer, writer);
            self.batch.writers.push(entry.dot.writer);
        }
        self.last.advance(writer, differences);
        self.last.key = entry.row.key.to_vec();
        if known_table.is_none() {
            self.tables.insert(entry.row.table.clone(), table);
            self.batch.tables.push((*entry.row.table).into());
        }
        self.batch.writes.push(Packed {
            writer,
            table,
            step: differences.0,
            later: differences.1,
            shared: index(shared),
            key: entry.row.key.get(shared..).unwrap_or_default().to_vec(),
            content: match &entry.value {
                Some(value) => Content::Value(value.to_vec()),
                None => Content::Tombstone(micros(age) / 1000),
            },
            signature: NO_SIGNATURE.to_vec(),
        });
        true
    }

    /// The batch.
    pub fn finish(self) -> Batch {
        self.batch
    }
}

fn index(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use netdb_gossip_core::codec;
    use proptest::prelude::*;

    use super::*;

    fn entry(node: u8, cluster: bool, table: &str, key: &[u8], value: Option<Vec<u8>>) -> Entry {
        let lifetime = if cluster { Lifetime::Cluster } else { Lifetime::Owner };
        let node = NodeId([node; 16]);
        let writer = Writer { node, lifetime, generation: MAX_GENERATION, attachment: u32::MAX };
        let table = Name::new(table).unwrap();
        let dot = Dot { writer, sequence: MAX_SEQUENCE };
        Entry::new(RowKey::of(&table, lifetime, key, node), dot, u64::MAX, value.map(Into::into))
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_and_fits(
            writes in prop::collection::vec(
                (0u8..3, any::<bool>(), "[a-c]{1,8}", prop::collection::vec(any::<u8>(), 1..40),
                 prop::option::of(prop::collection::vec(any::<u8>(), 0..300))),
                1..30,
            ),
            budget in 200usize..1500,
        ) {
            let mut builder = BatchBuilder::new(budget);
            let mut added = Vec::new();
            for (node, cluster, table, key, value) in &writes {
                let entry = entry(*node, *cluster, table, key, value.clone());
                if builder.add(&entry, Duration::from_secs(7)) {
                    added.push(Arc::new(entry));
                }
            }
            let batch = builder.finish();
            let bytes = codec::encode(&batch);
            prop_assert!(bytes.len() <= budget.max(BatchBuilder::cost_alone(&added[0])));
            let batch: Batch = codec::decode(&bytes).unwrap();
            let unpacked = batch.unpack(|table| table.into()).unwrap();
            let entries: Vec<_> = unpacked.iter().map(|u| u.entry.clone()).collect();
            prop_assert_eq!(&entries, &added);
            for u in unpacked {
                let age = if u.entry.is_tombstone() { 7 } else { 0 };
                prop_assert_eq!(u.age, Duration::from_secs(age));
            }
        }

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(message) = super::super::decode(&bytes) {
                let again = super::super::encode(&message);
                prop_assert!(super::super::decode(&again).is_ok());
            }
        }
    }

    #[test]
    fn limits_are_checked_on_arrival() {
        let pack = |entry: &Entry| {
            let mut builder = BatchBuilder::new(100);
            assert!(builder.add(entry, Duration::ZERO), "the first one always fits");
            builder.finish().unpack(|table| table.into())
        };
        assert!(pack(&entry(1, true, "t", &[1; MAX_KEY], None)).is_ok());
        let mut absurd = entry(1, true, "t", b"k", None);
        absurd.dot.sequence = u64::MAX;
        assert!(pack(&absurd).is_err());
        absurd.dot.sequence = 1;
        absurd.dot.writer.generation.0 += 1;
        assert!(pack(&absurd).is_err());
        assert!(pack(&entry(1, true, "t", &[1; MAX_KEY + 1], None)).is_err());
        assert!(pack(&entry(1, true, "t", &[], None)).is_err());
        assert!(pack(&entry(1, true, "t", &[1], Some(alloc::vec![0; MAX_VALUE]))).is_ok());
        assert!(pack(&entry(1, true, "t", &[1], Some(alloc::vec![0; MAX_VALUE + 1]))).is_err());
    }
}
