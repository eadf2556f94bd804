//! First stage: five nodes find each other.

use std::time::Instant;

use anyhow::{Context, Result};
use netdb_tests::{address::Addresses, binaries::Binaries, cluster::Cluster};

use super::report::Report;

const NODES: usize = 5;

pub(crate) async fn join(
    binaries: Binaries,
    addresses: Addresses,
    flags: &[&str],
    report: &mut Report,
) -> Result<Cluster> {
    report.begin("Five nodes become a cluster");
    let started = Instant::now();
    let mut cluster = Cluster::found(binaries, addresses, flags).await?;
    report.took("the first has made its keys, founded a cluster and runs", started.elapsed());
    for _ in 1..NODES {
        let began = Instant::now();
        cluster.grow().await?;
        let node = cluster.nodes.last().context("no node was added")?;
        let what = format!("{} at {} was admitted by token and runs", node.name(), node.address());
        report.took(&what, began.elapsed());
    }
    cluster.wait_whole().await?;
    report.took("joined: every node sees all five", started.elapsed());
    Ok(cluster)
}
