//! Last stages: three hosts that are network namespaces, and containers on them that talk over an overlay.
//!
//! This program runs itself again in namespaces of its own: nothing of the machine is touched. Where that
//! can't be, the stage says so.

use std::{
    env, fs,
    net::IpAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use netdb_tests::{
    binaries::Binaries,
    cluster::Cluster,
    endpoints::{addresses, create_overlay, move_here, plug},
    hosts::Hosts,
    ping::{answers, gap_during, lost_during},
};

use tokio::time::sleep;

use super::{balance, names, report::Report};
use crate::{
    bench::room,
    interrupt::unless_interrupted,
    shell::{Shell, target_dir},
};

const HOSTS: u8 = 3;
const SANDBOXES: usize = 2;
const NETWORK: &str = "web";
/// Bytes of payload of a ping.
const PAYLOAD: usize = 56;
/// How long netnode is away, and how long the ping goes on when it is back.
const WHILE: Duration = Duration::from_millis(500);
/// Names the option by which this program is told that it is apart.
pub(super) const OPTION: &str = "--apart";

/// Runs the stage in namespaces of its own, and takes over what it measured.
pub(super) fn show(shell: &Shell, report: &mut Report) -> Result<()> {
    if let Some(why) = room::missing() {
        report.begin("Containers on three hosts");
        println!("   SKIPPED: {why}");
        return Ok(());
    }
    let file = target_dir().join("demo-hosts.json");
    let mut again = room::enter();
    again.arg(env::current_exe().context("finding this program")?);
    again.args(["demo", OPTION]).arg(&file);
    report.save(&file)?;
    let done = shell.run(&mut again);
    *report = Report::load(&file)?;
    // What is left of it is of no use to anybody.
    let _ = fs::remove_file(&file);
    done
}

/// The stage itself, in its own namespaces.
pub(super) fn apart(file: &Path) -> Result<ExitCode> {
    let mut report = Report::load(file)?;
    let code = unless_interrupted(
        async {
            let shown = stage(&mut report).await;
            report.save(file)?;
            shown.map(|()| ExitCode::SUCCESS)
        },
        || println!("\nInterrupted: every process was ended."),
    )?;
    Ok(code)
}

async fn stage(report: &mut Report) -> Result<()> {
    report.begin("Containers on three hosts");
    // One more, which is outside of the cluster.
    let hosts = Hosts::new(HOSTS + 1)?;
    let binaries = Binaries::within(&target_dir().join("debug"))?;
    let members = hosts.hosts.get(..usize::from(HOSTS)).context("there are hosts")?;
    let began = Instant::now();
    let mut cluster = Cluster::on_hosts(binaries, members, &[]).await?;
    report.took("three hosts, each a network namespace, are a cluster", began.elapsed());
    let shown = containers(&hosts, &mut cluster, report).await;
    if shown.is_err() {
        println!("\n{}", cluster.tails());
    }
    shown
}

async fn containers(hosts: &Hosts, cluster: &mut Cluster, report: &mut Report) -> Result<()> {
    let began = Instant::now();
    create_overlay(&cluster.nodes, NETWORK).await?;
    report.took("an overlay network is made, and known to all", began.elapsed());
    let began = Instant::now();
    let mut plugged: Vec<(PathBuf, Vec<IpAddr>)> = Vec::new();
    for node in &cluster.nodes {
        for nth in 1..=SANDBOXES {
            let name = format!("{}-{nth}", node.name());
            let sandbox = hosts.namespaces.make(&name)?;
            let endpoint = plug(node, NETWORK, &name, &sandbox).await?;
            plugged.push((sandbox, addresses(&endpoint)?));
        }
    }
    let what = format!("{} containers are plugged in, {SANDBOXES} on each host", plugged.len());
    report.took(&what, began.elapsed());
    let (mut asked, mut answered) = (0, 0);
    for (from, _) in &plugged {
        for to in plugged.iter().flat_map(|(_, addresses)| addresses) {
            asked += 1;
            answered += usize::from(answers(from, *to, PAYLOAD)?);
        }
    }
    let found = format!("{answered} of {asked}");
    report.check("each pings each, over IPv4 and IPv6", answered == asked, &found);
    killed(cluster, &plugged, report)?;
    moved(hosts, cluster, &plugged, report)?;
    let served = names::show(hosts, cluster, NETWORK, report).await?;
    balance::show(hosts, cluster, &served, report).await
}

/// The first container of the first host goes on on the second, as a scheduler would have it.
fn moved(
    hosts: &Hosts,
    cluster: &Cluster,
    plugged: &[(PathBuf, Vec<IpAddr>)],
    report: &mut Report,
) -> Result<()> {
    let (first, last) = plugged.first().zip(plugged.last()).context("there are containers")?;
    let to = *first.1.first().context("it has an address")?;
    let [old, new, ..] = cluster.nodes.as_slice() else { bail!("the cluster has several nodes") };
    let name = format!("{}-1", old.name());
    let sandbox = hosts.namespaces.make(&format!("{name}-moved"))?;
    let runtime = tokio::runtime::Handle::current();
    let (gap, done): (_, Result<()>) = tokio::task::block_in_place(|| {
        gap_during(&last.0, to, || {
            runtime.block_on(async {
                sleep(WHILE).await;
                move_here(new, NETWORK, &name, &sandbox).await?;
                sleep(WHILE).await;
                Ok(())
            })
        })
    })?;
    done?;
    let what = format!("{name} moves from {} to {}: longest gap of a ping", old.name(), new.name());
    report.took(&what, gap);
    report.check("it is reached where it went", answers(&last.0, to, PAYLOAD)?, &to.to_string());
    Ok(())
}

/// Traffic does not need netnode.
fn killed(
    cluster: &mut Cluster,
    plugged: &[(PathBuf, Vec<IpAddr>)],
    report: &mut Report,
) -> Result<()> {
    let (first, last) = plugged.first().zip(plugged.last()).context("there are containers")?;
    let to = *last.1.first().context("it has an address")?;
    let node = cluster.nodes.first_mut().context("there is a node")?;
    let runtime = tokio::runtime::Handle::current();
    let (loss, done): (_, Result<()>) = tokio::task::block_in_place(|| {
        lost_during(&first.0, to, || {
            runtime.block_on(async {
                node.kill()?;
                sleep(WHILE).await;
                node.start().await?;
                sleep(WHILE).await;
                Ok(())
            })
        })
    })?;
    done?;
    ensure!(loss.sent > 0, "no ping was sent");
    let what = format!("pings lost while {} is killed and started again", node.name());
    report.check(&what, loss.lost == 0, &format!("{} of {}", loss.lost, loss.sent));
    Ok(())
}
