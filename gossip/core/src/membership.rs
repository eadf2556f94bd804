//! Who is in the cluster: SWIM by foca, scheduled and watched by a sans-IO core of our own.
//!
//! foca keeps the members, merges what is told of them, spreads news and answers probes. This module
//! owns when things happen. It sends the probes itself (in foca's messages, so that any member answers
//! them) instead of leaving that to foca's probe cycle, for three reasons: foca probes at random, which
//! leaves a dead node unprobed for several periods now and then, where a ring finds it within one; foca
//! notices a missing ack only at its next cycle; and a node that doubts itself (Lifeguard) has to be able
//! to probe again before it accuses. foca's timers are therefore dropped, see `collect`.
//!
//! - **Probing** (`probing`): each node probes the next live member on the ring of ids, and now and
//!   then a random one. When one fails, the next on the ring is probed at once.
//! - **Suspicion** (`suspicion`): starts at whoever accuses and, with a longer limit, at whoever hears
//!   of it, so that it also ends when the accuser dies.
//! - **Comparing** (`compare`): pings and acks carry a hash of the members known, so that a rumour
//!   that missed a node is noticed within about a probe period.
//! - **Calls** (`calls`): members that are down are announced to, so that partitions heal.
//! - **View** (`view`): the state in id order, and every event.
//!
//! Frames in, frames out; it never sees a packet, a key or a socket.

mod addresses;
mod calls;
mod codec;
mod collect;
mod compare;
mod health;
mod incoming;
mod lives;
mod member;
mod probing;
mod suspicion;
#[cfg(test)]
pub(crate) mod testing;
mod view;

use alloc::{
    collections::{BTreeSet, VecDeque},
    vec::Vec,
};
use core::{
    num::{NonZeroU8, NonZeroUsize},
    time::Duration,
};

use foca::{Foca, Incarnation, Message, NoCustomBroadcast};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) use self::codec::is_announce;
use self::{
    calls::Calls, codec::FocaCodec, collect::Collected, health::LocalHealth, probing::Probes,
    suspicion::Suspicions, view::View,
};
pub use self::{
    lives::{MAX_NUDGED, MAX_RENEW_GAP},
    member::{Member, MemberEvent, MemberState},
};
use crate::{
    config::Config,
    identity::{Generation, NodeId},
    nodes::Seed,
    packet,
    stats::MembershipStats,
    time::Time,
    timer::TimerQueue,
};

/// How long after a change addresses are compared, so that many changes cost one comparison.
const CONFLICT_DELAY: Duration = Duration::from_millis(100);
/// How often members that have been down for long enough are forgotten.
const FORGET_PERIOD: Duration = Duration::from_mins(1);
/// Rounds of gossip after the one that `leave` sends at once.
const LEAVE_ROUNDS: u8 = 2;
/// How many of the members handed to `contact` are announced to.
const CONTACT_ANNOUNCES: usize = 5;

/// A message that waits for a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outgoing {
    /// Which life of which node, and where.
    pub(crate) to: Member,
    /// The frame's body.
    pub(crate) frame: Vec<u8>,
    /// The peer will answer: a measurement may ride along.
    pub(crate) asks: bool,
}

/// Everything that happens by itself. The order settles which of two that are due at once comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// The next step of the probe of this node.
    ProbeStep(NodeId),
    /// Start the next probe.
    ProbeTick,
    /// The suspicion of this node ends.
    Suspicion(NodeId),
    /// Tell this suspect what it is accused of, for it may not have heard.
    Nag(NodeId),
    /// Spread what is new.
    Gossip,
    /// Call members that are down.
    Call,
    /// Ask a random member for the members that it knows.
    Announce,
    /// Take the revision that had to wait.
    Renew,
    /// Look for nodes that share an address.
    Conflicts,
    /// Forget members that have been down for long enough.
    Forget,
}

