//! Probes: whom, when, and what follows from silence.
//!
//! A probe pings its target at once, then twice more a probe timeout apart, and asks relays along with
//! the second ping. Any packet of the target ends it well. If nothing came after three timeouts the
//! target is accused, unless nobody else was heard either: then this node doubts itself first.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;

use foca::{Header, Message, ProbeNumber};

use super::{Member, MemberState, Membership, Outgoing, Timer, asks, codec, codec::Update};
use crate::{identity::NodeId, time::Time};

/// The most probes under way at once.
const MAX_PROBES: usize = 8;
/// Steps until a verdict.
const STEPS: u8 = 3;

#[derive(Debug)]
struct Probe {
    target: Member,
    number: ProbeNumber,
    started: Time,
    steps: u8,
    heard_others: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Probes {
    running: BTreeMap<NodeId, Probe>,
    number: ProbeNumber,
    ticks: u32,
    /// Targets of a probe that failed while nobody at all was heard: accused the next time.
    doubted: BTreeSet<NodeId>,
}

impl Probes {
    /// Notes that a packet of `id` came. True if that ends a probe.
    pub(crate) fn heard(&mut self, id: NodeId) -> bool {
        if self.running.contains_key(&id) {
            return true;
        }
        self.running.values_mut().for_each(|probe| probe.heard_others = true);
        false
    }

    pub(crate) fn remove(&mut self, id: NodeId) {
        self.running.remove(&id);
        self.doubted.remove(&id);
    }

    pub(crate) fn clear(&mut self) {
        self.running.clear();
        self.doubted.clear();
    }

    pub(super) fn next_number(&mut self) -> ProbeNumber {
        self.number = self.number.wrapping_add(1);
        self.number
    }
}

impl Membership {
    pub(super) fn probe_tick(&mut self, now: Time) {
        let period = self.health.stretch(self.config.probe_period);
        let jitter = self.random_part(period / 16);
        self.timers.set(now + period + jitter, Timer::ProbeTick);
        let me = self.me().id;
        let neighbour = self
            .view
            .ring(me)
            .find(|known| {
                known.state == MemberState::Alive
                    && !self.probes.running.contains_key(&known.member.id)
            })
            .map(|known| known.member);
        if let Some(target) = neighbour {
            self.start_probe(now, target);
        }
        self.probes.ticks = self.probes.ticks.wrapping_add(1);
        if self.probes.ticks.is_multiple_of(self.config.random_probe_every) {
            let running: BTreeSet<NodeId> = self.probes.running.keys().copied().collect();
            if let Some(target) = self.random_active(&running) {
                self.start_probe(now, target);
            }
        }
    }

    fn start_probe(&mut self, now: Time, target: Member) {
        if self.probes.running.len() >= MAX_PROBES {
            return;
        }
        self.stats.probes += 1;
        let number = self.probes.next_number();
        let probe = Probe { target, number, started: now, steps: 0, heard_others: false };
        self.probes.running.insert(target.id, probe);
        self.ping(target, number);
        let timeout = self.health.stretch(self.config.probe_timeout);
        self.timers.set(now + timeout, Timer::ProbeStep(target.id));
    }

    pub(super) fn probe_step(&mut self, now: Time, id: NodeId, late: bool) {
        let Some(probe) = self.probes.running.get_mut(&id) else { return };
        let (target, number) = (probe.target, probe.number);
        let known = self.view.get(id);
        if !known.is_some_and(|known| known.is_active() && known.member == target) {
            self.probes.remove(id);
            return;
        }
        if late {
            self.probes.running.remove(&id);
            return self.start_probe(now, target);
        }
        probe.steps += 1;
        let (steps, heard_others) = (probe.steps, probe.heard_others);
        if steps >= STEPS {
            self.probes.running.remove(&id);
            return self.judge(now, target, heard_others);
        }
        self.ping(target, number);
        if steps == 1 {
            self.ask_relays(target, number);
        }
        let timeout = self.health.stretch(self.config.probe_timeout);
        self.timers.set(now + timeout, Timer::ProbeStep(id));
    }

    fn ask_relays(&mut self, target: Member, probe_number: ProbeNumber) {
        let mut asked = BTreeSet::from([target.id]);
        while asked.len() <= self.config.indirect_probes {
            let Some(relay) = self.random_active(&asked) else { break };
            asked.insert(relay.id);
            self.send(relay, Message::PingReq { target, probe_number }, &[]);
        }
    }

    /// Three timeouts without a sign of the target.
    fn judge(&mut self, now: Time, target: Member, heard_others: bool) {
        self.stats.probes_failed += 1;
        if !heard_others {
            self.health.worsen();
            let others = self.view.active() > 1;
            if others && self.probes.doubted.insert(target.id) {
                return self.start_probe(now, target);
            }
        }
        self.probes.doubted.remove(&target.id);
        self.accuse(now, target.id);
        // Neighbours often fail together: look at the next one now.
        self.timers.set_by(now, Timer::ProbeTick);
    }

    pub(super) fn probe_answered(&mut self, id: NodeId) {
        self.probes.remove(id);
        self.health.improve();
    }

    /// Takes in an ack; returns the round trip that it measured.
    pub(super) fn probe_acked(
        &mut self,
        now: Time,
        id: NodeId,
        number: ProbeNumber,
    ) -> Option<Duration> {
        let probe = self.probes.running.get(&id).filter(|probe| probe.number == number)?;
        // Which of several pings it answers can't be told.
        let rtt = (probe.steps == 0).then(|| now.since(probe.started));
        self.probe_answered(id);
        rtt
    }

    /// A relay reached the target that we did not: it lives, but our own path is no proof of health.
    pub(super) fn probe_vouched(&mut self, id: NodeId, number: ProbeNumber) {
        if self.probes.running.get(&id).is_some_and(|probe| probe.number == number) {
            self.probes.remove(id);
        }
    }

    /// Pings; a suspect learns along with it what it is accused of.
    pub(super) fn ping(&mut self, target: Member, number: ProbeNumber) {
        let accusation: Vec<Update> = self
            .view
            .get(target.id)
            .filter(|known| known.state == MemberState::Suspect)
            .map(super::view::Known::update)
            .into_iter()
            .collect();
        self.send(target, Message::Ping(number), &accusation);
    }

    /// Queues a message of our own making.
    pub(super) fn send(&mut self, to: Member, message: Message<Member>, updates: &[Update]) {
        let asks = asks(&message);
        let (src, src_incarnation) = (*self.me(), self.incarnation);
        let header = Header { src, src_incarnation, dst: to, message };
        let frame = codec::compose(&header, self.digest(), updates);
        self.outgoing.push_back(Outgoing { to, frame, asks });
    }
}
