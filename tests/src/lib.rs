//! A harness for real processes: clusters of `netnode` on the loopback, driven by `netdbctl` and the
//! control API, each node with a state directory, a socket and a log of its own.
//!
//! | module | what it owns |
//! | --- | --- |
//! | [`binaries`] | where the programs under test lie |
//! | [`address`] | free loopback addresses |
//! | [`command`] | a program that ends by itself, and what it said |
//! | [`node`] | one node: its files, its process, its life |
//! | [`cluster`] | several nodes that know each other |
//! | [`namespaces`] | network namespaces, and work inside of them |
//! | [`hosts`] | hosts that are network namespaces, connected by a switch |
//! | [`endpoints`] | overlay networks, and sandboxes plugged into them |
//! | [`ping`] | echo requests from inside of a namespace |
//! | [`dns`] | questions for names from inside of a sandbox |
//! | [`web`] | web servers in sandboxes, and clients that count |
//! | [`wait`] | waiting for a state, with a deadline |
//! | [`rows`] | writing rows, reading them, following them |
//! | [`agreement`] | whether nodes hold the same |
//! | [`effort`] | how much a test does in a short and in a long run |
//! | [`skips`] | telling what was left out |
//!
//! What a process was started for ends with the value that holds it: killed by its own id, its files
//! removed. The harness knows the programs from outside only; it must never link what it tests.

pub mod address;
pub mod agreement;
pub mod binaries;
pub mod cluster;
pub mod command;
pub mod dns;
pub mod effort;
pub mod endpoints;
pub mod hosts;
pub mod namespaces;
pub mod node;
pub mod ping;
pub mod rows;
pub mod skips;
pub mod wait;
pub mod web;
