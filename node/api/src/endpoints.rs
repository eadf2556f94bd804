//! Endpoints: sandboxes plugged into networks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A sandbox to be plugged into a network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachEndpoint {
    /// The network: its name, its id, or the start of that.
    pub network: String,
    /// What the endpoint is to be called on it.
    pub name: String,
    /// What it is called as well.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Addresses that it is to have, at most one in each subnet; others are chosen.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Its hardware address; a random one if not said.
    #[serde(default)]
    pub mac: Option<String>,
    /// The path that leads to the sandbox's network namespace, on netnode's host; `host` is the host's own.
    pub netns: String,
    /// What the interface is to be called; the next ethN if not said.
    #[serde(default)]
    pub interface: Option<String>,
    /// Ports of the host that are to lead to it, as `[ADDRESS:|INTERFACE:]HOSTPORT:PORT[/tcp|udp]`.
    #[serde(default)]
    pub published: Vec<String>,
    /// The service that it is to serve; that may be created later.
    #[serde(default)]
    pub service: Option<String>,
    /// What it is to be called among the backends of that; as the endpoint if not said.
    #[serde(default)]
    pub task: Option<String>,
    /// How much it takes beside the other backends, 0 to 256; 1 if not said, 0: nothing new.
    #[serde(default)]
    pub weight: Option<u16>,
    /// Of the endpoints of a sandbox that lead out, the highest is its way to everywhere; of several, the first
    /// that came. 0 if not said.
    #[serde(default)]
    pub gw_priority: i32,
    /// It is on another host, and goes on here with its addresses, hardware address, aliases and what it
    /// serves; that host gives it up when it hears of it.
    #[serde(default)]
    pub move_here: bool,
    /// A `resolv.conf` on netnode's host that is made to lead to the sandbox's names, written in place; what was
    /// there is put back when the endpoint goes.
    #[serde(default)]
    pub resolv_conf: Option<String>,
}

/// An endpoint of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Names it for ever, 32 hexadecimal digits.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it is called as well.
    pub aliases: Vec<String>,
    /// The id of its network.
    pub network: String,
    /// What people call that, if it still is there.
    pub network_name: Option<String>,
    /// The path that leads to the sandbox's network namespace; `host` is the host's own.
    pub netns: String,
    /// What the interface is called there.
    pub interface: String,
    /// Its addresses, each with the length of its subnet's prefix.
    pub addresses: Vec<String>,
    /// Its hardware address.
    pub mac: String,
    /// Ports of the host that lead to it, as `[ADDRESS:|INTERFACE:]HOSTPORT:PORT/PROTOCOL`.
    pub published: Vec<String>,
    /// Whether it is its sandbox's way to everywhere.
    pub default_route: bool,
    /// Of the sandbox's endpoints that lead out, the highest is.
    pub gw_priority: i32,
    /// Bytes in an IP packet, where it is known.
    pub mtu: Option<u32>,
    /// What it is to a service, if it serves one.
    pub backend: Option<Backend>,
    /// The `resolv.conf` that was made to lead to the sandbox's names.
    pub resolv_conf: Option<String>,
    /// How it is doing.
    pub state: EndpointState,
}

/// What an endpoint is to the service that it serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EndpointBackend")]
pub struct Backend {
    /// The service's name.
    pub service: String,
    /// What it is called among the backends of that.
    pub task: String,
    /// How much it takes beside the others.
    pub weight: u16,
    /// `healthy` or `unhealthy`.
    pub health: String,
    /// `ready`, `draining` or `disabled`.
    pub state: String,
}

/// What is to become different about what an endpoint is to its service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeBackend {
    /// `healthy`, or `unhealthy`: it is given nothing new.
    #[serde(default)]
    pub health: Option<String>,
    /// `ready`; `draining`: it ends what it has begun; or `disabled`: that is cut off.
    #[serde(default)]
    pub state: Option<String>,
    /// How long what it has begun may go on while it is draining, in seconds; then it is disabled. 300 if not said.
    #[serde(default)]
    pub grace_s: Option<u64>,
}

/// How an endpoint is doing on its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", content = "why", rename_all = "snake_case")]
pub enum EndpointState {
    /// All is as it should be.
    Ready,
    /// Not yet, and why.
    Pending(String),
    /// With what it clashes.
    Conflict(String),
    /// It can't be, and what to do.
    Error(String),
}
