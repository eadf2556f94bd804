//! Networks in libnetwork's sense: a driver, subnets and options, for endpoints to be on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ipam::SpaceUsage, node::Who};

/// A network to be created. Options are those of `docker network create`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateNetwork {
    /// What it is to be called.
    pub name: String,
    /// `overlay`, `bridge`, `macvlan`, `host` or `none`.
    pub driver: String,
    /// `cluster` (or `swarm`) for all nodes, `local` for this host; if not said, `local` for a bridge and
    /// else `cluster`.
    #[serde(default)]
    pub scope: Option<String>,
    /// Its subnets, as `ADDRESS/LENGTH`; one is chosen if none is named.
    #[serde(default)]
    pub subnets: Vec<String>,
    /// Where endpoints get addresses from, as `ADDRESS/LENGTH`, at most one in each subnet.
    #[serde(default)]
    pub ip_ranges: Vec<String>,
    /// Gateways, at most one in each subnet; the first free address if not named.
    #[serde(default)]
    pub gateways: Vec<String>,
    /// Addresses in use by something else, by what it is called.
    #[serde(default)]
    pub aux_addresses: BTreeMap<String, String>,
    /// The driver's options.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// A subnet of IPv6 is chosen as well, if none is named.
    #[serde(default)]
    pub ipv6: bool,
    /// No way out.
    #[serde(default)]
    pub internal: bool,
    /// Endpoints of anybody may be attached.
    #[serde(default)]
    pub attachable: bool,
    /// What people note about it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Network {
    /// Names it for ever, 32 hexadecimal digits.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Who makes it real.
    pub driver: String,
    /// Who has it: `cluster`, all nodes, or `local`, this host.
    pub scope: String,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
    /// Options that were set.
    pub options: BTreeMap<String, String>,
    /// No way out.
    pub internal: bool,
    /// Endpoints of anybody may be attached.
    pub attachable: bool,
    /// What people noted about it.
    pub labels: BTreeMap<String, String>,
    /// When it was created, in microseconds since the Unix epoch.
    pub created_us: u64,
    /// What it claims in vain, because an older network has it; it works on by its id.
    pub conflicts: Vec<NetworkConflict>,
}

/// A subnet of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Subnet {
    /// All of it.
    pub subnet: String,
    /// Who leads out of it.
    pub gateway: Option<String>,
    /// Where endpoints get addresses from, if not from all of it.
    pub ip_range: Option<String>,
    /// Addresses in use by something else.
    pub aux_addresses: BTreeMap<String, String>,
}

/// An older network has what this one claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkConflict {
    /// What both claim: `the name web`, `VNI 4097`.
    pub claim: String,
    /// The id of the network that has it.
    pub with: String,
}

/// A network, and how its addresses are shared out among the nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkDetail {
    /// What it is.
    pub network: Network,
    /// By subnet.
    pub usage: Vec<SpaceUsage>,
    /// Nodes that did not answer: of these only what the answering node's tables say is counted.
    pub silent: Vec<Who>,
}
