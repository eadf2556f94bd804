//! One node: membership, tables and keys put together into one state machine.
//!
//! Inputs are time, packets, stream messages, finished commits and commands. After every call that
//! takes `&mut self` the owner drains [`Node::poll_output`] until it returns `None`, and then asks
//! [`Node::poll_timeout`] when to call [`Node::handle_timeout`] at the latest. Nothing that a peer sends
//! makes a call fail: it is counted and dropped.

mod admission;
mod compare;
mod debug;
mod disk;
mod farewell;
mod inspect;
pub mod io;
mod keys;
mod learn;
mod life;
mod members;
mod network;
mod networks;
mod pull;
mod push;
mod requests;
mod rows;
mod show;
mod start;
#[cfg(test)]
mod tests;
mod timers;

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::net::SocketAddr;

use netdb_gossip_core::{
    gossip::{self, Gossip, Member},
    identity::{ClusterId, Generation, Identity, Name, NodeId},
    time::{Now, Time, Wall},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use self::{
    admission::{Adopted, JoinRejected},
    debug::{Child, Due, Insides, MAX_SHOWN, NetworkInsides, PullInsides, WriterInsides},
    io::*,
    requests::{
        MAX_REQUEST, MAX_REQUESTS, MAX_REQUESTS_TO, MAX_SERVED_FROM, REQUEST_TIMEOUT, RequestError,
        RequestFailure,
    },
};
use self::{
    disk::Disk,
    keys::Rotation,
    network::Network,
    push::Outbox,
    timers::{Timer, Timers},
};
use crate::{
    clock::Clock,
    config::Config,
    entry::Writer,
    presence::Presences,
    records::AttachmentRecord,
    view::Event,
    watch::Watchers,
    wire::{self, Message},
};

/// One node. See the module's documentation for the contract.
pub struct Node {
    config: Config,
    identity: Identity,
    id: NodeId,
    name: Name,
    cluster: ClusterId,
    gossip: Gossip,
    rng: ChaCha8Rng,
    clock: Clock,
    phase: Phase,
    presences: Presences,
    networks: BTreeMap<Arc<Name>, Network>,
    /// Who may speak, as the cluster network says.
    admitted: BTreeSet<NodeId>,
    /// Who is attached to what, as the cluster network says.
    attachments: BTreeMap<Name, BTreeMap<NodeId, (Generation, AttachmentRecord)>>,
    /// This node's own attachments, past ones included.
    own_attachments: BTreeMap<Name, disk::Attachment>,
    /// Members of former days, to be called at the start, by id.
    old_peers: Vec<Member>,
    cluster_name: Arc<Name>,
    watchers: Watchers,
    outbox: Outbox,
    outputs: VecDeque<Output>,
    disk: Disk,
    /// `Cluster` writers whose progress is not on disk yet, by network.
    unsaved: BTreeSet<(Arc<Name>, Writer)>,
    timers: Timers,
    rotation: Rotation,
    /// Until then a peer of former days may still answer.
    boot_until: Time,
    reborn_at: Option<Time>,
    next_pull: u64,
    inspected: inspect::Pace,
    requests: requests::Requests,
    stats: NodeStats,
}

/// Where a node is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its generation is not on disk yet: nothing is sent.
    Starting { commit: u64 },
    /// It takes part.
    Running,
    /// It wrote what it never made: a new generation is on its way to disk.
    Reborn { commit: u64, generation: Generation },
    /// It says farewell; if it is to leave the membership too, at this time at the latest.
    Leaving { departs: Option<Time> },
}

impl Node {
    /// Takes a datagram. Opened in place.
    pub fn handle_packet(&mut self, now: Now, from: SocketAddr, packet: &mut [u8]) {
        if self.is_starting() {
            return;
        }
        self.gossip.handle_packet(now, from, packet);
        self.drain_gossip(now);
        self.depart(now);
    }

    /// Takes a message that came on an authenticated stream from an admitted node.
    pub fn handle_stream(&mut self, now: Now, from: NodeId, message: &[u8]) {
        if self.is_starting() {
            return;
        }
        self.take_message(now, from, message, Way::Stream);
    }

    /// A stream to a peer broke, or could not be opened; messages may be lost.
    pub fn handle_stream_failed(&mut self, now: Now, to: NodeId) {
        self.abandon_pulls(now, to);
        self.fail_requests(to);
    }

