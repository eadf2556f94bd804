//! What nodes ask each other about ranges, and answer: one question, one answer, nothing kept in between.

use alloc::vec::Vec;

use netdb_core::records;
use netdb_gossip_core::{codec::Malformed, identity::NodeId};
use serde::{Deserialize, Serialize};

/// What a node asks a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Free numbers, at most so many.
    Share(u128),
    /// This very number.
    Exact(u128),
    /// The asking node's promise is on its disk: take the range.
    Take {
        /// Where the range begins.
        start: u128,
        /// The version of its row.
        version: u64,
        /// Something in it was in use a moment ago.
        rests: bool,
    },
}

/// What the asked node answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The promise is on its disk: take the range as soon as its row is there.
    Word {
        /// Where the range begins.
        start: u128,
        /// The version of its row.
        version: u64,
    },
    /// It has no free number.
    Nothing,
    /// It can't say now: ask again.
    Later,
    /// The number is in use, as far as it knows at this node.
    Taken(NodeId),
    /// It does not hold that.
    NotMine,
    /// It was heard.
    Heard,
}

impl Ask {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        records::encode(self)
    }

    /// The question of some bytes.
    ///
    /// # Errors
    /// They are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        records::decode(bytes)
    }
}

impl Reply {
    /// The bytes.
    pub fn encode(&self) -> Vec<u8> {
        records::encode(self)
    }

    /// The answer of some bytes.
    ///
    /// # Errors
    /// They are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        records::decode(bytes)
    }
}
