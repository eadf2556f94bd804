//! Rings on replicas of a table where the highest stamp wins, disks that may forget, and messages that may
//! be lost. By default all of it is quick and sound.

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use core::time::Duration;

use super::super::*;

pub(super) fn node(n: usize) -> NodeId {
    NodeId([u8::try_from(n).unwrap() + 1; 16])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Row(u128),
    Endpoint(u128, usize),
}

type Stamp = (u64, usize);
type Replica = BTreeMap<Key, (Stamp, Option<Row>)>;

pub(super) struct Host {
    pub(super) ring: Option<Ring>,
    replica: Replica,
    disk: Replica,
    pub(super) given: BTreeSet<u128>,
    clock: u64,
    writes: Vec<(u64, u128)>,
    cut: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Message {
    Entry(Key, Stamp, Option<Row>),
    Ask(u64, Vec<u8>),
    Answer(u64, Option<Vec<u8>>),
}

pub(super) struct Net {
    pub(super) hosts: Vec<Host>,
    pub(super) wire: VecDeque<(usize, usize, Message)>,
    /// Nothing happens by itself.
    pub(super) manual: bool,
    pub(super) now: Time,
    pub(super) asks: usize,
    space: Space,
    config: Config,
    handles: BTreeMap<u64, (usize, u64, usize)>,
    next_handle: u64,
    answers: BTreeMap<(usize, u64), Result<u128, Refusal>>,
    pub(super) refusals: Vec<(usize, Refusal)>,
}

impl Net {
    pub(super) fn new(hosts: usize, space: &Space) -> Self {
        let host = |_| Host {
            ring: None,
            replica: Replica::new(),
            disk: Replica::new(),
            given: BTreeSet::new(),
            clock: 0,
            writes: Vec::new(),
            cut: false,
        };
        let mut net = Self {
            hosts: (0..hosts).map(host).collect(),
            wire: VecDeque::new(),
            manual: false,
            now: Time(1),
            asks: 0,
            space: space.clone(),
            config: Config::default(),
            handles: BTreeMap::new(),
            next_handle: 0,
            answers: BTreeMap::new(),
            refusals: Vec::new(),
        };
        for host in 0..hosts {
            net.restart(host);
        }
        net.with(0, |ring, now| {
            ring.handle_synced(now);
            ring.found();
        });
        net.settle();
        for host in 0..hosts {
            net.sync(host);
        }
        net
    }

    pub(super) fn ring(&self, host: usize) -> &Ring {
        self.hosts[host].ring.as_ref().unwrap()
    }

    pub(super) fn with<T>(&mut self, host: usize, call: impl FnOnce(&mut Ring, Time) -> T) -> T {
        let now = self.now;
        let result = call(self.hosts[host].ring.as_mut().unwrap(), now);
        self.drain(host);
        if !self.manual {
            self.settle();
        }
        result
    }

    fn drain(&mut self, host: usize) {
        while let Some(output) = self.hosts[host].ring.as_mut().and_then(Ring::poll_output) {
            match output {
                Output::Write { id, start, row } => {
                    self.hosts[host].writes.push((id, start));
                    self.put(host, Key::Row(start), row.as_ref());
                }
                Output::Ask { id, to, bytes } => {
                    self.asks += usize::from(!matches!(Ask::decode(&bytes), Ok(Ask::Take { .. })));
                    self.wire.push_back((host, usize::from(to.0[0]) - 1, Message::Ask(id, bytes)));
                }
                Output::Reply { handle, bytes } => {
                    // Nobody waits for the answer to a question that was asked before a kill.
                    if let Some((to, id, _)) = self.handles.remove(&handle) {
                        self.wire.push_back((host, to, Message::Answer(id, Some(bytes))));
                    }
                }
                Output::Given { request, number } => {
                    for (other, holder) in self.hosts.iter().enumerate() {
                        assert!(
                            !holder.given.contains(&number),
                            "{number} is given by {host} and {other}"
                        );
                    }
                    self.hosts[host].given.insert(number);
                    let mark = self.ring(host).held(number..number + 1, 1);
                    self.put(host, Key::Endpoint(number, host), Some(&mark));
                    self.answers.insert((host, request), Ok(number));
                }
                Output::Refused { request, why } => {
                    self.refusals.push((host, why.clone()));
                    self.answers.insert((host, request), Err(why));
                }
            }
        }
    }

    fn put(&mut self, host: usize, key: Key, row: Option<&Row>) {
        let entry = &mut self.hosts[host];
        let standing = entry.replica.get(&key).map_or(0, |(stamp, _)| stamp.0);
        entry.clock = entry.clock.max(standing) + 1;
        let stamp = (entry.clock, host);
        entry.replica.insert(key, (stamp, row.cloned()));
        self.show(host, key, row);
        for other in (0..self.hosts.len()).filter(|other| *other != host) {
            self.wire.push_back((host, other, Message::Entry(key, stamp, row.cloned())));
        }
    }

