//! `cargo xtask bench NAME`: measures, and prints one table with what the figures are to be held against.
//!
//! Progress goes to standard error, the table (or JSON) to standard output. It measures; whether a figure
//! is good enough it only says. Must never need more rights than a user has.

mod anchors;
mod cluster;
mod core;
mod dataplane;
mod dns;
mod figure;
mod ground;
mod lines;
pub(crate) mod room;
mod samples;
mod services;
mod simulated;
mod stages;
mod table;
mod watchers;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench --list
  cargo xtask bench cluster
  cargo xtask bench cluster --nodes 5 --loss 0
  cargo xtask bench cluster --loss 20 --only burst
  cargo xtask bench cluster --json > cluster.json
  cargo xtask bench core
  cargo xtask bench dataplane
  cargo xtask bench dataplane --rounds 20 --seconds 1
  cargo xtask bench dns
  cargo xtask bench dns --rounds 0 --changes 200
  cargo xtask bench services";

#[derive(Args)]
#[command(
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true
)]
pub(crate) struct Options {
    /// Name the benchmarks, a line each, and run nothing
    #[arg(long)]
    list: bool,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Subcommand)]
enum What {
    /// Real netnode processes on the loopback beside the simulator, without and with lost packets
    #[command(after_help = EXAMPLES)]
    Cluster(cluster::Options),
    /// What one node's work costs: writes, packets, commits, memory
    #[command(after_help = EXAMPLES)]
    Core(core::Options),
    /// Containers on three hosts: how soon they reach each other, and how fast
    #[command(after_help = EXAMPLES)]
    Dataplane(dataplane::Options),
    /// Lookups of local names under load, beside unbound and dnsmasq; and how soon a change is told
    #[command(after_help = EXAMPLES)]
    Dns(dns::Options),
    /// Load balancing: rules of many services, connections by a virtual address, how soon a backend is used
    #[command(after_help = EXAMPLES)]
    Services(services::Options),
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    match &options.what {
        Some(What::Cluster(options)) => cluster::run(options),
        Some(What::Core(options)) => core::run(options),
        Some(What::Dataplane(options)) => dataplane::run(options),
        Some(What::Dns(options)) => dns::run(options),
        Some(What::Services(options)) => services::run(options),
        None => {
            println!("{:<10} {}", "cluster", cluster::ABOUT);
            println!("{:<10} {}", "core", core::ABOUT);
            println!("{:<10} {}", "dataplane", dataplane::ABOUT);
            println!("{:<10} {}", "dns", dns::ABOUT);
            println!("{:<10} {}", "services", services::ABOUT);
            Ok(ExitCode::SUCCESS)
        }
    }
}
