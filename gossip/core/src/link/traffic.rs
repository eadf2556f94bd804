//! What waits for a peer and what is on its way to it. Decides nothing of when: that is the peer's.
//!
//! Most of a thousand peers are seldom spoken to, so there is one of these only while there is something in it.

use alloc::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};

use super::Kind;
use crate::{
    config::Config,
    membership::Outgoing,
    packet::{FrameQueue, Framed},
    time::Time,
};

/// A frame of the upper layer.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) frame: Arc<[u8]>,
    pub(crate) token: u64,
    pub(super) tries: u32,
    /// It was reported late.
    pub(crate) called_late: bool,
}

impl Item {
    pub(crate) fn new(kind: Kind, frame: Arc<[u8]>, token: u64) -> Self {
        Self { kind, frame, token, tries: 0, called_late: false }
    }
}

impl Framed for Item {
    fn kind(&self) -> u8 {
        self.kind as u8
    }
    fn body(&self) -> &[u8] {
        &self.frame
    }
}

/// A packet that is not confirmed yet.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) sent: Time,
    pub(super) deadline: Time,
    pub(super) items: Vec<Item>,
}

/// Frames and packets to one peer.
#[derive(Debug)]
pub(super) struct Traffic {
    pub(super) messages: VecDeque<Outgoing>,
    pub(super) acked: FrameQueue<Item>,
    pub(super) plain: FrameQueue<Item>,
    pub(super) flight: BTreeMap<u64, Flight>,
    flight_bytes: usize,
}

impl Traffic {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            messages: VecDeque::new(),
            acked: FrameQueue::new(config.mtu, config.queue_bytes),
            plain: FrameQueue::new(config.mtu, config.queue_bytes),
            flight: BTreeMap::new(),
            flight_bytes: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.acked.is_empty()
            && self.plain.is_empty()
            && self.flight.is_empty()
    }

    /// Bytes of frames queued and in flight.
    pub(super) fn bytes(&self) -> usize {
        self.acked.bytes() + self.plain.bytes() + self.flight_bytes
    }

    /// Frames and messages that wait.
    pub(super) fn queued(&self) -> usize {
        self.acked.len() + self.plain.len() + self.messages.len()
    }

    /// Frames that are not confirmed.
    pub(super) fn unconfirmed(&self) -> impl Iterator<Item = &Item> {
        self.flight.values().flat_map(|flight| &flight.items).chain(self.acked.iter())
    }

    /// Whether another packet with frames may leave under this window.
    pub(super) fn may_fly(&self, window: u32) -> bool {
        u32::try_from(self.flight.len()).is_ok_and(|flying| flying < window)
    }

    /// Queues a frame whose size was checked; `false` if there is no room.
    pub(super) fn push(&mut self, item: Item, limit: usize) -> bool {
        let room = self.bytes() + item.frame.len() <= limit;
        let queue = if item.kind == Kind::Acked { &mut self.acked } else { &mut self.plain };
        room && queue.push(item).is_ok()
    }

    pub(super) fn takes_off(&mut self, number: u64, flight: Flight) {
        self.flight_bytes += bytes_of(&flight.items);
        self.flight.insert(number, flight);
    }

    pub(super) fn lands(&mut self, number: u64) -> Option<Flight> {
        let flight = self.flight.remove(&number)?;
        self.flight_bytes -= bytes_of(&flight.items);
        Some(flight)
    }

    /// Gives up every frame, and returns those that were to be acknowledged.
    pub(super) fn fail(&mut self) -> Vec<Item> {
        let flight = core::mem::take(&mut self.flight);
        self.flight_bytes = 0;
        let mut items: Vec<Item> = flight.into_values().flat_map(|flight| flight.items).collect();
        while let Some(item) = self.acked.pop() {
            items.push(item);
        }
        while self.plain.pop().is_some() {}
        items
    }
}

fn bytes_of(items: &[Item]) -> usize {
    items.iter().map(|item| item.frame.len()).sum()
}