pub(crate) struct Membership {
    foca: Foca<Member, FocaCodec, ChaCha8Rng, NoCustomBroadcast>,
    foca_config: foca::Config,
    config: Config,
    rng: ChaCha8Rng,
    /// foca's incarnation, as last seen on a message of its own.
    incarnation: Incarnation,
    /// foca gave up its identity and has none yet to go on with: it answers nobody.
    defunct: bool,
    view: View,
    timers: TimerQueue<Timer>,
    health: LocalHealth,
    probes: Probes,
    suspicions: Suspicions,
    calls: Calls,
    lives: lives::Lives,
    compare: compare::Compare,
    last_gossip: Option<Time>,
    /// Rounds of gossip left after leaving; `None` while a member.
    leaving: Option<u8>,
    outgoing: VecDeque<Outgoing>,
    rtts: Vec<(NodeId, Duration)>,
    forgotten: Vec<NodeId>,
    stats: MembershipStats,
}

impl Membership {
    /// A node alone. `config` is within its ranges.
    pub(crate) fn new(config: &Config, me: Member, seed: u64, now: Time) -> Self {
        let foca_config = foca_config(config);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let foca_rng = ChaCha8Rng::from_rng(&mut rng);
        let foca = Foca::new(me, foca_config.clone(), foca_rng, FocaCodec::default());
        let mut this = Self {
            foca,
            foca_config,
            config: config.clone(),
            rng,
            incarnation: 0,
            defunct: false,
            view: View::new(Seed(seed)),
            timers: TimerQueue::new(),
            health: LocalHealth::default(),
            probes: Probes::default(),
            suspicions: Suspicions::default(),
            calls: Calls::new(config.announce_down_min, config.announce_down_max),
            lives: lives::Lives::default(),
            compare: compare::Compare::default(),
            last_gossip: None,
            leaving: None,
            outgoing: VecDeque::new(),
            rtts: Vec::new(),
            forgotten: Vec::new(),
            stats: MembershipStats::default(),
        };
        this.start_timers(now);
        this
    }

    fn start_timers(&mut self, now: Time) {
        // Nodes that start together must not probe and announce in step.
        for (timer, period) in [
            (Timer::ProbeTick, self.config.probe_period),
            (Timer::Announce, self.config.announce_period),
        ] {
            let delay = self.random_part(period);
            self.timers.set(now + delay, timer);
        }
        self.timers.set(now + FORGET_PERIOD, Timer::Forget);
    }

    pub(crate) fn me(&self) -> &Member {
        self.foca.identity()
    }

    pub(crate) fn view(&self) -> &View {
        &self.view
    }

    pub(crate) fn stats(&self) -> &MembershipStats {
        &self.stats
    }

    pub(crate) fn health(&self) -> u8 {
        self.health.score()
    }

    pub(crate) fn poll_event(&mut self) -> Option<MemberEvent> {
        self.view.poll_event()
    }

    pub(crate) fn poll_outgoing(&mut self) -> Option<Outgoing> {
        self.outgoing.pop_front()
    }

    /// Round trips that probes measured since the last call.
    pub(crate) fn take_rtts(&mut self) -> Vec<(NodeId, Duration)> {
        core::mem::take(&mut self.rtts)
    }

    /// What pings and acks say of the members known here, this node included.
    fn digest(&self) -> u32 {
        self.view.digest() ^ codec::digest(self.me())
    }

    /// Members that were forgotten since the last call.
    pub(crate) fn take_forgotten(&mut self) -> Vec<NodeId> {
        core::mem::take(&mut self.forgotten)
    }

    /// A packet in this node's own name at that generation.
    pub(crate) fn own_name(&mut self, generation: Generation) {
        if generation > self.me().generation {
            self.lives.seen(generation, &mut self.view);
        }
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.timers.next_at()
    }

    pub(crate) fn handle_timeout(&mut self, now: Time) {
        // A timer that runs this late means that the whole node stood still: it knows nothing.
        let slept_limit = self.config.probe_timeout * 2;
        let mut slept = false;
        while let Some((due, timer)) = self.timers.pop_due(now) {
            let late = now.since(due) > slept_limit;
            if late && !slept {
                slept = true;
                self.health.worsen();
            }
            self.handle_timer(now, timer, late);
        }
        self.settle(now, None);
    }

