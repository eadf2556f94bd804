//! What one node's work costs: `cargo xtask bench core` runs this and shows it beside the aims.
//!
//! | module | what it measures |
//! | --- | --- |
//! | `tables` | writes, reads, received entries, watches: the core alone, without socket and disk |
//! | `packets` | sealing and opening, beside the bare cipher; encoding and decoding |
//! | `commits` | acknowledged `Cluster` writes of an open node, with its disk |
//!
//! Rows have 16 bytes of key and 100 bytes of value, like those of the simulator's figures.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a figure of what failed is none")]

mod commits;
mod packets;
mod tables;

use criterion::{criterion_group, criterion_main};

criterion_group!(benches, tables::measure, packets::measure, commits::measure);
criterion_main!(benches);
