//! One write and everything that names it: row, dot, stamp, value. Plain data with total orders.

use alloc::sync::Arc;
use core::{cmp::Ordering, fmt, hash::Hasher};

use netdb_gossip_core::identity::{Generation, Name, NodeId};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

pub use crate::key_bytes::KeyBytes;

/// The most bytes of a key.
pub const MAX_KEY: usize = 256;
/// The most bytes of a value.
pub const MAX_VALUE: usize = 64 * 1024;

/// The highest generation that is believed: 34,000 years of Unix seconds.
pub const MAX_GENERATION: Generation = Generation(1 << 40);

/// Who may write a table's rows, and how long they live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lifetime {
    /// A row belongs to the node that wrote it, and leaves the view with it. In memory only.
    Owner,
    /// Any attached node may write any row; rows live until they are deleted. Kept on disk.
    Cluster,
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Owner => "owner",
            Self::Cluster => "cluster",
        })
    }
}

/// One contiguous stream of writes: a node, in one generation, during one attachment to a network.
///
/// The two lifetimes are separate streams, because what a node knows of `Cluster` rows survives its
/// restart and what it knows of `Owner` rows does not.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Writer {
    /// Who writes.
    pub node: NodeId,
    /// The lifetime of the rows of this stream.
    pub lifetime: Lifetime,
    /// The node's generation.
    pub generation: Generation,
    /// Which of the node's attachments to the network; grows within a generation and across them.
    pub attachment: u32,
}

impl Writer {
    /// Whether its node left the network since, and came back with the stream `current`.
    pub fn is_left_behind_by(&self, current: &Self) -> bool {
        self < current && self.attachment < current.attachment
    }

    /// The lowest writer of `node` with this lifetime, for range queries.
    pub fn first_of(node: NodeId, lifetime: Lifetime) -> Self {
        Self { node, lifetime, generation: Generation(0), attachment: 0 }
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.lifetime == Lifetime::Owner { 'o' } else { 'c' };
        write!(f, "{:?}.{}.{}{kind}", self.node, self.generation.0, self.attachment)
    }
}

/// Names one write for ever. Sequences start at 1 and are contiguous within a writer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// The stream.
    pub writer: Writer,
    /// The place in it.
    pub sequence: u64,
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}#{}", self.writer, self.sequence)
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&alloc::format!("{self:?}"))
    }
}

/// The full key of a row inside a network. In order of table, lifetime, key, owner.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowKey {
    /// Table name.
    pub table: Arc<str>,
    /// The table's lifetime; the two lifetimes of one name are different tables.
    pub lifetime: Lifetime,
    /// The key, at most [`MAX_KEY`] bytes.
    pub key: KeyBytes,
    /// Whose row it is: the writer for `Owner`, all zero for `Cluster`.
    pub owner: NodeId,
}

impl RowKey {
    /// The row that `node` writes when it writes `key`.
    pub fn of(table: &Name, lifetime: Lifetime, key: &[u8], node: NodeId) -> Self {
        Self::within(table.as_str().into(), lifetime, key, node)
    }

    /// The same, with a name that there is already.
    pub(crate) fn within(table: Arc<str>, lifetime: Lifetime, key: &[u8], node: NodeId) -> Self {
        let owner = if lifetime == Lifetime::Owner { node } else { NodeId::default() };
        Self { table, lifetime, key: key.into(), owner }
    }

    /// A row of a `Cluster` table.
    pub fn shared(table: &str, key: &[u8]) -> Self {
        let owner = NodeId::default();
        Self { table: table.into(), lifetime: Lifetime::Cluster, key: key.into(), owner }
    }

    /// Where the row stands in the order by which two nodes compare what they hold.
    pub fn place(&self) -> u64 {
        let mut hash = SipHasher13::new();
        hash.write(self.table.as_bytes());
        hash.write_u8(self.lifetime as u8);
        hash.write(&self.owner.0);
        hash.write(&self.key);
        hash.finish()
    }

    /// The table's name as a checked [`Name`].
    pub fn table_name(&self) -> Option<Name> {
        Name::new(&self.table).ok()
    }
}