    fn handle_timer(&mut self, now: Time, timer: Timer, late: bool) {
        match timer {
            Timer::ProbeStep(target) => self.probe_step(now, target, late),
            Timer::Suspicion(id) => self.end_suspicion(now, id, late),
            Timer::Nag(id) => self.nag(now, id),
            Timer::ProbeTick => self.probe_tick(now),
            Timer::Gossip => self.gossip(now),
            Timer::Call => self.call_down(now),
            Timer::Announce => self.announce_random(now),
            Timer::Renew => self.renew_now(now, None),
            Timer::Conflicts => {
                let me = *self.me();
                if self.view.check_conflicts(now, &me) {
                    self.timers.set(now + view::CONFLICT_PERIOD, Timer::Conflicts);
                }
            }
            Timer::Forget => self.forget(now),
        }
    }

    fn random_part(&mut self, of: Duration) -> Duration {
        Duration::from_micros(self.rng.random_range(0..=crate::time::micros(of)))
    }

    /// Calls into foca and takes over what that changed. foca's refusals are counted: they are about
    /// what a peer sent, and leave foca's state as it was.
    fn with_foca(
        &mut self,
        now: Time,
        mut touched: BTreeSet<NodeId>,
        call: impl FnOnce(
            &mut Foca<Member, FocaCodec, ChaCha8Rng, NoCustomBroadcast>,
            &mut Collected,
        ) -> Result<(), foca::Error>,
    ) {
        let mut collected = Collected::default();
        if call(&mut self.foca, &mut collected).is_err() {
            self.stats.malformed += 1;
        }
        self.incarnation = collected.incarnation.unwrap_or(self.incarnation);
        self.defunct |= collected.defunct;
        self.lives.told_down |= collected.defunct && self.leaving.is_none();
        let me = self.me().id;
        // A peer can make foca address whom it likes, this very node as well.
        for (to, bytes) in collected.messages.into_iter().filter(|(to, _)| to.id != me) {
            if let Some((header, updates)) = codec::split_foca(&bytes) {
                let mut frame = Vec::new();
                codec::put_frame(&header, self.digest(), updates, &mut frame);
                self.outgoing.push_back(Outgoing { to, frame, asks: false });
            }
        }
        touched.append(&mut collected.touched);
        touched.remove(&self.foca.identity().id);
        for change in self.view.sync(now, &touched, self.foca.iter_membership_state()) {
            self.follow(now, change);
        }
    }

    /// What a change of a member's state starts and ends.
    fn follow(&mut self, now: Time, change: view::Change) {
        use MemberState::{Alive, Down, Suspect};
        self.suspicions.remove(change.id);
        match change.after {
            Some(Suspect) => self.start_suspicion(now, change.id),
            Some(Down) => {
                self.probes.remove(change.id);
                self.calls.start(change.id, now + self.config.announce_down_min);
            }
            Some(Alive) => {
                if change.before == Some(Down) {
                    self.calls.hurry(now);
                }
            }
            None => {
                self.probes.remove(change.id);
                self.forgotten.push(change.id);
            }
        }
        if change.after != Some(Down) {
            self.calls.stop(change.id);
            self.timers.set_by(now + CONFLICT_DELAY, Timer::Conflicts);
        }
    }

    /// After every input: takes a new life if this one was called down, spreads what is new, and sees
    /// to it that down members are called.
    fn settle(&mut self, now: Time, teller: Option<Member>) {
        if self.lives.told_down {
            self.lives.told_down = false;
            self.renew_soon(now, teller);
        }
        if self.foca.updates_backlog() > 0 && self.view.active() > 0 && self.leaving.is_none() {
            let next = self.last_gossip.map_or(now, |last| last + self.config.gossip_period);
            if next <= now {
                self.gossip(now);
            } else {
                self.timers.set_by(next, Timer::Gossip);
            }
        }
        if let Some(next) = self.calls.next_at() {
            self.timers.set_by(next.max(now), Timer::Call);
        }
    }

