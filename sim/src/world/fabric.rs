//! Everything around the processes: the queue of events, the network, streams, disks, clocks, pauses.
//!
//! Knows no node: [`Fabric::next`] says what reaches which process, and the world calls it. So each part is
//! tested with processes of a few lines.

use std::{collections::BTreeMap, collections::VecDeque, net::SocketAddr, time::Duration};

use netdb_core::node::DiskOp;
use netdb_gossip_core::time::{Now, Time};

use super::{
    cuts::Cuts,
    disk::Content,
    link::{Link, Topology},
    machine::{Delivery, Machine, Paused, Power, Slow, Traffic},
    port::{Passage, Rate},
    queue::Queue,
    streams::{Pair, Streams},
    weather::Weather,
};
use crate::{seed::Seed, trace::Trace};

/// Bytes of IP and UDP headers, counted in traffic and against the MTU.
pub const HEADERS: usize = 28;

/// What the queue holds.
pub(crate) enum Happening {
    /// A datagram reaches the port of its receiver.
    Datagram { to: usize, from: usize, bytes: Vec<u8> },
    /// It has passed the port.
    Passed { to: usize, from: usize, bytes: Vec<u8> },
    /// A group of commits is durable.
    Written { host: usize, life: u32 },
    /// A process may want to be called.
    Timer { host: usize, life: u32 },
    /// A pause ends.
    Resume { host: usize, until: Time },
    /// A slow process is done with what it did last.
    Done { host: usize, life: u32 },
    /// An attempt to open a connection reaches the other host.
    Dial { pair: Pair, id: u64, since: Time },
    /// A connection is ready for messages.
    Opened { pair: Pair, id: u64 },
    /// The next message of a connection is due.
    Arrive { pair: Pair, id: u64, side: usize, attempt: u32 },
    /// A connection ends because one end is gone.
    Reset { pair: Pair, id: u64 },
    /// A process learns that messages may be lost.
    StreamFailed { host: usize, life: u32, to: usize },
    /// Something that the script planned.
    Action(u64),
}

/// The world without its processes.
pub struct Fabric {
    seed: Seed,
    now: Time,
    pub(crate) queue: Queue<Happening>,
    ready: VecDeque<(usize, Delivery)>,
    pub(crate) machines: Vec<Machine>,
    by_addr: BTreeMap<SocketAddr, usize>,
    pub(crate) streams: Streams,
    /// The links.
    pub topology: Topology,
    /// The port of every host.
    pub rate: Rate,
    /// What is cut.
    pub cuts: Cuts,
    /// What else the links suffer.
    pub weather: Weather,
    /// What happened.
    pub trace: Trace,
    /// Events handled.
    pub handled: u64,
}

impl Fabric {
    /// A network without hosts.
    pub fn new(seed: Seed, link: Link, rate: Rate) -> Self {
        Self {
            seed,
            now: Time(0),
            queue: Queue::default(),
            ready: VecDeque::new(),
            machines: Vec::new(),
            by_addr: BTreeMap::new(),
            streams: Streams::default(),
            topology: Topology::uniform(link),
            rate,
            cuts: Cuts::default(),
            weather: Weather::new(seed),
            trace: Trace::default(),
            handled: 0,
        }
    }

    /// Adds a host, its process not running; returns its index.
    pub fn add(&mut self, addr: SocketAddr) -> usize {
        let index = self.machines.len();
        self.machines.push(Machine::new(self.seed, index, addr));
        self.by_addr.insert(addr, index);
        index
    }

    /// True time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// What the clocks of a host show.
    pub fn clocks(&self, host: usize) -> Now {
        self.machines.get(host).map_or_else(Now::default, |machine| machine.clock.read(self.now))
    }

    /// What a host sent so far.
    pub fn traffic(&self, host: usize) -> Traffic {
        self.machines.get(host).map_or_else(Traffic::default, |machine| machine.traffic)
    }

    /// Whether a host's process runs (it may be paused).
    pub fn is_up(&self, host: usize) -> bool {
        self.machines.get(host).is_some_and(|machine| machine.power == Power::Up)
    }

    /// Whether a host's process is paused.
    pub fn is_paused(&self, host: usize) -> bool {
        self.machines.get(host).is_some_and(|machine| machine.paused.is_some())
    }

    /// Whether any host's process is slow.
    pub fn any_slow(&self) -> bool {
        self.machines.iter().any(|machine| machine.slow.is_some())
    }

    /// A host's process starts.
    pub fn start(&mut self, host: usize) {
        if let Some(machine) = self.machines.get_mut(host) {
            machine.power = Power::Up;
            machine.life += 1;
            machine.timer = super::machine::Timer::default();
            machine.paused = None;
            machine.slow = None;
        }
    }

