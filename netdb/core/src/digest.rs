//! What a node knows of a network: per writer, which dots it has received.
//!
//! A writer's progress is the highest contiguous sequence plus the ranges received ahead of a gap.
//! "Received" includes writes that lost their merge or were deleted since: that is what lets a node say
//! "I had that, and it is gone".

use alloc::collections::{BTreeMap, BTreeSet};
use core::hash::Hasher;

use netdb_gossip_core::identity::NodeId;
use siphasher::sip::SipHasher13;

use crate::entry::{Dot, Lifetime, Writer, hash_writer};

/// Ranges ahead of a gap that are remembered per writer; more are forgotten and fetched again.
pub const MAX_AHEAD_RANGES: usize = 256;

/// Dead writers that are remembered per network, so that nothing of theirs comes back; beyond it the
/// lowest in writer order go first.
pub const MAX_RETIRED: usize = 65_536;

/// The highest sequence that is believed. No honest writer comes near it.
pub const MAX_SEQUENCE: u64 = 1 << 62;

/// Which dots of one writer are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    contiguous: u64,
    /// Start → end (inclusive) of the ranges received above `contiguous + 1`.
    ahead: BTreeMap<u64, u64>,
    /// Tombstones up to here may have been purged on this node.
    purged: u64,
    /// What this node held of the writer was dropped, not deleted: peers may still hold it.
    dropped: bool,
}

impl Progress {
    /// The highest sequence below which everything was received.
    pub fn contiguous(&self) -> u64 {
        self.contiguous
    }

    /// The sequence through which tombstones may be missing here.
    pub fn purged(&self) -> u64 {
        self.purged
    }

    /// The first gap as (after, through): sequences in `(after, through]` were not received.
    pub fn first_gap(&self) -> Option<(u64, u64)> {
        self.ahead.keys().next().map(|start| (self.contiguous, start - 1))
    }

    fn contains(&self, sequence: u64) -> bool {
        sequence <= self.contiguous
            || self.ahead.range(..=sequence).next_back().is_some_and(|(_, end)| sequence <= *end)
    }

    /// Adds one sequence. False if it was known, or can't be remembered for want of room.
    fn add(&mut self, sequence: u64) -> bool {
        if self.contains(sequence) || sequence > MAX_SEQUENCE {
            return false;
        }
        if sequence == self.contiguous + 1 {
            self.contiguous = sequence;
            self.absorb();
            return true;
        }
        let joins_next = self.ahead.remove(&(sequence + 1));
        let end = joins_next.unwrap_or(sequence);
        if let Some((_, previous)) =
            self.ahead.range_mut(..sequence).next_back().filter(|(_, last)| **last + 1 == sequence)
        {
            *previous = end;
            return true;
        }
        if self.ahead.len() >= MAX_AHEAD_RANGES && joins_next.is_none() {
            return false;
        }
        self.ahead.insert(sequence, end);
        true
    }

    /// Everything through `sequence` counts as received.
    fn advance(&mut self, sequence: u64) -> bool {
        if sequence <= self.contiguous || sequence > MAX_SEQUENCE {
            return false;
        }
        self.contiguous = sequence;
        self.absorb();
        true
    }

    fn absorb(&mut self) {
        while let Some(first) = self.ahead.first_entry() {
            if *first.key() > self.contiguous + 1 {
                break;
            }
            let end = first.remove();
            self.contiguous = self.contiguous.max(end);
        }
    }
}

/// The progress of every writer of a network, with a hash kept up incrementally.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    active: BTreeMap<Writer, Progress>,
    /// Writers that own nothing any more: not exchanged, only asked when something of theirs turns up.
    retired: BTreeMap<Writer, Progress>,
    hash: u64,
    /// Nodes of whose writers something changed.
    stirred: BTreeSet<NodeId>,
}

/// What one writer's progress adds to the hash of a digest. Writers without progress add nothing.
pub fn progress_mark(writer: &Writer, contiguous: u64) -> u64 {
    if contiguous == 0 {
        return 0;
    }
    let mut hash = SipHasher13::new();
    hash_writer(&mut hash, writer);
    hash.write_u64(contiguous);
    hash.finish()
}

