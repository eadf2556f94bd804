//! A small network in virtual time for tests: many cores, one seed, packets with delay and loss.
//!
//! Nodes are numbered from 0; a packet reaches every running node at its address that is in the
//! sender's group (so two nodes can share an address).

use alloc::{boxed::Box, collections::BTreeMap, sync::Arc, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use rand::{RngExt, SeedableRng};
use rand_chacha::{ChaCha8Rng, ChaCha20Rng};

use super::{Gossip, Member, MemberEvent, MemberState, Output, Setup};
use crate::{
    config::Config,
    identity::{ClusterId, Generation, NodeId},
    keyring::Keyring,
    time::{Now, Time, Wall},
};

/// The wall clock at virtual time zero.
pub(crate) const EPOCH: u64 = 1_800_000_000_000_000;

pub(crate) struct Node {
    pub(crate) gossip: Gossip,
    /// Runs, or is dead (or paused: then what reaches it is kept).
    pub(crate) up: bool,
    paused: Option<Vec<(SocketAddr, Vec<u8>)>>,
    pub(crate) group: u8,
    /// How far its wall clock is ahead, in microseconds.
    pub(crate) ahead: i64,
    pub(crate) events: Vec<(Time, MemberEvent)>,
    pub(crate) received: Vec<(NodeId, Vec<u8>)>,
    pub(crate) lost: Vec<(NodeId, u64, Arc<[u8]>)>,
    pub(crate) late: Vec<(NodeId, u64)>,
    pub(crate) unknown_keys: usize,
    pub(crate) bytes: u64,
}

pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) nodes: Vec<Node>,
    pub(crate) config: Config,
    pub(crate) loss_percent: u32,
    pub(crate) delay: Duration,
    wire: BTreeMap<(Time, u64), (usize, SocketAddr, Vec<u8>)>,
    sequence: u64,
    rng: ChaCha8Rng,
    /// Largest packet seen.
    pub(crate) largest: usize,
    pub(crate) packets: u64,
}

pub(crate) fn id(index: usize) -> NodeId {
    // Spread over the ring as real ids are.
    let [low, high, ..] = (index * 0x9e37 + 0x79b9).to_le_bytes();
    let mut bytes = [0; 16];
    bytes[0] = low ^ high;
    bytes[1] = high;
    bytes[15] = u8::try_from(index).unwrap();
    NodeId(bytes)
}

pub(crate) fn addr(index: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(index).unwrap()], 7946))
}

pub(crate) fn member(index: usize) -> Member {
    Member { id: id(index), generation: Generation(1_800_000_000), revision: 0, addr: addr(index) }
}

pub(crate) fn keyring() -> Keyring {
    Keyring::generate(&mut ChaCha20Rng::from_seed([9; 32]))
}

pub(crate) fn gossip(config: &Config, member: Member, seed: u64, now: Now) -> Gossip {
    let setup = Setup {
        config: config.clone(),
        cluster: ClusterId([7; 16]),
        member,
        keyring: keyring(),
        seed,
        entropy: Box::new(ChaCha20Rng::seed_from_u64(seed ^ 0x6e6f_6e63)),
    };
    Gossip::new(setup, now)
}

impl Net {
    /// `count` nodes that don't know each other yet.
    pub(crate) fn new(config: Config, count: usize, seed: u64) -> Self {
        let mut net = Self {
            now: Time(1_000_000),
            nodes: Vec::new(),
            config,
            loss_percent: 0,
            delay: Duration::from_millis(1),
            wire: BTreeMap::new(),
            sequence: 0,
            rng: ChaCha8Rng::seed_from_u64(seed),
            largest: 0,
            packets: 0,
        };
        (0..count).for_each(|index| net.add(member(index)));
        net
    }

    /// `count` nodes that know each other.
    pub(crate) fn joined(config: Config, count: usize, seed: u64) -> Self {
        let mut net = Self::new(config, count, seed);
        (1..count).for_each(|index| net.join(index, 0));
        net.until(Duration::from_secs(20), "all joined", Self::all_alive);
        net.run(Duration::from_secs(2));
        net.nodes.iter_mut().for_each(|node| node.events.clear());
        net
    }

    pub(crate) fn add(&mut self, member: Member) {
        let seed = self.rng.random();
        let now = Now { mono: self.now, wall: Wall(EPOCH + self.now.0) };
        self.nodes.push(Node {
            gossip: gossip(&self.config, member, seed, now),
            up: true,
            paused: None,
            group: 0,
            ahead: 0,
            events: Vec::new(),
            received: Vec::new(),
            lost: Vec::new(),
            late: Vec::new(),
            unknown_keys: 0,
            bytes: 0,
        });
    }

    /// Hands `index` the members that `seed` knows, as a join does.
    pub(crate) fn join(&mut self, index: usize, seed: usize) {
        let gossip = &self.nodes[seed].gossip;
        let mut known: Vec<(Member, MemberState)> =
            gossip.members().map(|(member, state)| (*member, state)).collect();
        known.push((*gossip.me(), MemberState::Alive));
        self.with(index, |gossip, now| gossip.contact(now, &known));
    }