    /// A host's process ends. In good order its commits are written and the streams' messages that were
    /// sent still arrive; else the disk loses what is not durable and the streams break.
    pub fn stop(&mut self, host: usize, power: Power, orderly: bool) {
        let Some(machine) = self.machines.get_mut(host) else { return };
        if machine.power == Power::Up {
            if orderly {
                machine.disk.flush();
            } else {
                machine.disk.crash();
            }
            machine.life += 1;
        }
        machine.power = power;
        machine.paused = None;
        machine.slow = None;
        self.ready.retain(|(to, _)| *to != host);
        if power == Power::Dead {
            self.reset_streams(host);
        }
    }

    /// A host's process does not run for a while; what reaches it waits.
    pub fn pause(&mut self, host: usize, span: Duration) {
        let until = self.now + span;
        let Some(machine) = self.machines.get_mut(host) else { return };
        if machine.power != Power::Up {
            return;
        }
        let paused = machine.paused.get_or_insert_with(Paused::default);
        paused.until = paused.until.max(until);
        let until = paused.until;
        self.queue.push(until, Happening::Resume { host, until });
    }

    /// Whatever a host's process does takes so long from now on; zero is at once.
    pub fn slow_down(&mut self, host: usize, each: Duration) {
        let Some(machine) = self.machines.get_mut(host) else { return };
        let before = machine.slow.take();
        if machine.power != Power::Up {
            return;
        }
        if !each.is_zero() {
            machine.slow = Some(Slow { each, ..before.unwrap_or_default() });
        } else if let Some(slow) = before {
            self.catch_up(host, slow.waiting);
        }
    }

    /// Sends a datagram.
    pub fn send(&mut self, from: usize, to: SocketAddr, bytes: Vec<u8>) {
        let Some(sender) = self.machines.get_mut(from) else { return };
        sender.traffic.datagrams += 1;
        sender.traffic.datagram_bytes += (bytes.len() + HEADERS) as u64;
        let passage = sender.out.datagram(&self.rate, self.now, bytes.len());
        let link_to = self.by_addr.get(&to).copied().filter(|to| self.cuts.passes(from, *to));
        let (Some(to), Passage::At(left)) = (link_to, passage) else {
            return self.lost(from);
        };
        self.weather.speaks(self.now, from, to);
        let link = self.topology.link(from, to);
        let loss = link.loss.max(self.weather.loss(self.now, from, to));
        let draws = &mut sender.draws;
        if bytes.len() + HEADERS > link.mtu || draws.chance(loss) {
            return self.lost(from);
        }
        let mut arrives = left + link.latency.draw(draws);
        match self.weather.hold(self.now, from, to, bytes.len()) {
            Ok(held) => arrives = arrives.max(held.unwrap_or_default()),
            Err(()) => return self.lost(from),
        }
        if draws.chance(link.reorder) {
            let most = u64::try_from(link.reorder_by.as_micros()).unwrap_or(u64::MAX);
            arrives += Duration::from_micros(draws.between(1, most));
        }
        if draws.chance(link.duplicate) {
            let again = left + link.latency.draw(draws) * 2;
            let bytes = bytes.clone();
            self.queue.push(again, Happening::Datagram { to, from, bytes });
        }
        self.queue.push(arrives, Happening::Datagram { to, from, bytes });
    }

    /// Sends a datagram of which it is known that it is lost.
    pub fn send_lost(&mut self, from: usize, len: usize) {
        let Some(sender) = self.machines.get_mut(from) else { return };
        sender.traffic.datagrams += 1;
        sender.traffic.datagram_bytes += (len + HEADERS) as u64;
        sender.out.datagram(&self.rate, self.now, len);
        self.lost(from);
    }

    fn lost(&mut self, from: usize) {
        self.trace.event(self.now, "lost", from, 0, &[]);
        if let Some(sender) = self.machines.get_mut(from) {
            sender.traffic.lost += 1;
        }
    }

    /// Puts changes on a host's disk.
    pub fn commit(&mut self, host: usize, id: u64, ops: Vec<DiskOp>) {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(host) else { return };
        if let Some(due) = machine.disk.commit(now, id, ops) {
            self.queue.push(due, Happening::Written { host, life: machine.life });
        }
    }

    /// A host's disk is full, or has room again.
    pub fn stall_disk(&mut self, host: usize, stalled: bool) {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(host) else { return };
        if let Some(due) = machine.disk.stall(now, stalled) {
            self.queue.push(due, Happening::Written { host, life: machine.life });
        }
    }

    /// What is durable on a host's disk.
    pub fn disk(&self, host: usize) -> Content {
        self.machines.get(host).map(|machine| machine.disk.content().clone()).unwrap_or_default()
    }