    fn gossip(&mut self, now: Time) {
        self.last_gossip = Some(now);
        self.fit_transmissions();
        self.with_foca(now, BTreeSet::new(), |foca, out| foca.gossip(out));
        let again = match &mut self.leaving {
            None => self.foca.updates_backlog() > 0 && self.view.active() > 0,
            Some(0) => false,
            Some(rounds) => {
                *rounds -= 1;
                true
            }
        };
        if again {
            self.timers.set(now + self.config.gossip_period, Timer::Gossip);
        }
    }

    /// An update is passed on O(log n) times by each node, so that all of n hear of it.
    fn fit_transmissions(&mut self) {
        let bits = usize::BITS - (self.view.active() + 1).leading_zeros();
        let times = NonZeroU8::new(u8::try_from(4 + bits).unwrap_or(u8::MAX));
        if let Some(times) = times.filter(|times| *times != self.foca_config.max_transmissions) {
            self.foca_config.max_transmissions = times;
            // Only refused for changes of fields that are never changed here.
            let _unchanged = self.foca.set_config(self.foca_config.clone());
        }
    }

    fn announce_random(&mut self, now: Time) {
        let period = self.config.announce_period;
        let next = now + period - self.random_part(period / 8);
        self.timers.set(next, Timer::Announce);
        if let Some(member) = self.random_active(&BTreeSet::new()) {
            self.announce(now, member);
        }
    }

    fn announce(&mut self, now: Time, to: Member) {
        self.with_foca(now, BTreeSet::new(), |foca, out| foca.announce(to, out));
    }

    fn call_down(&mut self, now: Time) {
        let live = self.view.active() + 1;
        for id in self.calls.take_due(now, live, &mut self.rng) {
            if let Some(known) = self.view.get(id) {
                let member = known.member;
                self.announce(now, member);
            }
        }
    }

    /// One of those that are not down and not among `but`.
    fn random_active(&mut self, but: &BTreeSet<NodeId>) -> Option<Member> {
        let taken: Vec<usize> = but.iter().filter_map(|id| self.view.active_place(*id)).collect();
        match self.view.active() - taken.len() {
            0 => None,
            count => {
                let chosen = self.rng.random_range(0..count);
                // In order of the ids, as `but` is: each that lies before moves the place by one.
                let place =
                    taken.iter().fold(chosen, |place, taken| place + usize::from(*taken <= place));
                self.view.nth_active(place).map(|known| known.member)
            }
        }
    }

    fn forget(&mut self, now: Time) {
        self.timers.set(now + FORGET_PERIOD, Timer::Forget);
        let limit = self.config.forget_down_after;
        let old: Vec<Member> = self
            .view
            .iter()
            .filter(|known| !known.is_active() && now.since(known.since) >= limit)
            .map(|known| known.member)
            .collect();
        for member in old {
            let touched = BTreeSet::from([member.id]);
            let timer = foca::Timer::RemoveDown(member);
            self.with_foca(now, touched, |foca, out| foca.handle_timer(timer, out));
        }
    }
}

/// What foca is left to do: merge, spread, answer.
fn foca_config(config: &Config) -> foca::Config {
    let size = packet::max_frame(config.mtu);
    foca::Config {
        num_indirect_probes: NonZeroUsize::new(config.gossip_fanout).unwrap_or(NonZeroUsize::MIN),
        max_packet_size: NonZeroUsize::new(size).unwrap_or(NonZeroUsize::MIN),
        notify_down_members: true,
        remove_down_after: None,
        periodic_announce: None,
        periodic_announce_to_down_members: None,
        periodic_gossip: None,
        ..foca::Config::simple()
    }
}

/// Whether the peer answers this message at once.
fn asks(message: &Message<Member>) -> bool {
    matches!(message, Message::Ping(_) | Message::PingReq { .. })
}
