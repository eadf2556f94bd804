//! Generations: publishing everything anew under the present one, and taking another when this node
//! meets writes of its own that it never made.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{
    gossip::Member,
    identity::{Generation, Name},
    time::Now,
};

use super::{Node, NodeEvent, Phase, io::CLUSTER_NETWORK, timers::Timer};
use crate::{
    entry::{Dot, Lifetime, MAX_GENERATION, Writer},
    records::{self, AttachmentRecord, NodeRecord, NodeStatus},
};

/// The least time between two rebirths: what calls for one is seen again if it lasts.
const REBIRTH_GAP: Duration = Duration::from_secs(5);

impl Node {
    /// Publishes this node's attachments and record, and says that this is all.
    pub(super) fn publish_everything(&mut self, now: Now) {
        let names: Vec<_> = self.networks.keys().cloned().collect();
        for name in names.iter().filter(|name| name.as_str() != CLUSTER_NETWORK) {
            self.publish_attachment(now, name);
            self.expect_own_replacement(now, name);
        }
        self.publish_self(now, NodeStatus::Active);
        for name in names {
            self.timers.set(now.mono, Timer::Compare(Arc::clone(&name)));
            self.expect_replacement(now, &name, self.id);
        }
    }

    /// Writes this node's own record, if it says anything new.
    pub(super) fn publish_self(&mut self, now: Now, status: NodeStatus) {
        let Some(cluster) = self.networks.get_mut(&*self.cluster_name) else { return };
        let next = cluster.written(Lifetime::Owner) + 1;
        let complete = *cluster.complete.get_or_insert(next);
        let keyring = self.gossip.keyring();
        let record = NodeRecord {
            name: self.name.clone(),
            member: *self.gossip.me(),
            status,
            complete,
            keys: keyring.iter().map(netdb_gossip_core::keyring::Key::id).collect(),
            primary: keyring.primary().id(),
        };
        let known = self.presences.get(self.id).and_then(|p| p.record.as_ref());
        let generation = record.member.generation;
        if known.is_some_and(|(g, known)| *g == generation && *known == record) {
            return;
        }
        self.write_record(now, records::NODES, records::SELF_KEY, Some(records::encode(&record)));
    }

    /// Writes the record of this node's attachment to a network.
    pub(super) fn publish_attachment(&mut self, now: Now, name: &Name) {
        let Some(network) = self.networks.get(name) else { return };
        let record =
            AttachmentRecord { attachment: network.attachment, complete: network.complete };
        let value = records::encode(&record);
        self.write_record(now, records::ATTACHMENTS, name.as_str().as_bytes(), Some(value));
    }

    /// The `Owner` rows of this node in a network are whole again: older ones of its that were not
    /// written again leave every view.
    ///
    /// # Errors
    /// The node is not attached to the network, or is starting.
    pub fn mark_complete(&mut self, now: Now, name: &Name) -> Result<(), super::AttachError> {
        if self.is_starting() {
            return Err(super::AttachError::Starting);
        }
        if name.as_str() == CLUSTER_NETWORK || !self.networks.contains_key(name) {
            return Err(super::AttachError::NotAttached(name.clone()));
        }
        self.set_complete(now, name);
        Ok(())
    }

    pub(super) fn set_complete(&mut self, now: Now, name: &Name) {
        let Some(network) = self.networks.get_mut(name) else { return };
        if network.complete.is_none() {
            network.complete = Some(network.written(Lifetime::Owner));
            self.publish_attachment(now, name);
            self.check_replacement(now, name, self.id);
        }
    }

    /// Somebody knows a dot of this node. If this node never made it, an older copy of its disk was put
    /// back, or its disk was copied: it must not go on under a generation that it shares with its past.
    pub(super) fn notice_own(&mut self, now: Now, name: &Name, dot: &Dot) {
        let Some(network) = self.networks.get(name) else { return };
        let mine = network.writer(self.id, self.gossip.me().generation, dot.writer.lifetime);
        let foreign = dot.writer > mine
            || (dot.writer == mine && dot.sequence > network.written(dot.writer.lifetime));
        if dot.writer.node == self.id && foreign {
            self.take_generation_above(now, dot.writer.generation);
        }
    }

    /// Goes on under a generation above `seen`, once that is on disk.
    pub(super) fn take_generation_above(&mut self, now: Now, seen: Generation) {
        let recently = self.reborn_at.is_some_and(|at| now.mono < at + REBIRTH_GAP);
        if self.phase != Phase::Running || recently || seen.0 >= MAX_GENERATION.0 / 2 {
            return;
        }
        self.reborn_at = Some(now.mono);
        let above = seen.0.max(self.gossip.me().generation.0).saturating_add(1);
        let generation = Generation(above);
        self.disk.put_generation(generation);
        self.phase = Phase::Reborn { commit: self.disk.next_commit(), generation };
    }

    /// The new generation is durable: publish this node's whole set again under it.
    pub(super) fn resume_as(&mut self, now: Now, generation: Generation) {
        self.phase = Phase::Running;
        let former = self.gossip.me().generation;
        self.gossip.renew(now, generation);
        self.drain_gossip(now);
        let me: Member = *self.gossip.me();
        let alive = netdb_gossip_core::gossip::MemberState::Alive;
        self.presences.seen(now.mono, me, alive);
        self.stir(self.id);
        let names: Vec<_> = self.networks.keys().cloned().collect();
        for name in &names {
            let own = self.own_rows(name, former);
            let Some(network) = self.networks.get_mut(&**name) else { continue };
            let was_complete = network.complete.is_some() && name.as_str() != CLUSTER_NETWORK;
            network.restart_streams();
            self.write_again(now, name, own);
            let network = self.networks.get_mut(&**name).filter(|_| was_complete);
            if let Some(network) = network {
                network.complete = Some(network.written(Lifetime::Owner));
            }
        }
        self.publish_everything(now);
        for name in &names {
            self.check_replacement(now, name, self.id);
        }
        self.emit(NodeEvent::Reborn(generation));
    }

    /// The first `Owner` stream of a node that counts in a network, by what the cluster network says,
    /// and from which sequence on it is whole.
    pub(super) fn current_stream(
        &self,
        name: &Name,
        node: netdb_gossip_core::identity::NodeId,
    ) -> Option<(Writer, Option<u64>)> {
        let presence = self.presences.get(node)?;
        let lifetime = Lifetime::Owner;
        if name.as_str() == CLUSTER_NETWORK {
            let (generation, record) = presence.record.as_ref()?;
            let writer = Writer { node, lifetime, generation: *generation, attachment: 1 };
            return Some((writer, Some(record.complete)));
        }
        let (generation, record) = self.attachment_of(name, node)?;
        let writer = Writer { node, lifetime, generation, attachment: record.attachment };
        Some((writer, record.complete))
    }
}
