//! Frames that wait for a packet: first in, first out, bounded in bytes.
//!
//! What could never be sent is refused at the door, so a frame at the head always fits an empty packet
//! and nothing waits for ever; what was accepted leaves only into a packet or back to its owner.

use alloc::collections::VecDeque;

use super::{frame, max_frame};

/// Something that goes into a packet as one frame.
pub trait Framed {
    /// The frame's kind.
    fn kind(&self) -> u8;
    /// The frame's content.
    fn body(&self) -> &[u8];
}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It would not fit an empty packet.
    #[error("the frame is larger than a packet can carry")]
    TooLarge,
    /// The queue holds as many bytes as it may.
    #[error("the queue is full")]
    Full,
}

/// A frame handed back, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<T> {
    /// The frame, untouched.
    pub frame: T,
    /// What was wrong.
    pub why: Refusal,
}

/// A queue of frames.
#[derive(Clone, Debug)]
pub struct FrameQueue<T> {
    frames: VecDeque<T>,
    bytes: usize,
    largest: usize,
    limit: usize,
}

impl<T: Framed> FrameQueue<T> {
    /// An empty queue of frames for packets of `mtu` bytes, holding at most `limit` bytes (each frame
    /// counts with its kind and length).
    pub fn new(mtu: usize, limit: usize) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, largest: max_frame(mtu), limit }
    }

    /// Queues a frame, or hands it back.
    pub fn push(&mut self, frame: T) -> Result<(), Refused<T>> {
        if frame.body().len() > self.largest {
            return Err(Refused { frame, why: Refusal::TooLarge });
        }
        let bytes = self.bytes + cost(&frame);
        if bytes > self.limit {
            return Err(Refused { frame, why: Refusal::Full });
        }
        self.bytes = bytes;
        self.frames.push_back(frame);
        Ok(())
    }

    /// Puts a frame that had been packed back to the front. Never refused for want of room: it was
    /// accepted once, so the queue exceeds its limit by what was in flight at most.
    pub fn requeue(&mut self, frame: T) {
        self.bytes += cost(&frame);
        self.frames.push_front(frame);
    }

    /// Takes the first frame if `accept` has taken in its content.
    pub fn pop_if(&mut self, accept: impl FnOnce(&T) -> bool) -> Option<T> {
        if !accept(self.frames.front()?) {
            return None;
        }
        let frame = self.frames.pop_front()?;
        self.bytes -= cost(&frame);
        if self.frames.is_empty() {
            // Most queues are seldom used: what a thousand of them keep adds up.
            self.frames = VecDeque::new();
        }
        Some(frame)
    }

    /// Takes the first frame.
    pub fn pop(&mut self) -> Option<T> {
        self.pop_if(|_| true)
    }

    /// The frames waiting, first to last.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.frames.iter()
    }

    /// How many frames wait.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Bytes that the waiting frames take in packets.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The most bytes that may wait.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

fn cost(frame: &impl Framed) -> usize {
    frame::cost(frame.body().len())
}
