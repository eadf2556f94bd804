//! The keys of a cluster: one primary that seals, the others open. Owns how keyrings change and merge.
//!
//! Keys are ranked by (epoch, id). The primary is the highest rank that anybody ever *used*, so halves
//! of a cluster that rotated apart agree again by exchanging keyrings. A merge is the union, less what
//! either side removed; it is commutative, associative and idempotent because
//!
//! - a removed key stays as a record without its secret, and removal beats presence;
//! - only the [`MAX_KEYS`] highest ranks are remembered, removed ones included, and whatever ranks below
//!   them is gone for good: forgetting a record can't bring its key back;
//! - the primary is exempt from both. Removing one's unused key while another part of the cluster takes
//!   it into use strikes it only once a higher key is in use, so no merge leaves a keyring without one.
//!
//! Nothing here talks to peers: the steps of a rotation (install, use, remove) are driven from above.

use alloc::{collections::BTreeMap, vec::Vec};

use rand::CryptoRng;
use serde::{Deserialize, Serialize};

mod key;
#[cfg(test)]
mod tests;

pub use key::{Key, KeyId, ParseKeyIdError};

/// The most keys remembered, removed ones included; the primary is kept besides if it ranks below them.
pub const MAX_KEYS: usize = 8;

type Rank = (u64, KeyId);

/// Why a keyring stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// Taking it in would push out a key that is not removed yet: remove an old one first.
    #[error("the keyring is full ({MAX_KEYS} keys): remove an old key first")]
    Full,
    /// It ranks below every key that is remembered.
    #[error("key {0} is older than every key of a full keyring")]
    TooOld(KeyId),
    /// Removed before; a removed key never returns.
    #[error("key {0} was removed from this keyring")]
    Removed(KeyId),
    /// Not in this keyring: install it first.
    #[error("key {0} is not in this keyring")]
    Unknown(KeyId),
    /// A higher key is in use already, and the primary never goes back.
    #[error("key {0} is older than the primary key")]
    Superseded(KeyId),
    /// The key that seals can't be removed: use another first.
    #[error("key {0} is the primary key: use another one first")]
    Primary(KeyId),
}

/// What is remembered of a key that is not the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Record {
    Live(Key),
    Removed,
}

/// A set of keys with one primary; never empty.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Keyring {
    primary: Key,
    /// Somebody removed the key that is primary now, before they knew: it goes when it is superseded.
    struck: bool,
    others: BTreeMap<Rank, Record>,
}

impl Keyring {
    /// A keyring with `first` as its primary.
    pub fn new(first: Key) -> Self {
        Self { primary: first, struck: false, others: BTreeMap::new() }
    }

    /// A keyring of one new key, epoch 1.
    pub fn generate(entropy: &mut dyn CryptoRng) -> Self {
        Self::new(Key::generate(1, entropy))
    }

    /// The key that seals.
    pub fn primary(&self) -> &Key {
        &self.primary
    }

    /// The accepted key of this id.
    pub fn get(&self, id: KeyId) -> Option<&Key> {
        if self.primary.id() == id {
            return Some(&self.primary);
        }
        self.iter().find(|key| key.id() == id)
    }

