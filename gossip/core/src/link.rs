//! Links: small frames to each peer, delivered at least once or reported lost, and what their packets
//! tell about round trips and clocks.
//!
//! Packets to a peer are numbered. A packet with frames that ask for it is acknowledged in the next
//! packet back, which leaves at once, or within a millisecond if one has just left. A packet that is not
//! acknowledged in time has its frames queued again for a packet with a new number, and after `max_retries`
//! they are handed back as lost. Frames are neither ordered nor deduplicated here: what they mean must bear
//! both.
//!
//! The links own no membership: whether a peer is a member, down or new is told to them.

mod ack;
mod clock;
mod offsets;
mod peer;
mod rtt;
#[cfg(test)]
mod tests;
mod traffic;

use alloc::{
    boxed::Box,
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};
use core::{net::SocketAddr, time::Duration};

use self::{
    ack::Ack,
    offsets::Offsets,
    peer::{Item, Peer},
    rtt::Rtt,
};
use crate::{
    config::Config,
    identity::{Generation, NodeId},
    membership::{Member, Outgoing},
    nodes::{NodeMap, Seed},
    packet::{Draft, DropReason},
    stats::LinkStats,
    time::{Now, Time},
};

/// Senders that are remembered without being members; a further one takes the place of the one that was
/// silent longest.
pub const MAX_STRANGERS: usize = 256;
/// A change of our clocks against each other that makes the offset worth computing again, in
/// microseconds.
const SKEW_STEP: u64 = 1000;

/// What a frame of a packet is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// A membership message.
    Membership = 1,
    /// Which packets arrived.
    Ack = 2,
    /// What time is it?
    TimeProbe = 3,
    /// The answer.
    TimeReply = 4,
    /// A frame of the upper layer that is to be acknowledged.
    Acked = 5,
    /// A frame of the upper layer that is not.
    Plain = 6,
}

impl Kind {
    pub(crate) fn of(byte: u8) -> Option<Self> {
        [Self::Membership, Self::Ack, Self::TimeProbe, Self::TimeReply, Self::Acked, Self::Plain]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// A frame that a peer did not confirm in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) to: NodeId,
    pub(crate) token: u64,
    pub(crate) frame: Arc<[u8]>,
    pub(crate) verdict: Verdict,
}

/// What became of a frame that was not confirmed in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is still being repeated.
    Late,
    /// It was given up.
    Lost { was_late: bool },
}

/// How the way to one peer is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkInfo {
    /// Frames and messages that wait to leave.
    pub queued: usize,
    /// Bytes of frames that wait or are in flight, bounded by [`Config::queue_bytes`].
    pub bytes: usize,
    /// Packets that were sent and neither confirmed nor given up.
    pub in_flight: usize,
    /// How many may be.
    pub window: u32,
    /// The smoothed round trip, once measured.
    pub rtt: Option<Duration>,
    /// Frames that were repeated and are still not confirmed.
    pub late: usize,
    /// Whether the peer answered what was sent last, or has not had the time to.
    pub responsive: bool,
}

#[derive(Debug)]
pub(crate) struct Links {
    config: Config,
    peers: NodeMap<Box<Peer>>,
    /// How many of them are no members.
    strangers: usize,
    /// The next deadline of each peer that has one.
    deadlines: BTreeSet<(Time, NodeId)>,
    /// Peers to which a packet could leave.
    ready: BTreeSet<NodeId>,
    /// New links number from here: above every number that a forgotten link has used.
    first_number: u64,
    lost: VecDeque<Lost>,
    /// The round trips of all peers together.
    rtt: Rtt,
    offsets: Offsets,
    offset: i64,
    offset_skew: i64,
    stats: LinkStats,
}

impl Links {
    pub(crate) fn new(config: &Config, seed: Seed) -> Self {
        Self {
            config: config.clone(),
            peers: NodeMap::with_hasher(seed),
            strangers: 0,
            deadlines: BTreeSet::new(),
            ready: BTreeSet::new(),
            first_number: 1,
            lost: VecDeque::new(),
            rtt: Rtt::default(),
            offsets: Offsets::default(),
            offset: 0,
            offset_skew: 0,
            stats: LinkStats::default(),
        }
    }

