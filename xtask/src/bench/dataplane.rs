//! `bench dataplane`: what containers notice, on three hosts that are network namespaces, with a real netnode
//! on each and one overlay network among them.
//!
//! This program runs itself again in namespaces of its own: nothing of the machine is touched.

mod delays;
pub(super) mod wire;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use netdb_tests::{
    binaries::Binaries,
    cluster::Cluster,
    endpoints::{create_overlay, plug},
    hosts::Hosts,
    node::Node,
};
use netnode_api::endpoints::Endpoint;
use tokio::runtime::Runtime;

use super::{lines, lines::Line, room};
use crate::shell::{Shell, cargo, target_dir};

pub(super) const ABOUT: &str =
    "containers on three hosts: how soon they reach each other, and how fast";

/// Longer than any first build.
const BUILD_LIMIT: Duration = Duration::from_mins(30);
/// Everything but the build.
const LIMIT: Duration = Duration::from_mins(10);
const HOSTS: u8 = 3;
pub(super) const NETWORK: &str = "web";

#[derive(Args)]
pub(crate) struct Options {
    /// Endpoints that come and go
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=2_000))]
    rounds: u16,
    /// Seconds of TCP streams through the overlay, and as many outside of it
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Print the result as JSON; progress stays on standard error
    #[arg(long)]
    json: bool,
    /// This is in namespaces of its own
    #[arg(long, hide = true)]
    apart: bool,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    if options.apart {
        return apart(options);
    }
    if let Some(why) = room::missing() {
        eprintln!("SKIPPED: {why}");
        return Ok(ExitCode::FAILURE);
    }
    eprintln!("Building netnode and netdbctl (release).");
    let shell = Shell::new("bench", Instant::now() + BUILD_LIMIT, false).aside();
    let packages = ["--package=netnode", "--package=netnode-cli"];
    shell.run(cargo(["build", "--release"]).args(packages))?;
    room::again(LIMIT)
}

/// Three hosts, their cluster, and a network that each has a sandbox on.
pub(super) struct Ground {
    pub(super) hosts: Hosts,
    pub(super) cluster: Cluster,
    /// One on each host, with its endpoint.
    sandboxes: Vec<(PathBuf, Endpoint)>,
}

fn apart(options: &Options) -> Result<ExitCode> {
    let runtime = Runtime::new().context("starting a runtime")?;
    runtime.block_on(async {
        let ground = Ground::make().await?;
        let measured = ground.measure(options).await;
        if measured.is_err() {
            eprintln!("{}", ground.cluster.tails());
        }
        let lines = measured?;
        println!("{}", if options.json { lines::json(&lines)? } else { lines::table(&lines) });
        Ok(ExitCode::SUCCESS)
    })
}

impl Ground {
    pub(super) async fn make() -> Result<Self> {
        let hosts = Hosts::new(HOSTS)?;
        let binaries = Binaries::within(&target_dir().join("release"))?;
        let cluster = Cluster::on_hosts(binaries, &hosts.hosts, &[]).await?;
        let mut ground = Self { hosts, cluster, sandboxes: Vec::new() };
        create_overlay(&ground.cluster.nodes, NETWORK).await?;
        for place in 0..ground.cluster.nodes.len() {
            let name = format!("fixed{place}");
            let sandbox = ground.hosts.namespaces.make(&name)?;
            let endpoint = plug(ground.node(place)?, NETWORK, &name, &sandbox).await?;
            ground.sandboxes.push((sandbox, endpoint));
        }
        Ok(ground)
    }

    pub(super) fn node(&self, place: usize) -> Result<&Node> {
        self.cluster.nodes.get(place).context("the cluster has this node")
    }

    pub(super) fn sandbox(&self, place: usize) -> Result<&(PathBuf, Endpoint)> {
        self.sandboxes.get(place).context("each host has a sandbox")
    }

    async fn measure(&self, options: &Options) -> Result<Vec<Line>> {
        eprintln!("{} endpoints come and go", options.rounds);
        let mut lines = delays::measure(self, options.rounds).await?;
        eprintln!("round trips and TCP streams, beside those of the plain underlay");
        lines.extend(wire::measure(self, Duration::from_secs(options.seconds))?);
        Ok(lines)
    }
}
