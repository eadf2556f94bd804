//! The writes of the last seconds, so that two nodes can compare what they held a moment ago.
//!
//! Writes younger than about a second are on their way and don't count as a difference. Both sides of a
//! comparison therefore leave out what was *written* after one cutoff, which they agree on because
//! the time is the writer's stamp, the same everywhere.

use alloc::{collections::BTreeMap, vec::Vec};

use netdb_gossip_core::time::Wall;

use crate::{
    digest::{Digest, progress_mark},
    entry::{Dot, Writer},
};

/// How long a write is remembered here, in microseconds of cluster time. A stamp further away than
/// this from cluster time, in either direction, is not recent: its writer's clock is wrong.
const WINDOW: u64 = 5_000_000;

/// The most writes remembered; beyond it the oldest count as settled early, which costs a comparison.
const MAX_RECENT: usize = 65_536;

/// Recent writes by stamp, each with what it changed of the replica's hash.
#[derive(Debug, Default)]
pub struct Recent {
    writes: BTreeMap<(u64, Dot), u64>,
}

/// What a replica held when the clock of its writers stood at a cutoff.
#[derive(Debug)]
pub struct AsOf {
    /// Hash over what was held.
    pub held: u64,
    /// Hash over what was received.
    pub received: u64,
    /// For the writers with later writes: the sequence just before their first one.
    before: BTreeMap<Writer, u64>,
}

impl AsOf {
    /// The contiguous sequence of a writer as of the cutoff, given the one of now.
    pub fn contiguous(&self, writer: &Writer, now: u64) -> u64 {
        self.before.get(writer).map_or(now, |before| now.min(*before))
    }
}

impl Recent {
    pub(super) fn note(&mut self, cluster_time: Wall, (at, dot): (u64, Dot), delta: u64) {
        let oldest = cluster_time.0.saturating_sub(WINDOW);
        if at >= oldest && at <= cluster_time.0.saturating_add(WINDOW) {
            self.writes.insert((at, dot), delta);
        }
        while self.writes.len() > MAX_RECENT
            || self.writes.first_key_value().is_some_and(|((at, _), _)| *at < oldest)
        {
            self.writes.pop_first();
        }
    }

    /// Dots of the latest writes, newest first.
    pub fn latest(&self, count: usize) -> Vec<Dot> {
        self.writes.keys().rev().take(count).map(|(_, dot)| *dot).collect()
    }

    /// The view of `digest` and of the content hash `held` without what was written after `cutoff`.
    pub fn as_of(&self, cutoff: u64, digest: &Digest, held: u64) -> AsOf {
        let mut result = AsOf { held, received: digest.hash(), before: BTreeMap::new() };
        // A stamp further ahead than that was given by a clock that has been set right since.
        let end = cutoff.saturating_add(2 * WINDOW);
        for ((_, dot), delta) in self.writes.range((cutoff, LAST_DOT)..=(end, LAST_DOT)) {
            result.held = result.held.wrapping_sub(*delta);
            let before = result.before.entry(dot.writer).or_insert(u64::MAX);
            *before = (*before).min(dot.sequence - 1);
        }
        for (writer, before) in &result.before {
            let now = digest.contiguous(writer);
            result.received = result
                .received
                .wrapping_sub(progress_mark(writer, now))
                .wrapping_add(progress_mark(writer, now.min(*before)));
        }
        result
    }
}

/// Above every dot that exists, so that a range from (cutoff, this) starts after the cutoff.
const LAST_DOT: Dot = Dot {
    writer: Writer {
        node: netdb_gossip_core::identity::NodeId([u8::MAX; 16]),
        lifetime: crate::entry::Lifetime::Cluster,
        generation: netdb_gossip_core::identity::Generation(u64::MAX),
        attachment: u32::MAX,
    },
    sequence: u64::MAX,
};
