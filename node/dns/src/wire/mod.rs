//! The shape of messages: numbers of the protocol, and the hand-written path of what is asked most.
//!
//! Everything else is read and written by hickory-proto. Must never guess: what the hand-written reader does
//! not know completely, it leaves to hickory.

pub mod fit;
pub mod plain;
pub mod reply;
pub mod reverse;
#[cfg(test)]
mod tests;
pub mod text;

use crate::limits::{PLAIN_SIZE, UDP_SIZE};

/// Bytes of a header (RFC 1035, 4.1.1).
pub const HEADER: usize = 12;
/// Bytes of a name, with its root (RFC 1035, 2.3.4).
pub const MAX_NAME: usize = 255;

/// The bits of a header's second word.
pub mod flags {
    /// This is a response.
    pub const QR: u16 = 1 << 15;
    /// The kind of query; 0 is the only one served here.
    pub const OPCODE: u16 = 0b1111 << 11;
    /// The answer is our own.
    pub const AA: u16 = 1 << 10;
    /// The answer was cut.
    pub const TC: u16 = 1 << 9;
    /// Recursion is desired.
    pub const RD: u16 = 1 << 8;
    /// Recursion is available.
    pub const RA: u16 = 1 << 7;
    /// Authentic data (RFC 4035, 3.1.6); in a query: the bit is understood (RFC 6840, 5.7).
    pub const AD: u16 = 1 << 5;
    /// Checking is disabled.
    pub const CD: u16 = 1 << 4;
}

/// Types of records.
pub mod kind {
    /// An IPv4 address.
    pub const A: u16 = 1;
    /// The start of a zone, which carries for how long a "no" holds (RFC 2308).
    pub const SOA: u16 = 6;
    /// An IPv6 address.
    pub const AAAA: u16 = 28;
    /// EDNS (RFC 6891).
    pub const OPT: u16 = 41;
}

/// The class of the internet, the only one served.
pub const CLASS_IN: u16 = 1;

/// Response codes (RFC 1035, 4.1.1).
pub mod rcode {
    /// All is well.
    pub const NO_ERROR: u16 = 0;
    /// The query could not be read.
    pub const FORM_ERR: u16 = 1;
    /// No answer can be had now.
    pub const SERV_FAIL: u16 = 2;
    /// The name does not exist.
    pub const NX_DOMAIN: u16 = 3;
    /// This kind of query is not served.
    pub const NOT_IMP: u16 = 4;
    /// This is not answered.
    pub const REFUSED: u16 = 5;
}

/// Extended errors (RFC 8914), told to clients with EDNS.
pub mod ede {
    /// The option's code.
    pub const OPTION: u16 = 15;
    /// The tables are not in sync yet.
    pub const NOT_READY: u16 = 14;
    /// This sandbox may not ask beyond its networks.
    pub const PROHIBITED: u16 = 18;
    /// No upstream has answered.
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// An upstream could not be reached.
    pub const NETWORK_ERROR: u16 = 23;
    /// Anything else: a bound has been reached, or the upstream failed.
    pub const OTHER: u16 = 0;
}

/// What a query says by EDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// Bytes of an answer that the client takes over UDP.
    pub size: u16,
    /// It wants signatures (RFC 3225).
    pub dnssec_ok: bool,
}

/// How a query came, and its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// In a datagram.
    Udp,
    /// In a stream.
    Tcp,
}

impl Via {
    /// Bytes that an answer may have (RFC 6891, 6.2.3: below 512 counts as 512).
    pub fn limit(self, edns: Option<Edns>) -> usize {
        match self {
            Self::Udp => {
                let size = edns.map_or(PLAIN_SIZE, |edns| edns.size.clamp(PLAIN_SIZE, UDP_SIZE));
                usize::from(size)
            }
            Self::Tcp => usize::from(u16::MAX),
        }
    }
}
