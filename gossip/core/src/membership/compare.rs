//! Noticing that two nodes know different members: gossip reaches everybody only almost surely.
//!
//! Pings and acks carry a digest. When a peer's is not ours although nothing has changed here for a
//! while, the peer is asked for the members that it knows; less and less often while that does not help
//! (an answer names as many as fit a packet, chosen at random).

use super::{Member, Membership};
use crate::time::Time;

/// The pause between two questions is doubled this often at most.
const MAX_BACKOFF: u32 = 3;
/// Rounds of gossip that news is given before a difference counts.
const QUIET_ROUNDS: u32 = 10;

#[derive(Debug, Default)]
pub(crate) struct Compare {
    asked: Option<Time>,
    backoff: u32,
}

impl Membership {
    /// `peer` told its digest.
    pub(super) fn compare(&mut self, now: Time, peer: Member, theirs: u32) {
        if theirs == self.digest() {
            self.compare.backoff = 0;
            return;
        }
        let quiet = now.since(self.view.changed()) >= self.config.gossip_period * QUIET_ROUNDS;
        let pause = self.config.probe_period * (1 << self.compare.backoff);
        let due = self.compare.asked.is_none_or(|asked| now >= asked + pause);
        if quiet && due {
            self.compare.asked = Some(now);
            self.compare.backoff = (self.compare.backoff + 1).min(MAX_BACKOFF);
            self.stats.differences += 1;
            self.announce(now, peer);
        }
    }
}
