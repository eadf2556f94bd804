//! Load balancing: who gets what is for a virtual address, and why another does not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{node::Who, rows::RowState};

/// What is to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LbQuery {
    /// Only services of the networks that the sandbox of this endpoint of the host is on: its name, its id, or the
    /// start of that.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Only this service: its name, its id, or the start of that.
    #[serde(default)]
    pub service: Option<String>,
}

/// A virtual address, as this host's sandboxes balance it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VirtualAddress {
    /// The service's name.
    pub service: String,
    /// What people call its network, if it still is there.
    pub network: Option<String>,
    /// The address.
    pub vip: String,
    /// Whether a sandbox of this host is on the network: else nothing is known of its backends here.
    pub balanced: bool,
    /// Its backends.
    pub backends: Vec<BackendShare>,
}

/// What one backend gets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackendShare {
    /// What it is called among the backends.
    pub task: String,
    /// What its endpoint is called.
    pub name: String,
    /// Where packets go.
    pub address: Option<String>,
    /// The node that it is on.
    pub node: Who,
    /// How that is doing.
    pub node_state: RowState,
    /// How much it takes beside the others.
    pub weight: u16,
    /// How much of what is new it gets, in percent.
    pub share_percent: f64,
    /// Why it gets nothing.
    pub why: Option<String>,
}
