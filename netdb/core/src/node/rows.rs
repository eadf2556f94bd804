//! Writing rows, taking rows in, and reading them.

use alloc::{sync::Arc, vec::Vec};
use core::{ops::Bound, time::Duration};

use netdb_gossip_core::{
    identity::{Generation, Name, NodeId},
    relay::Span,
    time::{Now, micros},
};

use super::{
    Node, Operation, Phase, Receipt, Write, WriteError, io::CLUSTER_NETWORK, network::SETTLE,
    push::Outgoing, timers::Timer,
};
use crate::{
    clock::MAX_AHEAD,
    entry::{Dot, Entry, Lifetime, MAX_KEY, MAX_VALUE, RowKey},
    replica::{Change, Replica},
    view::{DeleteReason, Filter, Row},
    wire::Unpacked,
};

/// The highest stamp that is believed in the nodes' own tables: there is always one above it.
const HEADROOM: u64 = u64::MAX / 2;

impl Node {
    /// Writes one row. It leaves for the peers with the next drain of the outputs. A `Cluster` write is
    /// to be acknowledged to its caller when [`Receipt::commit`] is durable.
    ///
    /// # Errors
    /// See [`WriteError`]; nothing changed then.
    pub fn write(&mut self, now: Now, write: &Write) -> Result<Receipt, WriteError> {
        // A generation that the past of this node may have used already is written under no more.
        if matches!(self.phase, Phase::Starting { .. } | Phase::Reborn { .. }) {
            return Err(WriteError::Starting);
        }
        if write.table.as_str().starts_with('_') {
            return Err(WriteError::Reserved(write.table.clone()));
        }
        let not_attached = || WriteError::NotAttached(write.network.clone());
        let network = self.networks.get(&write.network).ok_or_else(not_attached)?;
        let row = network.replica.row(&write.table, write.lifetime, &write.key, self.id);
        self.check(write, &network.replica, &row)?;
        let value = (write.operation != Operation::Delete).then(|| Arc::clone(&write.value));
        let (entry, commit) =
            self.write_row(now, &write.network, row, value, None).ok_or_else(not_attached)?;
        Ok(Receipt { dot: entry.dot, at: entry.at, commit })
    }

    fn check(&self, write: &Write, replica: &Replica, row: &RowKey) -> Result<(), WriteError> {
        if !(1..=MAX_KEY).contains(&write.key.len()) {
            return Err(WriteError::KeyLength(write.key.len()));
        }
        if write.operation != Operation::Delete && write.value.len() > MAX_VALUE {
            return Err(WriteError::ValueTooLarge(write.value.len()));
        }
        let standing = replica.get(row).filter(|entry| !entry.is_tombstone());
        // A row that this node wrote in a former generation is still shown for a while, but it is not
        // written yet in this one.
        let generation = self.gossip.me().generation;
        let written = standing.filter(|entry| {
            row.lifetime == Lifetime::Cluster || entry.dot.writer.generation == generation
        });
        match write.operation {
            Operation::Create if written.is_some() => return Err(WriteError::Exists),
            Operation::Update | Operation::Delete if standing.is_none() => {
                return Err(WriteError::NotFound);
            }
            Operation::Delete => return Ok(()),
            _ => {}
        }
        let network_name = || write.network.clone();
        let (rows, bytes) = (replica.live(), replica.bytes());
        let replaced = standing.map_or(0, |entry| entry.size());
        let size = row.table.len() + row.key.len() + write.value.len();
        if standing.is_none() && rows >= self.config.max_entries {
            let limit = self.config.max_entries;
            return Err(WriteError::TooManyEntries { network: network_name(), limit });
        }
        if bytes - replaced + size > self.config.max_bytes {
            let limit = self.config.max_bytes;
            return Err(WriteError::TooManyBytes { network: network_name(), limit });
        }
        Ok(())
    }

