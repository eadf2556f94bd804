//! One node's copy of one network: rows, the indexes over them, and what was received.
//!
//! Merging is commutative, associative and idempotent. Nothing here knows who is alive or what is
//! visible: that is [`crate::view`]'s matter. Nothing here talks: [`crate::sync`] compares replicas.

mod graves;
mod index;
mod recent;
mod streams;
#[cfg(test)]
mod tests;

use alloc::{collections::BTreeMap, collections::BTreeSet, sync::Arc, vec::Vec};
use core::ops::Bound;
use core::time::Duration;

use netdb_gossip_core::{
    identity::{Name, NodeId},
    time::{Time, Wall},
};

pub use self::recent::Recent;
use self::{
    graves::Graves,
    index::{ByRow, ByStamp},
    streams::Streams,
};
use crate::{
    clock::Clock,
    digest::Digest,
    entry::{Dot, Entry, Lifetime, RowKey, Writer},
};

/// Entries from the far future that are kept aside per writer; more count as not received.
pub const MAX_ASIDE_PER_WRITER: usize = 64;
/// The same for all writers of a network together.
pub const MAX_ASIDE: usize = 4096;

/// What became of a row: the write that stood before and the one that stands now.
#[derive(Clone, Debug)]
pub struct Change {
    /// Before; `None` if the row was unknown.
    pub old: Option<Arc<Entry>>,
    /// Now; `None` if the row was removed without a tombstone.
    pub new: Option<Arc<Entry>>,
}

impl Change {
    /// The write that names the row.
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        self.new.as_ref().or(self.old.as_ref())
    }
}

/// What applying one write did.
#[derive(Debug, Default)]
pub struct Applied {
    /// The dot was not known before: worth passing on.
    pub fresh: bool,
    /// The row changed.
    pub change: Option<Change>,
    /// It was kept aside: its stamp is too far ahead.
    pub aside: bool,
    /// There was no room to keep it aside: it counts as not received.
    pub refused: bool,
}

/// One node's copy of one network.
#[derive(Debug)]
pub struct Replica {
    rows: BTreeSet<ByRow>,
    streams: Streams,
    /// Live entries and those kept aside but deletes, in the order by which replicas are compared.
    places: BTreeMap<(u64, u64), Arc<Entry>>,
    /// `Cluster` writes from the far future, by stamp.
    aside: BTreeSet<ByStamp>,
    tables: BTreeSet<Arc<str>>,
    graves: Graves,
    digest: Digest,
    recent: Recent,
    hash: u64,
    live: usize,
    bytes: usize,
}

impl Replica {
    /// An empty copy. Tombstones are kept for `tombstone_life`, at most `max_tombstones` of them.
    pub fn new(tombstone_life: Duration, max_tombstones: usize) -> Self {
        Self {
            rows: BTreeSet::new(),
            streams: Streams::default(),
            places: BTreeMap::new(),
            aside: BTreeSet::new(),
            tables: BTreeSet::new(),
            graves: Graves::new(tombstone_life, max_tombstones),
            digest: Digest::default(),
            recent: Recent::default(),
            hash: 0,
            live: 0,
            bytes: 0,
        }
    }

    /// What was received.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// For the sync protocol, which advances it.
    pub(crate) fn digest_mut(&mut self) -> &mut Digest {
        &mut self.digest
    }

    /// The writes of the last seconds.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Hash over the entries held but deletes (kept-aside ones included), by row and dot.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Live rows.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Keys and values of the live rows, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Tombstones kept.
    pub fn tombstones(&self) -> usize {
        self.rows.len() - self.live
    }

    /// `Cluster` writes from the far future.
    pub fn aside(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.aside.iter().map(|e| &e.0)
    }

    /// The write that stands for a row, tombstones included.
    pub fn get(&self, row: &RowKey) -> Option<&Arc<Entry>> {
        self.rows.get(row).map(|e| &e.0)
    }

    /// Rows (tombstones included) in row order, from `start` on.
    pub fn rows_from(&self, start: Bound<&RowKey>) -> impl Iterator<Item = &Arc<Entry>> {
        self.rows.range::<RowKey, _>((start, Bound::Unbounded)).map(|e| &e.0)
    }

    /// Held writes (tombstones and kept-aside ones included) with dots in `(after, through]` of `writer`.
    pub fn dots(
        &self,
        writer: &Writer,
        after: u64,
        through: u64,
    ) -> impl Iterator<Item = &Arc<Entry>> {
        self.streams.range(writer, after, through)
    }

    /// The held write with this dot.
    pub fn dot(&self, dot: &Dot) -> Option<&Arc<Entry>> {
        self.streams.get(dot)
    }

    /// Live and kept-aside entries with places in `[from, to]`, in place order.
    pub fn places(&self, from: u64, to: u64) -> impl Iterator<Item = &Arc<Entry>> {
        self.places.range((from, 0)..=(to, u64::MAX)).map(|(_, e)| e)
    }

