//! A deterministic cluster: the very cores of `gossip` and `netdb` under virtual time.
//!
//! One seed decides everything. The [`world`] has a network, disks, clocks and faults; a [`scenario`] is a
//! script of a few lines that runs in it; the [`check`]s hold during and after every run. See
//! `docs/simulation.md`.
//!
//! No wall clock, thread or hash order may take part in a decision anywhere below [`world`].
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod broken;
pub mod check;
pub mod figures;
pub mod ledger;
pub mod page;
pub mod plot;
pub mod records;
pub mod report;
pub mod scenario;
pub mod seed;
pub mod suite;
pub mod trace;
pub mod world;
