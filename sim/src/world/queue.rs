//! What is going to happen, ordered by (time, order of scheduling).
//!
//! Nothing is ever taken out but the next event; who changed its mind ignores it when it comes.

use std::{cmp::Reverse, collections::BinaryHeap};

use netdb_gossip_core::time::Time;

/// When something happens, and where it lies meanwhile: small, for a heap moves its entries about.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Time,
    sequence: u64,
    place: usize,
}

/// A queue of events.
pub(crate) struct Queue<T> {
    /// Reversed: the heap gives its greatest first.
    heap: BinaryHeap<Reverse<Entry>>,
    events: Vec<Option<T>>,
    free: Vec<usize>,
    sequence: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), sequence: 0 }
    }
}

impl<T> Queue<T> {
    /// Schedules an event; of those at one time the first scheduled comes first.
    pub(crate) fn push(&mut self, at: Time, what: T) {
        self.sequence += 1;
        let place = self.free.pop().unwrap_or(self.events.len());
        match self.events.get_mut(place) {
            Some(free) => *free = Some(what),
            None => self.events.push(Some(what)),
        }
        self.heap.push(Reverse(Entry { at, sequence: self.sequence, place }));
    }

    /// When the next event is due.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes the next event if it is due at `limit` or before.
    pub(crate) fn pop_until(&mut self, limit: Time) -> Option<(Time, T)> {
        if self.next_at()? > limit {
            return None;
        }
        let Reverse(Entry { at, place, .. }) = self.heap.pop()?;
        let what = self.events.get_mut(place)?.take()?;
        self.free.push(place);
        Some((at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_time_then_scheduling() {
        let mut queue = Queue::default();
        for (at, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (3, 'b'), (5, 'e')] {
            queue.push(Time(at), what);
        }
        let all: String =
            std::iter::from_fn(|| queue.pop_until(Time(9)).map(|(_, what)| what)).collect();
        assert_eq!(all, "abcde");
    }

    #[test]
    fn places_are_used_again() {
        let mut queue = Queue::default();
        for round in 0..9 {
            queue.push(Time(round), round);
            queue.push(Time(round), round + 100);
            assert_eq!(queue.pop_until(Time(9)), Some((Time(round), round)));
            assert_eq!(queue.pop_until(Time(9)), Some((Time(round), round + 100)));
        }
        assert_eq!(queue.events.len(), 2);
    }

    #[test]
    fn nothing_comes_before_its_time() {
        let mut queue = Queue::default();
        queue.push(Time(5), ());
        assert_eq!(queue.pop_until(Time(4)), None);
        assert_eq!(queue.pop_until(Time(5)), Some((Time(5), ())));
        assert_eq!(queue.next_at(), None);
    }
}
