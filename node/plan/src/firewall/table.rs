//! A table as the kernel holds it: chains of rules, sets and maps.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use super::expr::{Rule, Verdict};
use crate::records::LinkName;

/// Which of our tables. They have one name, and differ in their family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// `inet`: packets, of both versions of IP.
    Packets,
    /// `netdev`: frames that go out by a link.
    Frames,
}

/// Our tables, as many as there are.
pub type Tables = BTreeMap<Layer, Table>;

/// A table. Two are equal if packets can't tell them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Sets and maps, by name.
    pub sets: BTreeMap<String, Set>,
    /// Chains, by name.
    pub chains: BTreeMap<String, Chain>,
}

/// A chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where packets come into it; `None` if only by jumps.
    pub base: Option<Base>,
    /// Asked one after the other.
    pub rules: Vec<Rule>,
}

/// Where packets come into a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// What the chain is for.
    pub kind: Kind,
    /// The point of a packet's way.
    pub hook: Hook,
    /// Lower ones come first.
    pub priority: i32,
    /// Whether what no rule decided is dropped.
    pub drops: bool,
}

/// What a base chain is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Lets packets through or not.
    Filter,
    /// Translates addresses: sees the first packet of each connection.
    Nat,
    /// Marks what this host sends, which is then routed again.
    Route,
    /// Something that we never make.
    Other,
}

/// A point of a packet's way (`NF_INET_*`, `NF_NETDEV_*`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hook {
    /// It came in.
    Prerouting,
    /// It is for this host.
    Input,
    /// It goes on to another one.
    Forward,
    /// It is of this host.
    Output,
    /// It goes out.
    Postrouting,
    /// It goes out as a frame by this link, in a table of frames (Linux 5.16).
    Egress(LinkName),
    /// Another one, by its number.
    Other(u32),
}

/// A set, or a map if its elements have values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// What its keys are made of.
    pub key: Vec<Field>,
    /// What its values are made of; a set has none.
    pub value: Vec<Field>,
    /// Keys and values; beside others, each field is filled up with zeros to a multiple of 4 bytes.
    pub elements: Elements,
    /// Keys and verdicts, in a map of others that has such.
    pub verdicts: BTreeMap<Vec<u8>, Verdict>,
}

/// What is in a set.
pub type Elements = BTreeMap<Vec<u8>, Vec<u8>>;

/// A part of a key or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// An address of IPv4.
    V4,
    /// An address of IPv6.
    V6,
    /// TCP, UDP and so on.
    Protocol,
    /// A port.
    Port,
    /// A link's name.
    Link,
    /// A hardware address.
    Mac,
    /// A number of 32 bits, as packets are marked with.
    Mark,
    /// Something that we never make.
    Other,
}

impl Field {
    /// Its bytes, with those that fill it up.
    pub fn bytes(self) -> usize {
        match self {
            Self::V4 | Self::Protocol | Self::Port | Self::Mark => 4,
            Self::Mac => 8,
            Self::V6 | Self::Link => 16,
            Self::Other => 0,
        }
    }

    /// Its bytes where it stands alone, without.
    pub fn length(self) -> usize {
        match self {
            Self::Protocol => 1,
            Self::Port => 2,
            Self::Mac => 6,
            field => field.bytes(),
        }
    }

    /// The bytes of a key or a value that is made of these.
    pub fn width(fields: &[Self]) -> usize {
        match fields {
            [alone] => alone.length(),
            fields => fields.iter().map(|field| field.bytes()).sum(),
        }
    }
}

impl Set {
    /// An empty one.
    pub fn new(key: &[Field], value: &[Field]) -> Self {
        Self { key: key.into(), value: value.into(), ..Self::default() }
    }

    /// Whether elements of one could be put into the other.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}
