//! The queue of every peer, and which stream carries it.
//!
//! At most one stream of a peer, its *carrier*, takes messages from the queue, so they stay in order; any
//! stream of the pair will do, whoever opened it. Must never do I/O or wait: it is locked by
//! every stream and by every send.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use netdb_gossip_core::identity::NodeId;

use crate::{
    limits::{Limits, MAX_STREAM_MESSAGE},
    stop::lock,
    stream::Line,
};

/// Why a message was not queued. Nothing was sent, and no failure will be reported for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Over [`MAX_STREAM_MESSAGE`].
    #[error("the message has {0} bytes, at most {MAX_STREAM_MESSAGE} are allowed")]
    TooLarge(usize),
    /// As much waits for this peer as may.
    #[error("the queue for the peer is full")]
    Full,
    /// As many streams are open as may.
    #[error("too many streams are open")]
    TooManyStreams,
    /// The receiver is this node.
    #[error("the message is addressed to this node itself")]
    ToSelf,
    /// The transport is shutting down.
    #[error("the transport is shutting down")]
    Stopped,
}

/// Names one stream of this transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LineId(u64);

/// Who takes from a peer's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carrier {
    None,
    Dialing,
    Line(LineId),
}

struct Peer {
    addr: SocketAddr,
    queue: VecDeque<Vec<u8>>,
    bytes: usize,
    carrier: Carrier,
    lines: BTreeMap<LineId, Arc<Line>>,
}

#[derive(Default)]
struct Table {
    peers: BTreeMap<NodeId, Peer>,
    next_line: u64,
    outbound: usize,
    inbound: usize,
    stopping: bool,
}

/// Every peer that has a stream or a queue.
pub(crate) struct Peers {
    limits: Limits,
    table: Mutex<Table>,
}

impl Peer {
    fn clear_queue(&mut self) -> bool {
        self.bytes = 0;
        let had = !self.queue.is_empty();
        self.queue.clear();
        had
    }

    /// Hands the queue to an open stream, newest first: the older one may be what a crash left behind.
    fn adopt(&mut self) -> bool {
        match self.lines.iter().rev().find(|(_, line)| line.is_open()) {
            Some((id, line)) => {
                self.carrier = Carrier::Line(*id);
                line.wake();
                true
            }
            None => false,
        }
    }
}

impl Table {
    /// A carrier for a peer that has none and something to send; an address if one must be dialled.
    fn find_carrier(&mut self, id: NodeId) -> Option<SocketAddr> {
        let peer = self.peers.get_mut(&id)?;
        if peer.queue.is_empty() {
            peer.carrier = Carrier::None;
            return None;
        }
        if peer.adopt() {
            return None;
        }
        peer.carrier = Carrier::Dialing;
        self.outbound += 1;
        Some(peer.addr)
    }

    fn forget_if_idle(&mut self, id: NodeId) {
        if let Some(peer) = self.peers.get(&id)
            && peer.lines.is_empty()
            && peer.queue.is_empty()
            && peer.carrier == Carrier::None
        {
            self.peers.remove(&id);
        }
    }
}

