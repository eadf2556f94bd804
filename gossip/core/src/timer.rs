//! A queue of timers ordered by (time, kind, sequence), so that one seed gives one history.
//!
//! Timers are never hunted down: an owner that no longer wants one ignores it by the token inside it.

use alloc::collections::BTreeSet;

use crate::time::Time;

/// Timers of kind `K`, whose order settles which of two that are due at once comes first.
#[derive(Debug)]
pub(crate) struct TimerQueue<K> {
    queue: BTreeSet<(Time, K, u64)>,
    sequence: u64,
}

impl<K: Ord> TimerQueue<K> {
    pub(crate) fn new() -> Self {
        Self { queue: BTreeSet::new(), sequence: 0 }
    }

    pub(crate) fn set(&mut self, at: Time, kind: K) {
        self.sequence += 1;
        self.queue.insert((at, kind, self.sequence));
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.queue.first().map(|(at, ..)| *at)
    }

    /// The first timer that is due, and when it was.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<(Time, K)> {
        if self.next_at()? > now {
            return None;
        }
        self.queue.pop_first().map(|(at, kind, _)| (at, kind))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_then_kind_then_sequence() {
        let mut timers = TimerQueue::new();
        for (at, kind) in [(2, 'a'), (1, 'b'), (1, 'a'), (1, 'b')] {
            timers.set(Time(at), kind);
        }
        assert_eq!(timers.pop_due(Time(0)), None);
        let due: alloc::vec::Vec<_> = core::iter::from_fn(|| timers.pop_due(Time(1)))
            .map(|(at, kind)| (at.0, kind))
            .collect();
        assert_eq!(due, [(1, 'a'), (1, 'b'), (1, 'b')]);
        assert_eq!(timers.next_at(), Some(Time(2)));
    }
}
