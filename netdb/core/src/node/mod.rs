//! The state machine of one node (under construction).
pub mod io;
pub use io::*;
