//! A few nodes in virtual time, on a network that loses, delays, repeats and cuts, with disks that survive
//! a restart. Deterministic: one input is one course of events.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::SocketAddr,
    time::Duration,
};

use netdb_core::{
    config::Config,
    node::{CLUSTER_NETWORK, Node, NodeEvent, Output, Setup},
};
use netdb_gossip_core::{
    identity::{ClusterId, Identity, Name, NodeId},
    time::{Now, Time, Wall},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

/// Every cluster here.
pub const CLUSTER: ClusterId = ClusterId([7; 16]);
/// The network that all nodes are attached to.
pub const NETWORK: &str = "net";
/// The wall clock at virtual time zero.
const EPOCH: u64 = 1_700_000_000_000_000;
/// Time on the way, without weather.
const DELAY: Duration = Duration::from_millis(1);
/// Packets that are remembered, to be sent again.
const REMEMBERED: usize = 64;

/// A name.
///
/// # Panics
/// If it is none.
pub fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

/// Randomness with a number.
pub fn entropy(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// The time that this many microseconds after the start is.
pub fn at(mono: Time) -> Now {
    Now { mono, wall: Wall(EPOCH + mono.0) }
}

/// A node that is off: all that is left of it.
#[derive(Clone)]
pub struct Host {
    /// Its keys.
    pub identity: Identity,
    /// What it is called.
    pub name: Name,
    /// Its address.
    pub addr: SocketAddr,
    /// Its disk.
    pub disk: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Host {
    fn new(index: u8) -> Self {
        let identity = Identity::generate(&mut entropy(1000 + u64::from(index)));
        let addr = SocketAddr::from(([10, 0, 0, index + 1], 7946));
        Self { identity, name: name(&format!("n{index}")), addr, disk: BTreeMap::new() }
    }

    /// What it starts from.
    pub fn setup(&self, config: &Config, seed: u64) -> Setup {
        Setup {
            config: config.clone(),
            identity: self.identity.clone(),
            name: self.name.clone(),
            addr: self.addr,
            seed,
            entropy: Box::new(entropy(99 + seed)),
            disk: self.disk.clone().into_iter().collect(),
        }
    }
}

/// What a packet or message meets on its way, each in 256ths.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Lost.
    pub loss: u8,
    /// Arriving twice.
    pub twice: u8,
    /// Late by up to 64 ms, and so out of order.
    pub late: u8,
}

enum Arrival {
    Packet { from: SocketAddr, bytes: Vec<u8> },
    Stream { from: usize, message: Vec<u8> },
}

/// The nodes and what is between them.
pub struct Cluster {
    /// The present.
    pub now: Time,
    /// What is left of each node when it is off.
    pub hosts: Vec<Host>,
    nodes: Vec<Option<Node>>,
    config: Config,
    wire: BTreeMap<(Time, u64), (usize, Arrival)>,
    sequence: u64,
    /// Pairs that don't reach each other, in this direction.
    pub cut: BTreeSet<(usize, usize)>,
    /// What is on its way from now on.
    pub weather: Weather,
    dice: ChaCha20Rng,
    past: VecDeque<(SocketAddr, Vec<u8>)>,
    /// Generations that nodes gave up because somebody else seemed to have had them.
    pub reborn: usize,
}

impl Cluster {
    /// `count` nodes that joined through the first, know each other, and are attached to [`NETWORK`].
    ///
    /// # Panics
    /// If they don't find each other.
    pub fn formed(count: u8, config: &Config) -> Self {
        let mut cluster = Self::of(Vec::new(), config, Time(1_000_000));
        for index in 0..count {
            cluster.admit(index);
            cluster.run(Duration::from_millis(200));
        }
        for index in 0..cluster.hosts.len() {
            let attached = cluster.call(index, |node, now| node.attach(now, &name(NETWORK)));
            attached.expect("running").expect("not attached yet");
        }
        assert!(cluster.until(Duration::from_secs(30), Self::is_whole), "they never met");
        cluster
    }

    /// Hosts with what is on their disks, all off.
    pub fn of(hosts: Vec<Host>, config: &Config, now: Time) -> Self {
        Self {
            now,
            nodes: hosts.iter().map(|_| None).collect(),
            hosts,
            config: config.clone(),
            wire: BTreeMap::new(),
            sequence: 0,
            cut: BTreeSet::new(),
            weather: Weather::default(),
            dice: entropy(5),
            past: VecDeque::new(),
            reborn: 0,
        }
    }

    fn admit(&mut self, index: u8) {
        let mut host = Host::new(index);
        let (public, now) = (host.identity.public(), at(self.now));
        let ops = if self.hosts.is_empty() {
            Node::found(CLUSTER, &mut entropy(1), &public, &host.name, now.wall)
        } else {
            let request = Node::join_request(&host.name, host.addr, now.wall);
            let welcome = self.call(0, |node, now| node.admit(now, &public, &request));
            let welcome = welcome.expect("running").expect("there is room");
            Node::adopt(&welcome, now.wall).expect("a real welcome").ops
        };
        host.disk = ops.into_iter().filter_map(|op| Some((op.key, op.value?))).collect();
        self.hosts.push(host);
        self.nodes.push(None);
        self.start(self.hosts.len() - 1);
    }

    /// Turns a node on.
    ///
    /// # Panics
    /// If it can't start from what it left on its disk.
    pub fn start(&mut self, index: usize) {
        let setup = self.hosts[index].setup(&self.config, index as u64);
        let node = Node::start(setup, at(self.now)).expect("it starts from its own disk");
        self.nodes[index] = Some(node);
        self.drain(index);
    }

    /// Turns a node off, without a word.
    pub fn stop(&mut self, index: usize) {
        self.nodes[index] = None;
    }

    /// A node, if it is on.
    pub fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)?.as_ref()
    }

    /// A node's id.
    pub fn id(&self, index: usize) -> NodeId {
        self.hosts[index].identity.node_id()
    }

    /// Calls a node that is on, and carries out what follows.
    pub fn call<T>(&mut self, index: usize, call: impl FnOnce(&mut Node, Now) -> T) -> Option<T> {
        let now = at(self.now);
        let result = call(self.nodes[index].as_mut()?, now);
        self.drain(index);
        Some(result)
    }

    fn drain(&mut self, index: usize) {
        let now = at(self.now);
        let Some(node) = self.nodes[index].as_mut() else { return };
        let mut out = Vec::new();
        while let Some(output) = node.poll_output(now) {
            match output {
                Output::Commit { id, ops } => {
                    for op in ops {
                        match op.value {
                            Some(value) => self.hosts[index].disk.insert(op.key, value),
                            None => self.hosts[index].disk.remove(&op.key),
                        };
                    }
                    node.handle_committed(now, id);
                }
                Output::Event(NodeEvent::Reborn(_)) => self.reborn += 1,
                Output::Event(_)
                | Output::Disconnect { .. }
                | Output::Answer { .. }
                | Output::Response { .. } => {}
                Output::Request { from, id, body, .. } => node.respond(now, from, id, Some(body)),
                Output::Packet { to, bytes } => out.push((to, Ok(bytes))),
                Output::Stream { addr, message, .. } => out.push((addr, Err(message))),
            }
        }
        for (to, what) in out {
            let Some(target) = self.hosts.iter().position(|host| host.addr == to) else { continue };
            match what {
                Ok(bytes) => self.post(index, target, &bytes),
                Err(message) => self.stream(index, target, message),
            }
        }
    }

    fn post(&mut self, index: usize, target: usize, bytes: &[u8]) {
        let from = self.hosts[index].addr;
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        self.past.push_back((from, bytes.to_vec()));
        if self.cut.contains(&(index, target)) || self.chance(self.weather.loss) {
            return;
        }
        let copies = if self.chance(self.weather.twice) { 2 } else { 1 };
        for _ in 0..copies {
            let late = if self.chance(self.weather.late) { self.dice.next_u32() % 64 } else { 0 };
            let delay = DELAY + Duration::from_millis(late.into());
            self.deliver(target, delay, Arrival::Packet { from, bytes: bytes.to_vec() });
        }
    }

    /// In order and at most once; a message that is lost is told of.
    fn stream(&mut self, index: usize, target: usize, message: Vec<u8>) {
        if self.cut.contains(&(index, target)) || self.chance(self.weather.loss / 4) {
            let to = self.id(target);
            self.call(index, |node, now| node.handle_stream_failed(now, to));
        } else {
            self.deliver(target, DELAY * 3, Arrival::Stream { from: index, message });
        }
    }

    fn deliver(&mut self, target: usize, delay: Duration, arrival: Arrival) {
        self.sequence += 1;
        self.wire.insert((self.now + delay, self.sequence), (target, arrival));
    }

    fn chance(&mut self, of_256: u8) -> bool {
        of_256 > 0 && self.dice.next_u32() % 256 < u32::from(of_256)
    }

    /// A stranger, or an echo, sends this datagram to a node.
    pub fn throw(&mut self, target: usize, from: SocketAddr, bytes: Vec<u8>) {
        self.deliver(target, DELAY, Arrival::Packet { from, bytes });
    }

    /// A packet that was sent a while ago: the `nth` of those remembered, if there are so many.
    pub fn past(&self, nth: usize) -> Option<(SocketAddr, Vec<u8>)> {
        self.past.get(nth).cloned()
    }

    /// Goes on for a while.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(end);
        }
    }

    /// Goes on until something holds; whether it did in time.
    pub fn until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !holds(self) {
            if self.now >= end {
                return false;
            }
            self.step(end);
        }
        true
    }

    /// Goes to the next thing that happens, at most until `end`.
    fn step(&mut self, end: Time) {
        let timers = self.nodes.iter().flatten().filter_map(Node::poll_timeout);
        let arrival = self.wire.first_key_value().map(|((at, _), _)| *at);
        let next = timers.chain(arrival).chain([end]).min().unwrap_or(end);
        self.now = self.now.max(next);
        while let Some(first) = self.wire.first_entry().filter(|first| first.key().0 <= self.now) {
            let (target, arrival) = first.remove();
            self.arrive(target, arrival);
        }
        for index in 0..self.nodes.len() {
            let due = self.node(index).and_then(Node::poll_timeout);
            if due.is_some_and(|at| at <= self.now) {
                self.call(index, Node::handle_timeout);
            }
        }
    }

    fn arrive(&mut self, target: usize, arrival: Arrival) {
        match arrival {
            Arrival::Packet { from, mut bytes } => {
                self.call(target, |node, now| node.handle_packet(now, from, &mut bytes));
            }
            Arrival::Stream { from, message } => {
                let (id, to) = (self.id(from), self.id(target));
                if self.call(target, |node, now| node.handle_stream(now, id, &message)).is_none() {
                    self.call(from, |node, now| node.handle_stream_failed(now, to));
                }
            }
        }
    }

    /// Whether every node that is on sees all of them in both networks.
    pub fn is_whole(&self) -> bool {
        let all = self.nodes.iter().flatten().count();
        let sees_all = |node: &Node| {
            [CLUSTER_NETWORK, NETWORK].iter().all(|network| node.peers(&name(network)).len() == all)
                && node.is_synced(&name(NETWORK))
        };
        self.nodes.iter().flatten().all(sees_all)
    }

    /// Whether all nodes that are on hold the same.
    pub fn agree(&self) -> bool {
        let held = |node: &Node| -> Vec<(Name, u64)> {
            node.networks().into_iter().map(|network| (network.name, network.hash)).collect()
        };
        let mut all = self.nodes.iter().flatten().map(held);
        let first = all.next();
        all.all(|other| Some(other) == first)
    }
}