    /// Every accepted key: the primary, then the others, highest rank first.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        let others = self.others.values().rev().filter_map(|record| match record {
            Record::Live(key) => Some(key),
            Record::Removed => None,
        });
        core::iter::once(&self.primary).chain(others)
    }

    /// Ids of keys that were removed and are still remembered.
    pub fn removed(&self) -> impl Iterator<Item = KeyId> {
        let gone = self.others.iter().filter(|(_, record)| **record == Record::Removed);
        gone.map(|((_, id), _)| *id)
    }

    /// The highest epoch of any key remembered, accepted or removed: the next key gets one more.
    pub fn highest_epoch(&self) -> u64 {
        let others = self.others.last_key_value().map_or(0, |((epoch, _), _)| *epoch);
        others.max(self.primary.epoch())
    }

    /// Accepts what `key` seals from now on; `false` if it is accepted already.
    pub fn install(&mut self, key: Key) -> Result<bool, KeyringError> {
        let (id, rank) = (key.id(), key.rank());
        if rank == self.primary.rank() {
            return Ok(false);
        }
        match self.others.get(&rank) {
            Some(Record::Live(_)) => return Ok(false),
            Some(Record::Removed) => return Err(KeyringError::Removed(id)),
            None => {}
        }
        let mut records = self.records();
        records.insert(rank, Record::Live(key));
        let next = Self::settle(self.primary.clone(), records);
        if !next.others.contains_key(&rank) {
            return Err(KeyringError::TooOld(id));
        }
        if self.iter().any(|key| next.get(key.id()).is_none()) {
            return Err(KeyringError::Full);
        }
        *self = next;
        Ok(true)
    }

    /// Seals with this key from now on; `false` if it is the primary already.
    pub fn use_key(&mut self, id: KeyId) -> Result<bool, KeyringError> {
        let key = self.get(id).ok_or(KeyringError::Unknown(id))?.clone();
        if key.rank() < self.primary.rank() {
            return Err(KeyringError::Superseded(id));
        }
        if id == self.primary.id() {
            return Ok(false);
        }
        *self = Self::settle(key, self.records());
        Ok(true)
    }

    /// Accepts nothing more that this key seals, for ever; `false` if it is not here.
    pub fn remove(&mut self, id: KeyId) -> Result<bool, KeyringError> {
        if id == self.primary.id() {
            return Err(KeyringError::Primary(id));
        }
        let Some(rank) = self.get(id).map(Key::rank) else { return Ok(false) };
        self.others.insert(rank, Record::Removed);
        Ok(true)
    }

    /// Takes in another keyring of the same cluster; `true` if that changed anything.
    pub fn merge(&mut self, other: &Self) -> bool {
        let mut records = self.records();
        for (rank, record) in other.records() {
            if record == Record::Removed || !records.contains_key(&rank) {
                records.insert(rank, record);
            }
        }
        let higher = if other.primary.rank() > self.primary.rank() { other } else { &*self };
        let merged = Self::settle(higher.primary.clone(), records);
        let changed = merged != *self;
        *self = merged;
        changed
    }

    /// All that is remembered, the primary among it.
    fn records(&self) -> BTreeMap<Rank, Record> {
        let mut records = self.others.clone();
        let primary =
            if self.struck { Record::Removed } else { Record::Live(self.primary.clone()) };
        records.insert(self.primary.rank(), primary);
        records
    }

    /// The canonical keyring: the highest [`MAX_KEYS`] records, and the primary. A primary below those
    /// is not struck: in whatever order keyrings merge, its record is gone by then.
    fn settle(primary: Key, mut records: BTreeMap<Rank, Record>) -> Self {
        while records.len() > MAX_KEYS {
            records.pop_first();
        }
        let struck = records.remove(&primary.rank()) == Some(Record::Removed);
        Self { primary, struck, others: records }
    }
}

impl core::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// How a keyring is written: the primary, whether it is struck, the others by ascending rank.
#[derive(Clone, Serialize, Deserialize)]
struct Stored {
    primary: Key,
    struck: bool,
    live: Vec<Key>,
    removed: Vec<Rank>,
}

/// Bytes that no keyring is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a valid keyring")]
struct NotAKeyring;

impl From<Keyring> for Stored {
    fn from(keyring: Keyring) -> Self {
        let (mut live, mut removed) = (Vec::new(), Vec::new());
        for (rank, record) in keyring.others {
            match record {
                Record::Live(key) => live.push(key),
                Record::Removed => removed.push(rank),
            }
        }
        Self { primary: keyring.primary, struck: keyring.struck, live, removed }
    }
}

impl TryFrom<Stored> for Keyring {
    type Error = NotAKeyring;
    fn try_from(stored: Stored) -> Result<Self, NotAKeyring> {
        let count = stored.live.len() + stored.removed.len();
        let live = stored.live.into_iter().map(|key| (key.rank(), Record::Live(key)));
        let removed = stored.removed.into_iter().map(|rank| (rank, Record::Removed));
        let others: BTreeMap<_, _> = live.chain(removed).collect();
        let keyring = Self { primary: stored.primary, struck: stored.struck, others };
        let canonical = Self::settle(keyring.primary.clone(), keyring.records());
        // Equal counts: no record came twice. Equal keyrings: within bounds, the primary not repeated.
        if keyring.others.len() == count && canonical == keyring {
            Ok(keyring)
        } else {
            Err(NotAKeyring)
        }
    }
}
