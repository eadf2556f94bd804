//! `netdbctl endpoint`: sandboxes of this host plugged into networks.

use clap::{Args, Subcommand};

use super::{Format, Json};
use crate::help;

#[derive(Debug, Subcommand)]
pub(crate) enum Endpoint {
    /// Plug a network namespace of this host into a network
    #[command(after_help = help::ENDPOINT)]
    Attach(Box<Attach>),
    /// Plug an endpoint of this host out of its network
    #[command(after_help = help::ENDPOINT)]
    Detach {
        /// The network: its name, its id, or the start of that
        #[arg(long, short)]
        network: String,
        /// The endpoint's name
        #[arg(long)]
        name: String,
        #[command(flatten)]
        json: Json,
    },
    /// Give an endpoint nothing new of its service; what it has begun goes on
    #[command(after_help = help::ENDPOINT_SERVING)]
    Drain {
        /// The endpoint: its name, its id, or the start of that
        endpoint: String,
        /// What it has begun is cut off as well
        #[arg(long)]
        now: bool,
        /// How long what it has begun may go on, in seconds; then it is cut off
        #[arg(long, value_name = "SECONDS", default_value_t = 300, conflicts_with_all = ["now", "undo"])]
        grace: u64,
        /// It serves again
        #[arg(long, conflicts_with = "now")]
        undo: bool,
        #[command(flatten)]
        json: Json,
    },
    /// Say how an endpoint is doing that serves a service
    #[command(after_help = help::ENDPOINT_SERVING)]
    Health {
        /// The endpoint: its name, its id, or the start of that
        endpoint: String,
        /// healthy or unhealthy
        health: String,
        #[command(flatten)]
        json: Json,
    },
    /// The endpoints of this host
    #[command(alias = "list", after_help = help::ENDPOINT)]
    Ls {
        #[command(flatten)]
        format: Format,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Attach {
    /// The network: its name, its id, or the start of that
    #[arg(long, short)]
    pub(crate) network: String,
    /// What the endpoint is to be called on it
    #[arg(long)]
    pub(crate) name: String,
    /// What it is called as well
    #[arg(long)]
    pub(crate) alias: Vec<String>,
    /// An address that it is to have, at most one in each subnet
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) ip: Vec<String>,
    /// Its hardware address; a random one if not said
    #[arg(long)]
    pub(crate) mac: Option<String>,
    /// What the interface is to be called; the next ethN if not said
    #[arg(long)]
    pub(crate) interface: Option<String>,
    /// A port of this host that is to lead to it; tcp if not said
    #[arg(long, short, value_name = "[ADDRESS:|INTERFACE:]HOSTPORT:PORT[/tcp|udp]")]
    pub(crate) publish: Vec<String>,
    /// The service that it is to serve; that may be created later
    #[arg(long)]
    pub(crate) service: Option<String>,
    /// What it is to be called among the backends of that; as the endpoint if not said
    #[arg(long, requires = "service")]
    pub(crate) task: Option<String>,
    /// How much it takes beside the other backends, 0 to 256; 1 if not said
    #[arg(long, value_name = "N", requires = "service")]
    pub(crate) weight: Option<u16>,
    /// Of the endpoints of a sandbox that lead out, the highest is its way to everywhere
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) gw_priority: i32,
    /// It is on another host and goes on here, with its addresses; the other host gives it up
    #[arg(long = "move", conflicts_with_all = ["ip", "mac", "alias", "service"])]
    pub(crate) move_here: bool,
    /// A resolv.conf of the sandbox's that is made to lead to its names, in place; put back by detach
    #[arg(long, value_name = "PATH")]
    pub(crate) resolv_conf: Option<String>,
    /// The network namespace, by the path that leads to it; `host` is the host's own
    #[arg(long, value_name = "PATH", required_unless_present = "pid", conflicts_with = "pid")]
    pub(crate) netns: Option<String>,
    /// The network namespace, by a process in it
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Option<u32>,
    #[command(flatten)]
    pub(crate) json: Json,
}
