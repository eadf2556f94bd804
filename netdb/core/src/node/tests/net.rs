//! A few nodes on virtual time, with links of one millisecond, disks and cuts.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};
use core::{net::SocketAddr, time::Duration};

use netdb_gossip_core::{
    identity::{Identity, Name, NodeId},
    time::{Now, Time, Wall},
};

use proptest::test_runner::Config as ProptestConfig;

use crate::{
    entry::{Dot, Entry, Lifetime},
    node::*,
    view::Filter,
    wire::Unpacked,
};

pub(super) const DELAY: Duration = Duration::from_millis(1);
const EPOCH: u64 = 1_700_000_000_000_000;

enum Arrival {
    Packet { from: SocketAddr, bytes: Vec<u8> },
    Stream { from: NodeId, message: Vec<u8> },
}

pub(super) struct Host {
    pub(super) identity: Identity,
    pub(super) addr: SocketAddr,
    pub(super) name: Name,
    pub(super) disk: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) node: Option<Node>,
    pub(super) events: Vec<NodeEvent>,
    /// Requests and how they ended.
    pub(super) told: Vec<Output>,
    /// How far its wall clock is off, in microseconds.
    pub(super) skew: i64,
}

pub(super) struct Net {
    pub(super) now: Time,
    pub(super) hosts: Vec<Host>,
    wire: BTreeMap<(Time, u64), (usize, Arrival)>,
    sequence: u64,
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) config: Config,
}