    /// What stands for the row with a place: a live entry, or else a tombstone.
    pub fn standing(&self, place: u64) -> Option<&Arc<Entry>> {
        let live = self.places(place, place).next();
        live.or_else(|| self.dot(self.graves.at_place(place)?))
    }

    /// Held writes of one node's `Owner` streams.
    pub fn owned_by(&self, node: NodeId) -> impl Iterator<Item = &Arc<Entry>> {
        self.streams.owned_by(node)
    }

    /// The row that `node` writes when it writes `key`, its table's name shared if that is known.
    pub fn row(&self, table: &Name, lifetime: Lifetime, key: &[u8], node: NodeId) -> RowKey {
        let known = self.tables.get(table.as_str()).cloned();
        let table = known.unwrap_or_else(|| table.as_str().into());
        RowKey::within(table, lifetime, key, node)
    }

    /// One shared copy of a table's name.
    pub fn intern(&mut self, table: &str) -> Arc<str> {
        if let Some(known) = self.tables.get(table) {
            return known.clone();
        }
        let table: Arc<str> = table.into();
        self.tables.insert(table.clone());
        table
    }

    /// Merges one write. `age` is how long ago a tombstone was written; it only matters for those.
    pub fn apply(
        &mut self,
        now: Time,
        cluster_time: Wall,
        entry: impl Into<Arc<Entry>>,
        age: Duration,
    ) -> Applied {
        self.merge(now, cluster_time, entry.into(), age, true)
    }

    /// The same for a write that takes effect at once, however far ahead its stamp is.
    pub fn apply_believed(
        &mut self,
        now: Time,
        cluster_time: Wall,
        entry: impl Into<Arc<Entry>>,
        age: Duration,
    ) -> Applied {
        self.merge(now, cluster_time, entry.into(), age, false)
    }

    /// `doubts`: whether a stamp may be too far ahead to take effect.
    fn merge(
        &mut self,
        now: Time,
        cluster_time: Wall,
        entry: Arc<Entry>,
        age: Duration,
        doubts: bool,
    ) -> Applied {
        if self.digest.covers(&entry.dot) {
            return Applied::default();
        }
        // What follows on a stamp that was accepted is no further ahead than that one.
        let standing = || self.rows.get(&entry.row).map_or(0, |standing| standing.0.at);
        let ahead = doubts
            && entry.row.lifetime == Lifetime::Cluster
            && Clock::is_ahead(cluster_time, entry.at)
            && Clock::is_ahead(Wall(standing()), entry.at);
        if ahead && self.aside_is_full(&entry.dot.writer) {
            return Applied { refused: true, ..Applied::default() };
        }
        let fresh = self.digest.add(&entry.dot);
        if ahead {
            self.streams.insert(entry.clone());
            // Those for whom a delete took effect don't hold it either.
            if !entry.is_tombstone() {
                self.place(&entry);
            }
            self.aside.insert(ByStamp(entry));
            return Applied { fresh, aside: true, ..Applied::default() };
        }
        let writer_recent = (entry.at, entry.dot);
        let before = self.hash;
        let change = self.settle(now, entry, age);
        self.recent.note(cluster_time, writer_recent, self.hash.wrapping_sub(before));
        Applied { fresh, change, ..Applied::default() }
    }