    /// A changed entry reaches the ring above the replica.
    fn show(&mut self, host: usize, key: Key, row: Option<&Row>) {
        let now = self.now;
        let Some(ring) = self.hosts[host].ring.as_mut() else { return };
        match key {
            Key::Row(start) => ring.handle_row(now, start, row.cloned()),
            Key::Endpoint(n, of) => ring.handle_user(now, n, row.map(|_| node(of))),
        }
    }

    fn merge(&mut self, host: usize, key: Key, stamp: Stamp, row: Option<&Row>) {
        let entry = &mut self.hosts[host];
        entry.clock = entry.clock.max(stamp.0);
        if entry.replica.get(&key).is_none_or(|(standing, _)| *standing < stamp) {
            entry.replica.insert(key, (stamp, row.cloned()));
            self.show(host, key, row);
            self.drain(host);
        }
    }

    pub(super) fn reach(&self, one: usize, other: usize) -> bool {
        let [one, other] = [one, other].map(|n| &self.hosts[n]);
        one.cut == other.cut && one.ring.is_some() && other.ring.is_some()
    }

    /// Delivers one message; true if it was heard.
    pub(super) fn deliver(&mut self, from: usize, to: usize, message: Message) {
        if !self.reach(from, to) {
            match message {
                Message::Ask(id, _) => {
                    self.wire.push_back((from, from, Message::Answer(id, None)));
                }
                Message::Answer(id, _) if from != to && self.hosts[to].ring.is_some() => {
                    self.wire.push_back((to, to, Message::Answer(id, None)));
                }
                Message::Answer(..) | Message::Entry(..) => {}
            }
            return;
        }
        let now = self.now;
        match message {
            Message::Entry(key, stamp, row) => self.merge(to, key, stamp, row.as_ref()),
            Message::Ask(id, bytes) => {
                self.next_handle += 1;
                let handle = self.next_handle;
                self.handles.insert(handle, (from, id, to));
                self.hosts[to].ring.as_mut().unwrap().handle_ask(now, node(from), &bytes, handle);
                self.drain(to);
            }
            Message::Answer(id, bytes) => {
                self.hosts[to].ring.as_mut().unwrap().handle_answer(now, id, bytes.as_deref());
                self.drain(to);
            }
        }
    }

    /// What a host has written is on its disk.
    pub(super) fn fsync(&mut self, host: usize) {
        let entry = &mut self.hosts[host];
        entry.disk = entry.replica.clone();
        for (id, start) in core::mem::take(&mut entry.writes) {
            let shown = self.shown(host, start);
            let now = self.now;
            if let Some(ring) = self.hosts[host].ring.as_mut() {
                ring.handle_written(now, id, shown);
            }
            self.drain(host);
        }
    }

    fn shown(&self, host: usize, start: u128) -> Option<Row> {
        self.hosts[host].replica.get(&Key::Row(start)).and_then(|(_, row)| row.clone())
    }

    /// Compares a host with another that it reaches; it is in sync then.
    pub(super) fn sync(&mut self, host: usize) {
        let peers: Vec<usize> =
            (0..self.hosts.len()).filter(|n| *n != host && self.reach(host, *n)).collect();
        for peer in &peers {
            for (from, to) in [(host, *peer), (*peer, host)] {
                for (key, (stamp, row)) in self.hosts[from].replica.clone() {
                    self.merge(to, key, stamp, row.as_ref());
                }
            }
        }
        // As a new generation replaces the rows of the one before.
        let entry = &self.hosts[host];
        let gone: Vec<Key> = entry
            .replica
            .iter()
            .filter(|(_, (_, row))| row.is_some())
            .map(|(key, _)| *key)
            .filter(|key| {
                matches!(key, Key::Endpoint(n, of) if *of == host && !entry.given.contains(n))
            })
            .collect();
        for key in gone {
            self.put(host, key, None);
        }
        if !peers.is_empty() {
            let now = self.now;
            self.hosts[host].ring.as_mut().unwrap().handle_synced(now);
            self.drain(host);
        }
    }

    fn tell_members(&mut self, host: usize) {
        let members: Vec<(NodeId, bool)> =
            (0..self.hosts.len()).map(|n| (node(n), self.reach(host, n))).collect();
        let now = self.now;
        if let Some(ring) = self.hosts[host].ring.as_mut() {
            ring.handle_members(now, members);
        }
    }

    pub(super) fn kill(&mut self, host: usize) {
        let entry = &mut self.hosts[host];
        entry.ring = None;
        entry.writes.clear();
        entry.replica = entry.disk.clone();
        // Whoever asked it is told in the end that there is no answer.
        for (_, (asker, id, _)) in self.handles.extract_if(.., |_, (_, _, asked)| *asked == host) {
            self.wire.push_back((asker, asker, Message::Answer(id, None)));
        }
        for (from, to, message) in core::mem::take(&mut self.wire) {
            match message {
                Message::Answer(..) if to == host => {}
                Message::Answer(id, _) if from == host => {
                    self.wire.push_back((to, to, Message::Answer(id, None)));
                }
                _ if from == host => {}
                message => self.wire.push_back((from, to, message)),
            }
        }
        self.handles.retain(|_, (asker, ..)| *asker != host);
    }

