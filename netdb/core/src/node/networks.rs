//! Attaching to networks and leaving them, and what is known of them.

use alloc::{sync::Arc, vec::Vec};

use netdb_gossip_core::{
    identity::{Generation, Name, NodeId},
    time::Now,
};
use rand::Rng;

use super::{
    AttachError, MAX_NETWORKS, NetworkInfo, Node, NodeEvent, disk::Attachment, io::CLUSTER_NETWORK,
    network::Network, timers::Timer,
};
use crate::{
    entry::{Lifetime, Writer},
    records::{self, AttachmentRecord},
    replica::Change,
    view::DeleteReason,
};

impl Node {
    /// Takes part in a network: its tables are fetched from those attached to it, and kept in step.
    ///
    /// # Errors
    /// See [`AttachError`]; nothing changed then.
    pub fn attach(&mut self, now: Now, name: &Name) -> Result<(), AttachError> {
        self.may_attach(name)?;
        if self.networks.contains_key(name) {
            return Err(AttachError::Attached(name.clone()));
        }
        if self.networks.len() >= MAX_NETWORKS {
            return Err(AttachError::TooMany(MAX_NETWORKS));
        }
        let number = self.own_attachments.get(name).map_or(0, |a| a.number) + 1;
        let record = Attachment { number, attached: true };
        self.own_attachments.insert(name.clone(), record);
        self.disk.put_attachment(name, record);
        let name = Arc::new(name.clone());
        self.open_network(now, &name);
        self.publish_attachment(now, &name);
        self.timers.set(now.mono, Timer::Compare(name));
        Ok(())
    }

    /// Leaves a network: its rows leave this node's views, and this node's rows leave everybody's.
    ///
    /// # Errors
    /// See [`AttachError`]; nothing changed then.
    pub fn detach(&mut self, now: Now, name: &Name) -> Result<(), AttachError> {
        self.may_attach(name)?;
        if !self.networks.contains_key(name) {
            return Err(AttachError::NotAttached(name.clone()));
        }
        self.write_record(now, records::ATTACHMENTS, name.as_str().as_bytes(), None);
        let Some(network) = self.networks.get(name) else { return Ok(()) };
        let name = Arc::clone(&network.name);
        let rows: Vec<_> =
            network.replica.rows_from(core::ops::Bound::Unbounded).cloned().collect();
        for entry in rows {
            if entry.row.lifetime == Lifetime::Cluster {
                self.disk.remove_row(&name, &entry.row);
            }
            let change = Change { old: Some(entry), new: None };
            self.show_change(&name, &change, DeleteReason::Detached);
        }
        if let Some(network) = self.networks.remove(&name) {
            for (writer, _) in network.replica.digest().writers() {
                self.disk.remove_writer(&name, writer);
            }
            for (writer, _) in network.replica.digest().retired() {
                self.disk.remove_writer(&name, writer);
            }
            let record = Attachment { number: network.attachment, attached: false };
            self.own_attachments.insert((*name).clone(), record);
            self.disk.put_attachment(&name, record);
        }
        Ok(())
    }

    fn may_attach(&self, name: &Name) -> Result<(), AttachError> {
        if self.is_starting() {
            Err(AttachError::Starting)
        } else if name.as_str().starts_with('_') {
            Err(AttachError::Reserved(name.clone()))
        } else {
            Ok(())
        }
    }

    /// Makes room for a network, with the number of its present attachment.
    pub(super) fn open_network(&mut self, now: Now, name: &Arc<Name>) -> &mut Network {
        let number = self.own_attachments.get(&**name).map_or(1, |a| a.number);
        let copy = self.rng.next_u64();
        let network = Network::new(Arc::clone(name), number, copy, &self.config, now.mono);
        self.networks.entry(Arc::clone(name)).or_insert(network)
    }

    /// The networks that this node is attached to.
    pub fn networks(&self) -> Vec<NetworkInfo> {
        let info = |network: &Network| NetworkInfo {
            name: (*network.name).clone(),
            synced: network.synced,
            entries: network.replica.live(),
            bytes: network.replica.bytes(),
            tombstones: network.replica.tombstones(),
            aside: network.replica.aside().count(),
            hash: network.replica.hash(),
            peers: self.peers(&network.name).len().saturating_sub(1),
        };
        self.networks.values().map(info).collect()
    }

