//! Who is in the cluster, and sealed bytes between its nodes: the sans-IO core of `netdb-gossip`.
//!
//! Everything here is a state machine or a pure function. Inputs are the time, packets and commands;
//! outputs are packets, deadlines and events. No socket, thread, clock or random source is owned here:
//! [`time::Now`] and the generators are handed in (see `docs/architecture.md`).
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

extern crate alloc;

pub mod codec;
pub mod config;
pub mod gossip;
pub mod identity;
pub mod keyring;
pub mod link;
pub mod membership;
mod nodes;
pub mod packet;
pub mod relay;
pub mod sealed;
pub mod stats;
pub mod time;
mod timer;
pub mod token;
