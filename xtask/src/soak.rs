//! `cargo xtask soak`: a cluster of real processes under writes and troubles, for as long as one likes.
//!
//! At the end every node holds exactly what was acknowledged, nobody has grown, and the logs are short.
//! Whatever happens, no process and no file is left behind. Must never need more rights than a user has.

mod model;
mod trouble;
mod vitals;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use netdb_tests::{
    address::Addresses, agreement::wait_agreed, binaries::Binaries, cluster::Cluster, node::Node,
};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use crate::{
    interrupt::unless_interrupted,
    lanes::{Lane, Verdict},
    shell::Shell,
};
use model::Model;
use trouble::Troubles;
use vitals::Vitals;

const EXAMPLES: &str = "\
Examples:
  cargo xtask soak
  cargo xtask soak --minutes 60
  cargo xtask soak --minutes 2 --nodes 5 --seed 7";

/// The network that all of it happens in.
const NETWORK: &str = "soak";
/// A retired key is kept for a minute by default: rotations would have to wait for each other.
const FLAGS: &[&str] = &["--key-retire-after", "1s"];
/// Longer than any first build.
const BUILD_LIMIT: Duration = Duration::from_mins(30);
/// How often progress is told.
const TELL: Duration = Duration::from_secs(15);
/// Of the time, until the first vitals are taken: by then every queue and cache has been used.
const WARM_UP: u32 = 5;
/// Minutes in a long run of all lanes, and seconds in a short one.
const LONG_MINUTES: u64 = 10;
const SHORT_SECONDS: u64 = 20;

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 25, value_parser = clap::value_parser!(u16).range(3..=100))]
    nodes: u16,
    /// Decides who is written to and what befalls whom
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) const LANE: Lane = Lane {
    name: "soak",
    about: "25 real processes under writes, kills, restarts, pauses and key rotations",
    limit: Duration::from_mins(5),
    run: |shell| {
        let long = Duration::from_mins(LONG_MINUTES);
        let time = if shell.long() { long } else { Duration::from_secs(SHORT_SECONDS) };
        let plan = Plan { time, nodes: 25, seed: 1 };
        let binaries = shell.build_nodes()?;
        let runtime = tokio::runtime::Runtime::new().context("starting a runtime")?;
        runtime.block_on(soak(binaries, &plan))?;
        Ok(Verdict::Passed)
    },
};

/// What a soak is to do.
struct Plan {
    time: Duration,
    nodes: usize,
    seed: u64,
}

/// Builds what is needed and soaks.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let binaries = Shell::new("soak", Instant::now() + BUILD_LIMIT, false).build_nodes()?;
    let plan = Plan {
        time: Duration::from_mins(options.minutes),
        nodes: options.nodes.into(),
        seed: options.seed,
    };
    unless_interrupted(soak(binaries, &plan), || {
        println!("\nInterrupted: every process was ended.");
    })
}

async fn soak(binaries: Binaries, plan: &Plan) -> Result<ExitCode> {
    println!("{} nodes join, seed {}.", plan.nodes, plan.seed);
    let mut cluster = Cluster::found(binaries, Addresses::apart(), FLAGS).await?;
    let result = stages(plan, &mut cluster).await;
    if result.is_err() {
        println!("\n{}", cluster.tails());
    }
    result.map(|()| ExitCode::SUCCESS)
}

async fn stages(plan: &Plan, cluster: &mut Cluster) -> Result<()> {
    while cluster.nodes.len() < plan.nodes {
        cluster.grow().await?;
    }
    cluster.wait_whole().await?;
    let all: Vec<usize> = (0..plan.nodes).collect();
    cluster.attach(NETWORK, &all).await?;
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut model = Model::new(plan.nodes);
    let mut troubles = Troubles::default();
    let began = Instant::now();
    let mut before = None;
    let mut told = began;
    while began.elapsed() < plan.time {
        troubles.step(cluster, &mut model, &mut rng).await?;
        model.write_some(cluster, &troubles, &mut rng).await?;
        if before.is_none() && began.elapsed() > plan.time / WARM_UP {
            before = Some(Vitals::of(cluster, &troubles)?);
        }
        if told.elapsed() > TELL {
            told = Instant::now();
            let left = plan.time.saturating_sub(began.elapsed());
            println!("{} writes, {troubles}; {} s left", model.written(), left.as_secs());
        }
    }
    troubles.end(cluster, &mut model).await?;
    let before = before.context("the time was too short to take vitals")?;
    verdict(cluster, &model, &troubles, &before).await
}

/// Everybody holds exactly what was acknowledged, and nobody has grown.
async fn verdict(
    cluster: &Cluster,
    model: &Model,
    troubles: &Troubles,
    before: &Vitals,
) -> Result<()> {
    println!("{} writes, {troubles}; all is quiet now.", model.written());
    cluster.wait_whole().await?;
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    let agreed = wait_agreed(&nodes, NETWORK).await?;
    println!("every node holds {} rows, hash {}", agreed.entries, agreed.hash);
    model.check(&nodes).await?;
    println!("these are the rows that were acknowledged, in both tables");
    let after = Vitals::of(cluster, troubles)?;
    println!("{:<28} {:>12} {:>12}", "", "before", "after");
    for (what, was, is) in before.beside(&after) {
        println!("{what:<28} {was:>12} {is:>12}");
    }
    let lines = vitals::log_lines(cluster);
    let allowed = vitals::lines_allowed(cluster.nodes.len(), troubles.count());
    println!("{:<28} {:>12} {lines:>12}", "lines in all logs (limit)", allowed);
    ensure!(lines <= allowed, "the logs have {lines} lines, more than {allowed}");
    before.check(&after)
}
