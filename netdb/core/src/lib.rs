//! Network-scoped, eventually consistent tables: the sans-IO core of `netdb`.
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

extern crate alloc;

pub mod clock;
pub mod config;
pub mod digest;
pub mod entry;
mod key_bytes;
pub mod node;
pub mod presence;
pub mod records;
pub mod rendezvous;
pub mod replica;
pub mod sync;
pub mod times;
pub mod view;
pub mod watch;
pub mod wire;
