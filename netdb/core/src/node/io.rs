//! Everything that goes into and comes out of a [`Node`](super::Node), as plain data.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use netdb_gossip_core::{
    gossip::Member,
    identity::{ClusterId, Generation, Identity, Name, NodeId},
    keyring::KeyId,
    time::Wall,
    token::TokenId,
};
use rand::CryptoRng;

use crate::{
    config::Config,
    entry::{Dot, Lifetime},
    node::requests::RequestFailure,
    times::Times,
    view::OwnerState,
    wire::{Tallies, inspect::Answer},
};

/// The name of the built-in network that every node is attached to.
pub const CLUSTER_NETWORK: &str = "_cluster";

/// The most bytes of one stream message.
pub const MAX_STREAM_MESSAGE: usize = 1 << 20;

/// What a node needs to start.
pub struct Setup {
    /// Timings and limits, already validated.
    pub config: Config,
    /// The node's keys.
    pub identity: Identity,
    /// What people call the node.
    pub name: Name,
    /// Where other nodes reach it (UDP and TCP).
    pub addr: SocketAddr,
    /// Seeds every protocol decision.
    pub seed: u64,
    /// For keys and nonces.
    pub entropy: Box<dyn CryptoRng + Send + Sync>,
    /// Everything that is on disk, in any order.
    pub disk: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Why a node can't start from what is on disk.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// There is no cluster on this disk.
    #[error("this node belongs to no cluster yet: found one with `init` or enter one with `join`")]
    NotAMember,
    /// A record on disk does not decode, or belongs to another identity.
    #[error(
        "the stored {what} is damaged: put back a copy of the state directory, or remove it and join again"
    )]
    Damaged {
        /// Which record.
        what: &'static str,
    },
}

/// One change of the byte map on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskOp {
    /// Which record.
    pub key: Vec<u8>,
    /// Its bytes, or `None` to remove it.
    pub value: Option<Vec<u8>>,
}

/// What the shell has to do. Drain with `poll_output` after every input.
#[derive(Debug)]
pub enum Output {
    /// Send a datagram.
    Packet {
        /// Where to.
        to: SocketAddr,
        /// Already sealed.
        bytes: Vec<u8>,
    },
    /// Send one message on a mutually authenticated stream, at most once, in order per peer.
    Stream {
        /// Who must be at the other end.
        to: NodeId,
        /// Where to connect if there is no stream yet.
        addr: SocketAddr,
        /// At most [`MAX_STREAM_MESSAGE`] bytes.
        message: Vec<u8>,
    },
    /// Cut the streams to a peer. It failed: what it comes back as knows nothing of them, and what is written
    /// to them would be lost.
    Disconnect {
        /// The peer.
        peer: NodeId,
    },
    /// Make these changes durable, all or none, in the order of the ids; then call `handle_committed`.
    Commit {
        /// Grows by one.
        id: u64,
        /// The changes.
        ops: Vec<DiskOp>,
    },
    /// Something that somebody may be waiting for.
    Event(NodeEvent),
    /// A member answers what it was asked with [`Node::ask`](super::Node::ask), or says so.
    Answer {
        /// Who.
        from: NodeId,
        /// The number of the question.
        id: u64,
        /// What it says.
        answer: Answer,
    },
    /// A node (it may be this one) asks something: answer with [`Node::respond`](super::Node::respond), soon.
    /// It may come more than once.
    Request {
        /// Who asks.
        from: NodeId,
        /// The number of the request, to answer with.
        id: u64,
        /// What it is about.
        topic: Name,
        /// What is asked.
        body: Vec<u8>,
    },
    /// How a request of this node ended.
    Response {
        /// Who was asked.
        from: NodeId,
        /// The number that [`Node::request`](super::Node::request) returned.
        id: u64,
        /// The answer.
        answer: Result<Vec<u8>, RequestFailure>,
    },
}

/// Something happened that callers of the shell's handle wait for or show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeEvent {
    /// A watch has events to fetch.
    WatchReady(WatchId),
    /// The network's tables hold what the peers hold (or nobody else is there).
    Synced(Name),
    /// A member appeared, changed state or left.
    Member {
        /// Who.
        node: NodeId,
        /// Its state now.
        state: MemberState,
    },
    /// The keyring changed (installed, primary or removed), or a rotation moved a step.
    Keys,
    /// Two live nodes claim one name or one address; both keep working.
    Conflict {
        /// What is claimed twice: a name or an address.
        claimed: String,
        /// The nodes that claim it.
        nodes: [NodeId; 2],
    },
    /// This node saw writes of its own that it never made (an older copy of its disk was put back)
    /// and goes on under this new generation.
    Reborn(Generation),
}

