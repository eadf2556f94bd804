//! What a node decides from what its tables hold, as plain state machines: no socket, clock or kernel.
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

extern crate alloc;

pub mod backends;
pub mod bridge;
pub mod catalog;
pub mod claims;
pub mod desired;
pub mod dns;
pub mod firewall;
pub mod host;
pub mod host_ports;
pub mod lb;
pub mod local;
pub mod macvlan;
pub mod mesh;
pub mod overlay;
pub mod policy;
pub mod publish;
pub mod records;
pub mod request;
pub mod ring;
pub mod services;
pub mod spaces;
pub mod usage;

pub use netdb_core::rendezvous;
