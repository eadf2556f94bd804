//! The DNS driver's pure half: what the name means that a sandbox asks for, by the rows of its networks.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `zone` | the names of one network, kept up row by row |
//! | `zones` | those of all networks that a node takes part in |
//! | `view` | what one sandbox sees: the zones of its networks, and what is nobody else's to answer |
//!
//! A zone is an index over rows and nothing besides: put together from the same rows in any order it is the
//! same. Must never answer from a row that is gone, and never say of a name that exists that it does not.

#[cfg(test)]
mod tests;
mod view;
mod zone;
mod zones;

use core::net::IpAddr;

pub use view::{Seat, Verdict, View};
pub use zone::{Part, Standing, Zone};
pub use zones::Zones;

/// What our own names end with where they are written out in full. `.internal` is nobody's in the public DNS
/// (ICANN Board, 29 July 2024).
pub const DEFAULT_DOMAIN: &str = "netnode.internal";

/// A version of IP, as a question asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl Family {
    /// Whether an address is of it.
    pub fn has(self, address: &IpAddr) -> bool {
        address.is_ipv4() == (self == Self::V4)
    }
}
