//! Several nodes that know each other, in one temporary directory.
//!
//! If the test that holds a cluster fails, the ends of all logs are shown.

use std::collections::VecDeque;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::{address::Addresses, binaries::Binaries, hosts::Host, node::Node};

/// Where a node listens that has its host for itself: netnode's default.
const PORT: u16 = 7117;

/// Where nodes run.
#[derive(Debug)]
enum Places {
    /// All on this host, each at an address of the loopback.
    Loopback(Addresses),
    /// One on each of these hosts, the next first.
    Hosts(VecDeque<Host>),
}

/// A cluster. Its nodes are called n1, n2 and so on.
#[derive(Debug)]
pub struct Cluster {
    /// The nodes; the first founded the cluster.
    pub nodes: Vec<Node>,
    binaries: Binaries,
    places: Places,
    flags: Vec<String>,
    token: String,
    // Last: the files go after the processes that use them.
    directory: TempDir,
}

impl Cluster {
    /// Starts a cluster of `count` nodes, each with these flags, and waits until everybody sees
    /// everybody.
    pub async fn start(count: usize, flags: &[&str]) -> Result<Self> {
        let mut cluster = Self::found(Binaries::find()?, Addresses::apart(), flags).await?;
        while cluster.nodes.len() < count {
            cluster.grow().await?;
        }
        cluster.wait_whole().await?;
        Ok(cluster)
    }

    /// Starts a cluster of one node.
    pub async fn found(binaries: Binaries, addresses: Addresses, flags: &[&str]) -> Result<Self> {
        Self::found_at(binaries, Places::Loopback(addresses), flags).await
    }

    /// Starts a cluster of one node on each of these hosts, and waits until everybody sees everybody.
    pub async fn on_hosts(binaries: Binaries, hosts: &[Host], flags: &[&str]) -> Result<Self> {
        let places = Places::Hosts(hosts.to_vec().into());
        let mut cluster = Self::found_at(binaries, places, flags).await?;
        for _ in cluster.nodes.len()..hosts.len() {
            cluster.grow().await?;
        }
        cluster.wait_whole().await?;
        Ok(cluster)
    }

    async fn found_at(binaries: Binaries, places: Places, flags: &[&str]) -> Result<Self> {
        let mut cluster = Self {
            nodes: Vec::new(),
            binaries,
            places,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            token: String::new(),
            directory: tempfile::tempdir().context("making a directory for the nodes")?,
        };
        let mut first = cluster.prepare()?;
        cluster.token = first.init().await?;
        first.start().await?;
        cluster.nodes.push(first);
        Ok(cluster)
    }

    /// One more node: joined through the first and started.
    pub async fn grow(&mut self) -> Result<()> {
        let mut node = self.prepare()?;
        node.join(&self.token, &[self.first()?.address()]).await?;
        node.start().await?;
        self.nodes.push(node);
        Ok(())
    }

    /// A node that is not a member yet, and not in the list of nodes.
    pub fn prepare(&mut self) -> Result<Node> {
        let name = format!("n{}", self.nodes.len() + 1);
        self.prepare_as(&name)
    }

    /// As [`Cluster::prepare`], of this name.
    pub fn prepare_as(&mut self, name: &str) -> Result<Node> {
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
        let (binaries, directory) = (self.binaries.clone(), self.directory.path());
        match &mut self.places {
            Places::Loopback(addresses) => {
                Ok(Node::new(binaries, directory, name, addresses.free()?, &flags))
            }
            Places::Hosts(hosts) => {
                let host = hosts.pop_front().context("every host has its node")?;
                let address = (host.address, PORT).into();
                Ok(Node::new(binaries, directory, name, address, &flags).within(host.namespace))
            }
        }
    }

    /// The token that the cluster was founded with.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Where the nodes' files are.
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// Waits until every node sees every node.
    pub async fn wait_whole(&self) -> Result<()> {
        for node in &self.nodes {
            node.wait_alive(self.nodes.len()).await?;
        }
        Ok(())
    }

    /// Attaches these nodes (by their place in the list) to a network and waits until they are in sync.
    pub async fn attach(&self, network: &str, places: &[usize]) -> Result<()> {
        for node in places.iter().filter_map(|place| self.nodes.get(*place)) {
            node.client().attach(network).await?;
        }
        for node in places.iter().filter_map(|place| self.nodes.get(*place)) {
            crate::agreement::wait_peers(node, network, places.len() - 1).await?;
        }
        Ok(())
    }

    /// The ends of all logs.
    pub fn tails(&self) -> String {
        self.nodes.iter().map(Node::tail).collect::<Vec<_>>().join("\n")
    }

    fn first(&self) -> Result<&Node> {
        self.nodes.first().context("the cluster has no node")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.tails());
        }
    }
}
