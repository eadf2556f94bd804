//! How two nodes find out what differs between their copies of a network, and mend it. Pure halves: what
//! to say and what to ask for. Who talks to whom and when is [`crate::node`]'s matter.

pub mod diff;
pub mod narrow;
pub mod serve;

use alloc::vec::Vec;
use core::hash::Hasher;

use siphasher::sip::SipHasher13;

use crate::{
    digest::{progress_mark, writer_place},
    entry::hash_dot,
    replica::Replica,
    sync::narrow::Item,
    wire::{Holding, Reached},
};

impl Item for Reached {
    fn place(&self) -> u64 {
        writer_place(&self.writer)
    }

    fn mark(&self) -> u64 {
        progress_mark(&self.writer, self.contiguous)
    }
}

impl Item for Holding {
    fn place(&self) -> u64 {
        self.place
    }

    /// As [`Entry::mark`](crate::entry::Entry::mark).
    fn mark(&self) -> u64 {
        let mut hash = SipHasher13::new();
        hash.write_u64(self.place);
        hash_dot(&mut hash, &self.dot);
        hash.finish()
    }
}

/// What was received as of a cutoff, by position, to be narrowed down.
pub fn received_items(replica: &Replica, cutoff: u64) -> Vec<Reached> {
    let as_of = replica.recent().as_of(cutoff, replica.digest(), replica.hash());
    let items = replica.digest().writers().map(|(writer, progress)| Reached {
        writer: *writer,
        contiguous: as_of.contiguous(writer, progress.contiguous()),
    });
    let mut items: Vec<Reached> = items.filter(|item| item.contiguous > 0).collect();
    items.sort_by_cached_key(Item::place);
    items
}

/// What is held, by position, to be narrowed down.
pub fn held_items(replica: &Replica) -> Vec<Holding> {
    replica.places(0, u64::MAX).map(|e| Holding { place: e.place(), dot: e.dot }).collect()
}
