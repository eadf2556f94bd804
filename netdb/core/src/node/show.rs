//! What watchers see: rows through the state of their owners.

use alloc::{sync::Arc, vec::Vec};

use netdb_gossip_core::{
    identity::{Name, NodeId},
    time::Now,
};

use super::{Node, NodeEvent, Output, WatchId, io::CLUSTER_NETWORK};
use crate::{
    entry::{Entry, Lifetime},
    replica::Change,
    view::{DeleteReason, Filter, OwnerState},
    watch::ViewChange,
};

impl Node {
    /// Watches rows: first those there are, then [`SnapshotEnd`](crate::view::EventKind::SnapshotEnd),
    /// then changes. Fetch with [`poll_watch`](Self::poll_watch) when told
    /// [`NodeEvent::WatchReady`], and once at the start.
    pub fn watch(&mut self, _now: Now, filter: Filter) -> WatchId {
        let rows = self.rows(&filter);
        let snapshot = rows.into_iter().map(|(name, row)| (name, row.entry, row.owner_state));
        self.watchers.add(filter, snapshot)
    }

    /// How the owner of a row is doing. `None` if the row is not to be shown to anybody: its owner left,
    /// or is not attached (or that is not known yet).
    pub(super) fn owner_state(&self, name: &Name, entry: &Entry) -> Option<OwnerState> {
        if entry.row.lifetime == Lifetime::Cluster || entry.row.owner == self.id {
            return Some(OwnerState::Alive);
        }
        self.node_state(name, entry.row.owner)
    }

    /// How rows of a node in a network look.
    pub(super) fn node_state(&self, name: &Name, node: NodeId) -> Option<OwnerState> {
        let attached = name.as_str() == CLUSTER_NETWORK
            || self.attachments.get(name).is_some_and(|nodes| nodes.contains_key(&node));
        if attached { self.presences.state(node).as_owner() } else { None }
    }

    /// Shows a changed row to the watchers.
    pub(super) fn show_change(&mut self, name: &Arc<Name>, change: &Change, reason: DeleteReason) {
        if self.watchers.is_empty() {
            return;
        }
        let seen = |entry: &Option<Arc<Entry>>| {
            let entry = entry.as_ref().filter(|e| !e.is_tombstone())?;
            Some((Arc::clone(entry), self.owner_state(name, entry)?))
        };
        let (before, after) = (seen(&change.old), seen(&change.new));
        self.offer(name, &ViewChange { before, after, reason });
    }

    /// Shows all rows of a node in a network again, whose state went from `before` to `after`.
    pub(super) fn show_owner(
        &mut self,
        name: &Arc<Name>,
        node: NodeId,
        before: Option<OwnerState>,
        after: Option<OwnerState>,
        reason: DeleteReason,
    ) {
        if self.watchers.is_empty() || before == after || node == self.id {
            return;
        }
        let Some(network) = self.networks.get(name) else { return };
        let rows: Vec<_> =
            network.replica.owned_by(node).filter(|e| !e.is_tombstone()).cloned().collect();
        for entry in rows {
            let seen = |state: Option<OwnerState>| state.map(|s| (Arc::clone(&entry), s));
            let (before, after) = (seen(before), seen(after));
            self.offer(name, &ViewChange { before, after, reason });
        }
    }

    fn offer(&mut self, name: &Arc<Name>, change: &ViewChange) {
        let outputs = &mut self.outputs;
        self.watchers.offer(name, change, |id| {
            outputs.push_back(Output::Event(NodeEvent::WatchReady(id)));
        });
    }
}
