//! The drivers against the real kernel, in network namespaces that a test makes for itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that can't do what it needs has failed"
)]

mod balance;
mod bridge;
mod crowd;
mod daemon;
mod firewall;
mod host_ports;
mod hostile;
mod ingress;
mod lab;
mod legacy;
mod macvlan;
mod many;
mod mesh;
mod mesh_ways;
mod names;
mod outer;
mod overlay;
mod ping;
mod resolver_files;
mod resolvers;
mod sandboxes;
mod services;
mod talk;
mod upstreams;
mod ways;
mod without_v6;
