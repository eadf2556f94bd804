//! `cargo xtask demo`: five real nodes on the loopback, then containers on three hosts, told as it happens
//! and timed.
//!
//! Every stage states what must hold; the demo succeeds only if all of it did. Whatever happens, no
//! process and no file is left behind. It must never need more rights than a user has.

mod balance;
mod dump;
mod failure;
mod hosts;
mod live;
mod members;
mod names;
mod networks;
mod report;
mod restart;
mod rotation;
mod services;
mod spread;
mod stage;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Result;
use clap::Args;
use netdb_tests::{address::Addresses, agreement::wait_agreed, binaries::Binaries};

use tokio::task::block_in_place;

use crate::{interrupt::unless_interrupted, shell::Shell};
use report::Report;
use stage::Stage;

/// Longer than any first build.
const BUILD_LIMIT: Duration = Duration::from_mins(30);
/// A retired key is kept for a minute by default, for packets under way. Nobody wants to watch that.
const FLAGS: &[&str] = &["--key-retire-after", "1s"];

#[derive(Args)]
pub(crate) struct Options {
    /// This is in namespaces of its own; what was measured so far, and then
    #[arg(long, hide = true, value_name = "FILE")]
    apart: Option<PathBuf>,
}

/// Builds what is needed and runs the demo.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    if let Some(file) = &options.apart {
        return hosts::apart(file);
    }
    let services = services::read()?;
    println!("Building netnode and netdbctl.");
    let shell = Shell::new("demo", Instant::now() + BUILD_LIMIT, false);
    let binaries = shell.build_nodes()?;
    unless_interrupted(show(binaries, services, &shell), || {
        println!("\nInterrupted: every process was ended.");
    })
}

/// Runs every stage, then shows what was measured.
async fn show(binaries: Binaries, services: services::Services, shell: &Shell) -> Result<ExitCode> {
    let started = Instant::now();
    let mut report = Report::default();
    let cluster = members::join(binaries, Addresses::plain(), FLAGS, &mut report).await?;
    let mut stage = Stage::new(cluster, services, report);
    let result = stages(&mut stage).await;
    if result.is_err() {
        println!("\n{}", stage.cluster.tails());
    }
    let mut report = stage.close();
    let result = result.and_then(|()| block_in_place(|| hosts::show(shell, &mut report)));
    report.table(started.elapsed());
    result?;
    Ok(if report.all_held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn stages(stage: &mut Stage) -> Result<()> {
    networks::attach_and_load(stage).await?;
    spread::measure(stage).await?;
    rotation::under_load(stage).await?;
    restart::unnoticed(stage).await?;
    failure::and_return(stage).await?;
    dump::from_a_reader(stage).await?;
    converged_at_the_end(stage).await
}

/// After all of it, everybody holds the same.
async fn converged_at_the_end(stage: &mut Stage) -> Result<()> {
    stage.report.begin("At the end");
    let _pause = stage.live.pause().await;
    for network in stage::NETWORKS {
        let view = wait_agreed(&stage.members_of(network), network.name).await?;
        let detail = format!("{} rows, hash {}", view.entries, view.hash);
        stage.report.held(&format!("{} is the same on every member", network.name), &detail);
    }
    Ok(())
}

/// The cluster of the demo is dropped last of all that a stage holds.
impl Stage {
    fn close(self) -> Report {
        let Self { cluster, live, report, .. } = self;
        drop(live);
        drop(cluster);
        report
    }
}
