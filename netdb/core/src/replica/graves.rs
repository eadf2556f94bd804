//! When each tombstone may be purged. Ages are carried along between nodes, so no two clocks need agree.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use netdb_gossip_core::time::Time;

use crate::entry::{Dot, Entry};

#[derive(Debug)]
pub(super) struct Graves {
    life: Duration,
    limit: usize,
    due: BTreeSet<(Time, Dot)>,
    by_dot: BTreeMap<Dot, Time>,
    /// Two rows that share a place are too unlikely to matter.
    by_place: BTreeMap<u64, Dot>,
}

impl Graves {
    pub(super) fn new(life: Duration, limit: usize) -> Self {
        let (due, by_dot, by_place) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Self { life, limit, due, by_dot, by_place }
    }

    /// Keeps a tombstone that was written `age` ago. False if its life is over.
    pub(super) fn dig(&mut self, now: Time, entry: &Entry, age: Duration) -> bool {
        let Some(left) = self.life.checked_sub(age).filter(|left| !left.is_zero()) else {
            return false;
        };
        let due = now + left;
        self.due.insert((due, entry.dot));
        self.by_dot.insert(entry.dot, due);
        self.by_place.insert(entry.place(), entry.dot);
        true
    }

    /// Forgets a tombstone.
    pub(super) fn close(&mut self, entry: &Entry) {
        if let Some(due) = self.by_dot.remove(&entry.dot) {
            self.due.remove(&(due, entry.dot));
            self.by_place.remove(&entry.place());
        }
    }

    /// The next tombstone that is due, or one too many.
    pub(super) fn next(&self, now: Time) -> Option<Dot> {
        let &(due, dot) = self.due.first()?;
        (due <= now || self.due.len() > self.limit).then_some(dot)
    }

    /// The tombstone of the row with this place.
    pub(super) fn at_place(&self, place: u64) -> Option<&Dot> {
        self.by_place.get(&place)
    }

    /// When there is something to purge: at once if there are too many.
    pub(super) fn next_due(&self) -> Option<Time> {
        let first = self.due.first().map(|(due, _)| *due);
        if self.due.len() > self.limit { Some(Time(0)) } else { first }
    }

    pub(super) fn reconfigure(&mut self, life: Duration, limit: usize) {
        (self.life, self.limit) = (life, limit);
    }

    pub(super) fn age(&self, now: Time, dot: &Dot) -> Duration {
        let Some(due) = self.by_dot.get(dot) else { return Duration::ZERO };
        self.life.saturating_sub(due.since(now))
    }
}
