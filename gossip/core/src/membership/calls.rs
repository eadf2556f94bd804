//! When members that went down are called again, so that a healed partition is noticed: soon at first,
//! ever more rarely later, and all at once when one of them comes back.
//!
//! What counts for healing is the first call from any node of one side to any of the other. So calls
//! become rare only as far as all calls of this side together still come often, and they are jittered:
//! a partition takes all members down in one moment, and would else have them called in one too.

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use rand::{Rng, RngExt};

use crate::{
    identity::NodeId,
    time::{Time, micros},
};

/// The most members called at once; further ones that are due wait for [`BURST_GAP`].
pub(crate) const BURST: usize = 3;
/// The pause between two bursts.
pub(crate) const BURST_GAP: Duration = Duration::from_millis(100);

#[derive(Debug)]
struct Call {
    next: Time,
    interval: Duration,
}

#[derive(Debug)]
pub(crate) struct Calls {
    due: BTreeMap<NodeId, Call>,
    shortest: Duration,
    longest: Duration,
    not_before: Time,
}

impl Calls {
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Self {
        Self { due: BTreeMap::new(), shortest, longest, not_before: Time::default() }
    }

    /// `id` went down: it is called from `after` on.
    pub(crate) fn start(&mut self, id: NodeId, after: Time) {
        self.due.insert(id, Call { next: after, interval: self.shortest });
    }

    pub(crate) fn stop(&mut self, id: NodeId) {
        self.due.remove(&id);
    }

    /// One came back: likely the others are there as well.
    pub(crate) fn hurry(&mut self, now: Time) {
        for call in self.due.values_mut() {
            call.next = call.next.min(now);
            call.interval = self.shortest;
        }
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.due.values().map(|call| call.next).min().map(|next| next.max(self.not_before))
    }

    /// With this interval all pairs across a partition make a call in two of the shortest ones.
    fn longest(&self, live: usize) -> Duration {
        let pairs = u32::try_from(live.max(1).saturating_mul(self.due.len())).unwrap_or(u32::MAX);
        self.shortest.saturating_mul(pairs.saturating_mul(2)).min(self.longest)
    }

    /// Who is to be called now, those that wait longest first. `live` nodes share the calling.
    pub(crate) fn take_due(&mut self, now: Time, live: usize, rng: &mut impl Rng) -> Vec<NodeId> {
        if now < self.not_before {
            return Vec::new();
        }
        let mut chosen: Vec<(Time, NodeId)> = self
            .due
            .iter()
            .filter(|(_, call)| call.next <= now)
            .map(|(id, call)| (call.next, *id))
            .collect();
        chosen.sort_unstable();
        chosen.truncate(BURST);
        let longest = self.longest(live);
        for (_, id) in &chosen {
            if let Some(call) = self.due.get_mut(id) {
                let spread = rng.random_range(0..=micros(call.interval));
                call.next = now + call.interval / 2 + Duration::from_micros(spread);
                call.interval = (call.interval * 3 / 2).min(longest);
            }
        }
        if !chosen.is_empty() {
            self.not_before = now + BURST_GAP;
        }
        chosen.into_iter().map(|(_, id)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn calls_back_off_come_in_bursts_and_hurry() {
        let second = Duration::from_secs(1);
        let rng = &mut ChaCha8Rng::seed_from_u64(1);
        let mut calls = Calls::new(second, 4 * second);
        assert_eq!(calls.next_at(), None);
        for n in 0..4 {
            calls.start(NodeId([n; 16]), Time(u64::from(n)));
        }
        let mut now = Time(10);
        assert_eq!(calls.take_due(now, 1, rng).len(), BURST);
        assert!(calls.take_due(now, 1, rng).is_empty());
        now = calls.next_at().unwrap();
        assert_eq!(now, Time(10) + BURST_GAP);
        assert_eq!(calls.take_due(now, 1, rng), [NodeId([3; 16])]);
        for _ in 0..100 {
            now = calls.next_at().unwrap();
            assert!(!calls.take_due(now, 1, rng).is_empty());
        }
        assert!(calls.due.values().all(|call| call.interval == 4 * second));
        calls.hurry(now);
        calls.stop(NodeId([3; 16]));
        now += BURST_GAP;
        assert_eq!(calls.take_due(now, 1, rng).len(), 3);
        assert!(calls.next_at().unwrap() <= now + 3 * second / 2);
    }

    #[test]
    fn few_nodes_keep_calling_often() {
        let second = Duration::from_secs(1);
        let mut calls = Calls::new(second, 30 * second);
        calls.start(NodeId([1; 16]), Time(0));
        assert_eq!(calls.longest(1), 2 * second);
        assert_eq!(calls.longest(3), 6 * second);
        assert_eq!(calls.longest(usize::MAX / 2), 30 * second);
    }
}
