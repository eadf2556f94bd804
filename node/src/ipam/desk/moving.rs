//! What the desk does to all rings at once: a takeover, and handing over before this node leaves.

use netdb::NodeId;
use netnode_plan::ring::{Heir, TakeoverError};

use super::{super::Takeover, Desk};

impl Desk {
    /// What would be taken over from these nodes.
    pub(super) fn lost_with(&self, down: &[NodeId]) -> Result<Vec<Takeover>, TakeoverError> {
        let mut all = Vec::new();
        for (space, open) in self.open.iter().filter(|(_, open)| !open.alone) {
            for (from, numbers) in open.ring.lost_with(down)? {
                let numbers = numbers.end - numbers.start;
                all.push(Takeover { space: *space, from, heir: None, numbers });
            }
        }
        Ok(all)
    }

    /// All or nothing: what stands in the way of one ring is found before any is touched.
    pub(super) fn reclaim(&mut self, down: &[NodeId], heir: Heir) -> Result<(), TakeoverError> {
        self.lost_with(down)?;
        self.shared().try_for_each(|open| open.ring.reclaim(down, heir).map(|_| ()))
    }

    /// What waits for its heirs.
    pub(super) fn inherited(&self) -> Vec<Takeover> {
        let mut all = Vec::new();
        for (space, open) in self.open.iter().filter(|(_, open)| !open.alone) {
            for range in open.ring.inherited() {
                let (from, heir) = (range.from, Some(range.heir));
                let numbers = range.numbers.end - range.numbers.start;
                all.push(Takeover { space: *space, from, heir, numbers });
            }
        }
        all
    }

    /// Nothing more is given, and everything goes to others. How many ranges have not gone yet.
    pub(super) fn leave(&mut self) -> usize {
        let now = self.now();
        self.shared()
            .map(|open| {
                open.ring.leave(now);
                open.ring.holdings()
            })
            .sum()
    }
}
