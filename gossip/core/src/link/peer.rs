//! The link to one peer: what waits, what is in flight, what has arrived.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::{net::SocketAddr, time::Duration};

use super::{
    Kind, LinkInfo,
    ack::{Ack, Received},
    clock::{Ahead, Clock},
    rtt::{MAX_BACKOFF, Rtt},
};
use crate::{
    config::Config,
    identity::Generation,
    membership::{Member, Outgoing},
    packet::{Draft, FrameQueue, Framed, ReplayWindow},
    stats::LinkStats,
    time::{Now, Time},
};

/// The window of a new link, and the least that losses leave of it.
const FIRST_WINDOW: u32 = 16;
const LEAST_WINDOW: u32 = 8;
/// Membership messages that wait for a packet to one peer; beyond that the oldest is dropped.
pub(crate) const MAX_MESSAGES: usize = 64;

/// A frame that was sent this often without an answer is late: whoever sent it may want to take another
/// way, while it is still repeated here. If the peer was silent before, the first time is enough.
const LATE_AFTER: u32 = 4;

/// Acks that carry nothing else leave at most this often; what comes meanwhile shares one.
const ACK_GAP: Duration = Duration::from_millis(1);

/// Whether the peer waits for an ack.
#[derive(Clone, Copy, Debug, Default)]
struct AckDue {
    now: bool,
    /// With the next packet, or alone at this time.
    later: Option<Time>,
    alone_from: Time,
}

/// Frames whose time is over.
#[derive(Debug, Default)]
pub(crate) struct Overdue {
    /// Still being repeated.
    pub(crate) late: Vec<Item>,
    /// Given up.
    pub(crate) lost: Vec<Item>,
}

/// A frame of the upper layer.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) frame: Arc<[u8]>,
    pub(crate) token: u64,
    tries: u32,
    /// It was reported late.
    pub(crate) called_late: bool,
}

impl Item {
    pub(crate) fn new(kind: Kind, frame: Arc<[u8]>, token: u64) -> Self {
        Self { kind, frame, token, tries: 0, called_late: false }
    }
}

impl Framed for Item {
    fn kind(&self) -> u8 {
        self.kind as u8
    }
    fn body(&self) -> &[u8] {
        &self.frame
    }
}

#[derive(Debug)]
struct Flight {
    sent: Time,
    deadline: Time,
    items: Vec<Item>,
}

#[derive(Debug)]
pub(crate) struct Peer {
    /// The peer's generation, once it has sent anything.
    pub(crate) generation: Option<Generation>,
    pub(crate) seen: ReplayWindow,
    received: Received,
    ack: AckDue,
    /// Where its last packet came from: the way to answer one that is no member yet.
    pub(crate) source: Option<SocketAddr>,
    pub(crate) last_heard: Time,
    /// Known to the membership; others make room for each other.
    pub(crate) member: bool,
    pub(crate) next_number: u64,
    messages: VecDeque<Outgoing>,
    acked: FrameQueue<Item>,
    plain: FrameQueue<Item>,
    flight: BTreeMap<u64, Flight>,
    flight_bytes: usize,
    window: u32,
    pub(crate) rtt: Rtt,
    backoff: u32,
    pub(crate) clock: Clock,
    /// What of that counts for the time of all.
    pub(crate) counted: Option<Ahead>,
    /// The deadline under which this peer is filed.
    pub(crate) filed: Option<Time>,
}

impl Peer {
    pub(crate) fn new(config: &Config, next_number: u64) -> Self {
        Self {
            generation: None,
            seen: ReplayWindow::new(),
            received: Received::default(),
            ack: AckDue::default(),
            source: None,
            last_heard: Time::default(),
            member: false,
            next_number,
            messages: VecDeque::new(),
            acked: FrameQueue::new(config.mtu, config.queue_bytes),
            plain: FrameQueue::new(config.mtu, config.queue_bytes),
            flight: BTreeMap::new(),
            flight_bytes: 0,
            window: FIRST_WINDOW.min(config.window),
            rtt: Rtt::default(),
            backoff: 0,
            clock: Clock::default(),
            counted: None,
            filed: None,
        }
    }

    /// Notes a packet; only what its window let through comes here.
    pub(crate) fn note(&mut self, now: Time, from: SocketAddr) {
        self.last_heard = now;
        self.source = Some(from);
    }

    /// The frames of a packet were taken in: its number may be acknowledged.
    pub(crate) fn took(&mut self, number: u64) {
        self.received.insert(number);
    }

