//! When members that went down are called again, so that a healed partition is noticed: soon at first,
//! ever more rarely later, and all at once when one of them comes back.

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use crate::{identity::NodeId, time::Time};

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

    /// Who is to be called now, those that wait longest first.
    pub(crate) fn take_due(&mut self, now: Time) -> Vec<NodeId> {
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
        for (_, id) in &chosen {
            if let Some(call) = self.due.get_mut(id) {
                call.next = now + call.interval;
                call.interval = (call.interval * 3 / 2).min(self.longest);
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
    use super::*;

    #[test]
    fn calls_back_off_come_in_bursts_and_hurry() {
        let second = Duration::from_secs(1);
        let mut calls = Calls::new(second, 2 * second);
        assert_eq!(calls.next_at(), None);
        for n in 0..4 {
            calls.start(NodeId([n; 16]), Time(u64::from(n)));
        }
        let mut now = Time(10);
        assert_eq!(calls.take_due(now).len(), BURST);
        assert!(calls.take_due(now).is_empty());
        now = calls.next_at().unwrap();
        assert_eq!(now, Time(10) + BURST_GAP);
        assert_eq!(calls.take_due(now), [NodeId([3; 16])]);
        assert_eq!(calls.next_at(), Some(Time(10) + second));
        now = now + 10 * second;
        calls.hurry(now);
        assert_eq!(calls.next_at(), Some(Time(10) + second));
        calls.stop(NodeId([3; 16]));
        assert_eq!(calls.take_due(now).len(), 3);
        assert_eq!(calls.next_at(), Some(now + second));
    }
}
