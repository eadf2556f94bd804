//! The laws of the tree that no compiler checks: sizes, words, links, named tests, rooms, directions.
//!
//! Each test lists every offence with what to do about it. Nothing here runs product code.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a check that can't read the tree has failed"
)]

mod directions;
mod links;
mod named_tests;
mod rooms;
mod sizes;
mod source;
mod tree;
mod words;