    /// A new life of the peer: nothing of the old one counts. Returns the frames that are lost by it.
    pub(crate) fn restart(&mut self, generation: Generation) -> Vec<Item> {
        let first = self.generation.is_none();
        self.generation = Some(generation);
        self.seen = ReplayWindow::new();
        self.received = Received::default();
        self.ack = AckDue::default();
        if first {
            return Vec::new();
        }
        self.clock.reset();
        self.backoff = 0;
        self.fail()
    }

    /// Gives up every frame.
    pub(crate) fn fail(&mut self) -> Vec<Item> {
        let flight = core::mem::take(&mut self.flight);
        self.flight_bytes = 0;
        let mut items: Vec<Item> = flight.into_values().flat_map(|flight| flight.items).collect();
        while let Some(item) = self.acked.pop() {
            items.push(item);
        }
        while self.plain.pop().is_some() {}
        items
    }

    /// Bytes queued and in flight.
    pub(crate) fn bytes(&self) -> usize {
        self.acked.bytes() + self.plain.bytes() + self.flight_bytes
    }

    /// Queues a frame whose size was checked; `false` if there is no room.
    pub(crate) fn push(&mut self, item: Item, limit: usize) -> bool {
        let room = self.bytes() + item.frame.len() <= limit;
        let queue = if item.kind == Kind::Acked { &mut self.acked } else { &mut self.plain };
        room && queue.push(item).is_ok()
    }

    /// Queues a membership message; `false` if an older one had to go.
    pub(crate) fn push_message(&mut self, message: Outgoing) -> bool {
        self.messages.push_back(message);
        let full = self.messages.len() > MAX_MESSAGES;
        if full {
            self.messages.pop_front();
        }
        !full
    }

    pub(crate) fn forget_messages(&mut self) {
        self.messages.clear();
    }

    /// What is shown of it.
    pub(crate) fn info(&self) -> LinkInfo {
        let flying = self.flight.values().flat_map(|flight| &flight.items);
        let unconfirmed = flying.chain(self.acked.iter());
        LinkInfo {
            queued: self.acked.len() + self.plain.len() + self.messages.len(),
            bytes: self.bytes(),
            in_flight: self.flight.len(),
            window: self.window,
            rtt: self.rtt.smoothed(),
            late: unconfirmed.filter(|item| item.called_late).count(),
            responsive: self.is_responsive(),
        }
    }

    /// Whether a packet could leave now.
    pub(crate) fn is_ready(&self) -> bool {
        self.ack.now
            || self.clock.replies()
            || !self.messages.is_empty()
            || !self.plain.is_empty()
            || (!self.acked.is_empty() && self.may_fly())
    }

    fn may_fly(&self) -> bool {
        u32::try_from(self.flight.len()).is_ok_and(|flying| flying < self.window)
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let flights = self.flight.values().map(|flight| flight.deadline);
        flights.chain(self.ack.later).min()
    }

    /// The last packet asked to be acknowledged: at once, or together with others that come now.
    pub(crate) fn acknowledge(&mut self, now: Time) {
        if now >= self.ack.alone_from {
            self.ack.now = true;
        } else {
            self.ack.later = Some(self.ack.alone_from);
        }
    }

    /// Fills one packet, to `addr` unless a membership message wants to go elsewhere.
    pub(crate) fn pack(
        &mut self,
        now: Now,
        me: &Member,
        addr: Option<SocketAddr>,
        (config, others): (&Config, &Rtt),
        stats: &mut LinkStats,
    ) -> Option<(SocketAddr, Draft)> {
        let message_addr = self.messages.front().map(|message| message.to.addr);
        let addr = addr.or(self.source);
        let to = message_addr.or(addr)?;
        let mut draft = Draft::new(config.mtu, me.id, me.generation, self.next_number);
        if addr == Some(to) {
            self.pack_answers(now, &mut draft);
        }
        let asks = self.pack_messages(to, &mut draft);
        if addr == Some(to) {
            if asks && self.clock.wants(now.mono, config.probe_period) {
                self.pack_question(now, &mut draft);
            }
            self.pack_frames(now, &mut draft, (config, others), stats);
        }
        if draft.is_empty() {
            return None;
        }
        self.next_number += 1;
        Some((to, draft))
    }

    fn pack_answers(&mut self, now: Now, draft: &mut Draft) {
        if self.ack.now || self.ack.later.is_some() {
            let mut body = Vec::new();
            self.received.put_ack(self.generation.unwrap_or_default(), &mut body);
            if draft.push(Kind::Ack as u8, &body) {
                self.ack = AckDue { alone_from: now.mono + ACK_GAP, ..AckDue::default() };
            }
        }
        if let Some(body) = self.clock.take_reply(now) {
            // An empty packet has room for both; if not, the peer asks again.
            let _fits = draft.push(Kind::TimeReply as u8, &body);
        }
    }