/// Where a writer stands in the order by which two digests are compared.
pub fn writer_place(writer: &Writer) -> u64 {
    let mut hash = SipHasher13::new();
    hash_writer(&mut hash, writer);
    hash.finish()
}

impl Digest {
    /// Hash over (writer, contiguous) of the active writers.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The active writers in order.
    pub fn writers(&self) -> impl Iterator<Item = (&Writer, &Progress)> {
        self.active.iter()
    }

    /// The retired writers in order.
    pub fn retired(&self) -> impl Iterator<Item = (&Writer, &Progress)> {
        self.retired.iter()
    }

    /// The active writers in a range of writer order.
    pub fn range(
        &self,
        range: impl core::ops::RangeBounds<Writer>,
    ) -> impl Iterator<Item = (&Writer, &Progress)> {
        self.active.range(range)
    }

    /// What is known of one writer, active or retired.
    pub fn progress(&self, writer: &Writer) -> Option<&Progress> {
        self.active.get(writer).or_else(|| self.retired.get(writer))
    }

    /// Highest contiguous sequence of a writer, 0 if unknown.
    pub fn contiguous(&self, writer: &Writer) -> u64 {
        self.progress(writer).map_or(0, Progress::contiguous)
    }

    /// Whether a dot was received, whatever became of it.
    pub fn covers(&self, dot: &Dot) -> bool {
        self.progress(&dot.writer).is_some_and(|p| p.contains(dot.sequence))
    }

    /// Records one dot. False if it was known already (or there was no room to remember it).
    pub fn add(&mut self, dot: &Dot) -> bool {
        self.change(&dot.writer, |progress| progress.add(dot.sequence))
    }

    /// Everything of `writer` through `sequence` counts as received. False if that is no news.
    pub fn advance(&mut self, writer: &Writer, sequence: u64) -> bool {
        self.change(writer, |progress| progress.advance(sequence))
    }

    /// Tombstones of `writer` through `sequence` may be gone from now on.
    pub fn note_purged(&mut self, writer: &Writer, sequence: u64) {
        let known = self.active.get_mut(writer).or_else(|| self.retired.get_mut(writer));
        if let Some(progress) = known {
            progress.purged = progress.purged.max(sequence);
        }
    }

    /// Moves a writer that owns nothing any more out of what is exchanged, but keeps its progress.
    pub fn retire(&mut self, writer: &Writer) {
        self.move_out(writer, false);
    }

    /// The same for a writer whose rows were dropped here: should it be exchanged again, they are news.
    pub fn abandon(&mut self, writer: &Writer) {
        self.move_out(writer, true);
    }

    fn move_out(&mut self, writer: &Writer, dropped: bool) {
        let Some(progress) = self.active.remove(writer) else { return };
        self.hash = self.hash.wrapping_sub(progress_mark(writer, progress.contiguous));
        self.retired.insert(*writer, Progress { dropped, ..progress });
        while self.retired.len() > MAX_RETIRED {
            self.retired.pop_first();
        }
    }

    /// Exchanges a retired writer again, and forgets what was received of an abandoned one.
    pub fn revive(&mut self, writer: &Writer) {
        self.stir(writer.node);
        if let Some(progress) = self.retired.remove(writer).filter(|progress| !progress.dropped) {
            self.hash = self.hash.wrapping_add(progress_mark(writer, progress.contiguous));
            self.active.insert(*writer, progress);
        }
    }

    /// Something changed of a node, or of what is held of its writers.
    pub(crate) fn stir(&mut self, node: NodeId) {
        self.stirred.insert(node);
    }

    /// Of whom something changed since the last call.
    pub(crate) fn take_stirred(&mut self) -> BTreeSet<NodeId> {
        core::mem::take(&mut self.stirred)
    }

    /// The active writers of a node, in order.
    pub(crate) fn writers_of(&self, node: NodeId) -> impl Iterator<Item = (&Writer, &Progress)> {
        let first = Writer::first_of(node, Lifetime::Owner);
        self.active.range(first..).take_while(move |(writer, _)| writer.node == node)
    }

