//! Numbers given without a quorum: how full subnets and pools are, and who holds how much.
//!
//! Counts are decimal: a subnet of IPv6 has more than fit a number of JSON.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::node::Who;

/// What of the usage is wanted, as the query behind the path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// Only this network, by its name, its id or the start of that.
    pub network: Option<String>,
}

/// How full spaces of numbers are, as told by all nodes that answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// Subnets by network, then the pools.
    pub spaces: Vec<SpaceUsage>,
    /// Nodes that did not answer: of these only what the answering node's tables say is counted.
    pub silent: Vec<Who>,
}

/// What numbers stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpaceKind {
    /// Addresses of a network's subnet.
    Subnet,
    /// Subnets for networks that name none.
    Pool,
    /// VXLAN network identifiers.
    Vni,
    /// A kind of a newer netnode.
    #[serde(other)]
    Unknown,
}

/// How full one space is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SpaceUsage {
    /// What its numbers stand for.
    pub kind: SpaceKind,
    /// What people call it: `10.0.0.0/20`, `10.0.0.0/8 in /20`, `VNI`.
    pub space: String,
    /// The network whose subnet it is.
    pub network: Option<String>,
    /// That network's id.
    pub network_id: Option<String>,
    /// Numbers that may be given to who names none.
    pub size: String,
    /// Those of them in use.
    pub used: String,
    /// What the nodes that answered could give now; numbers that rest or are on their way are in neither.
    pub free: String,
    /// How much is in use, rounded down.
    pub percent: u8,
    /// In how many ranges it lies.
    pub ranges: u64,
    /// That it is filling up, from 75 % on and from 90 % on.
    pub warning: Option<String>,
    /// Who holds some of it, or uses some.
    pub nodes: Vec<NodeUsage>,
}

/// One node's part of a space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NodeUsage {
    /// The node.
    pub node: Who,
    /// Numbers that it uses.
    pub used: String,
    /// Numbers that it decides about.
    pub holds: String,
    /// What it could give now, if it answered.
    pub free: Option<String>,
    /// In how many ranges it holds them.
    pub ranges: u64,
}

/// A host is down for good: what its node held is to be taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reclaim {
    /// All nodes that are down for good: names, ids, or starts of ids.
    pub nodes: Vec<String>,
    /// Only say what would be taken over.
    #[serde(default)]
    pub check: bool,
}

/// What is taken over from nodes that are down for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Takeovers {
    /// What goes from whom to whom.
    pub ranges: Vec<Takeover>,
    /// Heirs wait until these have been here for a while: they may hold what a lost node gave them.
    pub waits_for: Vec<Who>,
}

/// Ranges of one space that go from one node to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Takeover {
    /// What the numbers stand for.
    pub kind: SpaceKind,
    /// What people call it.
    pub space: String,
    /// The network whose subnet it is.
    pub network: Option<String>,
    /// Whose they were.
    pub from: Who,
    /// Who is to have them; not said before they are reclaimed.
    pub heir: Option<Who>,
    /// How many numbers.
    pub numbers: String,
    /// In how many ranges.
    pub ranges: u64,
}
