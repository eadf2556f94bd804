//! What checks and scenarios may ask of a world.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use netdb_core::{
    entry::{Entry, RowKey},
    node::{CLUSTER_NETWORK, NetworkInfo, Node},
    view::{Filter, Row},
};
use netdb_gossip_core::{
    identity::{Name, NodeId},
    time::Time,
};

use super::{Host, Options, Sabotage, Sightings, World};
use crate::check::replay::View;

impl World {
    /// What the world was made from.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// True time.
    pub fn now(&self) -> Time {
        self.fabric.now()
    }

    /// All hosts.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// One host.
    pub fn host(&self, host: usize) -> Option<&Host> {
        self.hosts.get(host)
    }

    /// A host's running node.
    pub fn node(&self, host: usize) -> Option<&Node> {
        self.hosts.get(host).and_then(Host::node)
    }

    /// The host of a node.
    pub fn index_of(&self, node: NodeId) -> Option<usize> {
        self.by_id.get(&node).copied()
    }

    /// Hosts whose node runs and is not paused.
    pub fn running(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|host| self.is_running(*host)).collect()
    }

    /// Whether a host's node runs and is not paused.
    pub fn is_running(&self, host: usize) -> bool {
        self.node(host).is_some() && !self.fabric.is_paused(host)
    }

    /// Whether nothing is wrong with a host.
    pub fn is_healthy(&self, host: usize) -> bool {
        self.is_running(host) && !self.is_torn()
    }

    /// Whether nothing has gone wrong in this world so far.
    pub fn is_calm(&self) -> bool {
        self.options.calm && self.is_undisturbed()
    }

    /// Whether no fault has been made so far, and the links lose nothing.
    pub fn is_undisturbed(&self) -> bool {
        !self.faulty && self.options.link.loss == 0
    }

    /// When something last happened to a host that others may take for a failure, or for a return.
    pub fn disturbed(&self, host: usize) -> Time {
        self.disturbed.get(host).copied().unwrap_or_default().max(self.all_disturbed)
    }

    /// Networks that the script attached somebody to.
    pub fn networks(&self) -> BTreeSet<Name> {
        self.hosts.iter().flat_map(|host| host.attached.iter().cloned()).collect()
    }

    /// Running hosts attached to a network, as the script has it.
    pub fn attached(&self, network: &Name) -> Vec<usize> {
        let takes_part =
            |host: &Host| network.as_str() == CLUSTER_NETWORK || host.attached.contains(network);
        let hosts =
            self.hosts.iter().filter(|host| self.is_running(host.index) && takes_part(host));
        hosts.map(|host| host.index).collect()
    }

    /// What a node says of a network.
    pub fn network_info(&self, host: usize, network: &Name) -> Option<NetworkInfo> {
        self.node(host)?.networks().into_iter().find(|info| info.name == *network)
    }

    /// The visible rows of a network on one host.
    pub fn rows_of(&self, host: usize, network: &Name) -> BTreeMap<RowKey, Arc<Entry>> {
        let filter = Filter { network: Some(network.clone()), ..Filter::default() };
        self.select(host, &filter)
    }

    /// The rows of a network on one host, those of failed nodes included.
    pub fn held_rows(&self, host: usize, network: &Name) -> BTreeMap<RowKey, Arc<Entry>> {
        let network = Some(network.clone());
        self.select(host, &Filter { network, include_failed: true, ..Filter::default() })
    }

    fn select(&self, host: usize, filter: &Filter) -> BTreeMap<RowKey, Arc<Entry>> {
        let rows = self.list(host, filter).into_iter();
        rows.map(|(_, row)| (row.entry.row.clone(), row.entry)).collect()
    }

    /// What a host lists.
    pub fn list(&self, host: usize, filter: &Filter) -> Vec<(Arc<Name>, Row)> {
        let Some(entry) = self.hosts.get(host) else { return Vec::new() };
        let mut rows = entry.node().map(|node| node.rows(filter)).unwrap_or_default();
        if let Some(Sabotage::DropsRow(prefix)) = &entry.sabotage {
            rows.retain(|(_, row)| !row.entry.row.key.starts_with(prefix));
        }
        rows
    }

    /// What a host's watcher was told.
    pub fn view(&self, host: usize) -> Option<&View> {
        self.views.get(host).and_then(Option::as_ref)
    }

    /// What a host lists with the filter of its watcher.
    pub fn watched_rows(&self, host: usize) -> Vec<(Arc<Name>, Row)> {
        let include_failed = self.hosts.get(host).is_some_and(Host::sees_failed);
        self.list(host, &Filter { include_failed, ..Filter::default() })
    }

    /// How often nodes called each other failed, and alive again.
    pub fn sightings(&self) -> &Sightings {
        &self.sightings
    }

    /// How often the payload that is looked for was sent since then.
    pub fn tapped(&self) -> u64 {
        self.wiretap.found()
    }

    /// Whether a node still has something for another one that is not confirmed.
    pub fn queues_for(&self, host: usize, peer: usize) -> bool {
        let queued =
            self.node(host).zip(self.host(peer)).map(|(node, peer)| node.gossip().queued(peer.id));
        queued.is_some_and(|queued| queued > 0)
    }

    /// Bytes that all hosts sent so far.
    pub fn bytes_sent(&self) -> u64 {
        (0..self.hosts.len()).map(|host| self.fabric.traffic(host).bytes()).sum()
    }

    /// Every host in a few words, for whoever looks for the cause of a broken invariant.
    pub fn describe(&self) -> Vec<String> {
        self.hosts.iter().map(|host| self.describe_host(host)).collect()
    }

    fn describe_host(&self, host: &Host) -> String {
        let index = host.index;
        let Some(node) = host.node() else { return format!("n{index} {:?} does not run", host.id) };
        let members: Vec<String> = node
            .members()
            .iter()
            .map(|info| {
                let who = self.index_of(info.member.id).unwrap_or(usize::MAX);
                format!("n{who} {:?}", info.state)
            })
            .collect();
        let gossip = node.gossip();
        let keyring = gossip.keyring();
        let keys: Vec<String> =
            keyring.iter().map(|key| format!("{}@{}", key.id(), key.epoch())).collect();
        let dropped: Vec<String> = gossip
            .stats()
            .drops
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(reason, count)| format!("{} {count}", reason.name()))
            .collect();
        let networks: Vec<String> = node
            .networks()
            .iter()
            .map(|info| {
                let synced = if info.synced { "" } else { " not in sync" };
                format!(
                    "{} {} rows {:016x} aside {}{synced}",
                    info.name, info.entries, info.hash, info.aside
                )
            })
            .collect();
        format!(
            "n{index} {:?} generation {} · sees {} · seals with {} of {} · {:?} · dropped {} · holds {}",
            host.id,
            node.info().member.generation.0,
            members.join(", "),
            keyring.primary().id(),
            keys.join(", "),
            node.keys().rotation,
            dropped.join(", "),
            networks.join(", "),
        )
    }
}
