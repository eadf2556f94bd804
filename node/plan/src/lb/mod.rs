//! Who gets a connection to a virtual address: from the rows of services and of the endpoints that serve them.
//!
//! A virtual address has *slots*, and each new connection goes to one of them by chance. A backend has as many of
//! them as its weight says beside the others'. What of this is in a packet filter, `firewall` says; here is what
//! it should be, kept up row by row: one backend more or less costs what its service has, not what there is.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `balance` | virtual addresses of one network, cheap to copy and to compare |
//! | `chosen` | which backends get what is new, and why another does not |
//! | `slots` | weights as slots |
//! | `state` | the rows, and what follows from them |

mod balance;
mod chosen;
pub(crate) mod slots;
mod state;
#[cfg(test)]
mod tests;

pub use balance::{Balance, Kept, Moved, Spread};
pub use chosen::{Choice, Idle, kept};
pub use slots::MAX_EXACT;
pub use state::{Balances, Explained, Share};
