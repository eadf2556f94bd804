//! A few nodes, virtual time, links of one millisecond: the first tests of the protocol. The simulator
//! does the rest.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    format,
    string::ToString,
    vec::Vec,
};
use core::{net::SocketAddr, time::Duration};

use netdb_gossip_core::{
    identity::{Identity, Name, NodeId},
    time::{Now, Time, Wall},
};

use super::*;
use crate::{
    entry::Lifetime,
    view::{DeleteReason, EventKind, Filter},
};

const DELAY: Duration = Duration::from_millis(1);
const EPOCH: u64 = 1_700_000_000_000_000;

enum Arrival {
    Packet { from: SocketAddr, bytes: Vec<u8> },
    Stream { from: NodeId, message: Vec<u8> },
}

struct Host {
    identity: Identity,
    addr: SocketAddr,
    name: Name,
    disk: BTreeMap<Vec<u8>, Vec<u8>>,
    node: Option<Node>,
    events: Vec<NodeEvent>,
    packets: usize,
}

struct Net {
    now: Time,
    hosts: Vec<Host>,
    wire: BTreeMap<(Time, u64), (usize, Arrival)>,
    sequence: u64,
    cut: BTreeSet<(usize, usize)>,
    config: Config,
}

fn entropy(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl Net {
    /// `count` nodes that joined through the first one and know each other.
    fn new(count: usize) -> Self {
        let mut net = Self {
            now: Time(1_000_000),
            hosts: Vec::new(),
            wire: BTreeMap::new(),
            sequence: 0,
            cut: BTreeSet::new(),
            config: Config::lan(),
        };
        for index in 0..count {
            net.add(index);
            net.run(Duration::from_millis(200));
        }
        net.until(Duration::from_secs(10), |net| {
            (0..count).all(|i| net.node(i).peers(&name(CLUSTER_NETWORK)).len() == count)
        });
        net
    }

    fn now(&self) -> Now {
        Now { mono: self.now, wall: Wall(EPOCH + self.now.0) }
    }

    fn add(&mut self, index: usize) {
        let identity = Identity::generate(&mut entropy(1000 + index as u64));
        let addr = SocketAddr::from(([10, 0, 0, index as u8 + 1], 7946));
        let name = name(&format!("n{index}"));
        let now = self.now();
        let ops = if index == 0 {
            let cluster = ClusterId([7; 16]);
            Node::found(cluster, &mut entropy(1), &identity.public(), &name, now.wall)
        } else {
            let request = Node::join_request(&name, addr, now.wall);
            let first = self.hosts[0].node.as_mut().unwrap();
            let welcome = first.admit(now, &identity.public(), &request).unwrap();
            self.drain(0);
            Node::adopt(&welcome, now.wall).unwrap().ops
        };
        let disk = ops.into_iter().map(|op| (op.key, op.value.unwrap())).collect();
        let (events, packets) = (Vec::new(), 0);
        self.hosts.push(Host { identity, addr, name, disk, node: None, events, packets });
        self.start(index);
    }

    fn start(&mut self, index: usize) {
        let now = self.now();
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

    fn node(&self, index: usize) -> &Node {
        self.hosts[index].node.as_ref().unwrap()
    }

    /// Calls a node and carries out what follows.
    fn with<T>(&mut self, index: usize, call: impl FnOnce(&mut Node, Now) -> T) -> T {
        let now = self.now();
        let result = call(self.hosts[index].node.as_mut().unwrap(), now);
        self.drain(index);
        result
    }

    fn drain(&mut self, index: usize) {
        let now = self.now();
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
                    other => out.push_back(other),
                }
            }
            let Some(id) = commits.pop() else { break };
            node.handle_committed(now, id);
        }
        let (from, id) = (host.addr, host.identity.node_id());
        host.packets += out.len();
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
    fn step(&mut self, end: Time) {
        let timers = self.hosts.iter().map(|h| h.node.as_ref().and_then(Node::poll_timeout));
        let due = timers.flatten().min();
        let arrival = self.wire.first_key_value().map(|((at, _), _)| *at);
        let next = [due, arrival, Some(end)].into_iter().flatten().min().unwrap();
        self.now = self.now.max(next);
        while let Some(entry) = self.wire.first_entry().filter(|e| e.key().0 <= self.now) {
            let (target, arrival) = entry.remove();
            if self.hosts[target].node.is_some() {
                self.with(target, |node, now| match arrival {
                    Arrival::Packet { from, mut bytes } => {
                        node.handle_packet(now, from, &mut bytes)
                    }
                    Arrival::Stream { from, message } => node.handle_stream(now, from, &message),
                });
            }
        }
        for index in 0..self.hosts.len() {
            let due = self.hosts[index].node.as_ref().and_then(Node::poll_timeout);
            if due.is_some_and(|at| at <= self.now) {
                self.with(index, Node::handle_timeout);
            }
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step(end);
        }
    }

    /// Runs until something holds; how long that took.
    fn until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !holds(self) {
            assert!(self.now < start + limit, "not within {limit:?}");
            self.step(start + limit);
        }
        self.now.since(start)
    }

    fn write(
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
        self.with(index, |node, now| node.write(now, &write))
    }

    fn values(&self, index: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let filter = Filter { network: Some(name("net")), ..Filter::default() };
        let rows = self.node(index).rows(&filter).into_iter();
        rows.map(|(_, row)| (row.entry.row.key.to_vec(), row.entry.value.clone().unwrap().to_vec()))
            .collect()
    }

    fn attach_all(&mut self) {
        for index in 0..self.hosts.len() {
            self.with(index, |node, now| node.attach(now, &name("net"))).unwrap();
        }
        let all = self.hosts.len();
        self.until(Duration::from_secs(5), |net| {
            (0..all).all(|i| {
                net.node(i).is_synced(&name("net")) && net.node(i).peers(&name("net")).len() == all
            })
        });
    }

    fn agree(&self) -> bool {
        let infos = |host: &Host| {
            let node = host.node.as_ref()?;
            Some(node.networks().into_iter().map(|n| (n.name, n.hash)).collect::<Vec<_>>())
        };
        let mut all = self.hosts.iter().filter_map(infos);
        let first = all.next().unwrap();
        all.all(|other| other == first)
    }

    fn poll(&mut self, index: usize, watch: WatchId) -> Vec<Event> {
        let node = self.hosts[index].node.as_mut().unwrap();
        core::iter::from_fn(|| node.poll_watch(watch)).collect()
    }
}