fn entropy(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// A case is a small cluster's life: a fifth of the usual number of cases.
pub(super) fn lives() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 5, ..usual }
}

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl Net {
    /// `count` nodes that joined through the first one and know each other.
    pub(super) fn new(count: usize) -> Self {
        Self::with(count, |_| {})
    }

    /// The same with other settings.
    pub(super) fn with(count: usize, settings: impl FnOnce(&mut Config)) -> Self {
        let mut net = Self {
            now: Time(1_000_000),
            hosts: Vec::new(),
            wire: BTreeMap::new(),
            sequence: 0,
            cut: BTreeSet::new(),
            config: Config::lan(),
        };
        settings(&mut net.config);
        for index in 0..count {
            net.add(index);
            net.run(Duration::from_millis(200));
        }
        net.until(Duration::from_secs(10), |net| {
            (0..count).all(|i| net.node(i).peers(&name(CLUSTER_NETWORK)).len() == count)
        });
        net
    }

    pub(super) fn now(&self) -> Now {
        Now { mono: self.now, wall: Wall(EPOCH + self.now.0) }
    }

    /// The clocks of one host.
    fn clocks(&self, index: usize) -> Now {
        let Now { mono, wall } = self.now();
        Now { mono, wall: wall.offset_by(self.hosts[index].skew) }
    }

    pub(super) fn add(&mut self, index: usize) {
        let identity = Identity::generate(&mut entropy(1000 + index as u64));
        let addr = SocketAddr::from(([10, 0, 0, u8::try_from(index).unwrap() + 1], 7946));
        let name = name(&format!("n{index}"));
        let now = self.now();
        let ops = if index == 0 {
            let cluster = ClusterId([7; 16]);
            Node::found(cluster, &mut entropy(1), &identity.public(), &name, now.wall)
        } else {
            let request = Node::join_request(&name, addr, now.wall);
            let there = self.clocks(0);
            let first = self.hosts[0].node.as_mut().unwrap();
            let welcome = first.admit(there, &identity.public(), &request).unwrap();
            self.drain(0);
            Node::adopt(&welcome, now.wall).unwrap().ops
        };
        let disk = ops.into_iter().map(|op| (op.key, op.value.unwrap())).collect();
        let events = Vec::new();
        let told = Vec::new();
        self.hosts.push(Host { identity, addr, name, disk, node: None, events, told, skew: 0 });
        self.start(index);
    }

    pub(super) fn start(&mut self, index: usize) {
        let now = self.clocks(index);
        let host = &mut self.hosts[index];
        let setup = Setup {
            config: self.config.clone(),
            identity: host.identity.clone(),
            name: host.name.clone(),
            addr: host.addr,
            seed: index as u64,
            entropy: Box::new(entropy(99 + index as u64)),
            disk: host.disk.clone().into_iter().collect(),
        };
        host.node = Some(Node::start(setup, now).unwrap());
        self.drain(index);
    }

    pub(super) fn node(&self, index: usize) -> &Node {
        self.hosts[index].node.as_ref().unwrap()
    }

    pub(super) fn id(&self, index: usize) -> NodeId {
        self.hosts[index].identity.node_id()
    }

    /// The write that stands for each row of the test's table.
    pub(super) fn dots(&self, index: usize) -> BTreeMap<String, Dot> {
        let filter = Filter { network: Some(name("net")), ..Filter::default() };
        let rows = self.node(index).rows(&filter).into_iter();
        rows.map(|(_, r)| (String::from_utf8(r.entry.row.key.to_vec()).unwrap(), r.entry.dot))
            .collect()
    }

    /// Calls a node and carries out what follows.
    pub(super) fn call<T>(&mut self, index: usize, call: impl FnOnce(&mut Node, Now) -> T) -> T {
        let now = self.clocks(index);
        let result = call(self.hosts[index].node.as_mut().unwrap(), now);
        self.drain(index);
        result
    }

    pub(super) fn drain(&mut self, index: usize) {
        let now = self.clocks(index);
        let host = &mut self.hosts[index];
        let Some(node) = host.node.as_mut() else { return };
        let mut out = VecDeque::new();
        let mut commits = Vec::new();
        loop {
            while let Some(output) = node.poll_output(now) {
                match output {
                    Output::Commit { id, ops } => {
                        for op in ops {
                            match op.value {
                                Some(value) => host.disk.insert(op.key, value),
                                None => host.disk.remove(&op.key),
                            };
                        }
                        commits.push(id);
                    }
                    Output::Event(event) => host.events.push(event),
                    Output::Request { .. } | Output::Response { .. } => host.told.push(output),
                    other => out.push_back(other),
                }
            }
            let Some(id) = commits.pop() else { break };
            node.handle_committed(now, id);
        }
        let (from, id) = (host.addr, host.identity.node_id());
        for output in out {
            let (to, delay, arrival) = match output {
                Output::Packet { to, bytes } => (to, DELAY, Arrival::Packet { from, bytes }),
                Output::Stream { addr, message, .. } => {
                    (addr, DELAY * 3, Arrival::Stream { from: id, message })
                }
                _ => continue,
            };
            let Some(target) = self.hosts.iter().position(|host| host.addr == to) else { continue };
            if !self.cut.contains(&(index, target)) {
                self.sequence += 1;
                self.wire.insert((self.now + delay, self.sequence), (target, arrival));
            }
        }
    }

    /// Goes to the next thing that happens, at most until `end`.
    pub(super) fn step(&mut self, end: Time) {
        let timers = self.hosts.iter().map(|h| h.node.as_ref().and_then(Node::poll_timeout));
        let due = timers.flatten().min();
        let arrival = self.wire.first_key_value().map(|((at, _), _)| *at);
        let next = [due, arrival, Some(end)].into_iter().flatten().min().unwrap();
        self.now = self.now.max(next);
        while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= self.now) {
            let (target, arrival) = entry.remove();
            if self.hosts[target].node.is_some() {
                self.call(target, |node, now| match arrival {
                    Arrival::Packet { from, mut bytes } => {
                        node.handle_packet(now, from, &mut bytes);
                    }
                    Arrival::Stream { from, message } => node.handle_stream(now, from, &message),
                });
            }
        }
        for index in 0..self.hosts.len() {
            let due = self.hosts[index].node.as_ref().and_then(Node::poll_timeout);
            if due.is_some_and(|at| at <= self.now) {
                self.call(index, Node::handle_timeout);
            }
        }
    }

    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(end);
        }
    }

    /// Runs until something holds; how long that took.
    pub(super) fn until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !holds(self) {
            assert!(self.now < start + limit, "not within {limit:?}");
            self.step(start + limit);
        }
        self.now.since(start)
    }

    pub(super) fn write(
        &mut self,
        index: usize,
        lifetime: Lifetime,
        key: &str,
        operation: Operation,
        value: &[u8],
    ) -> Result<Receipt, WriteError> {
        let write = Write {
            network: name("net"),
            table: name("t"),
            lifetime,
            key: key.as_bytes().to_vec(),
            operation,
            value: value.into(),
        };
        self.call(index, |node, now| node.write(now, &write))
    }

    pub(super) fn values(&self, index: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let filter = Filter { network: Some(name("net")), ..Filter::default() };
        let rows = self.node(index).rows(&filter).into_iter();
        rows.map(|(_, row)| (row.entry.row.key.to_vec(), row.entry.value.clone().unwrap().to_vec()))
            .collect()
    }

    /// What one node holds of the rows that another owns.
    pub(super) fn owned(&self, index: usize, owner: usize) -> Vec<Arc<Entry>> {
        let network = self.node(index).networks.get(&name("net")).unwrap();
        network.replica.owned_by(self.id(owner)).cloned().collect()
    }

    /// Tells a node of rows, as a peer that lags behind would.
    pub(super) fn tell(&mut self, index: usize, rows: &[Arc<Entry>]) {
        self.call(index, |node, now| {
            let network = node.networks.get_mut(&name("net")).unwrap();
            let (name, digest) = (Arc::clone(&network.name), network.replica.digest_mut());
            for entry in rows {
                digest.revive(&entry.dot.writer);
            }
            let unpacked = |entry| Unpacked { entry, age: Duration::ZERO };
            let from = rows[0].dot.writer.node;
            node.take_rows(now, from, &name, rows.iter().cloned().map(unpacked).collect());
        });
    }

    pub(super) fn attach_all(&mut self) {
        for index in 0..self.hosts.len() {
            self.call(index, |node, now| node.attach(now, &name("net"))).unwrap();
        }
        let all = self.hosts.len();
        self.until(Duration::from_secs(5), |net| {
            (0..all).all(|i| {
                net.node(i).is_synced(&name("net")) && net.node(i).peers(&name("net")).len() == all
            })
        });
    }

    pub(super) fn agree(&self) -> bool {
        let infos = |host: &Host| {
            let node = host.node.as_ref()?;
            Some(node.networks().into_iter().map(|n| (n.name, n.hash)).collect::<Vec<_>>())
        };
        let mut all = self.hosts.iter().filter_map(infos);
        let first = all.next().unwrap();
        all.all(|other| other == first)
    }

    pub(super) fn poll(&mut self, index: usize, watch: WatchId) -> Vec<Event> {
        let node = self.hosts[index].node.as_mut().unwrap();
        core::iter::from_fn(|| node.poll_watch(watch)).collect()
    }
}
