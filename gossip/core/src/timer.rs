//! A queue of timers ordered by (time, kind, sequence), so that one seed gives one history.
//!
//! There is one timer of each kind at most: setting it again moves it. So the queue is bounded by the
//! kinds, whatever makes peers set timers; and a kind that is no longer wanted may be left to fire, for
//! its owner knows that nothing waits for it.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::time::Time;

/// Timers of kind `K`, whose order settles which of two that are due at once comes first.
#[derive(Debug)]
pub(crate) struct TimerQueue<K> {
    queue: BTreeSet<(Time, K, u64)>,
    set: BTreeMap<K, (Time, u64)>,
    sequence: u64,
}

impl<K: Ord + Copy> TimerQueue<K> {
    pub(crate) fn new() -> Self {
        Self { queue: BTreeSet::new(), set: BTreeMap::new(), sequence: 0 }
    }

    /// Sets the timer of this kind, or moves it.
    pub(crate) fn set(&mut self, at: Time, kind: K) {
        self.sequence += 1;
        if let Some((before, sequence)) = self.set.insert(kind, (at, self.sequence)) {
            self.queue.remove(&(before, kind, sequence));
        }
        self.queue.insert((at, kind, self.sequence));
    }

    /// Sets it unless it is due earlier anyway.
    pub(crate) fn set_by(&mut self, at: Time, kind: K) {
        if self.set.get(&kind).is_none_or(|(due, _)| *due > at) {
            self.set(at, kind);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.queue.clear();
        self.set.clear();
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.queue.first().map(|(at, ..)| *at)
    }

    /// The first timer that is due, and when it was.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(Time, K)> {
        if self.next_at()? > now {
            return None;
        }
        let (at, kind, _) = self.queue.pop_first()?;
        self.set.remove(&kind);
        Some((at, kind))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn time_then_kind_and_one_of_each() {
        let mut timers = TimerQueue::new();
        for (at, kind) in [(2, 'a'), (1, 'c'), (1, 'b'), (9, 'd'), (1, 'd'), (1, 'e'), (3, 'e')] {
            timers.set(Time(at), kind);
        }
        timers.set_by(Time(7), 'a');
        assert_eq!(timers.pop_due(Time(0)), None);
        let due: Vec<_> = core::iter::from_fn(|| timers.pop_due(Time(1))).collect();
        assert_eq!(due, [(Time(1), 'b'), (Time(1), 'c'), (Time(1), 'd')]);
        assert_eq!(timers.next_at(), Some(Time(2)));
        timers.set_by(Time(1), 'e');
        assert_eq!(timers.pop_due(Time(1)), Some((Time(1), 'e')));
        assert_eq!(timers.pop_due(Time(9)), Some((Time(2), 'a')));
        assert_eq!(timers.next_at(), None);
    }
}