    /// What this node received of a network: how far without gaps, for each stream that is compared.
    pub fn received(&self, name: &Name) -> Vec<(Writer, u64)> {
        let Some(network) = self.networks.get(name) else { return Vec::new() };
        let writers = network.replica.digest().writers();
        writers.map(|(writer, progress)| (*writer, progress.contiguous())).collect()
    }

    /// All networks of the cluster, with how many nodes are attached to each.
    pub fn known_networks(&self) -> Vec<(Name, usize)> {
        let attached = self.attachments.iter().filter(|(_, nodes)| !nodes.is_empty());
        attached.map(|(name, nodes)| (name.clone(), nodes.len())).collect()
    }

    /// The live nodes attached to a network, this one included.
    pub fn peers(&self, name: &Name) -> Vec<NodeId> {
        let (up, is_known) = (self.presences.up(), self.presences.get(self.id).is_some());
        let mut peers: Vec<NodeId> = self.attached_among(name, up).collect();
        let takes_part =
            name.as_str() == CLUSTER_NETWORK || self.attachment_of(name, self.id).is_some();
        if let (true, Err(place)) = (is_known && takes_part, peers.binary_search(&self.id)) {
            peers.insert(place, self.id);
        }
        peers
    }

    /// Those of `nodes`, which are in order, that are attached to a network, in order.
    fn attached_among<'a>(
        &'a self,
        name: &Name,
        nodes: &'a [NodeId],
    ) -> impl Iterator<Item = NodeId> {
        let (all, attached) = if name.as_str() == CLUSTER_NETWORK {
            (Some(nodes), None)
        } else {
            (None, self.attachments.get(name))
        };
        let here = |node: &&NodeId| nodes.binary_search(node).is_ok();
        let attached = attached.into_iter().flat_map(|nodes| nodes.keys()).filter(here);
        all.into_iter().flatten().chain(attached).copied()
    }

    /// Whether this node's copy of a network holds what its peers hold. Alone counts as yes.
    pub fn is_synced(&self, name: &Name) -> bool {
        self.networks.get(name).is_some_and(|network| network.synced)
    }

    pub(super) fn set_synced(&mut self, name: &Name) {
        if let Some(network) = self.networks.get_mut(name).filter(|n| !n.synced) {
            network.synced = true;
            if *name == *self.cluster_name {
                self.outbox.release_early();
            }
            self.emit(NodeEvent::Synced(name.clone()));
        }
    }

    /// The live peers of an attached network by id, this node excluded.
    pub(super) fn targets(&mut self, name: &Name) -> Arc<[NodeId]> {
        let changes = self.presences.changes();
        if let Some(known) = self.networks.get(name).and_then(|n| n.peers.get(changes)) {
            return known;
        }
        let peers: Arc<[NodeId]> =
            self.peers(name).into_iter().filter(|node| *node != self.id).collect();
        if let Some(network) = self.networks.get_mut(name) {
            network.peers.set(changes, &peers);
        }
        peers
    }

    /// Those among them that nobody suspects.
    pub(super) fn alive_targets(&mut self, name: &Name) -> Arc<[NodeId]> {
        let changes = self.presences.changes();
        if let Some(known) = self.networks.get(name).and_then(|n| n.alive.get(changes)) {
            return known;
        }
        let alive = self.attached_among(name, self.presences.alive());
        let alive: Arc<[NodeId]> = alive.filter(|node| *node != self.id).collect();
        if let Some(network) = self.networks.get_mut(name) {
            network.alive.set(changes, &alive);
        }
        alive
    }

    /// Who is attached to a network changed: targets are looked up anew.
    pub(super) fn forget_targets(&mut self, name: &Name) {
        if let Some(network) = self.networks.get_mut(name) {
            network.peers.forget();
            network.alive.forget();
        }
    }

    pub(super) fn attachment_of(
        &self,
        name: &Name,
        node: NodeId,
    ) -> Option<(Generation, AttachmentRecord)> {
        self.attachments.get(name)?.get(&node).copied()
    }

    /// The peer says that it is not attached, so what this node believed was old.
    pub(super) fn take_not_attached(&mut self, now: Now, from: NodeId, name: &Name) {
        let waiting = self
            .networks
            .get_mut(name)
            .filter(|network| network.pull.as_ref().is_some_and(|pull| pull.from == from));
        if let Some(network) = waiting {
            network.pull = None;
            self.plan_compare(name, |schedule, _| schedule.at = now.mono);
        }
    }
}
