//! The crate as its users have it: nodes on the loopback interface, with real sockets, files and processes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cluster;
mod examples;
#[cfg(target_os = "linux")]
mod full_disk;
mod kill;
mod lives;
mod requests;
mod tables;