/// Names a watch of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchId(pub u64);

/// How a member is doing, from the local point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemberState {
    /// Answers.
    Alive,
    /// Did not answer, may refute.
    Suspect,
    /// Said that it restarts.
    Restarting,
    /// Silent for too long.
    Failed,
    /// Left on purpose.
    Left,
}

impl MemberState {
    /// How rows of such an owner look; `None` for one that left.
    pub fn as_owner(self) -> Option<OwnerState> {
        match self {
            Self::Alive => Some(OwnerState::Alive),
            Self::Suspect => Some(OwnerState::Suspect),
            Self::Restarting => Some(OwnerState::Restarting),
            Self::Failed => Some(OwnerState::Failed),
            Self::Left => None,
        }
    }
}

/// What is known of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberInfo {
    /// Id, generation and address.
    pub member: Member,
    /// What people call it, once its record arrived.
    pub name: Option<Name>,
    /// How it is doing.
    pub state: MemberState,
    /// Smoothed round-trip time, if measured.
    pub rtt: Option<Duration>,
    /// Whether another live member claims the same name or address.
    pub conflict: bool,
}

/// What is known of an attached network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkInfo {
    /// Its name.
    pub name: Name,
    /// Whether this node's tables hold what the peers hold.
    pub synced: bool,
    /// Live rows held, those of failed nodes included.
    pub entries: usize,
    /// Their keys and values in bytes.
    pub bytes: usize,
    /// Deletes remembered.
    pub tombstones: usize,
    /// Writes kept aside because their stamp is too far ahead.
    pub aside: usize,
    /// Hash over the rows held: equal on all nodes that agree.
    pub hash: u64,
    /// Other live nodes attached to it.
    pub peers: usize,
}

/// A change to one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Fails if the row is in the local view.
    Create,
    /// Fails if it is not.
    Update,
    /// Either.
    Upsert,
    /// Fails if it is not in the local view.
    Delete,
}

/// A write that a caller asks for.
#[derive(Clone, Debug)]
pub struct Write {
    /// An attached network.
    pub network: Name,
    /// The table.
    pub table: Name,
    /// The table's lifetime.
    pub lifetime: Lifetime,
    /// 1 to 256 bytes.
    pub key: Vec<u8>,
    /// What to do.
    pub operation: Operation,
    /// The value; ignored for a delete.
    pub value: Arc<[u8]>,
}

/// A write was made and is on its way to the peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its name.
    pub dot: Dot,
    /// Its stamp's time, microseconds since the Unix epoch.
    pub at: u64,
    /// For `Cluster` rows: acknowledge it to the caller when this commit is durable.
    pub commit: Option<u64>,
}

/// Why a write was refused; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The node's generation is not on disk yet.
    #[error("the node is starting, try again in a moment")]
    Starting,
    /// The node is not attached to the network.
    #[error("this node is not attached to network {0}: attach first")]
    NotAttached(Name),
    /// Create of a row that is there.
    #[error("the row exists already: use update or upsert")]
    Exists,
    /// Update or delete of a row that is not there.
    #[error("there is no such row of this node: use create or upsert")]
    NotFound,
    /// Names that start with an underscore are the node's own.
    #[error("table {0} is kept by the node itself and can't be written from outside")]
    Reserved(Name),
    /// A key's length.
    #[error("a key has 1 to 256 bytes, this one has {0}")]
    KeyLength(usize),
    /// A value's length.
    #[error("a value has at most 65536 bytes, this one has {0}")]
    ValueTooLarge(usize),
    /// The network's limit of rows.
    #[error("network {network} is full: {limit} rows (setting max_entries)")]
    TooManyEntries {
        /// The network.
        network: Name,
        /// The limit.
        limit: usize,
    },
    /// The network's limit of bytes.
    #[error("network {network} is full: {limit} bytes (setting max_bytes)")]
    TooManyBytes {
        /// The network.
        network: Name,
        /// The limit.
        limit: usize,
    },
}

/// Why attaching or detaching was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// The node's generation is not on disk yet.
    #[error("the node is starting, try again in a moment")]
    Starting,
    /// Already attached.
    #[error("this node is attached to network {0} already")]
    Attached(Name),
    /// Not attached.
    #[error("this node is not attached to network {0}")]
    NotAttached(Name),
    /// The built-in network, or another name that starts with an underscore.
    #[error("network {0} is the node's own")]
    Reserved(Name),
    /// Too many networks.
    #[error("this node is attached to {0} networks already, which is the limit")]
    TooMany(usize),
}

/// The most networks a node may be attached to.
pub const MAX_NETWORKS: usize = 4096;