#[test]
fn a_write_is_seen_by_all_in_a_few_hops() {
    let mut net = Net::new(10);
    net.attach_all();
    net.run(Duration::from_secs(3));
    net.write(3, Lifetime::Owner, "k", Operation::Create, b"v").unwrap();
    let took = net.until(Duration::from_secs(1), |net| (0..10).all(|i| net.values(i).len() == 1));
    assert_eq!(took, DELAY * 2);
    assert_eq!(
        net.write(3, Lifetime::Owner, "k", Operation::Create, b"v"),
        Err(WriteError::Exists)
    );
    assert_eq!(
        net.write(4, Lifetime::Owner, "k", Operation::Update, b"v"),
        Err(WriteError::NotFound)
    );
    net.write(3, Lifetime::Owner, "k", Operation::Delete, b"").unwrap();
    net.until(Duration::from_secs(1), |net| (0..10).all(|i| net.values(i).is_empty()));
    net.run(Duration::from_secs(3));
    assert!(net.agree());
}

#[test]
fn a_latecomer_is_served_in_chunks() {
    let mut net = Net::new(3);
    for index in 0..2 {
        net.with(index, |node, now| node.attach(now, &name("net"))).unwrap();
    }
    net.run(Duration::from_secs(1));
    for n in 0..3000 {
        net.write(0, Lifetime::Owner, &n.to_string(), Operation::Create, &[1; 100]).unwrap();
    }
    net.until(Duration::from_secs(5), |net| net.values(1).len() == 3000);
    net.with(2, |node, now| node.attach(now, &name("net"))).unwrap();
    assert!(!net.node(2).is_synced(&name("net")));
    let took = net.until(Duration::from_secs(5), |net| net.node(2).is_synced(&name("net")));
    assert_eq!(net.values(2).len(), 3000);
    assert!(took < Duration::from_millis(100), "{took:?}");
    let served: u64 = (0..2).map(|i| net.node(i).stats().chunks_served).sum();
    assert!(served >= 3, "several bounded chunks, not one: {served}");
}