    /// Writes a row of the node's own tables in the cluster network; `None` deletes it.
    pub(super) fn write_record(
        &mut self,
        now: Now,
        table: &str,
        key: &[u8],
        value: Option<Vec<u8>>,
    ) {
        let lifetime = match table {
            crate::records::NODES | crate::records::ATTACHMENTS => Lifetime::Owner,
            _ => Lifetime::Cluster,
        };
        let Ok(table) = Name::new(table) else { return };
        let row = RowKey::of(&table, lifetime, key, self.id);
        let cluster = Arc::clone(&self.cluster_name);
        let _ = self.write_row(now, &cluster, row, value.map(Arc::from), None);
    }

    /// Makes the write, stamped `at` or now, applies it and queues it for the peers. `None` if the network
    /// is not attached.
    fn write_row(
        &mut self,
        now: Now,
        name: &Name,
        row: RowKey,
        value: Option<Arc<[u8]>>,
        at: Option<u64>,
    ) -> Option<(Arc<Entry>, Option<u64>)> {
        let cluster_time = self.cluster_time(now);
        let generation = self.gossip.me().generation;
        let lifetime = row.lifetime;
        let network = self.networks.get_mut(name)?;
        let replaces = || network.replica.get(&row).map_or(0, |standing| standing.at);
        let floor = if lifetime == Lifetime::Cluster { replaces() } else { 0 };
        let row = RowKey { table: network.replica.intern(&row.table), ..row };
        let at = at.unwrap_or_else(|| self.clock.tick(cluster_time, floor));
        let dot = network.next_dot(self.id, generation, lifetime);
        let entry = Arc::new(Entry::new(row, dot, at, value));
        // A node does not doubt its own clock: what it says it has written stands.
        let written = Arc::clone(&entry);
        let applied =
            network.replica.apply_believed(now.mono, cluster_time, written, Duration::ZERO);
        let name = Arc::clone(&network.name);
        self.compare_soon(now, &name);
        let commit = (lifetime == Lifetime::Cluster).then(|| self.disk.next_commit());
        if let Some(change) = applied.change {
            self.absorb(now, &name, &change, DeleteReason::Deleted);
        }
        let span = Span::all_but(self.id);
        let write = Unpacked { entry: Arc::clone(&entry), age: Duration::ZERO };
        self.outbox.push(Outgoing::news(name, span, write));
        Some((entry, commit))
    }

    /// The rows that this node wrote in a network in `generation`. Deletes of shared rows are among them.
    pub(super) fn own_rows(&self, name: &Name, generation: Generation) -> Vec<Arc<Entry>> {
        let Some(network) = self.networks.get(name) else { return Vec::new() };
        let [own, shared] = [Lifetime::Owner, Lifetime::Cluster]
            .map(|lifetime| network.writer(self.id, generation, lifetime));
        let own = network.replica.dots(&own, 0, u64::MAX).filter(|e| !e.is_tombstone());
        own.chain(network.replica.dots(&shared, 0, u64::MAX)).cloned().collect()
    }

    /// Writes rows again under the present generation.
    pub(super) fn write_again(&mut self, now: Now, name: &Name, rows: Vec<Arc<Entry>>) {
        // The node's own records are published anew anyhow.
        let record =
            |e: &Arc<Entry>| name.as_str() == CLUSTER_NETWORK && e.row.lifetime == Lifetime::Owner;
        for entry in rows.into_iter().filter(|e| !record(e)) {
            // A shared row keeps its stamp: what others wrote over it since stays above it.
            let at = (entry.row.lifetime == Lifetime::Cluster).then_some(entry.at);
            let _ = self.write_row(now, name, entry.row.clone(), entry.value.clone(), at);
        }
    }

    /// Takes writes in that a peer sent.
    pub(super) fn take_rows(
        &mut self,
        now: Now,
        from: NodeId,
        name: &Arc<Name>,
        rows: Vec<Unpacked>,
    ) {
        let mut fresh = Vec::new();
        let here_us = self.cluster_time(now).0;
        let synced = self.is_synced(name);
        for Unpacked { entry, age } in rows {
            if self.take_row(now, name, &entry, age) {
                self.stats.entries_fresh += 1;
                if synced {
                    self.stats
                        .arrivals
                        .add(Duration::from_micros(here_us.saturating_sub(entry.at)));
                }
                fresh.push(entry);
            } else {
                self.stats.entries_known += 1;
            }
        }
        if !fresh.is_empty() {
            self.compare_soon(now, name);
            self.watch_gaps(now, from, name, &fresh);
        }
    }