/// A key of the keyring as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Random id.
    pub id: KeyId,
    /// Grows by one with each rotation.
    pub epoch: u64,
    /// Whether this node seals with it.
    pub primary: bool,
    /// Live nodes that say they hold it, this one included.
    pub held_by: usize,
}

/// How far the running rotation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationStep {
    /// No rotation is running.
    Idle,
    /// The new key goes to every live node.
    Installing {
        /// The new key.
        key: KeyId,
        /// Live nodes that don't hold it yet.
        waiting_for: Vec<NodeId>,
    },
    /// Every live node is told to seal with it.
    Using {
        /// The new key.
        key: KeyId,
        /// Live nodes that don't seal with it yet.
        waiting_for: Vec<NodeId>,
    },
    /// The old keys are dropped.
    Removing {
        /// The key that stays.
        key: KeyId,
        /// Live nodes that still hold an older one.
        waiting_for: Vec<NodeId>,
    },
}

/// Keys and rotation as people see them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysInfo {
    /// The keys this node holds.
    pub keys: Vec<KeyInfo>,
    /// Where the rotation stands.
    pub rotation: RotationStep,
    /// Live nodes.
    pub live: usize,
}

/// Why a rotation was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotateError {
    /// The node's generation is not on disk yet.
    #[error("the node is starting, try again in a moment")]
    Starting,
    /// One is under way.
    #[error("a rotation is under way already; `keys list` shows what it waits for")]
    UnderWay,
    /// Epochs are 64 bits wide and grow by one: an insider made this key.
    #[error("a key of the last epoch is in use, so none can follow; found the cluster anew")]
    NoEpochLeft,
    /// The node would make a key that is not for itself.
    #[error(
        "this node is not admitted to the cluster, so it makes no key for it; a token lets it in"
    )]
    NotAdmitted,
}

/// The right to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenInfo {
    /// The text to hand to a joiner.
    pub text: String,
    /// What may be shown in logs.
    pub id: TokenId,
    /// When it ends, if ever.
    pub expires: Option<Wall>,
}

/// The answer to a joiner that shows a token id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenAnswer {
    /// Go on with this pre-shared key.
    Psk([u8; 32]),
    /// No such token (any more).
    Unknown,
    /// Its time is over.
    Expired,
}

/// Why a joiner with a good token was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request did not decode.
    #[error("the join request is malformed")]
    Malformed,
    /// The cluster's limit of admitted nodes.
    #[error("the cluster is full: {0} nodes (setting max_members)")]
    Full(usize),
    /// The answering node is not ready.
    #[error("the answering node is starting, try again in a moment")]
    Starting,
}

/// What a node tells on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Farewell {
    /// Back soon: peers hold its rows for the hold time.
    Restarting,
    /// The host goes down: its rows are withdrawn, the node stays admitted.
    ShuttingDown,
    /// Gone for good: its rows go and its admission ends.
    Leaving,
}

/// Counts since start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeStats {
    /// Entries received that were news.
    pub entries_fresh: u64,
    /// Entries received that were known.
    pub entries_known: u64,
    /// How long after they were written those that were news arrived: from the writer's stamp to here, by
    /// cluster time. What is fetched before the network is in sync is history and does not count.
    pub arrivals: Times,
    /// Messages sent, by kind.
    pub sent: Tallies,
    /// Messages received, by kind.
    pub received: Tallies,
    /// Writes sent on behalf of others.
    pub entries_relayed: u64,
    /// Frames that a peer did not take and that were routed around it.
    pub takeovers: u64,
    /// Comparisons begun.
    pub compares: u64,
    /// Comparisons that found a difference.
    pub differences: u64,
    /// Rows dropped because a peer knew them gone.
    pub rows_gone: u64,
    /// Chunks of rows served.
    pub chunks_served: u64,
    /// Messages that could not be sent: the peer is unknown or down, or its queue full.
    pub unsent: u64,
    /// Messages from members that did not decode or broke a limit.
    pub malformed: u64,
    /// Requests that were over a limit or from somebody unknown, and answers that nobody waited for.
    pub requests_dropped: u64,
}

/// Cluster and node in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeInfo {
    /// The cluster.
    pub cluster: ClusterId,
    /// This node, with its present generation.
    pub member: Member,
    /// Its name.
    pub name: Name,
    /// Lifeguard's local health: 0 is well, 8 is very late with everything.
    pub local_health: u8,
    /// Own clock against cluster time, microseconds.
    pub clock_offset: i64,
    /// Whether it is cut off: it knows admitted peers and none is alive.
    pub isolated: bool,
}
