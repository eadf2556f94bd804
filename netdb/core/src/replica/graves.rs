//! When each tombstone may be purged. Ages are carried along between nodes, so no two clocks need agree.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use netdb_gossip_core::time::Time;

use crate::entry::Dot;

#[derive(Debug)]
pub(super) struct Graves {
    life: Duration,
    limit: usize,
    due: BTreeSet<(Time, Dot)>,
    by_dot: BTreeMap<Dot, Time>,
}

impl Graves {
    pub(super) fn new(life: Duration, limit: usize) -> Self {
        Self { life, limit, due: BTreeSet::new(), by_dot: BTreeMap::new() }
    }

    /// Keeps a tombstone that was written `age` ago. False if its life is over.
    pub(super) fn dig(&mut self, now: Time, dot: Dot, age: Duration) -> bool {
        let Some(left) = self.life.checked_sub(age).filter(|left| !left.is_zero()) else {
            return false;
        };
        let due = now + left;
        self.due.insert((due, dot));
        self.by_dot.insert(dot, due);
        true
    }

    /// Forgets a tombstone.
    pub(super) fn close(&mut self, dot: &Dot) {
        if let Some(due) = self.by_dot.remove(dot) {
            self.due.remove(&(due, *dot));
        }
    }

    /// Takes the next tombstone that is due, or one too many.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<Dot> {
        let &(due, dot) = self.due.first()?;
        if due > now && self.due.len() <= self.limit {
            return None;
        }
        self.close(&dot);
        Some(dot)
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
