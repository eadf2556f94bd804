//! The real netnode, run as a process on a temporary directory, and netdbctl's command lines against it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cluster;
mod harness;
mod ipam;
mod json;
mod lifecycle;
mod loads;
mod metrics;
mod networks;
mod openapi;
mod protocol;
mod schema;
mod service;
mod services;
mod startup;
mod tables;
mod watches;