    pub(crate) fn clock(&self, index: usize) -> Now {
        let wall = Wall(EPOCH + self.now.0).offset_by(self.nodes[index].ahead);
        Now { mono: self.now, wall }
    }

    pub(crate) fn with<T>(&mut self, index: usize, call: impl FnOnce(&mut Gossip, Now) -> T) -> T {
        let now = self.clock(index);
        let result = call(&mut self.nodes[index].gossip, now);
        self.drain(index);
        result
    }

    pub(crate) fn drain(&mut self, index: usize) {
        let now = self.clock(index);
        while let Some(output) = self.nodes[index].gossip.poll_output(now) {
            let node = &mut self.nodes[index];
            match output {
                Output::Packet { to, bytes } => {
                    node.bytes += bytes.len() as u64;
                    self.post(index, to, bytes);
                }
                Output::Event(event) => node.events.push((self.now, event)),
                Output::Received { from, frame } => node.received.push((from, frame)),
                Output::Late { to, token, .. } => node.late.push((to, token)),
                Output::Lost { to, token, frame, .. } => node.lost.push((to, token, frame)),
                Output::UnknownKey { .. } => node.unknown_keys += 1,
            }
        }
    }

    fn post(&mut self, from: usize, to: SocketAddr, bytes: Vec<u8>) {
        self.largest = self.largest.max(bytes.len());
        self.packets += 1;
        if self.rng.random_range(0..100) < self.loss_percent {
            return;
        }
        let jitter = Duration::from_micros(self.rng.random_range(0..200));
        self.sequence += 1;
        self.wire.insert((self.now + self.delay + jitter, self.sequence), (from, to, bytes));
    }

    /// Jumps to the next moment at which something happens; `false` if that is after `end`.
    fn step(&mut self, end: Time) -> bool {
        let running = |node: &&Node| node.up && node.paused.is_none();
        let timer = self.nodes.iter().filter(running).filter_map(|n| n.gossip.poll_timeout()).min();
        let packet = self.wire.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = timer.into_iter().chain(packet).min().filter(|next| *next <= end) else {
            self.now = end;
            return false;
        };
        self.now = self.now.max(next);
        if packet.is_some_and(|at| at <= self.now) {
            let (_, (from, to, bytes)) = self.wire.pop_first().unwrap();
            self.deliver(from, to, &bytes);
        } else {
            for index in 0..self.nodes.len() {
                let node = &self.nodes[index];
                let due = node.gossip.poll_timeout().is_some_and(|at| at <= self.now);
                if running(&node) && due {
                    self.with(index, Gossip::handle_timeout);
                }
            }
        }
        true
    }

    fn deliver(&mut self, from: usize, to: SocketAddr, bytes: &[u8]) {
        let (group, source) = (self.nodes[from].group, self.nodes[from].gossip.me().addr);
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if !node.up || node.group != group || node.gossip.me().addr != to || index == from {
                continue;
            }
            if let Some(kept) = &mut node.paused {
                kept.push((source, bytes.to_vec()));
                continue;
            }
            let mut bytes = bytes.to_vec();
            self.with(index, |gossip, now| gossip.handle_packet(now, source, &mut bytes));
        }
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
    }

    /// Runs until `done`, or panics after `limit`. Returns how long it took.
    pub(crate) fn until(
        &mut self,
        limit: Duration,
        what: &str,
        done: impl Fn(&Self) -> bool,
    ) -> Duration {
        let start = self.now;
        while !done(self) {
            assert!(self.step(start + limit), "not within {limit:?}: {what}");
        }
        self.now.since(start)
    }

    pub(crate) fn pause(&mut self, index: usize) {
        self.nodes[index].paused = Some(Vec::new());
    }

    /// Wakes a paused node: its timers first, as a busy loop might, then what waited in its socket.
    pub(crate) fn wake(&mut self, index: usize) {
        let kept = self.nodes[index].paused.take().unwrap();
        self.with(index, Gossip::handle_timeout);
        for (source, mut bytes) in kept {
            self.with(index, |gossip, now| gossip.handle_packet(now, source, &mut bytes));
        }
    }

    pub(crate) fn state(&self, at: usize, of: usize) -> Option<MemberState> {
        self.nodes[at].gossip.member(id(of)).map(|(_, state)| state)
    }

    fn all_alive(&self) -> bool {
        let up: Vec<usize> = (0..self.nodes.len()).filter(|index| self.nodes[*index].up).collect();
        self.agree(&up, &up, MemberState::Alive)
    }

    /// Whether all `viewers` hold all `viewed` (but themselves) for `state`.
    pub(crate) fn agree(&self, viewers: &[usize], viewed: &[usize], state: MemberState) -> bool {
        viewers.iter().all(|at| {
            viewed.iter().filter(|of| *of != at).all(|of| self.state(*at, *of) == Some(state))
        })
    }

    pub(crate) fn count(&self, at: usize, wanted: impl Fn(&MemberEvent) -> bool) -> usize {
        self.nodes[at].events.iter().filter(|(_, event)| wanted(event)).count()
    }
}
