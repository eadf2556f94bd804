//! The real cluster that is measured, and what was measured on it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use netdb_tests::{
    address::Addresses, agreement, binaries::Binaries, cluster::Cluster, node::Node, wait::until_in,
};
use netnode_api::client::Client;
use serde::{Deserialize, Serialize};

use super::{figure::Figure, room::Wire};
use crate::process::{Scheduled, scheduled};

/// The network that all nodes are attached to.
pub(crate) const NETWORK: &str = "net";
/// The defaults of a data centre, as the simulator uses them; the harness itself would take quicker ones.
const FLAGS: &[&str] = &["--profile", "lan"];
/// Headers of IP and UDP, which the simulator counts too.
const HEADERS: u64 = 28;
/// How often everybody is asked whether all agree. Asking costs the nodes CPU time.
const LOOK: Duration = Duration::from_millis(50);

/// What was measured under one loss.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) samples: BTreeMap<Figure, Vec<u64>>,
    /// What could not be measured, and why.
    pub(crate) failed: Vec<String>,
    /// By stage, what the counters of all nodes together grew by: for whoever looks for a cause.
    #[serde(default)]
    pub(crate) counters: BTreeMap<String, BTreeMap<String, u64>>,
    /// What should be known about the conditions.
    pub(crate) notes: Vec<String>,
}

/// A running cluster.
pub(crate) struct Ground {
    pub(crate) measured: Measured,
    pub(crate) wire: Option<Wire>,
    cluster: Cluster,
    chance: u64,
}

impl Ground {
    /// Starts the nodes, one after the other, and attaches all of them to the network.
    pub(crate) async fn start(
        count: usize,
        binaries: Binaries,
        wire: Option<Wire>,
    ) -> Result<Self> {
        let began = Instant::now();
        let mut cluster = Cluster::found(binaries, Addresses::apart(), FLAGS).await?;
        while cluster.nodes.len() < count {
            cluster.grow().await?;
        }
        cluster.wait_whole().await?;
        tell(&format!("{count} nodes run and see each other: {:.1?}", began.elapsed()));
        let places: Vec<usize> = (0..count).collect();
        cluster.attach(NETWORK, &places).await?;
        tell(&format!("attached and in sync: {:.1?}", began.elapsed()));
        Ok(Self { measured: Measured::default(), wire, cluster, chance: 1 })
    }

    pub(crate) fn count(&self) -> usize {
        self.cluster.nodes.len()
    }

    pub(crate) fn node(&self, place: usize) -> Result<&Node> {
        self.cluster.nodes.get(place).context("the cluster is smaller")
    }

    pub(crate) fn node_mut(&mut self, place: usize) -> Result<&mut Node> {
        self.cluster.nodes.get_mut(place).context("the cluster is smaller")
    }

    pub(crate) fn client(&self, place: usize) -> Result<Client> {
        Ok(self.node(place)?.client().clone())
    }

    /// What was measured; the nodes end.
    pub(crate) fn close(self) -> Measured {
        self.measured
    }

    /// Some number below `limit`: splitmix64, the same ones in each run.
    pub(crate) fn chance(&mut self, limit: usize) -> usize {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.chance;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed >> 33) % (limit.max(1) as u64)).unwrap_or(0)
    }

    /// Adds a time.
    pub(crate) fn time(&mut self, figure: Figure, took: Duration) {
        self.number(figure, u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Adds a sample in the unit of the figure.
    pub(crate) fn number(&mut self, figure: Figure, sample: u64) {
        self.measured.samples.entry(figure).or_default().push(sample);
    }

    /// The ids of all processes that run.
    pub(crate) fn pids(&self) -> Vec<u32> {
        self.cluster.nodes.iter().filter_map(Node::pid).collect()
    }

    /// What all processes together got of the cores so far.
    pub(crate) fn scheduled(&self) -> Result<Scheduled> {
        self.pids().into_iter().try_fold(Scheduled::default(), |sum, pid| {
            let one = scheduled(pid)?;
            Ok(Scheduled { ran: sum.ran + one.ran, waited: sum.waited + one.waited })
        })
    }

    /// The counters of all nodes, added up.
    pub(crate) async fn counters(&self) -> Result<BTreeMap<String, u64>> {
        let mut sums = BTreeMap::new();
        for node in self.cluster.nodes.iter().filter(|node| node.pid().is_some()) {
            for (name, count) in node.client().stats().await?.counters {
                *sums.entry(name).or_default() += count;
            }
        }
        Ok(sums)
    }

    /// Bytes that each node has sent since its start, by its own counters.
    pub(crate) async fn sent(&self) -> Result<Vec<u64>> {
        let mut sent = Vec::new();
        for node in &self.cluster.nodes {
            let counters = node.client().stats().await?.counters;
            let count = |name: &str| {
                counters.get(name).copied().with_context(|| format!("there is no counter {name}"))
            };
            let packets = count("transport_packets_sent")?;
            let bytes = count("transport_packet_bytes_sent")?;
            sent.push(packets * HEADERS + bytes + count("transport_message_bytes_sent")?);
        }
        Ok(sent)
    }

    /// Waits until all nodes are in sync and hold the same.
    pub(crate) async fn agree(&self, within: Duration) -> Result<()> {
        let end = Instant::now() + within;
        loop {
            match self.agreed().await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() >= end => {
                    return Err(error).with_context(|| format!("they don't agree in {within:?}"));
                }
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// An error at the first node that differs from the one before it.
    async fn agreed(&self) -> Result<()> {
        let mut first: Option<String> = None;
        for node in &self.cluster.nodes {
            let seen = agreement::network(node, NETWORK).await?;
            ensure!(seen.synced, "{} is not in sync", node.name());
            ensure!(seen.peers + 1 == self.count(), "{} sees {} peers", node.name(), seen.peers);
            let hash = first.get_or_insert_with(|| seen.hash.clone());
            ensure!(*hash == seen.hash, "{} holds something else than n1", node.name());
        }
        Ok(())
    }

    /// Rows that a node holds.
    pub(crate) async fn entries(&self, place: usize) -> Result<usize> {
        Ok(agreement::network(self.node(place)?, NETWORK).await?.entries)
    }

    /// Waits until every node holds so many rows; returns when the last did. Asks one node at a time.
    pub(crate) async fn hold(&self, entries: usize, within: Duration) -> Result<()> {
        for place in 0..self.count() {
            let what = format!("n{} holds {entries} rows", place + 1);
            until_in(within, &what, async || {
                let found = self.entries(place).await?;
                ensure!(found >= entries, "{found} rows");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Everybody runs and all agree: what a stage begins with, whatever became of the one before it.
    pub(crate) async fn ready(&mut self) -> Result<()> {
        for node in &mut self.cluster.nodes {
            if node.pid().is_none() {
                node.start().await?;
            }
        }
        self.agree(Duration::from_mins(1)).await
    }
}

/// What happens, for who waits.
pub(crate) fn tell(line: &str) {
    eprintln!("   {line}");
}
