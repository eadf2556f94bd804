//! Commands about numbers that are given without a quorum.

use clap::Subcommand;

use super::{Format, Json};
use crate::help;

#[derive(Debug, Subcommand)]
pub(crate) enum Ipam {
    /// How full subnets and pools are, and who holds how much
    #[command(after_help = help::IPAM_USAGE)]
    Usage {
        /// Only this network: its name, its id, or the start of that
        network: Option<String>,
        /// A line for each node that holds or uses some
        #[arg(long, conflicts_with_all = ["json", "jsonl"])]
        nodes: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Take over what nodes held whose hosts are down for good
    #[command(after_help = help::IPAM_RECLAIM)]
    Reclaim {
        /// All nodes that are down for good: names, ids, or starts of ids
        #[arg(required = true, value_name = "NODE")]
        nodes: Vec<String>,
        /// Don't ask
        #[arg(long, short)]
        yes: bool,
        /// Don't wait until others have taken it
        #[arg(long)]
        no_wait: bool,
        #[command(flatten)]
        json: Json,
    },
}