    pub(super) fn take_row(
        &mut self,
        now: Now,
        name: &Arc<Name>,
        entry: &Arc<Entry>,
        age: Duration,
    ) -> bool {
        if entry.dot.writer.node == self.id {
            self.notice_own(now, name, &entry.dot);
        }
        let cluster_time = self.cluster_time(now);
        if self.is_outdated(name, &entry.dot.writer) {
            return false;
        }
        let Some(network) = self.networks.get_mut(name) else { return false };
        if entry.row.lifetime == Lifetime::Cluster {
            self.clock.observe(cluster_time, entry.at);
        }
        // Who is admitted and which keys there are can't wait for the time of a clock that is wrong.
        let applied = if **name == *self.cluster_name && entry.at <= HEADROOM {
            network.replica.apply_believed(now.mono, cluster_time, Arc::clone(entry), age)
        } else {
            network.replica.apply(now.mono, cluster_time, Arc::clone(entry), age)
        };
        if applied.refused {
            network.refuse(now.mono, entry.dot.writer);
        }
        if applied.fresh && entry.row.lifetime == Lifetime::Cluster {
            self.unsaved.insert((Arc::clone(name), entry.dot.writer));
        }
        if applied.aside {
            self.watch_aside(now, name);
        }
        if let Some(change) = applied.change {
            self.absorb(now, name, &change, DeleteReason::Deleted);
            self.expect_replacement(now, name, entry.dot.writer.node);
        }
        applied.fresh
    }

    /// What follows from a changed row: disk, the node's own records, watchers.
    pub(super) fn absorb(
        &mut self,
        now: Now,
        name: &Arc<Name>,
        change: &Change,
        reason: DeleteReason,
    ) {
        self.save_row(now, name, change);
        if change.new.as_ref().is_some_and(|new| new.is_tombstone()) {
            self.watch_graves(name);
        }
        self.show_change(name, change, reason);
        if name.as_str() == CLUSTER_NETWORK {
            self.record_changed(now, change);
        }
    }

    fn save_row(&mut self, now: Now, name: &Arc<Name>, change: &Change) {
        let cluster_time = self.cluster_time(now);
        let Some(entry) = change.entry().filter(|e| e.row.lifetime == Lifetime::Cluster) else {
            return;
        };
        let Some(network) = self.networks.get(name) else { return };
        self.unsaved.insert((Arc::clone(name), entry.dot.writer));
        match &change.new {
            Some(new) => {
                let age = network.replica.age(now.mono, new);
                self.disk.put_row(name, new, age, cluster_time);
            }
            None => self.disk.remove_row(name, &entry.row),
        }
        self.disk.put_clock(self.clock.last());
    }

    /// Puts the progress of the writers that moved into the commit of the rows that moved them.
    pub(super) fn save_writers(&mut self) {
        for (name, writer) in core::mem::take(&mut self.unsaved) {
            let Some(network) = self.networks.get(&name) else { continue };
            let replica = &network.replica;
            if let Some(progress) = replica.digest().progress(&writer) {
                let (contiguous, purged) = (replica.durable(&writer), progress.purged());
                let retired = replica.digest().is_retired(&writer);
                self.disk.put_writer(&name, &writer, contiguous, purged, retired);
            }
        }
    }

    /// Purges tombstones that are due.
    pub(super) fn purge_due(&mut self, now: Now, name: &Arc<Name>) {
        let Some(network) = self.networks.get_mut(name) else { return };
        for entry in network.replica.purge(now.mono) {
            if entry.row.lifetime == Lifetime::Cluster {
                self.disk.remove_row(name, &entry.row);
                self.unsaved.insert((Arc::clone(name), entry.dot.writer));
            }
        }
        self.watch_graves(name);
    }

    /// Sets the timer of the next purge.
    pub(super) fn watch_graves(&mut self, name: &Arc<Name>) {
        if let Some(due) = self.networks.get(name).and_then(|n| n.replica.next_purge()) {
            self.timers.set(due, Timer::Purge(Arc::clone(name)));
        }
    }

