//! The node, its members and its networks as people see them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A node and its cluster in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// Version of the netnode that answers.
    pub version: String,
    /// Its node id, in hexadecimal.
    pub node: String,
    /// What people call it.
    pub name: String,
    /// The cluster's id, in hexadecimal.
    pub cluster: String,
    /// Where other nodes reach it.
    pub address: String,
    /// Which start of the node this is.
    pub generation: u64,
    /// Time since it started.
    pub uptime_ms: u64,
    /// Members by state; a state that no member is in is absent.
    pub members: BTreeMap<MemberState, usize>,
    /// The networks that it is attached to.
    pub networks: Vec<Scope>,
    /// Its keys and the running rotation.
    pub keys: super::keys::Keys,
    /// 0 is well, 8 is very late with everything.
    pub local_health: u8,
    /// How far the own clock is from cluster time, in microseconds: positive if it is behind.
    pub clock_offset_us: i64,
    /// What somebody should look at, in plain words.
    pub warnings: Vec<String>,
}

/// How a member is doing, from the answering node's point of view.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// It answers.
    Alive,
    /// It did not answer and may still refute.
    Suspect,
    /// It said that it restarts.
    Restarting,
    /// It was silent for too long.
    Failed,
    /// It left on purpose.
    Left,
    /// A state of a newer netnode.
    #[serde(other)]
    Unknown,
}

impl MemberState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Left => "left",
            Self::Unknown => "unknown",
        }
    }
}

/// One member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Member {
    /// Its node id, in hexadecimal.
    pub id: String,
    /// What people call it, once that is known.
    pub name: Option<String>,
    /// Where it is reached.
    pub address: String,
    /// How it is doing.
    pub state: MemberState,
    /// Which start of that node this is.
    pub generation: u64,
    /// Smoothed round-trip time in microseconds, if measured.
    pub rtt_us: Option<u64>,
    /// Whether another live member claims the same name or address.
    pub conflict: bool,
    /// Whether it is the answering node itself.
    pub is_self: bool,
}

/// A node by its id and, where it is known, its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Who {
    /// Its node id, in hexadecimal.
    pub id: String,
    /// What people call it.
    pub name: Option<String>,
}

/// The scopes of gossip: the networks whose tables a node holds, and the ones it has heard of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scopes {
    /// The ones it is attached to.
    pub attached: Vec<Scope>,
    /// The others that some node is attached to.
    pub elsewhere: Vec<KnownScope>,
}

/// A network whose tables this node holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scope {
    /// Its name.
    pub name: String,
    /// Whether the tables here hold what the peers hold.
    pub synced: bool,
    /// Rows held, those of failed nodes included.
    pub entries: usize,
    /// Their keys and values in bytes.
    pub bytes: usize,
    /// Deletes remembered.
    pub tombstones: usize,
    /// Writes kept aside because they are stamped too far ahead.
    pub aside: usize,
    /// Hash over the rows held, in hexadecimal: equal on all nodes that agree.
    pub hash: String,
    /// Other live nodes attached to it.
    pub peers: usize,
}

/// A network that this node is not attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownScope {
    /// Its name.
    pub name: String,
    /// Nodes attached to it.
    pub nodes: usize,
}

/// A node has left its cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Left {
    /// Ranges of addresses, subnets and VNIs that other nodes have taken.
    pub ranges_handed_over: usize,
    /// Ranges that nobody took: `netdbctl ipam reclaim` gives them to others.
    pub ranges_left: usize,
    /// What somebody should look at, in plain words.
    pub warnings: Vec<String>,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reloaded {
    /// Settings that changed and are in force.
    pub changed: Vec<Change>,
    /// Settings that changed and need a restart.
    pub needs_restart: Vec<Change>,
}

/// A setting that is no longer what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its name.
    pub setting: String,
    /// What it was, if set.
    pub from: Option<String>,
    /// What it is to be, if set.
    pub to: Option<String>,
}

/// Counters since start, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stats {
    /// Each only ever grows.
    pub counters: BTreeMap<String, u64>,
}