#[test]
fn a_lost_last_copy_is_repaired() {
    let mut net = Net::new(5);
    net.attach_all();
    net.run(Duration::from_secs(3));
    let others = [0, 1, 3, 4];
    others.iter().for_each(|i| {
        net.cut.insert((2, *i));
    });
    net.write(2, Lifetime::Cluster, "k", Operation::Create, b"v").unwrap();
    net.run(Duration::from_millis(200));
    net.cut.clear();
    let took = net.until(Duration::from_secs(5), |net| (0..5).all(|i| net.values(i).len() == 1));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_dead_inner_node_is_routed_around() {
    let mut net = Net::new(30);
    net.attach_all();
    net.run(Duration::from_secs(3));
    for dead in [3, 9, 17, 25, 28] {
        net.hosts[dead].node = None;
    }
    net.write(0, Lifetime::Owner, "k", Operation::Create, b"v").unwrap();
    let alive = |net: &Net| {
        (0..30).filter(|i| net.hosts[*i].node.is_some()).all(|i| net.values(i).len() == 1)
    };
    let took = net.until(Duration::from_secs(2), alive);
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[test]
fn failure_hides_and_return_restores() {
    let mut net = Net::new(4);
    net.attach_all();
    net.write(1, Lifetime::Owner, "owned", Operation::Create, b"1").unwrap();
    net.write(1, Lifetime::Cluster, "shared", Operation::Create, b"2").unwrap();
    net.until(Duration::from_secs(1), |net| net.values(0).len() == 2);
    let watch = net.with(0, |node, now| {
        node.watch(now, Filter { network: Some(name("net")), ..Filter::default() })
    });
    assert_eq!(net.poll(0, watch).len(), 3, "two rows and the end of the snapshot");
    let others = [0, 2, 3];
    for i in others {
        net.cut.extend([(1, i), (i, 1)]);
    }
    net.until(Duration::from_secs(10), |net| net.values(0).len() == 1);
    let events = net.poll(0, watch);
    assert!(matches!(
        events[..],
        [Event { kind: EventKind::Deleted { reason: DeleteReason::OwnerFailed, .. }, .. }]
    ));
    let failed = Filter { include_failed: true, network: Some(name("net")), ..Filter::default() };
    assert_eq!(net.node(0).rows(&failed).len(), 2);
    net.cut.clear();
    net.until(Duration::from_secs(10), |net| (0..4).all(|i| net.values(i).len() == 2));
    let events = net.poll(0, watch);
    assert!(matches!(events[..], [Event { kind: EventKind::Created { .. }, .. }]), "{events:?}");
}

#[test]
fn a_restart_that_publishes_the_same_is_not_noticed() {
    let mut net = Net::new(4);
    net.attach_all();
    for n in 0..40 {
        net.write(1, Lifetime::Owner, &n.to_string(), Operation::Create, b"1").unwrap();
    }
    net.until(Duration::from_secs(1), |net| (0..4).all(|i| net.values(i).len() == 40));
    let watch = net.with(0, |node, now| {
        node.watch(now, Filter { network: Some(name("net")), ..Filter::default() })
    });
    net.poll(0, watch);
    net.with(1, |node, now| node.farewell(now, Farewell::Restarting));
    net.run(Duration::from_millis(50));
    net.hosts[1].node = None;
    net.run(Duration::from_secs(8));
    let state = net.node(0).members().iter().find(|m| m.name == Some(name("n1"))).unwrap().state;
    assert_eq!(state, MemberState::Restarting);
    net.start(1);
    net.run(Duration::from_secs(1));
    for n in 0..39 {
        net.write(1, Lifetime::Owner, &n.to_string(), Operation::Create, b"1").unwrap();
    }
    net.run(Duration::from_secs(1));
    assert!(net.poll(0, watch).is_empty());
    net.with(1, |node, now| node.mark_complete(now, &name("net"))).unwrap();
    net.until(Duration::from_secs(3), |net| (0..4).all(|i| net.values(i).len() == 39));
    let events = net.poll(0, watch);
    assert!(matches!(
        events[..],
        [Event { kind: EventKind::Deleted { reason: DeleteReason::Deleted, .. }, .. }]
    ));
    net.run(Duration::from_secs(3));
    assert!(net.agree());
}

#[test]
fn keys_rotate_and_sleepers_catch_up() {
    let mut net = Net::new(5);
    net.config.key_retire_after = Duration::from_secs(1);
    for index in 0..5 {
        let config = net.config.clone();
        net.with(index, |node, now| node.reconfigure(now, config));
    }
    let first = net.node(0).gossip().keyring().primary().id();
    let asleep = 4;
    for i in 0..4 {
        net.cut.extend([(asleep, i), (i, asleep)]);
    }
    net.until(Duration::from_secs(10), |net| net.node(0).peers(&name(CLUSTER_NETWORK)).len() == 4);
    for turn in 0..2 {
        net.with(turn, Node::rotate).unwrap();
        net.run(Duration::from_millis(1));
        assert_eq!(net.with(turn, Node::rotate), Err(RotateError::UnderWay));
        net.until(Duration::from_secs(20), |net| {
            (0..4).all(|i| net.node(i).keys().rotation == RotationStep::Idle)
        });
    }
    assert!((0..4).all(|i| net.node(i).gossip().keyring().get(first).is_none()));
    net.cut.clear();
    let took = net.until(Duration::from_secs(10), |net| {
        (0..5).all(|i| net.node(i).peers(&name(CLUSTER_NETWORK)).len() == 5)
    });
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn leaving_takes_the_rows_along_at_once() {
    let mut net = Net::new(4);
    net.attach_all();
    net.write(2, Lifetime::Owner, "k", Operation::Create, b"1").unwrap();
    net.until(Duration::from_secs(1), |net| net.values(0).len() == 1);
    net.with(2, |node, now| node.farewell(now, Farewell::Leaving));
    let took = net
        .until(Duration::from_secs(1), |net| [0, 1, 3].iter().all(|i| net.values(*i).is_empty()));
    assert!(took < Duration::from_millis(100), "{took:?}");
    net.run(Duration::from_secs(1));
    assert!(net.hosts[2].node.as_ref().unwrap().is_drained());
    let public = net.hosts[2].identity.public();
    assert!(!net.node(0).is_admitted(&public));
    let members = net.node(0).members();
    assert_eq!(
        members.iter().find(|m| m.member.id == public.node_id()).unwrap().state,
        MemberState::Left
    );
}

#[test]
fn detaching_drops_and_reattaching_fetches() {
    let mut net = Net::new(3);
    net.attach_all();
    net.write(0, Lifetime::Owner, "a", Operation::Create, b"1").unwrap();
    net.write(1, Lifetime::Owner, "b", Operation::Create, b"1").unwrap();
    net.until(Duration::from_secs(1), |net| (0..3).all(|i| net.values(i).len() == 2));
    net.with(0, |node, now| node.detach(now, &name("net"))).unwrap();
    assert!(net.values(0).is_empty());
    net.until(Duration::from_secs(1), |net| (1..3).all(|i| net.values(i).len() == 1));
    net.with(0, |node, now| node.attach(now, &name("net"))).unwrap();
    net.write(0, Lifetime::Owner, "c", Operation::Create, b"1").unwrap();
    net.until(Duration::from_secs(5), |net| (0..3).all(|i| net.values(i).len() == 2));
}

#[test]
fn an_older_disk_put_back_does_no_harm() {
    let mut net = Net::new(3);
    net.attach_all();
    net.write(1, Lifetime::Cluster, "a", Operation::Create, b"old").unwrap();
    net.run(Duration::from_secs(2));
    let old = net.hosts[1].disk.clone();
    net.write(1, Lifetime::Cluster, "a", Operation::Update, b"new").unwrap();
    net.write(1, Lifetime::Cluster, "b", Operation::Create, b"new").unwrap();
    net.until(Duration::from_secs(1), |net| net.values(0).len() == 2);
    net.hosts[1].node = None;
    net.hosts[1].disk = old;
    net.run(Duration::from_secs(1));
    net.start(1);
    net.until(Duration::from_secs(5), |net| {
        (0..3).all(|i| net.values(i).iter().all(|(_, v)| v == b"new") && net.values(i).len() == 2)
    });
}

#[test]
fn deletes_survive_a_partition_longer_than_their_tombstones() {
    let mut net = Net::new(4);
    net.config.tombstone_life = Duration::from_secs(5);
    net = {
        let config = net.config.clone();
        let mut net = net;
        for index in 0..4 {
            net.hosts[index].node = None;
            net.config = config.clone();
            net.start(index);
        }
        net
    };
    net.run(Duration::from_secs(3));
    net.attach_all();
    for key in ["gone", "kept", "fresh"] {
        net.write(0, Lifetime::Cluster, key, Operation::Create, b"1").unwrap();
    }
    net.until(Duration::from_secs(2), |net| (0..4).all(|i| net.values(i).len() == 3));
    for (a, b) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
        net.cut.extend([(a, b), (b, a)]);
    }
    net.run(Duration::from_secs(10));
    net.write(0, Lifetime::Cluster, "gone", Operation::Delete, b"").unwrap();
    net.write(2, Lifetime::Cluster, "fresh", Operation::Update, b"2").unwrap();
    net.write(3, Lifetime::Cluster, "more", Operation::Create, b"3").unwrap();
    net.run(Duration::from_secs(40));
    assert_eq!(net.node(0).networks()[1].tombstones, 0, "forgotten by now");
    net.cut.clear();
    net.until(Duration::from_secs(30), |net| {
        let expected = [("fresh", "2"), ("kept", "1"), ("more", "3")];
        let expected: Vec<_> =
            expected.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        (0..4).all(|i| net.values(i) == expected)
    });
    net.run(Duration::from_secs(5));
    assert!(net.agree());
}