    /// Lets writes from the future take effect whose time has come.
    pub(super) fn release_due(&mut self, now: Now, name: &Arc<Name>) {
        let cluster_time = self.cluster_time(now);
        let Some(network) = self.networks.get_mut(name) else { return };
        for change in network.replica.release_aside(now.mono, cluster_time) {
            self.absorb(now, name, &change, DeleteReason::Deleted);
        }
        self.watch_aside(now, name);
    }

    /// Sets the timer for the first write that is kept aside; cluster time may be corrected meanwhile, so
    /// it looks at least once a minute.
    fn watch_aside(&mut self, now: Now, name: &Arc<Name>) {
        let Some(network) = self.networks.get(name) else { return };
        if let Some(first) = network.replica.aside().next() {
            let ahead = first.at.saturating_sub(self.cluster_time(now).0);
            let wait = Duration::from_micros(ahead).saturating_sub(MAX_AHEAD);
            self.timers.set(now.mono + wait.min(MAX_AHEAD), Timer::Release(Arc::clone(name)));
        }
    }

    /// The writes that peers know gone. This node's own `Owner` rows of now are not theirs to judge.
    pub(super) fn take_gone(&mut self, now: Now, name: &Name, dots: &[Dot]) {
        let Some(network) = self.networks.get(name) else { return };
        let name = Arc::clone(&network.name);
        let own = network.writer(self.id, self.gossip.me().generation, Lifetime::Owner);
        for dot in dots {
            if dot.writer == own {
                self.say_again(now, &name, dot);
                continue;
            }
            let Some(network) = self.networks.get_mut(&name) else { return };
            if let Some(change) = network.replica.remove(dot) {
                self.stats.rows_gone += 1;
                self.absorb(now, &name, &change, DeleteReason::Deleted);
            }
        }
        self.retire_writers(&name);
    }

    /// A peer takes a row of this node for gone that is not: writing it again under a new dot puts all
    /// right. Not more often than a write takes to settle.
    fn say_again(&mut self, now: Now, name: &Arc<Name>, dot: &Dot) {
        let settled = self.cluster_time(now).0.saturating_sub(micros(SETTLE));
        let Some(network) = self.networks.get(name) else { return };
        let standing = network.replica.dot(dot).filter(|e| !e.is_tombstone() && e.at < settled);
        if let Some(entry) = standing.cloned() {
            self.write_again(now, name, alloc::vec![entry]);
        }
    }

    /// All rows that a filter selects, by network, table, lifetime, key and owner.
    pub fn rows(&self, filter: &Filter) -> Vec<(Arc<Name>, Row)> {
        self.rows_page(filter, None, usize::MAX)
    }

    /// At most `limit` of the rows that a filter selects, from behind `after`.
    pub fn rows_page(
        &self,
        filter: &Filter,
        after: Option<(&Name, &RowKey)>,
        limit: usize,
    ) -> Vec<(Arc<Name>, Row)> {
        let mut page = Vec::new();
        let first = filter.first();
        for (name, network) in &self.networks {
            if filter.network.as_ref().is_some_and(|wanted| *wanted != **name) {
                continue;
            }
            let start = match after {
                Some((last, _)) if **name < *last => continue,
                Some((last, row)) if **name == *last && first.as_ref().is_none_or(|f| f <= row) => {
                    Bound::Excluded(row)
                }
                _ => first.as_ref().map_or(Bound::Unbounded, Bound::Included),
            };
            let rows = network.replica.rows_from(start);
            for entry in rows.take_while(|entry| !filter.is_past(&entry.row)) {
                if page.len() >= limit {
                    return page;
                }
                if let Some(row) = self.selected(filter, name, entry) {
                    page.push((Arc::clone(name), row));
                }
            }
        }
        page
    }

    /// A row of a network that the filter selects, if it selects the row.
    fn selected(&self, filter: &Filter, name: &Name, entry: &Arc<Entry>) -> Option<Row> {
        if entry.is_tombstone() || !filter.selects_row(&entry.row) {
            return None;
        }
        let owner_state = self.owner_state(name, entry)?;
        filter.shows(owner_state).then(|| Row { entry: Arc::clone(entry), owner_state })
    }
}
