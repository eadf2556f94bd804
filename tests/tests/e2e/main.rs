//! Real nodes as real processes: one behaviour per file, all through the programs' own faces.
//!
//! One test target, since each has to be linked; the tests in it run side by side. Must never assume
//! anything about time but that a deadline is far longer than what it ends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected has failed"
)]
#![cfg(target_os = "linux")]

mod acknowledged;
mod all_at_once;
mod disk;
mod freezing;
mod hostile;
mod inspecting;
mod joining;
mod killing;
mod large;
mod leaving;
mod live_view;
mod metrics;
mod occupied;
mod older_state;
mod recorder;
mod restarting;
mod rotating;
mod scopes;
mod silent;
mod tokens;
mod updating;
mod watching;

/// For tests in which nobody may fail: on a busy machine a node may be late with its answers.
const PATIENT: &[&str] = &["--suspicion", "20s", "--key-retire-after", "1s"];