impl Ord for RowKey {
    fn cmp(&self, other: &Self) -> Ordering {
        // A replica has one copy of each name, and most of the rows that are compared are of one table.
        let table = if Arc::ptr_eq(&self.table, &other.table) {
            Ordering::Equal
        } else {
            self.table.cmp(&other.table)
        };
        table
            .then_with(|| self.lifetime.cmp(&other.lifetime))
            .then_with(|| self.key.cmp(&other.key))
            .then_with(|| self.owner.cmp(&other.owner))
    }
}

impl PartialOrd for RowKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One write. Immutable; shared by the indexes, watchers and queues that refer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which row it writes.
    pub row: RowKey,
    /// Which write it is.
    pub dot: Dot,
    /// Hybrid-clock reading of its writer, microseconds since the Unix epoch. With the writer's id it
    /// is the stamp that settles concurrent writes of `Cluster` rows; `Owner` rows only show it.
    pub at: u64,
    /// The value, or `None` for a tombstone.
    pub value: Option<Arc<[u8]>>,
    place: u64,
}

impl Entry {
    /// Puts a write together.
    pub fn new(row: RowKey, dot: Dot, at: u64, value: Option<Arc<[u8]>>) -> Self {
        let place = row.place();
        Self { row, dot, at, value, place }
    }

    /// [`RowKey::place`], computed once.
    pub fn place(&self) -> u64 {
        self.place
    }

    /// Whether this write deletes its row.
    pub fn is_tombstone(&self) -> bool {
        self.value.is_none()
    }

    /// What this write adds to the hash over what a node holds: its row and its dot.
    pub fn mark(&self) -> u64 {
        let mut hash = SipHasher13::new();
        hash.write_u64(self.place);
        hash_dot(&mut hash, &self.dot);
        hash.finish()
    }

    /// Bytes counted against a network's limit.
    pub fn size(&self) -> usize {
        self.row.table.len() + self.row.key.len() + self.value.as_ref().map_or(0, |v| v.len())
    }

    /// Which of two writes of one row stands: the law that makes replicas converge.
    ///
    /// `Owner` rows have one writer, whose later dot wins, no clock involved. `Cluster` rows go by
    /// stamp. The remaining comparisons only matter if a node wrote twice under one stamp (an older
    /// copy of its disk was put back), and make the order total.
    pub fn beats(&self, other: &Self) -> bool {
        self.precedence(other) == Ordering::Greater
    }

    fn precedence(&self, other: &Self) -> Ordering {
        let stamp = match self.row.lifetime {
            Lifetime::Owner => Ordering::Equal,
            Lifetime::Cluster => {
                (self.at, self.dot.writer.node).cmp(&(other.at, other.dot.writer.node))
            }
        };
        stamp.then_with(|| self.dot.cmp(&other.dot)).then_with(|| self.value.cmp(&other.value))
    }
}

/// Feeds a dot to a hash in a fixed layout.
pub fn hash_dot(hash: &mut SipHasher13, dot: &Dot) {
    hash_writer(hash, &dot.writer);
    hash.write_u64(dot.sequence);
}

/// Feeds a writer to a hash in a fixed layout.
pub fn hash_writer(hash: &mut SipHasher13, writer: &Writer) {
    hash.write(&writer.node.0);
    hash.write_u8(writer.lifetime as u8);
    hash.write_u64(writer.generation.0);
    hash.write_u32(writer.attachment);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_in_order_of_table_lifetime_key_owner() {
        let row = |table: &str, lifetime, key: &str, owner| RowKey {
            table: table.into(),
            lifetime,
            key: key.into(),
            owner: NodeId([owner; 16]),
        };
        let (long, owner) = ("a key that is too long for its entry", Lifetime::Owner);
        let rows = [
            row("a", owner, "a", 2),
            row("a", owner, "a", 3),
            row("a", owner, long, 1),
            row("a", owner, "b", 1),
            row("a", Lifetime::Cluster, "a", 1),
            row("b", owner, "a", 1),
        ];
        assert!(rows.is_sorted_by(|one, next| one < next));
        // One copy of the name, or two: it is the same row.
        assert_eq!(rows[0].cmp(&row("a", owner, "a", 2)), Ordering::Equal);
        assert_eq!(rows[0].cmp(&rows[0].clone()), Ordering::Equal);
    }
}