impl Peers {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, table: Mutex::default() }
    }

    /// Queues a message; returns an address if a stream must be dialled for it.
    pub(crate) fn push(
        &self,
        to: NodeId,
        addr: SocketAddr,
        message: Vec<u8>,
    ) -> Result<Option<SocketAddr>, SendError> {
        if message.len() > MAX_STREAM_MESSAGE {
            return Err(SendError::TooLarge(message.len()));
        }
        let mut table = lock(&self.table);
        if table.stopping {
            return Err(SendError::Stopped);
        }
        let may_dial = table.outbound < self.limits.outbound_streams;
        let peer = table.peers.entry(to).or_insert_with(|| Peer {
            addr,
            queue: VecDeque::new(),
            bytes: 0,
            carrier: Carrier::None,
            lines: BTreeMap::new(),
        });
        if peer.queue.len() >= self.limits.queue_messages
            || peer.bytes + message.len() > self.limits.queue_bytes
        {
            table.forget_if_idle(to);
            return Err(SendError::Full);
        }
        let can_carry =
            peer.carrier != Carrier::None || peer.lines.values().any(|line| line.is_open());
        if !can_carry && !may_dial {
            table.forget_if_idle(to);
            return Err(SendError::TooManyStreams);
        }
        peer.addr = addr;
        peer.bytes += message.len();
        peer.queue.push_back(message);
        match peer.carrier {
            Carrier::None => return Ok(table.find_carrier(to)),
            Carrier::Dialing => {}
            Carrier::Line(id) => {
                if let Some(line) = peer.lines.get(&id) {
                    line.wake();
                }
            }
        }
        Ok(None)
    }

    /// The next message for a stream, if it is the carrier.
    pub(crate) fn take(&self, from: NodeId, line: LineId) -> Option<Vec<u8>> {
        let mut table = lock(&self.table);
        let peer = table.peers.get_mut(&from)?;
        if peer.carrier != Carrier::Line(line) {
            return None;
        }
        let message = peer.queue.pop_front()?;
        peer.bytes = peer.bytes.saturating_sub(message.len());
        Some(message)
    }

    /// Enters a stream that we dialled: it carries the queue from now on.
    pub(crate) fn dialled(&self, to: NodeId, line: &Arc<Line>) -> Option<LineId> {
        let mut table = lock(&self.table);
        table.next_line += 1;
        let id = LineId(table.next_line);
        let Some(peer) = table.peers.get_mut(&to) else {
            table.outbound = table.outbound.saturating_sub(1);
            return None;
        };
        peer.carrier = Carrier::Line(id);
        peer.lines.insert(id, Arc::clone(line));
        Some(id)
    }

    /// Gives up a dial. True if messages are lost by it; false if another stream takes them over.
    pub(crate) fn not_dialled(&self, to: NodeId) -> bool {
        let mut table = lock(&self.table);
        table.outbound = table.outbound.saturating_sub(1);
        let Some(peer) = table.peers.get_mut(&to) else { return false };
        peer.carrier = Carrier::None;
        if peer.adopt() {
            return false;
        }
        let lost = peer.clear_queue();
        table.forget_if_idle(to);
        lost
    }

    /// True if another stream from outside may come in.
    pub(crate) fn has_room(&self) -> bool {
        lock(&self.table).inbound < self.limits.inbound_streams
    }

    /// Enters a stream that the peer opened; its oldest goes if it has too many. `None` if there are too
    /// many streams in all.
    pub(crate) fn accepted(
        &self,
        from: NodeId,
        addr: SocketAddr,
        line: &Arc<Line>,
    ) -> Option<LineId> {
        let mut table = lock(&self.table);
        if table.stopping || table.inbound >= self.limits.inbound_streams {
            return None;
        }
        table.inbound += 1;
        table.next_line += 1;
        let id = LineId(table.next_line);
        let peer = table.peers.entry(from).or_insert_with(|| Peer {
            addr,
            queue: VecDeque::new(),
            bytes: 0,
            carrier: Carrier::None,
            lines: BTreeMap::new(),
        });
        let theirs = || peer.lines.values().filter(|line| line.is_inbound() && !line.is_cut());
        if theirs().count() >= self.limits.inbound_streams_per_peer
            && let Some(oldest) = theirs().next()
        {
            oldest.cut();
        }
        peer.lines.insert(id, Arc::clone(line));
        Some(id)
    }

    /// A stream takes no more messages: what is queued finds another carrier; an address if that must be
    /// dialled.
    pub(crate) fn retire(&self, peer_id: NodeId, id: LineId) -> Option<SocketAddr> {
        let mut table = lock(&self.table);
        let peer = table.peers.get_mut(&peer_id)?;
        peer.lines.get(&id)?.retire();
        if peer.carrier == Carrier::Line(id) { table.find_carrier(peer_id) } else { None }
    }

    /// A stream has ended. If it still was the carrier, what is queued behind it is lost. True if
    /// anything was lost: that, or what it had begun and the peer never confirmed.
    pub(crate) fn ended(&self, peer_id: NodeId, id: LineId, unconfirmed: bool) -> bool {
        let mut table = lock(&self.table);
        let Some(peer) = table.peers.get_mut(&peer_id) else { return unconfirmed };
        let line = peer.lines.remove(&id);
        let mut lost = unconfirmed;
        if peer.carrier == Carrier::Line(id) {
            peer.carrier = Carrier::None;
            lost |= peer.clear_queue();
        }
        match line {
            Some(line) if line.is_inbound() => table.inbound = table.inbound.saturating_sub(1),
            Some(_) => table.outbound = table.outbound.saturating_sub(1),
            None => {}
        }
        table.forget_if_idle(peer_id);
        lost
    }

    /// Cuts every stream of a peer.
    pub(crate) fn disconnect(&self, peer_id: NodeId) {
        if let Some(peer) = lock(&self.table).peers.get(&peer_id) {
            peer.lines.values().for_each(|line| line.cut());
        }
    }

    /// Takes no more messages; streams close once what is queued is out.
    pub(crate) fn stop(&self) {
        let mut table = lock(&self.table);
        table.stopping = true;
        table.peers.values().flat_map(|peer| peer.lines.values()).for_each(|line| line.wake());
    }

    /// True if no peer has a stream or a queue.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        lock(&self.table).peers.is_empty()
    }

    /// True once no more messages are taken.
    pub(crate) fn is_stopping(&self) -> bool {
        lock(&self.table).stopping
    }
}