    pub(super) fn restart(&mut self, host: usize) {
        let entry = &self.hosts[host];
        let rows = entry.disk.iter().filter_map(|(key, (_, row))| match (key, row) {
            (Key::Row(start), Some(row)) => Some((*start, row.clone())),
            _ => None,
        });
        let mut ring = Ring::new(node(host), self.space.clone(), self.config, self.now, rows);
        for (key, (_, row)) in &entry.disk {
            if let Key::Endpoint(n, of) = key {
                ring.handle_user(self.now, *n, row.as_ref().map(|_| node(*of)));
            }
        }
        for n in &entry.given {
            ring.keep(*n);
        }
        self.hosts[host].ring = Some(ring);
        for n in 0..self.hosts.len() {
            self.tell_members(n);
        }
    }

    pub(super) fn cut(&mut self, host: usize, cut: bool) {
        self.hosts[host].cut = cut;
        for n in 0..self.hosts.len() {
            self.tell_members(n);
        }
    }

    /// Everything that is on its way arrives, and is durable.
    pub(super) fn settle(&mut self) {
        loop {
            while let Some((from, to, message)) = self.wire.pop_front() {
                self.deliver(from, to, message);
            }
            if self.hosts.iter().all(|host| host.writes.is_empty()) {
                return;
            }
            (0..self.hosts.len()).for_each(|host| self.fsync(host));
        }
    }

    pub(super) fn timeouts(&mut self) {
        for host in 0..self.hosts.len() {
            self.tell_members(host);
            let now = self.now;
            if let Some(ring) = self.hosts[host].ring.as_mut() {
                if ring.poll_timeout() <= now {
                    ring.handle_timeout(now);
                }
                self.drain(host);
            }
        }
    }

    pub(super) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += Duration::from_millis(100);
            self.timeouts();
            self.settle();
            if (self.now.0 / 100_000).is_multiple_of(10) {
                for host in 0..self.hosts.len() {
                    if self.hosts[host].ring.is_some() {
                        self.sync(host);
                    }
                }
                self.settle();
            }
        }
    }

    pub(super) fn take(&mut self, host: usize, wish: Wish) -> Result<u128, Refusal> {
        let request = self.with(host, |ring, now| ring.take(now, wish));
        let end = self.now + Duration::from_secs(10);
        while self.now < end {
            if let Some(answer) = self.answers.remove(&(host, request)) {
                return answer;
            }
            self.run(Duration::from_millis(100));
        }
        panic!("no answer: {:?}", self.ring(host));
    }

    pub(super) fn given(&self, host: usize) -> Vec<u128> {
        self.hosts[host].given.iter().copied().collect()
    }

    pub(super) fn release(&mut self, host: usize, n: u128) {
        if self.hosts[host].given.remove(&n) {
            self.hosts[host].ring.as_mut().unwrap().release(self.now, n);
            self.put(host, Key::Endpoint(n, host), None);
            self.drain(host);
            if !self.manual {
                self.settle();
            }
        }
    }

    pub(super) fn release_anywhere(&mut self, n: u128) {
        let host = self.hosts.iter().position(|host| host.given.contains(&n)).unwrap();
        self.release(host, n);
    }

    pub(super) fn leave(&mut self, host: usize) {
        self.with(host, Ring::leave);
    }

    pub(super) fn reclaim(
        &mut self,
        host: usize,
        down: &[usize],
        heir: Heir,
    ) -> Result<usize, TakeoverError> {
        self.tell_members(host);
        let down: Vec<NodeId> = down.iter().map(|n| node(*n)).collect();
        self.with(host, |ring, _| ring.reclaim(&down, heir))
    }

    /// Whether a range is on its way, as anybody sees it.
    pub(super) fn moves(&self) -> bool {
        let mut rings = self.hosts.iter().filter_map(|host| host.ring.as_ref());
        rings.any(|ring| ring.rows().any(|(_, row)| row.state != State::Held))
    }

    /// All that run agree, and what they agree on is the whole space, once.
    pub(super) fn check_whole(&self) {
        let mut rings = self.hosts.iter().filter_map(|host| host.ring.as_ref());
        let first = rings.next().unwrap();
        let mut at = 0;
        for (start, row) in first.rows() {
            assert_eq!((start, &row.state), (at, &State::Held), "{first:#?}");
            at = row.end;
        }
        assert_eq!(at, self.space.size());
        for ring in rings {
            assert!(ring.rows().eq(first.rows()), "{ring:#?} {first:#?}");
        }
    }
}
