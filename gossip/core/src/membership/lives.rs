//! The lives of this node itself: new revisions when it was told that it is down, new generations and
//! addresses on command, leaving; and how rarely peers with an outdated picture are set right.

use alloc::collections::{BTreeMap, BTreeSet};
use core::{net::SocketAddr, time::Duration};

use super::{Member, MemberEvent, Membership, Timer, view::View};
use crate::{
    identity::{Generation, NodeId},
    time::Time,
};

/// The longest pause between two renewals of a node that is told again and again that it is down (a
/// copy of it is running somewhere).
pub const MAX_RENEW_GAP: Duration = Duration::from_secs(30);
const MIN_RENEW_GAP: Duration = Duration::from_millis(250);
/// After this long without a renewal the next is free of any pause again.
const RENEWALS_FORGOTTEN: Duration = Duration::from_mins(1);
/// How often one peer is set right.
const NUDGE_GAP: Duration = Duration::from_secs(1);
/// How many peers are set right within that time.
pub const MAX_NUDGED: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Lives {
    /// foca has just given up its identity.
    pub(crate) told_down: bool,
    /// The highest revision of this generation that anybody claims.
    surpass: u16,
    /// The highest generation that was told with an event.
    seen: Generation,
    last_renewal: Option<Time>,
    renewals: u32,
    nudged: BTreeMap<NodeId, Time>,
}

impl Lives {
    /// A peer knows this node at a higher generation: told once for each.
    pub(crate) fn seen(&mut self, generation: Generation, view: &mut View) {
        if generation > self.seen {
            self.seen = generation;
            view.tell(MemberEvent::GenerationSeen(generation));
        }
    }

    pub(crate) fn surpass(&mut self, revision: u16) {
        self.surpass = self.surpass.max(revision);
    }

    /// The earliest time for another renewal.
    pub(crate) fn next_renewal(&self) -> Time {
        let Some(last) = self.last_renewal else { return Time::default() };
        let gap = MIN_RENEW_GAP * (1 << self.renewals.min(7));
        last + gap.min(MAX_RENEW_GAP)
    }

    fn renewed(&mut self, now: Time) {
        let quiet = self.last_renewal.is_none_or(|last| now.since(last) > RENEWALS_FORGOTTEN);
        self.renewals = if quiet { 0 } else { self.renewals.saturating_add(1) };
        self.last_renewal = Some(now);
    }

    /// Whether this peer may be sent a correction now.
    pub(crate) fn may_nudge(&mut self, now: Time, id: NodeId) -> bool {
        self.nudged.retain(|_, at| now < *at + NUDGE_GAP);
        let free = self.nudged.len() < MAX_NUDGED && !self.nudged.contains_key(&id);
        if free {
            self.nudged.insert(id, now);
        }
        free
    }
}

impl Membership {
    /// This life is over: takes the next revision now, or as soon as the pause since the last is over.
    pub(super) fn renew_soon(&mut self, now: Time, teller: Option<Member>) {
        let due = self.lives.next_renewal();
        if due <= now {
            self.renew_now(now, teller);
        } else {
            self.timers.set_by(due, Timer::Renew);
        }
    }

    pub(super) fn renew_now(&mut self, now: Time, teller: Option<Member>) {
        let me = *self.me();
        let base = Member { revision: me.revision.max(self.lives.surpass), ..me };
        let Some(next) = base.next_revision() else {
            // No revision is left: only a new generation helps, and that is on disk first.
            let generation = me.generation;
            self.lives.seen = self.lives.seen.min(Generation(generation.0.saturating_sub(1)));
            self.lives.seen(generation, &mut self.view);
            return;
        };
        self.lives.renewed(now);
        self.stats.renewals += 1;
        self.become_member(now, next);
        if let Some(known) = teller.and_then(|teller| self.view.get(teller.id)) {
            let member = known.member;
            self.announce(now, member);
        }
    }

    fn become_member(&mut self, now: Time, next: Member) {
        self.leaving = None;
        self.lives.told_down = false;
        self.incarnation = 0;
        self.defunct = false;
        self.with_foca(now, BTreeSet::new(), |foca, out| {
            foca.change_identity(next, &mut *out)?;
            // Makes foca notice that it has members.
            foca.apply_many(core::iter::empty(), true, out)
        });
        self.timers.set_by(now + super::CONFLICT_DELAY, Timer::Conflicts);
    }

    /// A new generation, on command. Nothing happens unless it is above the present one, or this node
    /// has left.
    pub(crate) fn renew(&mut self, now: Time, generation: Generation) {
        let me = *self.me();
        if generation <= me.generation {
            return;
        }
        let left = self.leaving.is_some();
        self.lives.surpass = 0;
        self.become_member(now, Member { generation, revision: 0, ..me });
        if left {
            self.start_timers(now);
        }
        self.settle(now, None);
    }

    /// A new address, on command.
    pub(crate) fn change_address(&mut self, now: Time, addr: SocketAddr) {
        let me = *self.me();
        if addr == me.addr || self.leaving.is_some() {
            return;
        }
        let base = Member { revision: me.revision.max(self.lives.surpass), addr, ..me };
        match base.next_revision() {
            Some(next) => self.become_member(now, next),
            None => self.renew_now(now, None),
        }
        self.settle(now, None);
    }

    /// Says goodbye. Afterwards nothing is answered and nothing is probed until a new generation.
    pub(crate) fn leave(&mut self, now: Time) {
        if self.leaving.is_some() {
            return;
        }
        self.leaving = Some(super::LEAVE_ROUNDS);
        self.probes.clear();
        self.suspicions.clear();
        self.with_foca(now, BTreeSet::new(), |foca, out| foca.leave_cluster(out));
        self.timers.clear();
        self.timers.set(now + self.config.gossip_period, Timer::Gossip);
    }
}
