//! Services: sets of endpoints that are reached by one name.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{endpoints::EndpointState, node::Who, rows::RowState};

/// A service to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateService {
    /// What it is to be called, in all networks.
    pub name: String,
    /// Its network: the name, the id, or the start of that.
    pub network: String,
    /// What its name comes to: `vip`, a virtual address, or `dnsrr`, the addresses of its backends; `vip` if
    /// not said.
    #[serde(default)]
    pub mode: Option<String>,
    /// Virtual addresses that it is to have, at most one of each family; others are chosen.
    #[serde(default)]
    pub vips: Vec<String>,
    /// Ports at which hosts are to have it.
    #[serde(default)]
    pub ports: Vec<PublishedPort>,
    /// What people note about it.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether a client is to get a backend of its own host, as long as one is ready there.
    #[serde(default)]
    pub prefer_local: bool,
    /// Which backends get what comes by ports in the mode `ingress`: `cluster`, all, or `local`, those of the node that it
    /// comes to; `cluster` if not said.
    #[serde(default)]
    pub external_traffic: Option<String>,
    /// The label, `NAME` or `NAME=VALUE`, of the nodes that are to open its ports in the mode `ingress`; all if not said.
    #[serde(default)]
    pub publish_on: Option<String>,
    /// A port of TCP at which each node is to say by HTTP whether it has backends that take what is new: 200 or 503.
    #[serde(default)]
    pub health_port: Option<u16>,
}

/// What is to become different about a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateService {
    /// What its name comes to from now on: `vip` or `dnsrr`.
    #[serde(default)]
    pub mode: Option<String>,
    /// Virtual addresses that it is to have from now on, at most one of each family.
    #[serde(default)]
    pub vips: Vec<String>,
    /// Ports at which hosts are to have it as well.
    #[serde(default)]
    pub publish: Vec<PublishedPort>,
    /// Ports of the backends that no port of the hosts is to lead to any more.
    #[serde(default)]
    pub unpublish: Vec<TargetPort>,
    /// Notes that are added, or replaced.
    #[serde(default)]
    pub label: BTreeMap<String, String>,
    /// Notes that go, by name.
    #[serde(default)]
    pub unlabel: Vec<String>,
    /// Whether a client is to get a backend of its own host from now on, as long as one is ready there.
    #[serde(default)]
    pub prefer_local: Option<bool>,
    /// Which backends get what comes by ports in the mode `ingress` from now on: `cluster` or `local`.
    #[serde(default)]
    pub external_traffic: Option<String>,
    /// The label of the nodes that are to open its ports in the mode `ingress` from now on; empty: all.
    #[serde(default)]
    pub publish_on: Option<String>,
    /// The port of TCP at which each node is to say by HTTP whether it has backends that take what is new; 0: none any more.
    #[serde(default)]
    pub health_port: Option<u16>,
}

/// A port of hosts that leads to a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishedPort {
    /// `tcp` or `udp`.
    #[serde(default = "tcp")]
    pub protocol: String,
    /// The hosts' port.
    pub published: u16,
    /// The backends' port.
    pub target: u16,
    /// `ingress`: each host has it, and it leads to all backends; `host`: those that a backend is on.
    #[serde(default = "ingress")]
    pub mode: String,
    /// Which address of a host has it; all if not said.
    #[serde(default)]
    pub bind: Option<String>,
}

/// A port of the backends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TargetPort {
    /// `tcp` or `udp`.
    #[serde(default = "tcp")]
    pub protocol: String,
    /// The port.
    pub target: u16,
}

fn tcp() -> String {
    "tcp".to_owned()
}

fn ingress() -> String {
    "ingress".to_owned()
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Service {
    /// Names it for ever, 32 hexadecimal digits.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// The id of its network.
    pub network: String,
    /// What people call that, if it still is there.
    pub network_name: Option<String>,
    /// What its name comes to: `vip` or `dnsrr`.
    pub mode: String,
    /// Its virtual addresses.
    pub vips: Vec<String>,
    /// Ports at which hosts have it.
    pub ports: Vec<PublishedPort>,
    /// What people noted about it.
    pub labels: BTreeMap<String, String>,
    /// Whether a client gets a backend of its own host, as long as one is ready there.
    pub prefer_local: bool,
    /// Which backends get what comes by ports in the mode `ingress`: `cluster` or `local`.
    pub external_traffic: String,
    /// The label of the nodes that open its ports in the mode `ingress`; all do if not said.
    pub publish_on: Option<String>,
    /// The port at which each node says by HTTP whether it has backends that take what is new.
    pub health_port: Option<u16>,
    /// When it was created, in microseconds since the Unix epoch.
    pub created_us: u64,
    /// What it claims in vain, because an older service has it.
    pub conflicts: Vec<ServiceConflict>,
    /// Ports of the mode `ingress` that are not open on the answering node.
    pub closed: Vec<ClosedPort>,
    /// How many backends it has; not said if those that hold the rows of its network don't answer.
    pub backends: Option<BackendCount>,
    /// Backends of the answering node that are not as they should be: one that can't have a port of the service, for
    /// one. How those of other nodes are, these know.
    pub hindered: Vec<Hindered>,
    /// How it is doing.
    pub state: ServiceState,
}

/// A backend that is not as it should be on its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hindered {
    /// The node that it is on.
    pub node: Who,
    /// What its endpoint is called.
    pub endpoint: String,
    /// What its node shows of it.
    pub state: EndpointState,
}

/// How many backends a service has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BackendCount {
    /// Those that take something new.
    pub ready: u64,
    /// All of them.
    pub all: u64,
}

/// A port that a node does not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClosedPort {
    /// The port: `8080:80/tcp`.
    pub port: String,
    /// Why: an endpoint or a process of its host has it.
    pub why: String,
}

/// An older service has what this one claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceConflict {
    /// What is claimed: `the name web`, `port 8080:80/tcp`.
    pub claim: String,
    /// The id of the service that has it, or what clashes with it.
    pub with: String,
}

/// How a service is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", content = "why", rename_all = "snake_case")]
pub enum ServiceState {
    /// Somebody serves it, as far as the answering node knows.
    Ready,
    /// Nobody does, and why.
    Pending(String),
    /// With what it clashes.
    Conflict(String),
}

/// A service, and who serves it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServiceDetail {
    /// What it is.
    pub service: Service,
    /// Its backends; not said if those that hold the rows of its network don't answer.
    pub backends: Option<Vec<Backend>>,
}

/// One of those that serve a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Backend {
    /// What it is called among them.
    pub task: String,
    /// The id of its endpoint.
    pub endpoint: String,
    /// What that is called.
    pub name: String,
    /// Its addresses, each with the length of its subnet's prefix.
    pub addresses: Vec<String>,
    /// The node that it is on.
    pub node: Who,
    /// How that is doing.
    pub node_state: RowState,
    /// How much it takes beside the others.
    pub weight: u16,
    /// `healthy` or `unhealthy`.
    pub health: String,
    /// `ready`, `draining` or `disabled`.
    pub state: String,
}
