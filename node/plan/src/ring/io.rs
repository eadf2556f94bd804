//! Everything that goes into and comes out of a [`Ring`](super::Ring), as plain data.

use alloc::{collections::BTreeMap, vec::Vec};

use netdb_gossip_core::identity::NodeId;

use super::row::Row;

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Any number of the window, the lowest that is free here.
    Any,
    /// This number.
    Exact(u128),
}

/// What the owner has to do. Drain after every input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write this row (`None`: delete it), at once and in this order; then call `handle_written` when it is
    /// durable, or `handle_refused` if the table did not take it.
    Write {
        /// Names the write.
        id: u64,
        /// Which row.
        start: u128,
        /// What it becomes.
        row: Option<Row>,
    },
    /// Ask a node; then call `handle_answer` with what it says, or that it does not.
    Ask {
        /// Names the question.
        id: u64,
        /// Whom.
        to: NodeId,
        /// The question.
        bytes: Vec<u8>,
    },
    /// Answer what `handle_ask` brought under this handle.
    Reply {
        /// The handle.
        handle: u64,
        /// The answer.
        bytes: Vec<u8>,
    },
    /// A number is given. Must be on disk as given before anybody uses it, so that a restart can say so.
    Given {
        /// The request.
        request: u64,
        /// The number.
        number: u128,
    },
    /// A number is not given.
    Refused {
        /// The request.
        request: u64,
        /// Why.
        why: Refusal,
    },
}

/// Why a number is not given. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Everything that may be given unasked is given, on all nodes.
    #[error("all of it is given: {0}")]
    Full(Figures),
    /// This node's share is used up, and these nodes, who hold more, do not answer.
    #[error("this node's share is used up and {} holders do not answer: {figures}", silent.len())]
    Silent {
        /// Who.
        silent: Vec<NodeId>,
        /// How it stands.
        figures: Figures,
    },
    /// Ranges are on their way between nodes, or what is free rests. Trying again helps.
    #[error("what is free is on its way between nodes or rests a while: {0}")]
    Unsettled(Figures),
    /// The number is in use.
    #[error("it is in use at node {0}")]
    Taken(NodeId),
    /// The number is the gateway, an auxiliary address or such.
    #[error("it is reserved")]
    Reserved,
    /// The space has no such number.
    #[error("it is out of range: {0} numbers from the first")]
    OutOfRange(u128),
    /// The number's holder does not answer.
    #[error("node {0} holds it and does not answer")]
    HolderSilent(NodeId),
    /// Nobody is known to hold the number: its range is on its way, or this node has not heard yet.
    #[error("it is not known yet who holds it")]
    HolderUnknown,
    /// This node does not know yet whether its disk is the latest; it must hear a peer first.
    #[error("this node has not yet compared its ranges with another node since it started")]
    NotSynced,
    /// This node is leaving.
    #[error("this node is leaving and gives nothing more")]
    Leaving,
    /// As many requests as may wait are waiting.
    #[error("too many requests wait already")]
    Busy,
}

/// How a space stands, as far as this node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Numbers that may be given unasked.
    pub size: u128,
    /// Numbers in use by this node or, as their endpoints say, by others.
    pub used: u128,
    /// What this node holds.
    pub here: u128,
    /// What others hold.
    pub elsewhere: u128,
}

impl core::fmt::Display for Figures {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { size, used, here, elsewhere } = self;
        write!(f, "{used} of {size} in use, {here} held here, {elsewhere} by other nodes")
    }
}

/// Who holds how much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The whole space.
    pub total: Figures,
    /// By holder.
    pub holders: BTreeMap<NodeId, Share>,
    /// How many of the numbers that may be given unasked each node uses.
    pub users: BTreeMap<NodeId, u128>,
    /// Stretches that no row stands for: on their way, or not heard of yet.
    pub holes: u128,
}

/// What one node holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Numbers.
    pub numbers: u128,
    /// In how many ranges.
    pub ranges: u64,
}

/// Why what a node holds is not taken over. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeoverError {
    /// This node itself has not heard a peer since it started, or is leaving.
    #[error("this node has not yet compared its ranges with another node since it started")]
    NotSynced,
    /// A node that still answers holds its own.
    #[error("node {0} is alive: stop it first")]
    Alive(NodeId),
    /// They are not here, and may hold what the one that is down gave them. They must be back, or be called
    /// down for good as well.
    #[error("{} other nodes are not here: they must be back or be down for good as well", .0.len())]
    Absent(Vec<NodeId>),
    /// More than [`MAX_DOWN`](super::MAX_DOWN) nodes at once.
    #[error("too many nodes at once")]
    TooMany,
}