    /// A commit is durable.
    pub fn handle_committed(&mut self, now: Now, id: u64) {
        match self.phase {
            Phase::Starting { commit } if id >= commit => self.begin(now),
            Phase::Reborn { commit, generation } if id >= commit => self.resume_as(now, generation),
            _ => {}
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.is_starting() {
            return;
        }
        self.gossip.handle_timeout(now);
        self.drain_gossip(now);
        while let Some(timer) = self.timers.pop_due(now.mono) {
            self.handle_timer(now, timer);
        }
        self.depart(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        let gossip = if self.is_starting() { None } else { self.gossip.poll_timeout() };
        [gossip, self.timers.next()].into_iter().flatten().min()
    }

    /// What to do next; `None` when everything was said.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        self.flush_when_due(now);
        self.save_writers();
        if let Some((id, ops)) = self.disk.take() {
            return Some(Output::Commit { id, ops });
        }
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if self.is_starting() {
            return None;
        }
        loop {
            match self.gossip.poll_output(now)? {
                gossip::Output::Packet { to, bytes } => return Some(Output::Packet { to, bytes }),
                other => self.handle_gossip(now, other),
            }
            if let Some(output) = self.outputs.pop_front() {
                return Some(output);
            }
        }
    }

    /// The next event of a watch.
    pub fn poll_watch(&mut self, id: WatchId) -> Option<Event> {
        self.watchers.poll(id)
    }

    /// Ends a watch.
    pub fn unwatch(&mut self, id: WatchId) {
        self.watchers.remove(id);
    }

    /// Counts since start.
    pub fn stats(&self) -> &NodeStats {
        &self.stats
    }

    /// The membership, links and keyring below.
    pub fn gossip(&self) -> &Gossip {
        &self.gossip
    }

    /// Whether the generation is not durable yet.
    fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. })
    }

    fn is_leaving(&self) -> bool {
        matches!(self.phase, Phase::Leaving { .. })
    }

    /// What stamps are read from: the own clock, moved by the median offset of the live peers.
    pub fn cluster_time(&self, now: Now) -> Wall {
        now.wall.offset_by(self.gossip.cluster_offset())
    }

    fn random_byte(&mut self) -> u8 {
        self.rng.next_u32().to_le_bytes()[0]
    }

    /// One of `peers` at random.
    pub(super) fn pick(&mut self, peers: &[NodeId]) -> Option<NodeId> {
        let count = u32::try_from(peers.len()).ok().filter(|count| *count > 0)?;
        let index = usize::try_from(self.rng.next_u32() % count).ok()?;
        peers.get(index).copied()
    }

    fn emit(&mut self, event: NodeEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    fn handle_timer(&mut self, now: Now, timer: Timer) {
        if self.is_leaving() {
            return;
        }
        match timer {
            Timer::Compare(network) => self.compare_due(now, &network),
            Timer::Gap(network) => self.gap_due(now, &network),
            Timer::Pull(network) => self.pull_due(now, &network),
            Timer::Replace(network) => self.replace_due(now, &network),
            Timer::Purge(network) => self.purge_due(now, &network),
            Timer::Release(network) => self.release_due(now, &network),
            Timer::Hold => self.holds_due(now),
            Timer::Keys => self.keys_due(now),
            Timer::Boot => self.boot_due(now),
            Timer::Peers => self.save_peers(),
            Timer::Requests => self.requests_due(now),
            Timer::Housekeeping => self.housekeeping_due(now),
            Timer::Flush | Timer::Depart => {}
        }
    }

    fn drain_gossip(&mut self, now: Now) {
        // Packets wait in the gossip until the owner drains, so that more can share them: only what it
        // tells is taken here.
        while let Some(told) = self.gossip.poll_told() {
            self.handle_gossip(now, told);
        }
    }

    fn handle_gossip(&mut self, now: Now, output: gossip::Output) {
        match output {
            gossip::Output::Packet { to, bytes } => {
                self.outputs.push_back(Output::Packet { to, bytes });
            }
            gossip::Output::Event(event) => self.member_event(now, event),
            gossip::Output::Received { from, frame } => {
                self.take_message(now, from, &frame, Way::Frame);
            }
            gossip::Output::Late { to, frame, .. } => self.route_around(now, to, &frame),
            gossip::Output::Lost { to, frame, was_late, .. } => {
                if !was_late {
                    self.route_around(now, to, &frame);
                }
                self.request_lost(to, &frame);
            }
            gossip::Output::UnknownKey { from } => self.unknown_key(now, from),
        }
    }

    fn take_message(&mut self, now: Now, from: NodeId, bytes: &[u8], way: Way) {
        match wire::decode(bytes) {
            Ok(message) => {
                self.stats.received.count(bytes);
                self.handle_message(now, from, message, way);
            }
            Err(_) => self.stats.malformed += 1,
        }
    }

    fn handle_message(&mut self, now: Now, from: NodeId, message: Message, way: Way) {
        let absent = message.network().is_some_and(|name| !self.networks.contains_key(name));
        match message {
            // Who does not know yet that this node has left a network counts on it to pass news on.
            Message::Push(push) => self.take_push(now, from, push),
            Message::Pull(pull) if absent => {
                self.say(now, from, &Message::NotAttached(pull.network));
            }
            _ if absent => {}
            Message::Compare(items) => self.take_compare(now, from, items),
            Message::Same(networks) => self.take_same(now, &networks),
            Message::NotAttached(network) => self.take_not_attached(now, from, &network),
            Message::Received { network, cutoff, parts } => {
                self.take_received(now, from, &network, cutoff, parts);
            }
            Message::Held { network, settled, parts } => {
                self.take_held(now, from, &network, settled, parts);
            }
            Message::Pull(pull) => self.take_pull(now, from, pull),
            Message::Chunk(chunk) => self.take_chunk(now, from, chunk),
            Message::Gone { network, dots } => self.take_gone(now, &network, &dots),
            // Keys only travel from one node to one other, never under a key that all share.
            Message::KeysWanted if way == Way::Stream => self.send_keys(now, from),
            Message::Keys { keyring, admitted } if way == Way::Stream => {
                self.take_keys(now, from, &keyring, admitted);
            }
            Message::Question(id, question) if way == Way::Stream => {
                self.take_question(now, from, id, &question);
            }
            Message::Answer(id, answer) if way == Way::Stream => {
                self.outputs.push_back(Output::Answer { from, id, answer });
            }
            Message::Request(id, topic, body) => self.take_request(now, from, id, topic, body),
            Message::Response(id, body) => self.take_response(from, id, body),
            Message::KeysWanted
            | Message::Keys { .. }
            | Message::Question(..)
            | Message::Answer(..) => self.stats.malformed += 1,
        }
    }

    /// Sends a message in an acknowledged frame if it fits, else on a stream. A peer that can't be
    /// reached, or whose queue is full, misses it: the next comparison makes up for that.
    /// False if it is certain that it does.
    fn say(&mut self, now: Now, to: NodeId, message: &Message) -> bool {
        self.say_bytes(now, to, wire::encode(message))
    }

    fn say_bytes(&mut self, now: Now, to: NodeId, bytes: Vec<u8>) -> bool {
        if bytes.len() > self.gossip.max_frame() {
            return self.say_on_stream(to, bytes);
        }
        self.stats.sent.count(&bytes);
        let sent = self.gossip.send(now, to, bytes.into(), 0, true).is_ok();
        self.stats.unsent += u64::from(!sent);
        sent
    }

    fn say_on_stream(&mut self, to: NodeId, message: Vec<u8>) -> bool {
        let known = self.presences.get(to).map(|p| p.member.addr);
        let addr = known.or_else(|| self.old_peer(to).map(|m| m.addr));
        match addr {
            Some(addr) if message.len() <= MAX_STREAM_MESSAGE => {
                self.stats.sent.count(&message);
                self.outputs.push_back(Output::Stream { to, addr, message });
                true
            }
            _ => {
                self.stats.unsent += 1;
                false
            }
        }
    }
}

/// How a message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In a packet, sealed with the key that all members share.
    Frame,
    /// On a stream, from the very node.
    Stream,
}

/// Seeds the generator of a node's decisions.
fn decisions(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

impl core::fmt::Debug for Node {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Node({} {:?} {:?})", self.name, self.id, self.phase)
    }
}
