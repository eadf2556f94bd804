//! Where keys, nonces and seeds come from: the operating system, asked anew each time.
//!
//! No generator is kept in memory. A copy of a running virtual machine would draw the same numbers from
//! it, and with them the same nonces; the system's generator is reseeded when its machine is copied.

use getrandom::SysRng;
use rand::{CryptoRng, Rng, rand_core::UnwrapErr};

/// The system's generator. It can fail only where there is none, and then no node can run.
pub(crate) fn system() -> impl CryptoRng + Send + Sync + 'static {
    UnwrapErr(SysRng)
}

/// A seed for decisions, which need to differ from node to node and no more.
pub(crate) fn seed() -> u64 {
    system().next_u64()
}
