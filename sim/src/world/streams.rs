//! The stream model: one reliable, ordered connection per pair of hosts, opened on demand.
//!
//! A message is delivered at most once. TCP is modelled by its effects: round trips to open, a congestion
//! window that grows, retransmission after a loss or a short cut, giving up after a long one. When messages
//! may be lost their sender is told, once per break.

use std::{collections::BTreeMap, collections::VecDeque, time::Duration};

use netdb_gossip_core::time::{Time, micros};

use super::{
    fabric::{Fabric, Happening},
    machine::{Delivery, Power},
};

/// Round trips from the first packet to the first message: TCP, Noise XX, and the peer's word that we are
/// admitted. One passes before the other host decides, the rest after.
const SETUP_ROUND_TRIPS: u32 = 3;
/// A connection that does not open in this time has failed.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection on which nothing is confirmed for this long has failed.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(30);
/// A connection that carried nothing for this long is closed.
pub(crate) const IDLE: Duration = Duration::from_secs(30);
/// Messages that may wait for one peer.
pub(crate) const QUEUE_MESSAGES: usize = 16;
/// Bytes that may wait for one peer.
pub(crate) const QUEUE_BYTES: usize = 4 << 20;

/// Payload of a TCP segment, and what is around it.
const SEGMENT: usize = 1400;
const SEGMENT_OVERHEAD: usize = 66;
/// TCP's first congestion window and the largest one that we let it reach.
const FIRST_WINDOW: usize = 10 * SEGMENT;
const LARGEST_WINDOW: usize = 4 << 20;
/// TCP's shortest retransmission timeout (Linux).
const RETRANSMIT: Duration = Duration::from_millis(200);
const LONGEST_RETRANSMIT: Duration = Duration::from_millis(6_400);
/// How often a host that answers nothing is dialled again.
const DIAL_AGAIN: Duration = Duration::from_millis(500);

/// Two hosts, the lower index first.
pub(crate) type Pair = (usize, usize);

struct Message {
    bytes: Vec<u8>,
    sent: Time,
    /// When the last byte has left the sender.
    left: Time,
    arrives: Time,
}

#[derive(Default)]
struct Side {
    /// Waiting for the connection, then under way, in order.
    messages: VecDeque<Message>,
    last_arrival: Time,
}

struct Connection {
    id: u64,
    /// Which side dialled.
    dialler: usize,
    open: bool,
    /// The lives of both hosts that this connection belongs to.
    lives: [u32; 2],
    sides: [Side; 2],
    window: usize,
    used: Time,
}

/// All connections.
#[derive(Default)]
pub(crate) struct Streams {
    connections: BTreeMap<Pair, Connection>,
    next: u64,
}

fn pair(one: usize, other: usize) -> (Pair, usize) {
    if one < other { ((one, other), 0) } else { ((other, one), 1) }
}

/// The host that sends on this side of the connection, and the one that receives.
fn ends(pair: Pair, side: usize) -> (usize, usize) {
    if side == 0 { (pair.0, pair.1) } else { (pair.1, pair.0) }
}

impl Connection {
    fn side(&mut self, side: usize) -> &mut Side {
        let [low, high] = &mut self.sides;
        if side == 0 { low } else { high }
    }

    fn life(&self, side: usize) -> u32 {
        let [low, high] = self.lives;
        if side == 0 { low } else { high }
    }
}

impl Fabric {
    fn life(&self, host: usize) -> u32 {
        self.machines.get(host).map_or(0, |machine| machine.life)
    }

    fn answers(&self, one: usize, other: usize) -> bool {
        self.cuts.passes(one, other) && self.cuts.passes(other, one)
    }

    /// Sends a message on the stream to another host.
    pub fn send_stream(&mut self, from: usize, to: usize, message: Vec<u8>) {
        let now = self.now();
        if from == to || to >= self.machines.len() {
            return self.tell_failed(from, self.life(from), to, Duration::ZERO);
        }
        let (pair, side) = pair(from, to);
        let lives = [self.life(pair.0), self.life(pair.1)];
        if let Some(old) = self.streams.connections.get(&pair) {
            let idle = old.open && now.since(old.used) > IDLE;
            let ours = if side == 0 { old.lives[0] == lives[0] } else { old.lives[1] == lives[1] };
            if idle || !ours {
                self.break_stream(pair, old.id, Duration::ZERO);
            }
        }
        if !self.streams.connections.contains_key(&pair) {
            self.open_stream(pair, side, lives);
        }
        let Some(connection) = self.streams.connections.get_mut(&pair) else { return };
        let waiting = connection.side(side).messages.iter().filter(|queued| queued.left > now);
        let (count, bytes) = waiting.fold((0, 0), |(n, b), queued| (n + 1, b + queued.bytes.len()));
        if count >= QUEUE_MESSAGES || bytes + message.len() > QUEUE_BYTES {
            return self.tell_failed(from, self.life(from), to, Duration::ZERO);
        }
        let never = Time(u64::MAX);
        let queued = Message { bytes: message, sent: now, left: never, arrives: never };
        connection.side(side).messages.push_back(queued);
        if connection.open {
            self.transmit(pair, side);
        }
    }