    fn pack_messages(&mut self, to: SocketAddr, draft: &mut Draft) -> bool {
        let mut asks = false;
        while let Some(message) = self.messages.front() {
            if message.to.addr != to || !draft.push(Kind::Membership as u8, &message.frame) {
                break;
            }
            asks |= message.asks;
            self.messages.pop_front();
        }
        if self.messages.is_empty() {
            // Most peers are seldom spoken to: what a thousand of them keep adds up.
            self.messages = VecDeque::new();
        }
        asks
    }

    fn pack_question(&mut self, now: Now, draft: &mut Draft) {
        if draft.fits(8) {
            let body = self.clock.ask(now);
            let _fits = draft.push(Kind::TimeProbe as u8, &body);
        }
    }

    fn pack_frames(
        &mut self,
        now: Now,
        draft: &mut Draft,
        (config, others): (&Config, &Rtt),
        stats: &mut LinkStats,
    ) {
        let mut items = Vec::new();
        if self.may_fly() {
            draft.fill(&mut [&mut self.acked], |_, item| items.push(item));
        }
        draft.fill(&mut [&mut self.plain], |_, _| {});
        if items.is_empty() {
            return;
        }
        if self.clock.wants(now.mono, config.probe_period) {
            self.pack_question(now, draft);
        }
        let tries = items.iter().map(|item| item.tries).max().unwrap_or(0);
        let repeated = items.iter().filter(|item| item.tries > 0).count() as u64;
        stats.frames_repeated += repeated;
        stats.frames_sent += items.len() as u64 - repeated;
        self.flight_bytes += items.iter().map(|item| item.frame.len()).sum::<usize>();
        let deadline = now.mono + self.rtt.timeout(self.backoff.max(tries), others, config);
        self.flight.insert(self.next_number, Flight { sent: now.mono, deadline, items });
    }

    /// Takes in an ack; `false` if it is of packets never sent.
    pub(crate) fn acked(
        &mut self,
        now: Time,
        ack: &Ack,
        config: &Config,
        stats: &mut LinkStats,
    ) -> bool {
        if ack.largest >= self.next_number {
            return false;
        }
        let covered: Vec<u64> =
            self.flight.keys().copied().filter(|number| ack.covers(*number)).collect();
        for number in covered {
            let Some(flight) = self.flight.remove(&number) else { continue };
            self.drop_bytes(&flight.items);
            stats.frames_acked += flight.items.len() as u64;
            self.window = (self.window + 1).min(config.window);
            self.backoff = 0;
            if number == ack.largest {
                self.sample(now.since(flight.sent), stats);
            }
        }
        if self.flight.is_empty() {
            // An emptied map keeps a node.
            self.flight = BTreeMap::new();
        }
        true
    }

    pub(crate) fn sample(&mut self, rtt: Duration, stats: &mut LinkStats) {
        self.rtt.sample(rtt);
        stats.rtt_samples += 1;
    }

    fn drop_bytes(&mut self, items: &[Item]) {
        self.flight_bytes -= items.iter().map(|item| item.frame.len()).sum::<usize>();
    }

    /// Whether it answered what was sent last, or has not had the time to.
    pub(crate) fn is_responsive(&self) -> bool {
        self.backoff < LATE_AFTER
    }

    /// Packets whose time is over: their frames wait again, or are lost.
    pub(crate) fn expire(&mut self, now: Time, config: &Config) -> Overdue {
        if self.ack.later.take_if(|at| *at <= now).is_some() {
            self.ack.now = true;
        }
        let over: Vec<u64> = self
            .flight
            .iter()
            .filter(|(_, flight)| flight.deadline <= now)
            .map(|(number, _)| *number)
            .collect();
        if !over.is_empty() {
            self.backoff = (self.backoff + 1).min(MAX_BACKOFF);
            self.window = (self.window / 2).max(LEAST_WINDOW).min(config.window);
        }
        let mut overdue = Overdue::default();
        // The last first, so that the oldest ends up in front.
        for number in over.into_iter().rev() {
            let Some(flight) = self.flight.remove(&number) else { continue };
            self.drop_bytes(&flight.items);
            for mut item in flight.items.into_iter().rev() {
                item.tries += 1;
                if item.tries > config.max_retries {
                    overdue.lost.push(item);
                } else {
                    if !item.called_late && item.tries.max(self.backoff) >= LATE_AFTER {
                        item.called_late = true;
                        overdue.late.push(item.clone());
                    }
                    self.acked.requeue(item);
                }
            }
        }
        overdue.late.reverse();
        overdue.lost.reverse();
        overdue
    }
}
