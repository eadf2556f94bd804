//! `netdbctl network`: the options that people know from `docker network`.

use clap::{Args, Subcommand};

use super::{Format, Json};
use crate::help;

#[derive(Debug, Subcommand)]
pub(crate) enum Network {
    /// Create a network for the whole cluster, or for this host
    #[command(after_help = help::NETWORK_CREATE)]
    Create(Create),
    /// All networks
    #[command(alias = "list", after_help = help::NETWORK)]
    Ls {
        #[command(flatten)]
        format: Format,
    },
    /// A network in full, and how its addresses are shared out
    #[command(after_help = help::NETWORK)]
    Inspect {
        /// The network: its name, its id, or the start of that
        network: String,
        #[command(flatten)]
        json: Json,
    },
    /// Remove networks
    #[command(alias = "remove", after_help = help::NETWORK)]
    Rm {
        /// The networks: names, ids, or starts of ids
        #[arg(required = true)]
        networks: Vec<String>,
        #[command(flatten)]
        json: Json,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What it is to be called
    pub(crate) name: String,
    /// Who makes it real: overlay, bridge, macvlan, host or none
    #[arg(long, short, value_name = "DRIVER", default_value = "overlay")]
    pub(crate) driver: String,
    /// Who has it: cluster or local; a bridge is local, all else the cluster's if not said
    #[arg(long, value_name = "SCOPE")]
    pub(crate) scope: Option<String>,
    /// A subnet, as ADDRESS/LENGTH; one is chosen if none is named
    #[arg(long, value_name = "SUBNET")]
    pub(crate) subnet: Vec<String>,
    /// Where endpoints get addresses from, as ADDRESS/LENGTH
    #[arg(long, value_name = "RANGE")]
    pub(crate) ip_range: Vec<String>,
    /// A subnet's gateway; its first free address if not named
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) gateway: Vec<String>,
    /// An address in use by something else
    #[arg(long, value_name = "NAME=ADDRESS", value_parser = pair)]
    pub(crate) aux_address: Vec<(String, String)>,
    /// An option of the driver: parent, `macvlan_mode`, mtu, vni, encrypted, masquerade
    #[arg(long, short, value_name = "NAME[=VALUE]", value_parser = option)]
    pub(crate) opt: Vec<(String, String)>,
    /// Choose a subnet of IPv6 as well
    #[arg(long)]
    pub(crate) ipv6: bool,
    /// No way out of the network
    #[arg(long)]
    pub(crate) internal: bool,
    /// Let endpoints of anybody be attached
    #[arg(long)]
    pub(crate) attachable: bool,
    /// A note about the network
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = option)]
    pub(crate) label: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) json: Json,
}

fn pair(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("NAME=ADDRESS is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

// What clap calls has to return a result.
#[allow(clippy::unnecessary_wraps)]
pub(super) fn option(text: &str) -> Result<(String, String), std::convert::Infallible> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    Ok((name.to_owned(), value.to_owned()))
}
