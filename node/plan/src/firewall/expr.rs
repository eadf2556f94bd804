//! What a rule is made of: the expressions of the kernel's `nf_tables`, as far as we write or judge them.
//!
//! They are what the kernel holds, not what `nft` prints: so what was read back is compared with what was
//! written, and nothing is lost in between.

use alloc::{string::String, vec::Vec};
use core::net::IpAddr;

/// Expressions, evaluated in their order until one does not match.
pub type Rule = Vec<Expr>;

/// Where an expression leaves what it loads: the n-th 32-bit word of the 16 that a packet carries along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Register(pub u8);

/// One expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Loads what is known beside the packet's bytes.
    Meta(Meta, Register),
    /// Loads what connection tracking knows of it.
    Ct(Ct, Register),
    /// Matches what is in one of these states, as `iptables` writes it.
    States(u32),
    /// Loads what kind of address it goes to, by the routing tables (`RTN_LOCAL` and its like).
    DestinationType(Register),
    /// Loads bytes of it.
    Payload {
        /// Where they are counted from.
        base: Header,
        /// The first.
        offset: u32,
        /// How many.
        length: u32,
        /// Where they go.
        into: Register,
    },
    /// Keeps those bits of a register that are set here.
    Mask(Register, Vec<u8>),
    /// Matches if a register begins with these bytes, or the opposite.
    Compare {
        /// What is looked at.
        from: Register,
        /// Whether it matches when they are equal.
        equal: bool,
        /// The bytes.
        value: Vec<u8>,
    },
    /// Matches what is in a set; of a map it loads the value.
    Lookup {
        /// The set's name.
        set: String,
        /// Where the key is.
        key: Register,
        /// Where the value goes.
        into: Option<Register>,
    },
    /// Decides by a map of verdicts; goes on past what is not in it.
    Decide {
        /// The map's name.
        map: String,
        /// Where the key is.
        key: Register,
    },
    /// Translates the destination of the connection.
    Dnat {
        /// Which packets.
        family: Family,
        /// Where the new address is.
        address: Register,
        /// Where the new port is; `None` if that stays.
        port: Option<Register>,
    },
    /// Translates the source of the connection to the address of the link that it leaves by.
    Masquerade,
    /// Keeps connection tracking from looking at the packet.
    Untracked,
    /// What becomes of the packet.
    Verdict(Verdict),
    /// Neither matches nor decides: counters, logs.
    Aside(String),
    /// Drops the packet and says so.
    Reject(Refusal),
    /// Loads a number by chance.
    Random {
        /// It is below this.
        modulus: u32,
        /// Where it goes.
        into: Register,
    },
    /// Loads these bytes.
    Immediate(Vec<u8>, Register),
    /// Marks the packet, or its connection.
    Put(Target, Register),
    /// Writes over bytes of it that no checksum counts.
    Write {
        /// Where they are counted from.
        base: Header,
        /// The first.
        offset: u32,
        /// How many.
        length: u32,
        /// Where the new ones are.
        from: Register,
    },
    /// Loads how many bytes a segment of TCP may have on the packet's route, as a number of 16 bits.
    RouteSegment(Register),
    /// Turns a number of 16 bits into the order of the network.
    ToNetwork(Register),
    /// Makes TCP's option for the longest segment no larger than this; matches what has that option.
    WriteSegment(Register),
    /// Something that we never write, by its name.
    Other(String),
}

/// What a packet, or its connection, is marked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The packet's mark, 32 bits.
    Mark,
    /// Its connection's mark, 32 bits.
    ConnectionMark,
    /// The zone that connection tracking looks for what its sender sends in, 16 bits. Answers to it are in none.
    OriginalZone,
}

/// How a packet is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// TCP is reset.
    Reset,
    /// ICMP says that nobody has the port.
    Unreachable,
    /// In a way that we never write.
    Other,
}

/// What is known beside a packet's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// The name of the link that it came by, filled up with zeros to 16 bytes.
    InLink,
    /// The name of the link that it goes by.
    OutLink,
    /// IPv4 or IPv6, one byte ([`Family::number`]).
    Family,
    /// TCP, UDP and so on, one byte.
    Protocol,
    /// The mark that it has on this host, 32 bits.
    Mark,
    /// The kind of the link that it came by (`ARPHRD_*`), 16 bits.
    InType,
}

/// What connection tracking knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ct {
    /// Bits: how far the connection is.
    State,
    /// Bits: what happened to it.
    Status,
    /// The mark that its connection has on this host, 32 bits.
    Mark,
    /// Whether it goes as the connection's first packet (0) or the other way (1), one byte.
    Direction,
}

/// A header of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Ethernet.
    Link,
    /// IPv4 or IPv6.
    Network,
    /// TCP, UDP and so on.
    Transport,
}

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// 4.
    V4,
    /// 6.
    V6,
}

impl Family {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// The kernel's number (`NFPROTO_IPV4`, `NFPROTO_IPV6`).
    pub fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on, past what is left of this base chain.
    Accept,
    /// It ends here.
    Drop,
    /// The next rule is asked.
    Continue,
    /// Whoever jumped here goes on.
    Return,
    /// This chain is asked, then the next rule.
    Jump(String),
    /// This chain is asked instead of what is left of this one.
    Goto(String),
    /// Something that we never write.
    Other,
}

/// Bits of [`Ct::State`] (`NF_CT_STATE_BIT`).
pub mod state {
    /// Packets have been seen both ways.
    pub const ESTABLISHED: u32 = 1 << 1;
    /// Belongs to another connection, as an error does.
    pub const RELATED: u32 = 1 << 2;
    /// The first packet of a connection.
    pub const NEW: u32 = 1 << 3;
}

/// Bits of [`Ct::Status`] (`IPS_*`).
pub mod status {
    /// Its destination was translated.
    pub const DNAT: u32 = 1 << 5;
}

/// `RTN_LOCAL`: an address of this host.
pub(super) const LOCAL: u32 = 2;
/// Bytes of a link's name where one is compared (`IFNAMSIZ`).
pub const LINK_NAME: usize = 16;