    pub(crate) fn stats(&self) -> &LinkStats {
        &self.stats
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(crate) fn poll_lost(&mut self) -> Option<Lost> {
        self.lost.pop_front()
    }

    pub(crate) fn rtt(&self, id: NodeId) -> Option<Duration> {
        self.peers.get(&id)?.rtt.smoothed()
    }

    /// Whether `id` answered what was sent to it last.
    pub(crate) fn is_responsive(&self, id: NodeId) -> bool {
        self.peers.get(&id).is_none_or(|peer| peer.is_responsive())
    }

    /// Bytes queued and in flight to `id`.
    pub(crate) fn queued(&self, id: NodeId) -> usize {
        self.peers.get(&id).map_or(0, |peer| peer.bytes())
    }

    pub(crate) fn info(&self, id: NodeId) -> Option<LinkInfo> {
        self.peers.get(&id).map(|peer| peer.info())
    }

    pub(crate) fn offset(&self) -> i64 {
        self.offset
    }

    /// A packet of `id` opened: whether it is new. The packet of a new life ends the old one.
    pub(crate) fn accept(
        &mut self,
        now: Time,
        (id, generation, number): (NodeId, Generation, u64),
        from: SocketAddr,
    ) -> Result<(), DropReason> {
        let peer = self.peer(id);
        match peer.generation {
            Some(known) if generation < known => return Err(DropReason::StaleGeneration),
            Some(known) if generation == known => {}
            _ => {
                let items = peer.restart(generation);
                self.file_clock(id);
                self.give_up(id, items);
            }
        }
        let peer = self.peer(id);
        if !peer.seen.accept(number) {
            return Err(DropReason::Replayed);
        }
        peer.note(now, from);
        Ok(())
    }

    /// The frames of a packet of `id` were taken in. Only then may its number be acknowledged: what comes of
    /// a peer that is down is dropped, and it has to say it again when it is back.
    pub(crate) fn took(&mut self, id: NodeId, number: u64) {
        self.peer(id).took(number);
    }

    /// The last packet of `id` asked to be acknowledged.
    pub(crate) fn acknowledge(&mut self, now: Time, id: NodeId) {
        self.peer(id).acknowledge(now);
        self.file(id);
    }

    /// An ack, time question or answer. `None` if it is malformed or makes no sense.
    pub(crate) fn handle(
        &mut self,
        now: Now,
        me: &Member,
        id: NodeId,
        kind: Kind,
        body: &[u8],
    ) -> Option<()> {
        let peer = self.peers.get_mut(&id)?;
        match kind {
            Kind::Ack => {
                let ack = Ack::take(body)?;
                // One for an earlier life of ours is fine, and says nothing.
                if ack.is_for(me.generation) {
                    peer.acked(now.mono, &ack, &self.config, &mut self.stats).then_some(())?;
                }
            }
            Kind::TimeProbe => peer.clock.asked(now, body)?,
            Kind::TimeReply => {
                let rtt = peer.clock.answered(now, body)?;
                self.sample(id, rtt);
                self.stats.offset_samples += 1;
                self.file_clock(id);
                self.measure_offset(now);
            }
            Kind::Membership | Kind::Acked | Kind::Plain => return None,
        }
        self.file(id);
        Some(())
    }

    /// A round trip that a probe measured.
    pub(crate) fn sample(&mut self, id: NodeId, rtt: Duration) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.sample(rtt, &mut self.stats);
            self.rtt.sample(rtt);
        }
    }

    /// Queues a frame that fits a packet; `false` if the peer's queue is full.
    pub(crate) fn send(&mut self, id: NodeId, kind: Kind, frame: Arc<[u8]>, token: u64) -> bool {
        self.peer(id);
        let Some(peer) = self.peers.get_mut(&id) else { return false };
        // Who has been silent for a while is not waited for once more.
        let late = kind == Kind::Acked && !peer.is_responsive();
        let mut item = Item::new(kind, Arc::clone(&frame), token);
        item.called_late = late;
        let queued = peer.push(item, &self.config);
        self.file(id);
        if late && queued {
            self.lost.push_back(Lost { to: id, token, frame, verdict: Verdict::Late });
        }
        queued
    }

    pub(crate) fn send_message(&mut self, message: Outgoing) {
        let id = message.to.id;
        self.peer(id);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if !peer.push_message(message, &self.config) {
            self.stats.messages_dropped += 1;
        }
        self.file(id);
    }

    /// `id` is a member now, so that it is never forgotten for want of room.
    pub(crate) fn member_up(&mut self, id: NodeId) {
        let was_member = core::mem::replace(&mut self.peer(id).member, true);
        self.strangers -= usize::from(!was_member);
        self.file_clock(id);
    }

    /// `id` is down: its frames are lost, and its clock does not count.
    pub(crate) fn fail(&mut self, id: NodeId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            let items = peer.fail();
            peer.clock.reset();
            self.file_clock(id);
            self.give_up(id, items);
            self.file(id);
        }
    }

    /// The membership has forgotten `id`.
    pub(crate) fn forget(&mut self, id: NodeId) {
        self.fail(id);
        if let Some(mut peer) = self.peers.remove(&id) {
            self.strangers -= usize::from(!peer.member);
            peer.forget_messages();
            self.first_number = self.first_number.max(peer.next_number);
            self.ready.remove(&id);
            if let Some(at) = peer.filed {
                self.deadlines.remove(&(at, id));
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Now) {
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > now.mono {
                break;
            }
            if let Some(peer) = self.peers.get_mut(&id) {
                let overdue = peer.expire(now.mono, &self.config);
                for Item { frame, token, .. } in overdue.late {
                    self.lost.push_back(Lost { to: id, token, frame, verdict: Verdict::Late });
                }
                self.give_up(id, overdue.lost);
            }
            self.file(id);
        }
        if clock::skew(now).abs_diff(self.offset_skew) >= SKEW_STEP {
            self.measure_offset(now);
        }
    }

    /// The next packet that could leave.
    pub(crate) fn pack(
        &mut self,
        now: Now,
        me: &Member,
        addr: impl Fn(NodeId) -> Option<SocketAddr>,
    ) -> Option<(NodeId, SocketAddr, Draft)> {
        while let Some(id) = self.ready.first().copied() {
            let packed = self.peers.get_mut(&id).and_then(|peer| {
                peer.pack(now, me, addr(id), (&self.config, &self.rtt), &mut self.stats)
            });
            if let Some((to, draft)) = packed {
                self.file(id);
                return Some((id, to, draft));
            }
            // Nowhere to send it, or nothing after all.
            self.ready.remove(&id);
        }
        None
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }

    fn peer(&mut self, id: NodeId) -> &mut Peer {
        if !self.peers.contains_key(&id) {
            self.make_room();
            self.strangers += 1;
        }
        let (config, first_number) = (&self.config, self.first_number);
        self.peers.entry(id).or_insert_with(|| Box::new(Peer::new(config, first_number)))
    }

    fn make_room(&mut self) {
        if self.strangers < MAX_STRANGERS {
            return;
        }
        let strangers = self.peers.iter().filter(|(_, peer)| !peer.member);
        let silent = strangers.min_by_key(|(id, peer)| (peer.last_heard, **id)).map(|(id, _)| *id);
        if let Some(id) = silent {
            self.forget(id);
        }
    }

    /// Keeps the two indexes right after anything changed at `id`.
    fn file(&mut self, id: NodeId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.is_ready() {
            self.ready.insert(id);
        } else {
            self.ready.remove(&id);
        }
        let deadline = peer.deadline();
        if peer.filed != deadline {
            if let Some(at) = peer.filed {
                self.deadlines.remove(&(at, id));
            }
            if let Some(at) = deadline {
                self.deadlines.insert((at, id));
            }
            peer.filed = deadline;
        }
    }

    fn give_up(&mut self, to: NodeId, items: impl IntoIterator<Item = Item>) {
        for item in items {
            self.stats.frames_lost += 1;
            let Item { frame, token, called_late: was_late, .. } = item;
            self.lost.push_back(Lost { to, token, frame, verdict: Verdict::Lost { was_late } });
        }
    }

    /// Only the live members have a say in what time it is.
    fn file_clock(&mut self, id: NodeId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let ahead = peer.clock.ahead().filter(|_| peer.member);
        if peer.counted != ahead {
            self.offsets.replace(peer.counted, ahead);
            peer.counted = ahead;
        }
    }

    fn measure_offset(&mut self, now: Now) {
        self.offset_skew = clock::skew(now);
        self.offset = self.offsets.median(now.mono, self.offset_skew);
    }
}
