//! Whether nodes hold the same: the hash that each computes over a network's rows.

use anyhow::{Context, Result, ensure};
use netnode_api::node::Scope;

use crate::{node::Node, wait::until};

/// How one node sees one of its networks.
pub async fn network(node: &Node, name: &str) -> Result<Scope> {
    let networks = node.client().scopes().await?;
    let found = networks.attached.into_iter().find(|network| network.name == name);
    found.with_context(|| format!("{} is not attached to {name}", node.name()))
}

/// Waits until all these nodes hold the same in a network, know each other as its peers, and are in
/// sync; returns how the first of them sees it.
pub async fn wait_agreed(nodes: &[&Node], name: &str) -> Result<Scope> {
    let names: Vec<&str> = nodes.iter().map(|node| node.name()).collect();
    let what = format!("{} agree on {name}", names.join(", "));
    until(&what, async || agreed(nodes, name).await).await
}

/// As [`wait_agreed`], and they hold exactly `entries` rows.
pub async fn wait_agreed_on(nodes: &[&Node], name: &str, entries: usize) -> Result<Scope> {
    let names: Vec<&str> = nodes.iter().map(|node| node.name()).collect();
    let what = format!("{} agree on {entries} rows of {name}", names.join(", "));
    until(&what, async || {
        let network = agreed(nodes, name).await?;
        ensure!(network.entries == entries, "they hold {} rows", network.entries);
        Ok(network)
    })
    .await
}

/// Waits until a node knows this many other live nodes in a network and is in sync with them.
pub async fn wait_peers(node: &Node, name: &str, peers: usize) -> Result<()> {
    let what = format!("{} is in sync with {peers} peers in {name}", node.name());
    until(&what, async || {
        let network = network(node, name).await?;
        let (found, synced) = (network.peers, network.synced);
        ensure!(found == peers && synced, "{found} peers, synced: {synced}");
        Ok(())
    })
    .await
}

async fn agreed(nodes: &[&Node], name: &str) -> Result<Scope> {
    let mut views = Vec::new();
    for node in nodes {
        views.push((node.name(), network(node, name).await?));
    }
    let first = views.first().map(|(_, view)| view.clone()).context("no nodes were named")?;
    let alike = views
        .iter()
        .all(|(_, view)| view.synced && view.hash == first.hash && view.peers == nodes.len() - 1);
    let seen = || {
        let view = |(name, view): &(&str, Scope)| {
            let Scope { entries, hash, peers, synced, .. } = view;
            format!("{name}: {entries} rows, hash {hash}, {peers} peers, synced {synced}")
        };
        views.iter().map(view).collect::<Vec<_>>().join("; ")
    };
    ensure!(alike, "{}", seen());
    Ok(first)
}
