//! The link to one peer: what waits, what is in flight, what has arrived.

use alloc::{boxed::Box, vec::Vec};
use core::{net::SocketAddr, time::Duration};

pub(crate) use super::traffic::Item;
use super::{
    Kind, LinkInfo,
    ack::{Ack, Received},
    clock::{Ahead, Clock},
    rtt::{MAX_BACKOFF, Rtt},
    traffic::{Flight, Traffic},
};
use crate::{
    config::Config,
    identity::Generation,
    membership::{Member, Outgoing},
    packet::{Draft, ReplayWindow},
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
    /// What waits and what is on its way, while there is any.
    traffic: Option<Box<Traffic>>,
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
            traffic: None,
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
        let items = self.traffic.as_mut().map(|traffic| traffic.fail()).unwrap_or_default();
        self.tidy();
        items
    }

    /// Bytes queued and in flight.
    pub(crate) fn bytes(&self) -> usize {
        self.traffic.as_ref().map_or(0, |traffic| traffic.bytes())
    }

    fn traffic(&mut self, config: &Config) -> &mut Traffic {
        self.traffic.get_or_insert_with(|| Box::new(Traffic::new(config)))
    }

    /// Keeps nothing for traffic that is over.
    fn tidy(&mut self) {
        self.traffic.take_if(|traffic| traffic.is_empty());
    }

    /// Queues a frame whose size was checked; `false` if there is no room.
    pub(crate) fn push(&mut self, item: Item, config: &Config) -> bool {
        let queued = self.traffic(config).push(item, config.queue_bytes);
        self.tidy();
        queued
    }

    /// Queues a membership message; `false` if an older one had to go.
    pub(crate) fn push_message(&mut self, message: Outgoing, config: &Config) -> bool {
        let messages = &mut self.traffic(config).messages;
        messages.push_back(message);
        let full = messages.len() > MAX_MESSAGES;
        if full {
            messages.pop_front();
        }
        !full
    }

    pub(crate) fn forget_messages(&mut self) {
        if let Some(traffic) = &mut self.traffic {
            traffic.messages.clear();
        }
        self.tidy();
    }

    /// What is shown of it.
    pub(crate) fn info(&self) -> LinkInfo {
        let traffic = self.traffic.as_ref();
        LinkInfo {
            queued: traffic.map_or(0, |traffic| traffic.queued()),
            bytes: self.bytes(),
            in_flight: traffic.map_or(0, |traffic| traffic.flight.len()),
            window: self.window,
            rtt: self.rtt.smoothed(),
            late: traffic
                .map_or(0, |traffic| traffic.unconfirmed().filter(|item| item.called_late).count()),
            responsive: self.is_responsive(),
        }
    }

    /// Whether a packet could leave now.
    pub(crate) fn is_ready(&self) -> bool {
        let waits = |traffic: &Traffic| {
            !traffic.messages.is_empty()
                || !traffic.plain.is_empty()
                || (!traffic.acked.is_empty() && traffic.may_fly(self.window))
        };
        self.ack.now || self.clock.replies() || self.traffic.as_ref().is_some_and(|t| waits(t))
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let flights = self.traffic.iter().flat_map(|traffic| traffic.flight.values());
        flights.map(|flight| flight.deadline).chain(self.ack.later).min()
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
        let first = self.traffic.as_ref().and_then(|traffic| traffic.messages.front());
        let message_addr = first.map(|message| message.to.addr);
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
        self.tidy();
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
        let Some(traffic) = &mut self.traffic else { return asks };
        while let Some(message) = traffic.messages.front() {
            if message.to.addr != to || !draft.push(Kind::Membership as u8, &message.frame) {
                break;
            }
            asks |= message.asks;
            traffic.messages.pop_front();
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
        let Some(traffic) = &mut self.traffic else { return };
        if traffic.may_fly(self.window) {
            draft.fill(&mut [&mut traffic.acked], |_, item| items.push(item));
        }
        draft.fill(&mut [&mut traffic.plain], |_, _| {});
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
        let deadline = now.mono + self.rtt.timeout(self.backoff.max(tries), others, config);
        let flight = Flight { sent: now.mono, deadline, items };
        let number = self.next_number;
        self.traffic(config).takes_off(number, flight);
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
        let flying = self.traffic.iter().flat_map(|traffic| traffic.flight.keys());
        let covered: Vec<u64> = flying.copied().filter(|number| ack.covers(*number)).collect();
        for number in covered {
            let landed = self.traffic.as_mut().and_then(|traffic| traffic.lands(number));
            let Some(flight) = landed else { continue };
            stats.frames_acked += flight.items.len() as u64;
            self.window = (self.window + 1).min(config.window);
            self.backoff = 0;
            if number == ack.largest {
                self.sample(now.since(flight.sent), stats);
            }
        }
        self.tidy();
        true
    }

    pub(crate) fn sample(&mut self, rtt: Duration, stats: &mut LinkStats) {
        self.rtt.sample(rtt);
        stats.rtt_samples += 1;
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
        let mut overdue = Overdue::default();
        let Some(traffic) = &mut self.traffic else { return overdue };
        let late = traffic.flight.iter().filter(|(_, flight)| flight.deadline <= now);
        let over: Vec<u64> = late.map(|(number, _)| *number).collect();
        if !over.is_empty() {
            self.backoff = (self.backoff + 1).min(MAX_BACKOFF);
            self.window = (self.window / 2).max(LEAST_WINDOW).min(config.window);
        }
        // The last first, so that the oldest ends up in front.
        for number in over.into_iter().rev() {
            let Some(flight) = traffic.lands(number) else { continue };
            for mut item in flight.items.into_iter().rev() {
                item.tries += 1;
                if item.tries > config.max_retries {
                    overdue.lost.push(item);
                } else {
                    if !item.called_late && item.tries.max(self.backoff) >= LATE_AFTER {
                        item.called_late = true;
                        overdue.late.push(item.clone());
                    }
                    traffic.acked.requeue(item);
                }
            }
        }
        self.tidy();
        overdue.late.reverse();
        overdue.lost.reverse();
        overdue
    }
}