    /// Whether a writer was moved out of what is exchanged.
    pub fn is_retired(&self, writer: &Writer) -> bool {
        self.retired.contains_key(writer)
    }

    /// Restores a writer's progress from disk.
    pub fn restore(&mut self, writer: Writer, contiguous: u64, purged: u64) {
        self.advance(&writer, contiguous);
        self.note_purged(&writer, purged);
    }

    fn change(&mut self, writer: &Writer, update: impl FnOnce(&mut Progress) -> bool) -> bool {
        self.revive(writer);
        let progress = self.active.entry(*writer).or_default();
        let before = progress.contiguous;
        let changed = update(progress);
        let after = progress.contiguous;
        if before != after {
            self.hash = self
                .hash
                .wrapping_sub(progress_mark(writer, before))
                .wrapping_add(progress_mark(writer, after));
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use netdb_gossip_core::identity::{Generation, NodeId};
    use proptest::prelude::*;

    use super::*;
    use crate::entry::Lifetime;

    fn writer(n: u8) -> Writer {
        Writer {
            node: NodeId([n; 16]),
            lifetime: Lifetime::Owner,
            generation: Generation(1),
            attachment: 1,
        }
    }

    proptest! {
        /// Whatever the order, a digest knows exactly what it was given, and its hash only depends on
        /// what it knows.
        #[test]
        fn matches_a_plain_set(sequences in prop::collection::vec((0u8..3, 1u64..40), 0..120)) {
            let mut digest = Digest::default();
            let mut model = BTreeSet::new();
            for (node, sequence) in &sequences {
                let dot = Dot { writer: writer(*node), sequence: *sequence };
                prop_assert_eq!(digest.add(&dot), model.insert((*node, *sequence)));
            }
            let mut hash = 0u64;
            for node in 0..3 {
                let known = |s: u64| model.contains(&(node, s));
                let contiguous = (1..50).take_while(|s| known(*s)).count() as u64;
                prop_assert_eq!(digest.contiguous(&writer(node)), contiguous);
                hash = hash.wrapping_add(progress_mark(&writer(node), contiguous));
                for sequence in 1..45 {
                    let dot = Dot { writer: writer(node), sequence };
                    prop_assert_eq!(digest.covers(&dot), known(sequence));
                }
            }
            prop_assert_eq!(digest.hash(), hash);
        }
    }

    #[test]
    fn ranges_ahead_are_bounded() {
        let mut digest = Digest::default();
        let dot = |sequence| Dot { writer: writer(1), sequence };
        for n in 0..MAX_AHEAD_RANGES as u64 {
            assert!(digest.add(&dot(2 * n + 3)));
        }
        let beyond = 2 * MAX_AHEAD_RANGES as u64 + 3;
        assert!(!digest.add(&dot(beyond)), "no room for another range");
        assert!(!digest.covers(&dot(beyond)), "so it is fetched again");
        assert!(digest.add(&dot(4)), "an old range may still grow");
    }

    #[test]
    fn retired_writers_are_remembered_but_not_exchanged() {
        let mut digest = Digest::default();
        digest.advance(&writer(1), 5);
        digest.retire(&writer(1));
        assert_eq!(digest.hash(), 0);
        assert!(digest.covers(&Dot { writer: writer(1), sequence: 5 }));
        assert!(digest.add(&Dot { writer: writer(1), sequence: 6 }), "it comes back to life");
        assert_eq!(digest.contiguous(&writer(1)), 6);
    }

    #[test]
    fn what_was_dropped_of_an_abandoned_writer_is_news_again() {
        let mut digest = Digest::default();
        digest.advance(&writer(1), 5);
        digest.abandon(&writer(1));
        assert_eq!(digest.hash(), 0);
        assert!(digest.covers(&Dot { writer: writer(1), sequence: 5 }), "until it is back");
        digest.revive(&writer(1));
        assert!(!digest.covers(&Dot { writer: writer(1), sequence: 5 }));
    }
}