    /// Whether a host's disk has not written everything yet.
    pub fn disk_is_behind(&self, host: usize) -> bool {
        self.machines.get(host).is_some_and(|machine| machine.disk.is_behind())
    }

    /// Writes to the disk of a host that does not run.
    pub fn write_disk(&mut self, host: usize, ops: Vec<DiskOp>) {
        if let Some(machine) = self.machines.get_mut(host) {
            machine.disk.write_now(ops);
        }
    }

    /// Puts another content on the disk of a host that does not run.
    pub fn replace_disk(&mut self, host: usize, content: Content) {
        if let Some(machine) = self.machines.get_mut(host) {
            machine.disk.replace(content);
        }
    }

    /// The host at an address.
    pub fn host_at(&self, addr: SocketAddr) -> Option<usize> {
        self.by_addr.get(&addr).copied()
    }

    /// A host's wall clock is set.
    pub fn jump_clock(&mut self, host: usize, by: Duration, back: bool) {
        if let Some(machine) = self.machines.get_mut(host) {
            machine.clock.jump(by, back);
        }
    }

    /// A host's clocks run fast or slow from now on. Set its timer again afterwards.
    pub fn drift_clock(&mut self, host: usize, ppm: i32) {
        let now = self.now;
        if let Some(machine) = self.machines.get_mut(host) {
            machine.clock.drift(now, ppm);
        }
    }

    /// A process asks to be called when its monotonic clock shows `due`.
    pub fn set_timer(&mut self, host: usize, due: Option<Time>) {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(host) else { return };
        machine.timer.due = due.map(|due| machine.clock.when(due).max(now));
        let Some(due) = machine.timer.due else { return };
        // A queued event that comes earlier than needed arms itself again, so moving a deadline back
        // costs nothing.
        if machine.timer.queued.is_none_or(|queued| queued > due) {
            machine.timer.queued = Some(due);
            self.queue.push(due, Happening::Timer { host, life: machine.life });
        }
    }

    /// Plans an action of the script.
    pub fn plan(&mut self, at: Time, action: u64) {
        self.queue.push(at.max(self.now), Happening::Action(action));
    }

    /// What reaches a process next, up to and including `limit`; then time is `limit`.
    pub fn next(&mut self, limit: Time) -> Option<(usize, Delivery)> {
        loop {
            if let Some(ready) = self.ready.pop_front() {
                return Some(self.deliver(ready));
            }
            let Some((at, happening)) = self.queue.pop_until(limit) else {
                self.now = self.now.max(limit);
                return None;
            };
            self.now = self.now.max(at);
            self.handled += 1;
            if let Some((host, delivery)) = self.happen(happening)
                && let Some(delivery) = self.unless_paused(host, delivery)
            {
                return Some(self.deliver((host, delivery)));
            }
        }
    }

    fn deliver(&mut self, (host, delivery): (usize, Delivery)) -> (usize, Delivery) {
        let (what, other, bytes): (_, u64, &[u8]) = match &delivery {
            Delivery::Datagram { from, bytes, .. } => ("packet", *from as u64, bytes),
            Delivery::Stream { from, message } => ("stream", *from as u64, message),
            Delivery::StreamFailed { to } => ("broken", *to as u64, &[]),
            Delivery::Dialled { from, .. } => ("dialled", *from as u64, &[]),
            Delivery::Committed(ids) => ("durable", ids.last().copied().unwrap_or(0), &[]),
            Delivery::Timer => ("timer", 0, &[]),
            Delivery::Action(id) => ("action", *id, &[]),
        };
        self.trace.event(self.now, what, host, other, bytes);
        (host, delivery)
    }

    fn unless_paused(&mut self, host: usize, delivery: Delivery) -> Option<Delivery> {
        let planned = matches!(delivery, Delivery::Action(_));
        match self.machines.get_mut(host).and_then(|machine| machine.paused.as_mut()) {
            Some(paused) if !planned => {
                if !paused.keep(delivery) {
                    self.trace.event(self.now, "overflow", host, 0, &[]);
                }
                None
            }
            _ if planned => Some(delivery),
            _ => self.unless_busy(host, delivery),
        }
    }

    fn unless_busy(&mut self, host: usize, delivery: Delivery) -> Option<Delivery> {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(host) else { return Some(delivery) };
        let Some(slow) = machine.slow.as_mut() else { return Some(delivery) };
        if slow.busy {
            if !slow.waiting.keep(delivery) {
                self.trace.event(now, "overflow", host, 0, &[]);
            }
            return None;
        }
        slow.busy = true;
        self.queue.push(now + slow.each, Happening::Done { host, life: machine.life });
        Some(delivery)
    }