    /// Lets kept-aside writes take effect whose time has come.
    pub fn release_aside(&mut self, now: Time, cluster_time: Wall) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(ByStamp(first)) = self.aside.first().cloned() {
            if Clock::is_ahead(cluster_time, first.at) {
                break;
            }
            self.aside.pop_first();
            self.unindex(&first);
            changes.extend(self.settle(now, first, Duration::ZERO));
        }
        changes
    }

    /// Removes a held write without leaving a tombstone. `None` if it is not held (any more).
    pub fn remove(&mut self, dot: &Dot) -> Option<Change> {
        let entry = self.streams.get(dot)?.clone();
        if self.aside.remove(&ByStamp(entry.clone())) {
            self.unindex(&entry);
            return None;
        }
        self.rows.remove(&entry.row);
        self.unindex(&entry);
        self.uncount(&entry);
        (!entry.is_tombstone()).then_some(Change { old: Some(entry), new: None })
    }

    /// Drops the rows of those of `node`'s `Owner` streams that are `stale`, and stops exchanging these
    /// streams. Returns what left.
    pub fn drop_owner(&mut self, node: NodeId, stale: impl Fn(&Writer) -> bool) -> Vec<Change> {
        let dots: Vec<Dot> =
            self.owned_by(node).map(|e| e.dot).filter(|dot| stale(&dot.writer)).collect();
        let changes = dots.iter().filter_map(|dot| self.remove(dot)).collect();
        let first = Writer::first_of(node, Lifetime::Owner);
        let end = Writer::first_of(node, Lifetime::Cluster);
        let writers: Vec<Writer> =
            self.digest.range(first..end).map(|(w, _)| *w).filter(&stale).collect();
        for writer in writers {
            self.digest.abandon(&writer);
        }
        changes
    }

    /// Purges tombstones that are due, and the oldest ones beyond the limit. Returns them.
    pub fn purge(&mut self, now: Time) -> Vec<Arc<Entry>> {
        let mut purged = Vec::new();
        while let Some(dot) = self.graves.next(now) {
            let Some(entry) = self.dot(&dot).cloned() else { break };
            self.rows.remove(&entry.row);
            self.unindex(&entry);
            self.digest.note_purged(&dot.writer, dot.sequence);
            purged.push(entry);
        }
        purged
    }

    /// When [`purge`](Self::purge) has something to do.
    pub fn next_purge(&self) -> Option<Time> {
        self.graves.next_due()
    }

    /// How long ago a tombstone was written, as far as this node knows; zero for live entries.
    pub fn age(&self, now: Time, entry: &Entry) -> Duration {
        self.graves.age(now, &entry.dot)
    }

    /// Retires those of the `finished` writers, of which no more will come, that own nothing any more.
    pub fn retire_finished(&mut self, finished: &[Writer]) -> Vec<Writer> {
        let done = finished.iter().copied().filter(|w| self.owns_nothing(w));
        let done: Vec<Writer> = done.collect();
        for writer in &done {
            // What is left of a stream that nobody else writes to guards nothing that the digest does not.
            let left: Vec<Dot> = self.dots(writer, 0, u64::MAX).map(|e| e.dot).collect();
            for dot in left {
                self.remove(&dot);
            }
            self.digest.retire(writer);
        }
        done
    }

    /// Whether nothing that a writer wrote is held: of a shared table not even a tombstone, which may
    /// stand against the writes of others.
    pub fn owns_nothing(&self, writer: &Writer) -> bool {
        let mut held = self.dots(writer, 0, u64::MAX);
        held.all(|e| writer.lifetime == Lifetime::Owner && e.is_tombstone())
    }

    fn aside_is_full(&self, writer: &Writer) -> bool {
        let of_writer = || self.aside.iter().filter(|e| e.0.dot.writer == *writer).count();
        self.aside.len() >= MAX_ASIDE || of_writer() >= MAX_ASIDE_PER_WRITER
    }

    /// The contiguous sequence of a writer that a copy without the entries kept aside could claim: these
    /// are not on disk.
    pub fn durable(&self, writer: &Writer) -> u64 {
        let aside = self.aside.iter().filter(|e| e.0.dot.writer == *writer);
        let first = aside.map(|e| e.0.dot.sequence).min().unwrap_or(u64::MAX);
        self.digest.contiguous(writer).min(first - 1)
    }

    /// Takes new bounds for tombstones.
    pub fn reconfigure(&mut self, tombstone_life: Duration, max_tombstones: usize) {
        self.graves.reconfigure(tombstone_life, max_tombstones);
    }

    /// Merges a write into its row and the indexes.
    fn settle(&mut self, now: Time, entry: Arc<Entry>, age: Duration) -> Option<Change> {
        // Most writes win, so the row is sought once.
        let old = self.rows.replace(ByRow(entry.clone())).map(|old| old.0);
        if let Some(old) = old.as_ref().filter(|old| !entry.beats(old)) {
            self.rows.replace(ByRow(old.clone()));
            return None;
        }
        if let Some(old) = &old {
            self.unindex(old);
            self.uncount(old);
        }
        if entry.is_tombstone() {
            if !self.graves.dig(now, &entry, age) {
                self.rows.remove(&entry.row);
                self.digest.note_purged(&entry.dot.writer, entry.dot.sequence);
                return old.map(|old| Change { old: Some(old), new: None });
            }
        } else {
            self.live += 1;
            self.bytes += entry.size();
            self.place(&entry);
        }
        self.streams.insert(entry.clone());
        Some(Change { old, new: Some(entry) })
    }

    fn place(&mut self, entry: &Arc<Entry>) {
        let mark = entry.mark();
        self.places.insert((entry.place(), mark), entry.clone());
        self.hash = self.hash.wrapping_add(mark);
    }

    /// Takes a write out of every index but the rows, and out of the hash.
    fn unindex(&mut self, entry: &Arc<Entry>) {
        self.streams.remove(&entry.dot);
        self.digest.stir(entry.dot.writer.node);
        if entry.is_tombstone() {
            self.graves.close(entry);
        }
        let mark = entry.mark();
        if self.places.remove(&(entry.place(), mark)).is_some() {
            self.hash = self.hash.wrapping_sub(mark);
        }
    }

    fn uncount(&mut self, entry: &Entry) {
        if !entry.is_tombstone() {
            self.live -= 1;
            self.bytes -= entry.size();
        }
    }
}
