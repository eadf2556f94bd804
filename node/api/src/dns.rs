//! Names: what a sandbox of this host would be told.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{node::Who, rows::RowState};

/// A question, as a sandbox would ask it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DnsQuery {
    /// An endpoint of this host, whose sandbox asks: its name, its id, or the start of that.
    pub endpoint: String,
    /// The name, or of `PTR` an address.
    pub name: String,
    /// The type of the records: `A` if not said.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
}

/// What the sandbox would be told, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsAnswer {
    /// How it ends: `NOERROR`, `NXDOMAIN`, `SERVFAIL` and so on.
    pub status: String,
    /// Whether it was answered here; else somebody else was asked.
    pub ours: bool,
    /// Each record as in a zone file.
    pub records: Vec<String>,
    /// The networks whose names the sandbox sees.
    pub networks: Vec<DnsNetwork>,
    /// Everything that is called so in them.
    pub parts: Vec<DnsPart>,
    /// Who is asked for what is not ours; nobody if all networks are internal.
    pub resolvers: Vec<String>,
}

/// A network that the sandbox is on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsNetwork {
    /// What it is called.
    pub name: String,
    /// Whether all its rows are here: until then no name is denied.
    pub synced: bool,
    /// Whether it leads nowhere else.
    pub internal: bool,
}

/// Something that is called so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DnsPart {
    /// The network.
    pub network: String,
    /// `service` or `endpoint`.
    pub kind: String,
    /// What it is called itself.
    pub name: String,
    /// Its addresses; none of a service whose name comes to its backends.
    pub addresses: Vec<String>,
    /// Where an endpoint is.
    pub node: Option<Who>,
    /// How that node is doing.
    pub node_state: Option<RowState>,
    /// Whether its addresses are told.
    pub told: bool,
    /// Why they are not, if so.
    pub why: Option<String>,
}