    /// A slow process is done with one thing: it takes the next that waits, in order, then its timer.
    fn done(&mut self, host: usize, life: u32) -> Option<(usize, Delivery)> {
        let machine = self.machines.get_mut(host)?;
        if machine.life != life {
            return None;
        }
        let slow = machine.slow.as_mut()?;
        slow.busy = false;
        if machine.paused.is_some() {
            // It goes on with this when the pause ends.
            return None;
        }
        let next = slow.waiting.take()?;
        Some((host, next))
    }

    fn happen(&mut self, happening: Happening) -> Option<(usize, Delivery)> {
        match happening {
            Happening::Datagram { to, from, bytes } => self.at_port(to, from, bytes),
            Happening::Passed { to, from, bytes } => self.datagram(to, from, bytes),
            Happening::Written { host, life } => self.written(host, life),
            Happening::Timer { host, life } => self.timer(host, life),
            Happening::Resume { host, until } => {
                self.resume(host, until);
                None
            }
            Happening::Done { host, life } => self.done(host, life),
            Happening::Dial { pair, id, since } => self.dial(pair, id, since),
            Happening::Opened { pair, id } => {
                self.opened(pair, id);
                None
            }
            Happening::Arrive { pair, id, side, attempt } => self.arrive(pair, id, side, attempt),
            Happening::Reset { pair, id } => {
                self.break_stream(pair, id, Duration::ZERO);
                None
            }
            Happening::StreamFailed { host, life, to } => {
                let machine = self.machines.get(host)?;
                (machine.life == life).then_some((host, Delivery::StreamFailed { to }))
            }
            Happening::Action(id) => Some((0, Delivery::Action(id))),
        }
    }

    fn at_port(&mut self, to: usize, from: usize, bytes: Vec<u8>) -> Option<(usize, Delivery)> {
        // Checked again: a cut also takes what is under way.
        if !self.cuts.passes(from, to) || !self.weather.lets_in(self.now, from, to) {
            self.lost(from);
            return None;
        }
        let receiver = self.machines.get_mut(to)?;
        let takes = self.rate.takes(bytes.len());
        match receiver.into.datagram(&self.rate, self.now, bytes.len()) {
            // Nothing was waiting: its time on the wire is in the sender's port already.
            Passage::At(passed) if passed <= self.now + takes + Duration::from_micros(1) => {
                self.datagram(to, from, bytes)
            }
            Passage::At(passed) => {
                self.queue.push(passed, Happening::Passed { to, from, bytes });
                None
            }
            Passage::Full => {
                self.lost(from);
                None
            }
        }
    }

    fn datagram(&mut self, to: usize, from: usize, bytes: Vec<u8>) -> Option<(usize, Delivery)> {
        if !self.is_up(to) {
            self.lost(from);
            return None;
        }
        let addr = self.machines.get(from)?.addr;
        Some((to, Delivery::Datagram { from, addr, bytes }))
    }

    fn written(&mut self, host: usize, life: u32) -> Option<(usize, Delivery)> {
        let now = self.now;
        let machine = self.machines.get_mut(host)?;
        if machine.life != life {
            return None;
        }
        let (ids, next) = machine.disk.written(now);
        if let Some(due) = next {
            self.queue.push(due, Happening::Written { host, life });
        }
        (!ids.is_empty()).then_some((host, Delivery::Committed(ids)))
    }

    fn timer(&mut self, host: usize, life: u32) -> Option<(usize, Delivery)> {
        let now = self.now;
        let machine = self.machines.get_mut(host)?;
        if machine.life != life || machine.timer.queued != Some(now) {
            return None;
        }
        machine.timer.queued = None;
        let due = machine.timer.due?;
        if due > now {
            machine.timer.queued = Some(due);
            self.queue.push(due, Happening::Timer { host, life });
            return None;
        }
        machine.timer.due = None;
        Some((host, Delivery::Timer))
    }

    fn resume(&mut self, host: usize, until: Time) {
        let Some(machine) = self.machines.get_mut(host) else { return };
        let Some(paused) = machine.paused.take_if(|paused| paused.until == until) else { return };
        self.catch_up(host, paused);
    }

    /// A process gets at once what waited for it; a slow one puts it behind what waits already.
    fn catch_up(&mut self, host: usize, paused: Paused) {
        let now = self.now;
        let machine = self.machines.get_mut(host);
        if let Some((slow, life)) = machine.and_then(|m| Some((m.slow.as_mut()?, m.life))) {
            slow.waiting.append(paused);
            if !slow.busy {
                slow.busy = true;
                self.queue.push(now, Happening::Done { host, life });
            }
            return;
        }
        self.ready.extend(paused.backlog.into_iter().map(|delivery| (host, delivery)));
        if paused.timer {
            self.ready.push_back((host, Delivery::Timer));
        }
    }
}
