//! What a node asks another when somebody wants to know in what they differ. Plain data.
//!
//! Travels on streams only. Nothing of what nodes do by themselves uses it, and an answer changes nothing.

use alloc::{sync::Arc, vec::Vec};

use netdb_gossip_core::identity::{Name, NodeId};
use serde::{Deserialize, Serialize};

use super::Want;
use crate::entry::{Dot, Entry, Lifetime, RowKey, Writer};

/// The most networks or writers in one answer; the next question begins behind the last.
pub const MAX_LISTED: usize = 2048;
/// The most ranges in one question about held rows.
pub const MAX_RANGES: usize = 64;
/// A range with at most this many rows is answered by listing them. All ranges of a question, full and with
/// the longest keys, make an answer that fits a stream message.
pub const LIST_AT_MOST: usize = 24;
/// The most places in one question about what stands there.
pub const MAX_PLACES: usize = MAX_RANGES * LIST_AT_MOST;

/// What one node asks another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// Its networks, summed up.
    Networks {
        /// Only this one.
        only: Option<Name>,
        /// Writes stamped later are on their way.
        cutoff: u64,
        /// Only those behind this name.
        after: Option<Name>,
    },
    /// The writers of a network, summed up.
    Writers {
        /// The network.
        network: Name,
        /// Writes stamped later are on their way.
        cutoff: u64,
        /// Only those behind this one.
        after: Option<Writer>,
    },
    /// The rows it holds by dots, at most [`MAX_RANGES`] ranges, ascending and apart.
    Held {
        /// The network.
        network: Name,
        /// Where to look.
        ranges: Vec<Want>,
    },
    /// What stands in these places, at most [`MAX_PLACES`], tombstones included.
    Standing {
        /// The network.
        network: Name,
        /// Places of rows.
        places: Vec<u64>,
    },
}

/// What the other one answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// In the order of names.
    Networks {
        /// Those it is attached to, at most [`MAX_LISTED`].
        networks: Vec<NetworkSum>,
        /// There are further ones.
        more: bool,
    },
    /// In the order of writers.
    Writers {
        /// At most [`MAX_LISTED`].
        writers: Vec<WriterSum>,
        /// There are further ones.
        more: bool,
    },
    /// One for each range.
    Held(Vec<Rows>),
    /// One for each place.
    Standing(Vec<Option<HeldRow>>),
    /// It is not attached to the network.
    NotAttached,
    /// It was asked too much within this second.
    Busy,
    /// The question broke a limit.
    Refused,
}

/// A network in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSum {
    /// Its name.
    pub network: Name,
    /// Whether this copy is in sync as far as its node knows.
    pub synced: bool,
    /// Live rows held.
    pub rows: u64,
    /// Hash over what is held.
    pub held: u64,
    /// Hash over what was received.
    pub received: u64,
    /// Hash over what was held at the cutoff.
    pub settled_held: u64,
    /// Hash over what was received at the cutoff.
    pub settled_received: u64,
}

/// A writer in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriterSum {
    /// The stream.
    pub writer: Writer,
    /// Highest contiguous sequence.
    pub contiguous: u64,
    /// The same at the cutoff.
    pub settled: u64,
    /// Rows held of it.
    pub rows: u64,
    /// Sum of their marks.
    pub hash: u64,
    /// The highest sequence among them.
    pub last: u64,
}

/// What is held in a range.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rows {
    /// More than [`LIST_AT_MOST`]: how many, and the sum of their marks.
    Sum(u64, u64),
    /// All of them by dot.
    List(Vec<HeldRow>),
}

/// A write that stands for its row, without its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRow {
    /// Table.
    pub table: Name,
    /// Lifetime.
    pub lifetime: Lifetime,
    /// Key.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Whose row it is.
    pub owner: NodeId,
    /// Which write it is.
    pub dot: Dot,
    /// Its writer's clock reading.
    pub at: u64,
    /// It deletes the row.
    pub deleted: bool,
}

impl HeldRow {
    /// What is told of a write; nothing of one whose table has no proper name.
    pub fn of(entry: &Entry) -> Option<Self> {
        Some(Self {
            table: entry.row.table_name()?,
            lifetime: entry.row.lifetime,
            key: entry.row.key.to_vec(),
            owner: entry.row.owner,
            dot: entry.dot,
            at: entry.at,
            deleted: entry.is_tombstone(),
        })
    }

    /// Which row it is.
    pub fn row(&self) -> RowKey {
        RowKey {
            table: Arc::from(self.table.as_str()),
            lifetime: self.lifetime,
            key: self.key.as_slice().into(),
            owner: self.owner,
        }
    }
}
