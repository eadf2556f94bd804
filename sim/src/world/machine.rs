//! The hardware and kernel of one host: power, port, clocks, disk, and what waits while its process is
//! paused. Knows nothing of the process.

use std::{collections::VecDeque, net::SocketAddr, time::Duration};

use netdb_gossip_core::time::Time;

use super::{clock::Clock, disk::Disk, port::Port};
use crate::seed::{Draws, Seed};

/// Bytes of datagrams that the kernel keeps for a process that does not read, its own bookkeeping of
/// [`RECEIVE_OVERHEAD`] for each included. More are lost.
pub const RECEIVE_BUFFER: usize = 4 << 20;
/// What the kernel counts besides the bytes of a datagram.
pub const RECEIVE_OVERHEAD: usize = 768;

/// Whether anything answers at a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// The process runs.
    Up,
    /// The process is gone; the kernel refuses connections in its stead.
    Dead,
    /// The host is off: nothing answers.
    Off,
}

/// What reaches a process.
#[derive(Debug)]
pub enum Delivery {
    /// A datagram.
    Datagram {
        /// The host that sent it.
        from: usize,
        /// The address that it came from.
        addr: SocketAddr,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// A message on an authenticated stream.
    Stream {
        /// The host at the other end.
        from: usize,
        /// The message.
        message: Vec<u8>,
    },
    /// A stream to `to` broke or could not be opened.
    StreamFailed {
        /// The host at the other end.
        to: usize,
    },
    /// A host asks for a stream, and shows who it is: answer with
    /// [`Fabric::answer`](super::fabric::Fabric::answer).
    Dialled {
        /// The host that asks.
        from: usize,
        /// Which attempt.
        connection: u64,
    },
    /// Commits are durable.
    Committed(Vec<u64>),
    /// The deadline that the process asked for.
    Timer,
    /// Something that the script had planned.
    Action(u64),
}

/// Bytes and packets that a host sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams sent.
    pub datagrams: u64,
    /// Their bytes, with IP and UDP headers.
    pub datagram_bytes: u64,
    /// Messages sent on streams.
    pub messages: u64,
    /// Their bytes, with an estimate of TCP's headers.
    pub stream_bytes: u64,
    /// Datagrams of this host that were lost on the way, for whatever reason.
    pub lost: u64,
}

impl Traffic {
    /// All bytes.
    pub fn bytes(&self) -> u64 {
        self.datagram_bytes + self.stream_bytes
    }
}

/// One host.
pub(crate) struct Machine {
    pub(crate) addr: SocketAddr,
    pub(crate) power: Power,
    /// Counts the process's starts and ends; what was meant for an earlier life is dropped.
    pub(crate) life: u32,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    pub(crate) out: Port,
    pub(crate) into: Port,
    /// For everything that this host sends.
    pub(crate) draws: Draws,
    pub(crate) traffic: Traffic,
    pub(crate) timer: Timer,
    pub(crate) paused: Option<Paused>,
    pub(crate) slow: Option<Slow>,
}

/// A process that takes its time for everything, one thing after the other.
#[derive(Default)]
pub(crate) struct Slow {
    /// For each thing.
    pub(crate) each: Duration,
    pub(crate) busy: bool,
    /// What comes next; bounded like what waits for a paused process.
    pub(crate) waiting: Paused,
}

/// The deadline of a process.
#[derive(Default)]
pub(crate) struct Timer {
    /// When the process wants to be called.
    pub(crate) due: Option<Time>,
    /// The earliest event in the queue for it, if any.
    pub(crate) queued: Option<Time>,
}

/// What waits for a process that does not run.
#[derive(Default)]
pub(crate) struct Paused {
    /// Which pause; a longer one replaces a shorter one.
    pub(crate) until: Time,
    pub(crate) backlog: VecDeque<Delivery>,
    pub(crate) backlog_bytes: usize,
    pub(crate) timer: bool,
}

impl Slow {
    /// How long it takes to do what waits.
    pub(crate) fn behind(&self) -> Duration {
        self.each * u32::try_from(self.waiting.backlog.len()).unwrap_or(u32::MAX)
    }
}

impl Paused {
    /// Takes out what waits longest; the timer comes last.
    pub(crate) fn take(&mut self) -> Option<Delivery> {
        let next = self.backlog.pop_front();
        if let Some(Delivery::Datagram { bytes, .. }) = &next {
            self.backlog_bytes -= bytes.len() + RECEIVE_OVERHEAD;
        }
        next.or_else(|| std::mem::take(&mut self.timer).then_some(Delivery::Timer))
    }

    /// Takes over what waited elsewhere, behind what waits here.
    pub(crate) fn append(&mut self, mut later: Self) {
        self.backlog.append(&mut later.backlog);
        self.backlog_bytes += later.backlog_bytes;
        self.timer |= later.timer;
    }

    /// Keeps something for later; false if there is no room for a datagram.
    pub(crate) fn keep(&mut self, delivery: Delivery) -> bool {
        if let Delivery::Datagram { bytes, .. } = &delivery {
            let size = bytes.len() + RECEIVE_OVERHEAD;
            if self.backlog_bytes + size > RECEIVE_BUFFER {
                return false;
            }
            self.backlog_bytes += size;
        }
        if matches!(delivery, Delivery::Timer) {
            self.timer = true;
        } else {
            self.backlog.push_back(delivery);
        }
        true
    }
}

impl Machine {
    pub(crate) fn new(seed: Seed, index: usize, addr: SocketAddr) -> Self {
        Self {
            addr,
            power: Power::Dead,
            life: 0,
            clock: Clock::default(),
            disk: Disk::new(seed.stream("disk", index as u64)),
            out: Port::default(),
            into: Port::default(),
            draws: seed.stream("network", index as u64),
            traffic: Traffic::default(),
            timer: Timer::default(),
            paused: None,
            slow: None,
        }
    }
}
