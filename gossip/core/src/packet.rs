//! Sealed packets: everything that nodes say to each other by datagram.
//!
//! ```text
//! version 1 | flags 1 | cluster tag 4 | key id 8 | nonce 24 | sealed body | tag 16
//! body: sender 16 | generation varint | packet number varint | frame...
//! frame: kind 1 | length varint | content
//! ```
//!
//! The body is sealed with XChaCha20-Poly1305 under a key of the [keyring](crate::keyring); the clear
//! header and, if the ADDRESSED flag is set, the receiver's [`NodeId`](crate::identity::NodeId) (which
//! is not sent) are authenticated with it. So a packet recorded on its way to one node opens at no
//! other. Only an announcement to a bare address, whose owner is unknown yet, goes unaddressed.
//!
//! # Why random nonces
//!
//! A nonce is 192 random bits, drawn afresh for every packet. Every node seals under the same key, so
//! counters would have to be split among nodes and survive restarts on disk; a restored snapshot or a
//! cloned virtual machine would still repeat them, and one repeated nonce reveals two
//! plaintexts and a forgery key. Random nonces need no memory. After n packets under one key, two are
//! equal with a probability below n² / 2^193: 10,000 nodes sending 10,000 packets a second each for a
//! whole rotation period of 12 h make n ≈ 2^42, so below 2^-109; even 2^64 packets under one key stay
//! below 2^-65. What this asks for is a source that two copies of a machine don't share the future of:
//! the shell hands in the operating system's generator (which the kernel reseeds when it learns that it
//! was cloned), never one that was seeded once in the process. The simulator's seeded generator is
//! fine for the simulator, whose packets protect nothing. Packet numbers serve acknowledgement and
//! replay detection, and are no part of the nonce.
//!
//! # Rules
//!
//! A packet is opened in place, in the buffer that it was received in, and built in the one buffer that
//! is sent. It opens as a whole or not at all: frames are checked before any is handed out. What does
//! not open is counted in [`Drops`] by reason, and never answered.

mod draft;
mod drops;
mod frame;
mod header;
mod open;
mod queue;
mod replay;
#[cfg(test)]
mod tests;
pub mod varint;

pub use draft::Draft;
pub use drops::{DropReason, Drops};
pub use frame::{Frame, Frames};
pub use header::ClusterTag;
pub use open::{Opened, open};
pub use queue::{FrameQueue, Framed, Refusal, Refused};
pub use replay::{ReplayWindow, WINDOW};

/// The smallest packet size that may be configured (every IPv4 host takes it).
pub const MIN_MTU: usize = 576;

/// The largest packet that is built or opened (a jumbo frame's).
pub const MAX_MTU: usize = 9000;

/// The most bytes that a packet spends on everything but frames.
pub const MAX_OVERHEAD: usize = header::LEN + 16 + 2 * varint::MAX_LEN + TAG_LEN;

/// The least bytes that a packet has.
pub const MIN_PACKET: usize = header::LEN + 16 + 2 + TAG_LEN;

const TAG_LEN: usize = 16;

/// The largest frame content that always fits an otherwise empty packet of `mtu` bytes.
pub fn max_frame(mtu: usize) -> usize {
    let room = mtu.clamp(MIN_MTU, MAX_MTU) - MAX_OVERHEAD;
    // Kind, and the length of a length: two bytes from 128 to 16,383.
    room - 1 - 2
}
