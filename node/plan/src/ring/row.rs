//! One range of numbers as a row of a `Cluster` table: who holds it, and what is to become of it.
//!
//! A row's key is (space, first number). It reaches to its `end` or to the next row, whichever comes first,
//! so that one row written splits a range, and a row that has not arrived yet never makes another look
//! longer than its holder knew it to be.

use alloc::vec::Vec;

use netdb_core::records;
use netdb_gossip_core::{codec::Malformed, identity::NodeId};
use serde::{Deserialize, Serialize};

/// The most bytes of a space's id.
pub const MAX_SPACE_ID: usize = 128;
/// The most nodes that one takeover may call down for good.
pub const MAX_DOWN: usize = 64;

/// A range of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Behind its last number, as far as its holder knew when it wrote this.
    pub end: u128,
    /// Grows with every write of a range. Only the holder raises it, and who it gave its word to; and an
    /// administrator who takes over what a node held that is down for good.
    pub version: u64,
    /// Who decides about it.
    pub holder: NodeId,
    /// What the holder does with it.
    pub state: State,
    /// About how many numbers of it are free: the bits of their count. Refreshed seldom.
    pub free_bits: u8,
}

/// What the holder of a range does with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It gives numbers from it.
    Held,
    /// It gives none: this node may take the range, once it has the holder's word that the promise is on
    /// the holder's disk.
    Promised(NodeId),
    /// It gives none yet: it is the heir of a node that is down for good.
    Inherited {
        /// Whose it was.
        from: NodeId,
        /// All that the administrator called down for good, at most [`MAX_DOWN`].
        down: Vec<NodeId>,
    },
}

impl Row {
    /// The bytes of the row's value.
    pub fn encode(&self) -> Vec<u8> {
        records::encode(self)
    }

    /// The row of a value's bytes.
    ///
    /// # Errors
    /// Not a row, or one out of bounds.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let row: Self = records::decode(bytes)?;
        let too_many = matches!(&row.state, State::Inherited { down, .. } if down.len() > MAX_DOWN);
        if too_many || row.version == u64::MAX { Err(Malformed) } else { Ok(row) }
    }
}

/// The key of a range's row.
pub fn key(space: &[u8], start: u128) -> Vec<u8> {
    [space, start.to_be_bytes().as_slice()].concat()
}

/// The space and the first number that a key names.
pub fn parse_key(key: &[u8]) -> Option<(&[u8], u128)> {
    let (space, start) = key.split_last_chunk::<16>()?;
    (1..=MAX_SPACE_ID).contains(&space.len()).then(|| (space, u128::from_be_bytes(*start)))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn rows_and_keys_survive_their_bytes() {
        let state = State::Inherited { from: NodeId([2; 16]), down: vec![NodeId([2; 16])] };
        let row = Row { end: 1 << 64, version: 9, holder: NodeId([1; 16]), state, free_bits: 64 };
        assert_eq!(Row::decode(&row.encode()), Ok(row.clone()));
        assert_eq!(parse_key(&key(b"web/v4", 77)), Some((&b"web/v4"[..], 77)));
        assert_eq!(parse_key(&[0; 16]), None);
        assert_eq!(parse_key(&[0; 16 + MAX_SPACE_ID + 1]), None);
        let down = vec![NodeId([2; 16]); MAX_DOWN + 1];
        let state = State::Inherited { from: NodeId([2; 16]), down };
        assert_eq!(Row::decode(&Row { state, ..row.clone() }.encode()), Err(Malformed));
        assert_eq!(Row::decode(&Row { version: u64::MAX, ..row }.encode()), Err(Malformed));
    }
}
