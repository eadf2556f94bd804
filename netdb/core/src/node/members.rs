//! Members coming, failing, restarting and leaving, and what that does to their rows.

use alloc::{collections::BTreeMap, string::ToString, sync::Arc, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{
    gossip::{Member, MemberEvent, MemberState as Seen},
    identity::{Name, NodeId},
    time::Now,
};

use super::{
    MemberInfo, MemberState, Node, NodeEvent, NodeInfo, Output, io::CLUSTER_NETWORK,
    start::HOUSEKEEPING, timers::Timer,
};
use crate::{
    entry::{Entry, Lifetime, Writer},
    presence::{Presence, Transition},
    records::{self, AttachmentRecord, NodeRecord, NodeStatus},
    replica::Change,
    view::DeleteReason,
};

/// A record younger than this is word of a living node, even if the gossip has not met it yet.
const RECORD_IS_NEWS: u64 = 10_000_000;

/// How long the list of peers may settle before it is saved.
const PEERS_SETTLE: Duration = Duration::from_secs(1);

impl Node {
    pub(super) fn member_event(&mut self, now: Now, event: MemberEvent) {
        match event {
            MemberEvent::Up(member) | MemberEvent::Trusted(member) => {
                self.sees(now, member, Seen::Alive);
            }
            MemberEvent::Renewed { new, .. } => self.sees(now, new, Seen::Alive),
            MemberEvent::Suspected(member) => self.sees(now, member, Seen::Suspect),
            MemberEvent::Down(member) => {
                self.outputs.push_back(Output::Disconnect { peer: member.id });
                self.sees(now, member, Seen::Down);
            }
            MemberEvent::AddressConflict { address, one, other } => {
                let claimed = address.to_string();
                self.emit(NodeEvent::Conflict { claimed, nodes: [one, other] });
            }
            MemberEvent::GenerationSeen(generation) => self.take_generation_above(now, generation),
        }
    }

    fn sees(&mut self, now: Now, member: Member, seen: Seen) {
        let transition = self.presences.seen(now.mono, member, seen);
        self.stir(member.id);
        if seen == Seen::Alive {
            self.remember_again(member);
        }
        self.transition(now, transition);
    }

    /// A node is back under a generation whose rows were purged meanwhile: they are news again. (Its
    /// record in the cluster network is among them, so that stream can't wait for the record.)
    fn remember_again(&mut self, member: Member) {
        let Member { id: node, generation, .. } = member;
        let writer = Writer { node, lifetime: Lifetime::Owner, generation, attachment: 1 };
        let names: Vec<_> = self.networks.keys().cloned().collect();
        for name in names {
            let current = match name.as_str() {
                CLUSTER_NETWORK => Some(writer),
                _ => self.current_stream(&name, node).map(|(current, _)| current),
            };
            if let Some(current) = current.filter(|c| c.generation == generation) {
                self.expect_again(&name, &current);
            }
        }
    }

    /// Applies a change of a node's state to its rows everywhere.
    fn transition(&mut self, now: Now, transition: Option<Transition>) {
        let Some(Transition { node, before, after }) = transition else { return };
        self.stir(node);
        let reason = match after {
            MemberState::Left => DeleteReason::OwnerLeft,
            _ => DeleteReason::OwnerFailed,
        };
        // A node that was unknown was shown as a failed one.
        let before = before.unwrap_or(MemberState::Failed).as_owner();
        let names: Vec<_> = self.networks.keys().cloned().collect();
        for name in &names {
            let attached =
                name.as_str() == CLUSTER_NETWORK || self.attachment_of(name, node).is_some();
            if attached {
                self.show_owner(name, node, before, after.as_owner(), reason);
            }
            if attached && after == MemberState::Alive {
                self.expect_replacement(now, name, node);
            }
        }
        if after == MemberState::Left && node != self.id {
            self.drop_everywhere(now, node, reason);
        }
        if after == MemberState::Restarting
            && let Some(at) = self.presences.next_hold()
        {
            self.timers.set(at, Timer::Hold);
        }
        if matches!(after, MemberState::Alive | MemberState::Failed | MemberState::Left) {
            self.timers.set(now.mono, Timer::Keys);
            // Without any peer on disk, a restart would believe itself alone.
            let settle = if self.old_peers.is_empty() { Duration::ZERO } else { PEERS_SETTLE };
            self.timers.set(now.mono + settle, Timer::Peers);
        }
        if matches!(after, MemberState::Failed | MemberState::Left) {
            self.fail_requests(node);
        }
        self.emit(NodeEvent::Member { node, state: after });
    }

    /// Drops what a node owns in all networks: in the cluster network last, whose rows say where it is
    /// attached.
    fn drop_everywhere(&mut self, now: Now, node: NodeId, reason: DeleteReason) {
        let (cluster, others): (Vec<_>, Vec<_>) =
            self.networks.keys().cloned().partition(|name| name.as_str() == CLUSTER_NETWORK);
        for name in others.iter().chain(&cluster) {
            self.drop_rows(now, name, node, None, reason);
        }
    }

    pub(super) fn holds_due(&mut self, now: Now) {
        for transition in self.presences.expire_holds(now.mono) {
            self.transition(now, Some(transition));
        }
        if let Some(at) = self.presences.next_hold() {
            self.timers.set(at, Timer::Hold);
        }
    }

    /// A row of the cluster network changed: if it is one of the node's own records, act on it.
    pub(super) fn record_changed(&mut self, now: Now, change: &Change) {
        let Some(entry) = change.entry() else { return };
        match &*entry.row.table {
            records::NODES => self.node_record_changed(now, entry),
            records::ATTACHMENTS => self.attachment_changed(now, change),
            records::ADMITTED => {
                if let Some(node) = self.admission_changed(change) {
                    self.stir(node);
                }
                self.timers.set(now.mono, Timer::Keys);
            }
            records::KEYS | records::SEALED_KEYS => self.timers.set(now.mono, Timer::Keys),
            _ => {}
        }
    }

    fn node_record_changed(&mut self, now: Now, entry: &Arc<Entry>) {
        let record = entry.value.as_ref().and_then(|value| records::decode(value).ok());
        let Some(record): Option<NodeRecord> = record else { return };
        if record.member.id != entry.dot.writer.node {
            self.stats.malformed += 1;
            return;
        }
        let generation = entry.dot.writer.generation;
        self.meet(now, entry, &record);
        self.notice_name(&record);
        // A restart that was announced a while ago is waited for that much less.
        let age = self.cluster_time(now).0.saturating_sub(entry.at);
        let hold = self.config.restart_hold.saturating_sub(Duration::from_micros(age));
        let node = record.member.id;
        let transition = self.presences.said(now.mono, hold, generation, record);
        self.stir(node);
        self.transition(now, transition);
        let cluster = Arc::clone(&self.cluster_name);
        self.expect_replacement(now, &cluster, node);
        self.timers.set(now.mono, Timer::Keys);
    }

    /// A record may overtake what the gossip tells of its node. A fresh record of a life that the gossip
    /// does not know yet is as good: no need to wait for the rumour.
    fn meet(&mut self, now: Now, entry: &Entry, record: &NodeRecord) {
        let fresh = self.cluster_time(now).0.saturating_sub(entry.at) < RECORD_IS_NEWS;
        let known = self.gossip.member(record.member.id).map(|(member, seen)| (*member, seen));
        if let Some((member, seen)) = known {
            self.sees(now, member, seen);
        }
        let newer = known.is_none_or(|(member, _)| record.member.generation > member.generation);
        if fresh && newer && record.status == NodeStatus::Active && record.member.id != self.id {
            self.gossip.contact(now, &[(record.member, Seen::Alive)]);
            self.drain_gossip(now);
        }
    }

    fn notice_name(&mut self, record: &NodeRecord) {
        let id = record.member.id;
        if self.presences.record(id).is_some_and(|known| known.name == record.name) {
            return;
        }
        let is_up = |node: NodeId| self.presences.get(node).is_some_and(Presence::is_up);
        let other = self.presences.named(&record.name).find(|node| *node != id && is_up(*node));
        if let Some(other) = other {
            let claimed = record.name.to_string();
            self.emit(NodeEvent::Conflict { claimed, nodes: [id.min(other), id.max(other)] });
        }
    }

    pub(super) fn attachment_changed(&mut self, now: Now, change: &Change) {
        let Some(entry) = change.entry() else { return };
        let node = entry.dot.writer.node;
        let text = core::str::from_utf8(&entry.row.key).ok();
        let Some(name) = text.and_then(|text| Name::new(text).ok()) else { return };
        let record = change.new.as_ref().and_then(|new| new.value.as_ref());
        let record: Option<AttachmentRecord> = record.and_then(|v| records::decode(v).ok());
        self.forget_targets(&name);
        self.stir(node);
        if let Some(AttachmentRecord { attachment, .. }) = record {
            let (lifetime, generation) = (Lifetime::Owner, entry.dot.writer.generation);
            self.drop_left_behind(now, &name, Writer { node, lifetime, generation, attachment });
        }
        let before = self.node_state(&name, node);
        let nodes = self.attachments.entry(name.clone()).or_default();
        match record {
            Some(record) => nodes.insert(node, (entry.dot.writer.generation, record)),
            None => nodes.remove(&node),
        };
        if nodes.is_empty() {
            self.attachments.remove(&name);
        }
        let Some(name) = self.networks.get(&name).map(|network| Arc::clone(&network.name)) else {
            return;
        };
        if node == self.id {
            return;
        }
        if let Some((current, _)) = self.current_stream(&name, node) {
            self.expect_again(&name, &current);
        }
        let after = self.node_state(&name, node);
        self.show_owner(&name, node, before, after, DeleteReason::Detached);
        match record {
            None => self.drop_detached(now, &name, &entry.dot.writer),
            Some(_) => self.expect_replacement(now, &name, node),
        }
        // What it announces may have been sent while it did not know whom to send it to.
        self.compare_soon(now, &name);
    }

    /// A node is here with a stream that is not exchanged: it was thought to be gone. If its rows were dropped
    /// (it had failed for long, or its attachment was not known for a while), they are news again.
    fn expect_again(&mut self, name: &Name, current: &Writer) {
        if let Some(network) = self.networks.get_mut(name) {
            network.replica.digest_mut().revive(current);
        }
    }

    /// Drops rows of a node's `Owner` streams before `keep`, or all of them.
    fn drop_rows(
        &mut self,
        now: Now,
        name: &Arc<Name>,
        node: NodeId,
        keep: Option<Writer>,
        reason: DeleteReason,
    ) {
        let Some(network) = self.networks.get_mut(name) else { return };
        if let Some(keep) = keep {
            network.replaced.insert(node, keep);
        }
        network.replacing.remove(&node);
        let stale = |writer: &Writer| keep.is_none_or(|keep| *writer < keep);
        for change in network.replica.drop_owner(node, stale) {
            self.absorb(now, name, &change, reason);
        }
    }

    /// Drops what a node wrote into a network until its attachment ended: by this stream's word, or because
    /// it is of a life that is over. What a later life wrote stays, unseen, until word of its own attachment
    /// comes: a tombstone among it may be all that keeps a late row from returning.
    fn drop_detached(&mut self, now: Now, name: &Arc<Name>, ended: &Writer) {
        let Some(network) = self.networks.get_mut(name) else { return };
        network.replacing.remove(&ended.node);
        let over = |writer: &Writer| writer.generation <= ended.generation;
        for change in network.replica.drop_owner(ended.node, over) {
            self.absorb(now, name, &change, DeleteReason::Detached);
        }
    }

    /// Whether a node left the network and came back since it wrote a stream.
    fn is_left_behind(&self, name: &Name, writer: &Writer) -> bool {
        let attachment = self.attachment_of(name, writer.node);
        attachment.is_some_and(|(generation, AttachmentRecord { attachment, .. })| {
            writer.is_left_behind_by(&Writer { generation, attachment, ..*writer })
        })
    }

    /// Whether what a stream says counts no more, because a later one of the node does.
    pub(super) fn is_outdated(&self, name: &Name, writer: &Writer) -> bool {
        let replaced = || self.networks.get(name).is_some_and(|n| n.is_replaced(writer));
        writer.lifetime == Lifetime::Owner && (replaced() || self.is_left_behind(name, writer))
    }

    /// Whether what a peer has of a stream, and this node lacks, is worth asking for now.
    pub(super) fn is_wanted(&self, now: Now, name: &Name, writer: &Writer) -> bool {
        let refused = || self.networks.get(name).is_some_and(|n| n.refuses(now.mono, writer));
        !self.is_outdated(name, writer) && !refused()
    }

    /// Rows from before a node left a network, which may have come after word of that, are not shown when
    /// it takes part again: only those of the same attachment wait for their replacement.
    fn drop_left_behind(&mut self, now: Now, name: &Name, current: Writer) {
        let Some(network) = self.networks.get_mut(name) else { return };
        let name = Arc::clone(&network.name);
        let stale = |writer: &Writer| writer.is_left_behind_by(&current);
        for change in network.replica.drop_owner(current.node, stale) {
            self.absorb(now, &name, &change, DeleteReason::Detached);
        }
    }

    /// If older rows of a node stand beside its present generation, they go when the new set is whole,
    /// or after a while.
    pub(super) fn expect_replacement(&mut self, now: Now, name: &Arc<Name>, node: NodeId) {
        if self.check_replacement(now, name, node) {
            return;
        }
        let Some((current, _)) = self.current_stream(name, node) else { return };
        let Some(network) = self.networks.get_mut(name) else { return };
        let oldest = network.replica.owned_by(node).next().map(|e| e.dot.writer);
        if oldest.is_some_and(|oldest| oldest < current) {
            let until = now.mono + self.config.replace_after;
            let until = *network.replacing.entry(node).or_insert(until);
            self.timers.set(until, Timer::Replace(Arc::clone(name)));
        }
    }

    /// This node takes part again in a network that it was attached to. If nobody says within a while that
    /// its set is whole, it says so itself: what one node dropped, another that did not see this life yet
    /// would bring back for as long as no word of it can travel.
    pub(super) fn expect_own_replacement(&mut self, now: Now, name: &Arc<Name>) {
        let until = now.mono + self.config.replace_after;
        if let Some(network) = self.networks.get_mut(name) {
            network.replacing.insert(self.id, until);
            self.timers.set(until, Timer::Replace(Arc::clone(name)));
        }
    }

    /// Lets the older rows of a node go if its new set is whole and here. True if there is nothing (more)
    /// to wait for.
    pub(super) fn check_replacement(&mut self, now: Now, name: &Name, node: NodeId) -> bool {
        let Some((current, complete)) = self.current_stream(name, node) else { return true };
        let Some(network) = self.networks.get(name) else { return true };
        let name = Arc::clone(&network.name);
        if network.replaced.get(&node).is_some_and(|kept| *kept >= current) {
            return true;
        }
        let reached = network.replica.digest().contiguous(&current);
        match complete {
            Some(sequence) if reached >= sequence => {
                self.drop_rows(now, &name, node, Some(current), DeleteReason::Deleted);
                true
            }
            _ => false,
        }
    }

    pub(super) fn replace_due(&mut self, now: Now, name: &Arc<Name>) {
        let Some(network) = self.networks.get(name) else { return };
        let due: Vec<NodeId> =
            network.replacing.iter().filter(|(_, at)| **at <= now.mono).map(|(n, _)| *n).collect();
        if let Some(at) = network.replacing.values().filter(|at| **at > now.mono).min() {
            self.timers.set(*at, Timer::Replace(Arc::clone(name)));
        }
        for node in due {
            if node != self.id && !self.presences.get(node).is_some_and(Presence::is_up) {
                // What a failed node had is remembered. When it is back, its new set has the same time again.
                if let Some(network) = self.networks.get_mut(name) {
                    network.replacing.remove(&node);
                }
                continue;
            }
            match self.current_stream(name, node) {
                Some((_, None)) if node == self.id => self.set_complete(now, name),
                Some((keep, None)) => {
                    self.drop_rows(now, name, node, Some(keep), DeleteReason::Deleted);
                }
                // It said what its new set is, and comparing fetches what is missing of it.
                Some((_, Some(_))) => {
                    if let Some(network) = self.networks.get_mut(name) {
                        network.replacing.remove(&node);
                    }
                    self.expect_replacement(now, name, node);
                }
                None => {}
            }
        }
    }

    pub(super) fn housekeeping_due(&mut self, now: Now) {
        self.timers.set(now.mono + HOUSEKEEPING, Timer::Housekeeping);
        let names: Vec<_> = self.networks.keys().cloned().collect();
        for node in self.presences.long_gone(now.mono, self.config.purge_failed_after) {
            self.drop_everywhere(now, node, DeleteReason::OwnerLeft);
            self.presences.forget(node);
            self.stir(node);
            self.networks.values_mut().for_each(|network| {
                network.replaced.remove(&node);
            });
        }
        for name in &names {
            self.retire_writers(name);
        }
    }

    /// Something about a node changed that may end streams of its.
    pub(super) fn stir(&mut self, node: NodeId) {
        for network in self.networks.values_mut() {
            network.replica.digest_mut().stir(node);
        }
    }

    /// Streams of which no more will come and that own nothing any more are not exchanged any more. Looks at
    /// those of nodes about whom something changed: at the others it would find nothing new.
    pub(super) fn retire_writers(&mut self, name: &Arc<Name>) {
        let Some(network) = self.networks.get_mut(name) else { return };
        let stirred = network.replica.digest_mut().take_stirred();
        let Some(network) = self.networks.get(name) else { return };
        let digest = network.replica.digest();
        let writers = stirred.iter().flat_map(|node| digest.writers_of(*node));
        let is_finished = |writer: &&Writer| self.is_finished(name, writer);
        let finished: Vec<Writer> =
            writers.map(|(writer, _)| writer).filter(is_finished).copied().collect();
        debug_assert!(
            digest.writers().map(|(writer, _)| writer).filter(is_finished).all(|writer| {
                stirred.contains(&writer.node) || !network.replica.owns_nothing(writer)
            }),
            "a writer was finished by something that stirred nobody"
        );
        if let Some(network) = self.networks.get_mut(name) {
            let done = network.replica.retire_finished(&finished).into_iter();
            let shared = done.filter(|writer| writer.lifetime == Lifetime::Cluster);
            self.unsaved.extend(shared.map(|writer| (Arc::clone(name), writer)));
        }
    }

    /// Whether no more will come of a stream of a network: it is of a past generation or of a node that is
    /// not admitted (any more), or an `Owner` stream of a node that is not here with it.
    pub(super) fn is_finished(&self, name: &Name, writer: &Writer) -> bool {
        if !self.admitted.contains(&writer.node) {
            return true;
        }
        let Some(presence) = self.presences.get(writer.node) else {
            return writer.lifetime == Lifetime::Owner;
        };
        let is_current = || {
            let stream = self.current_stream(name, writer.node);
            presence.is_up() && stream.is_some_and(|(stream, _)| *writer >= stream)
        };
        writer.generation < presence.member.generation
            || (writer.lifetime == Lifetime::Owner && !is_current())
    }

    pub(super) fn save_peers(&mut self) {
        if !self.presences.take_moved() {
            return;
        }
        // Those that failed may be back when this node starts again.
        let stays =
            |(node, p): &(&NodeId, &Presence)| **node != self.id && p.state() != MemberState::Left;
        let here = || self.presences.iter().filter(stays).map(|(_, p)| &p.member);
        if here().next().is_none() || here().eq(&self.old_peers) {
            return;
        }
        let peers: Vec<Member> = here().copied().collect();
        self.disk.put_peers(&peers);
        self.old_peers = peers;
        self.old_peers.shrink_to_fit();
    }

    /// What is on disk of a member of former days.
    pub(super) fn old_peer(&self, node: NodeId) -> Option<&Member> {
        let place = self.old_peers.binary_search_by_key(&node, |member| member.id).ok()?;
        self.old_peers.get(place)
    }

    /// How everyone who is known is doing, this node included, by id.
    pub fn states(&self) -> impl Iterator<Item = (NodeId, MemberState)> {
        self.presences.iter().map(|(node, presence)| (*node, presence.state()))
    }

    /// Everyone who is known, this node included.
    pub fn members(&self) -> Vec<MemberInfo> {
        let name = |p: &Presence| p.record.as_ref().map(|(_, r)| r.name.clone());
        let mut names: BTreeMap<Name, u32> = BTreeMap::new();
        let mut addrs: BTreeMap<core::net::SocketAddr, u32> = BTreeMap::new();
        for (_, presence) in self.presences.iter().filter(|(_, p)| p.is_up()) {
            if let Some(name) = name(presence) {
                *names.entry(name).or_insert(0) += 1;
            }
            *addrs.entry(presence.member.addr).or_insert(0) += 1;
        }
        let info = |(node, p): (&NodeId, &Presence)| MemberInfo {
            member: p.member,
            name: name(p),
            state: p.state(),
            rtt: self.gossip.rtt(*node),
            conflict: p.is_up()
                && (name(p).and_then(|name| names.get(&name)).is_some_and(|n| *n > 1)
                    || addrs.get(&p.member.addr).is_some_and(|n| *n > 1)),
        };
        self.presences.iter().map(info).collect()
    }

    /// Cluster and node in short.
    pub fn info(&self) -> NodeInfo {
        let others = self.presences.iter().filter(|(node, _)| **node != self.id);
        NodeInfo {
            cluster: self.cluster,
            member: *self.gossip.me(),
            name: self.name.clone(),
            local_health: self.gossip.local_health(),
            clock_offset: self.gossip.cluster_offset(),
            isolated: !self.old_peers.is_empty() && !others.into_iter().any(|(_, p)| p.is_up()),
        }
    }
}
