//! The seam to the tables: what is known of a name, asked afresh for each query.

#[cfg(test)]
pub(crate) mod fake;

use std::net::IpAddr;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4, a record of type A.
    V4,
    /// IPv6, a record of type AAAA.
    V6,
}

/// What the tables say of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has what was asked for, which has been put out in the order to send.
    Found,
    /// It exists and has nothing of what was asked for.
    NoData,
    /// It would be ours and does not exist, in neither family.
    NoName,
    /// It may exist: one of the client's networks is not in sync yet. The client is told to ask again.
    Unsure,
    /// Somebody else's: it is forwarded.
    NotOurs,
}

/// What one sandbox may know, as the tables have it at this moment.
///
/// It is asked in the middle of a batch of queries, so it must neither wait nor take long.
pub trait Names: Send + Sync + 'static {
    /// Puts the addresses of a name into `out`, which is empty.
    ///
    /// The name is in lower case without a closing dot; the root is the empty name. Letters, digits, `-`
    /// and `_` stand for themselves, every other byte of a label as `\DDD` (RFC 1035, 5.1), so that a dot
    /// is always between two labels.
    fn addresses(&self, name: &str, family: Family, out: &mut Vec<IpAddr>) -> Verdict;

    /// Puts the names of an address into `out`, which is empty: in ASCII, without a closing dot.
    fn pointers(&self, address: IpAddr, out: &mut Vec<String>) -> Verdict;

    /// For how many seconds an answer of ours may be kept, also one that says no.
    fn ttl(&self) -> u32;

    /// Whether what is not ours may be asked of the host's resolvers: not where all networks of the sandbox
    /// are internal.
    fn may_forward(&self) -> bool;
}