    fn open_stream(&mut self, pair: Pair, dialler: usize, lives: [u32; 2]) {
        let now = self.now();
        self.streams.next += 1;
        let id = self.streams.next;
        let sides = [Side::default(), Side::default()];
        let connection =
            Connection { id, dialler, open: false, lives, sides, window: FIRST_WINDOW, used: now };
        self.streams.connections.insert(pair, connection);
        let at = now + self.topology.round_trip(pair.0, pair.1);
        self.queue.push(at, Happening::Dial { pair, id, since: now });
    }

    /// An attempt to connect has had its first round trip.
    pub(crate) fn dial(&mut self, pair: Pair, id: u64, since: Time) -> Option<(usize, Delivery)> {
        let now = self.now();
        let connection = self.streams.connections.get_mut(&pair).filter(|c| c.id == id)?;
        let (from, to) = ends(pair, connection.dialler);
        let to_side = 1 - connection.dialler;
        let machine = self.machines.get(to)?;
        let (power, life) = (machine.power, machine.life);
        let late = machine.slow.as_ref().is_some_and(|slow| slow.behind() > CONNECT_TIMEOUT);
        let paused = machine.paused.is_some() || late;
        let reached = self.cuts.passes(from, to) && self.cuts.passes(to, from);
        let reached = reached && self.weather.takes_calls(to);
        match power {
            Power::Dead if reached => self.break_stream(pair, id, Duration::ZERO),
            Power::Up if reached && !paused => {
                if let Some(entry) = connection.lives.get_mut(to_side) {
                    *entry = life;
                }
                return Some((to, Delivery::Dialled { from, connection: id }));
            }
            _ if now.since(since) >= CONNECT_TIMEOUT => self.break_stream(pair, id, Duration::ZERO),
            _ => self.queue.push(now + DIAL_AGAIN, Happening::Dial { pair, id, since }),
        }
        None
    }

    /// The answer to [`Delivery::Dialled`]: whether the dialled host admits the other.
    pub fn answer(&mut self, to: usize, from: usize, connection: u64, admitted: bool) {
        let (pair, _) = pair(from, to);
        let trips = SETUP_ROUND_TRIPS - 1;
        let delay = self.topology.round_trip(from, to) * trips;
        if admitted {
            let opened = Happening::Opened { pair, id: connection };
            self.queue.push(self.now() + delay, opened);
        } else {
            self.break_stream(pair, connection, delay);
        }
    }

    pub(crate) fn opened(&mut self, pair: Pair, id: u64) {
        let now = self.now();
        let Some(connection) = self.streams.connections.get_mut(&pair) else { return };
        if connection.id == id {
            connection.open = true;
            connection.used = now;
            self.transmit(pair, 0);
            self.transmit(pair, 1);
        }
    }

    /// Puts every message of one side that has not left yet on the wire.
    fn transmit(&mut self, pair: Pair, side: usize) {
        let now = self.now();
        let (from, to) = ends(pair, side);
        let round_trip = self.topology.round_trip(from, to);
        let link = self.topology.link(from, to).clone();
        let loss = link.loss.max(self.weather.loss(now, from, to));
        let held = self.weather.held_until(now, from, to).unwrap_or_default();
        let Some(connection) = self.streams.connections.get_mut(&pair) else { return };
        connection.used = now;
        let id = connection.id;
        let mut window = connection.window;
        let Side { messages, last_arrival } = connection.side(side);
        for message in messages.iter_mut().filter(|message| message.left == Time(u64::MAX)) {
            let length = message.bytes.len();
            let wire = length + length.div_ceil(SEGMENT).max(1) * SEGMENT_OVERHEAD;
            let Some(receiver) = self.machines.get_mut(to) else { return };
            let taken_in = receiver.into.stream(&self.rate, now, wire);
            let Some(sender) = self.machines.get_mut(from) else { return };
            sender.traffic.messages += 1;
            sender.traffic.stream_bytes += wire as u64;
            message.left = sender.out.stream(&self.rate, now, wire);
            let mut extra = link.latency.draw(&mut sender.draws);
            let mut sent = window;
            while sent < length {
                window = (window * 2).min(LARGEST_WINDOW);
                sent += window;
                extra += round_trip;
            }
            let mut wait = RETRANSMIT.max(round_trip * 2);
            while loss > 0 && sender.draws.chance(loss) && wait < GIVE_UP {
                extra += wait;
                wait *= 2;
            }
            extra += slowed_by_loss(length, loss, round_trip);
            message.arrives = (message.left.max(taken_in) + extra).max(held).max(*last_arrival);
            *last_arrival = message.arrives;
            let arrive = Happening::Arrive { pair, id, side, attempt: 0 };
            self.queue.push(message.arrives, arrive);
        }
        connection.window = window;
    }

