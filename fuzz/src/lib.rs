//! What the fuzz targets share: how bytes become steps, nodes to try them on, and peers that lie.
//!
//! A target enters by a public door of the crate that it tries, and a panic is a finding: so is every
//! `assert!` here. Nothing should depend on what earlier inputs did, or a finding can't be replayed: only the
//! transport and the daemon, which take too long to start, outlive an input.

pub mod cluster;
pub mod insider;
pub mod lone;
pub mod script;
pub mod seeds;
