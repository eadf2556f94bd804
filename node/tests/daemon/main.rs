//! The real netnode, run as a process on a temporary directory, and netdbctl's command lines against it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cluster;
mod harness;
mod lifecycle;
mod loads;
mod metrics;
mod protocol;
mod service;
mod startup;
mod tables;
mod watches;