    /// The first message of a side is due.
    pub(crate) fn arrive(
        &mut self,
        pair: Pair,
        id: u64,
        side: usize,
        attempt: u32,
    ) -> Option<(usize, Delivery)> {
        let now = self.now();
        let (from, to) = ends(pair, side);
        let reached = self.answers(from, to);
        let (power, life) = self.machines.get(to).map(|m| (m.power, m.life))?;
        let connection = self.streams.connections.get_mut(&pair).filter(|c| c.id == id)?;
        let meant = connection.life(1 - side);
        let queue = &mut connection.side(side).messages;
        let first = queue.front().filter(|message| message.arrives <= now)?;
        if reached && power == Power::Up && life == meant {
            connection.used = now;
            let message = connection.side(side).messages.pop_front()?.bytes;
            if connection.side(side).messages.front().is_some_and(|next| next.arrives <= now) {
                self.queue.push(now, Happening::Arrive { pair, id, side, attempt: 0 });
            }
            return Some((to, Delivery::Stream { from, message }));
        }
        let refused = reached && power != Power::Off;
        if refused || now.since(first.sent) >= GIVE_UP {
            self.break_stream(pair, id, Duration::ZERO);
        } else {
            let wait = (RETRANSMIT * (1 << attempt.min(6))).min(LONGEST_RETRANSMIT);
            let again = Happening::Arrive { pair, id, side, attempt: attempt + 1 };
            self.queue.push(now + wait, again);
        }
        None
    }

    /// A connection ends; whoever had messages under way is told after `delay`.
    pub(crate) fn break_stream(&mut self, pair: Pair, id: u64, delay: Duration) {
        if self.streams.connections.get(&pair).is_none_or(|connection| connection.id != id) {
            return;
        }
        let Some(mut connection) = self.streams.connections.remove(&pair) else { return };
        for side in [0, 1] {
            if !connection.side(side).messages.is_empty() {
                let (from, to) = ends(pair, side);
                self.tell_failed(from, connection.life(side), to, delay);
            }
        }
    }

    /// One host cuts its connection to another.
    pub fn disconnect(&mut self, host: usize, other: usize) {
        let (pair, _) = pair(host, other);
        if let Some(id) = self.streams.connections.get(&pair).map(|connection| connection.id) {
            self.break_stream(pair, id, Duration::ZERO);
        }
    }

    fn tell_failed(&mut self, host: usize, life: u32, to: usize, delay: Duration) {
        self.queue.push(self.now() + delay, Happening::StreamFailed { host, life, to });
    }

    /// The process of `host` is gone and its kernel closes its connections.
    pub(crate) fn reset_streams(&mut self, host: usize) {
        let now = self.now();
        let of_host: Vec<(Pair, u64)> = self
            .streams
            .connections
            .iter()
            .filter(|(pair, _)| pair.0 == host || pair.1 == host)
            .map(|(pair, connection)| (*pair, connection.id))
            .collect();
        for (pair, id) in of_host {
            let other = if pair.0 == host { pair.1 } else { pair.0 };
            if self.answers(host, other) {
                let at = now + self.topology.link(host, other).latency.typical();
                self.queue.push(at, Happening::Reset { pair, id });
            }
        }
    }
}

/// What random loss costs a long transfer: TCP's rate is about 1.22 segments per round trip and root of
/// the loss (Mathis et al., 1997).
fn slowed_by_loss(length: usize, loss: u32, round_trip: Duration) -> Duration {
    if loss == 0 || length <= SEGMENT {
        return Duration::ZERO;
    }
    let segments = length.div_ceil(SEGMENT) as u64;
    let root = u64::from(loss).isqrt();
    Duration::from_micros(segments * micros(round_trip) * root / 1_220)
}
