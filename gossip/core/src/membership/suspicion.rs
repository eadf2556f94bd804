//! Suspicions under way: who may still refute, until when, and who reminds them.
//!
//! The accuser's limit is the configured one. Everybody else who hears of a suspicion keeps a longer one,
//! for the accuser may die before it gets to its verdict, and asks the suspect before it judges itself. A node in doubt of itself waits longer.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use foca::{Incarnation, Message, State};

use super::{MemberState, Membership, Timer, codec::Update};
use crate::{identity::NodeId, time::Time};

/// How much local health may stretch a suspicion: beyond that a dead node would stay too long.
const MAX_STRETCH: u8 = 3;

#[derive(Clone, Copy, Debug)]
struct Suspicion {
    incarnation: Incarnation,
    accuser: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Suspicions {
    running: BTreeMap<NodeId, Suspicion>,
    /// Whom this node is accusing at this moment.
    accusing: Option<NodeId>,
}

impl Suspicions {
    pub(crate) fn remove(&mut self, id: NodeId) {
        self.running.remove(&id);
    }

    pub(crate) fn clear(&mut self) {
        self.running.clear();
    }
}

impl Membership {
    /// This node found `id` silent.
    pub(super) fn accuse(&mut self, now: Time, id: NodeId) {
        let Some(known) = self.view.get(id).copied() else { return };
        match known.state {
            MemberState::Down => {}
            // Others accused it before: from now on this node stands by it.
            MemberState::Suspect => self.run_suspicion(now, id, known.incarnation, true),
            MemberState::Alive => {
                let update = Update::new(known.member, known.incarnation, State::Suspect);
                self.suspicions.accusing = Some(id);
                self.with_foca(now, BTreeSet::from([id]), |foca, out| {
                    foca.apply_many(core::iter::once(update), true, out)
                });
                self.suspicions.accusing = None;
            }
        }
    }

    /// `id` has just become suspect here.
    pub(super) fn start_suspicion(&mut self, now: Time, id: NodeId) {
        let accuser = self.suspicions.accusing == Some(id);
        if let Some(known) = self.view.get(id) {
            let incarnation = known.incarnation;
            self.run_suspicion(now, id, incarnation, accuser);
        }
    }

    fn run_suspicion(&mut self, now: Time, id: NodeId, incarnation: Incarnation, accuser: bool) {
        self.suspicions.running.insert(id, Suspicion { incarnation, accuser });
        self.timers.set(now + self.suspicion_limit(accuser), Timer::Suspicion(id));
        if accuser {
            self.stats.accusations += 1;
            self.nag(now, id);
        } else {
            // The accuser should have come to its verdict by then, or the refutation be here. If neither
            // is, it may have been lost: ask before judging.
            self.timers.set(now + self.suspicion_limit(true), Timer::Nag(id));
        }
    }

    fn suspicion_limit(&self, accuser: bool) -> Duration {
        let stretch = u32::from(self.health.score().min(MAX_STRETCH)) + 1;
        let limit = self.config.suspicion * stretch;
        if accuser { limit } else { limit * 3 / 2 }
    }

    /// Who is going to judge tells the suspect itself, again and again: it may be the last to hear of it.
    pub(super) fn nag(&mut self, now: Time, id: NodeId) {
        let suspected = self.suspicions.running.contains_key(&id);
        let Some(known) = self.view.get(id).filter(|_| suspected) else { return };
        let member = known.member;
        let number = self.probes.next_number();
        self.ping(member, number);
        self.timers.set(now + self.config.probe_timeout * 2, Timer::Nag(id));
    }

    pub(super) fn end_suspicion(&mut self, now: Time, id: NodeId, late: bool) {
        let Some(suspicion) = self.suspicions.running.get(&id).copied() else { return };
        let Some(known) = self.view.get(id).copied() else { return };
        if late || known.incarnation != suspicion.incarnation {
            // Slept through the time in which a refutation may have come; or it is another accusation.
            return self.run_suspicion(now, id, known.incarnation, suspicion.accuser);
        }
        let down = Update::new(known.member, known.incarnation, State::Down);
        self.with_foca(now, BTreeSet::from([id]), |foca, out| {
            foca.apply_many(core::iter::once(down), true, out)
        });
        // If it can hear us after all it takes a new life at once.
        self.send(known.member, Message::TurnUndead, &[]);
    }
}
