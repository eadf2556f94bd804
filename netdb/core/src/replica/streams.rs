//! The held writes by who wrote them and when: each stream in order, found without a look at an entry.

use alloc::{collections::BTreeMap, sync::Arc};
use core::ops::Bound;

use netdb_gossip_core::identity::NodeId;

use crate::entry::{Dot, Entry, Lifetime, Writer};

/// No stream is empty.
#[derive(Debug, Default)]
pub(super) struct Streams(BTreeMap<Writer, BTreeMap<u64, Arc<Entry>>>);

impl Streams {
    pub(super) fn insert(&mut self, entry: Arc<Entry>) {
        self.0.entry(entry.dot.writer).or_default().insert(entry.dot.sequence, entry);
    }

    pub(super) fn get(&self, dot: &Dot) -> Option<&Arc<Entry>> {
        self.0.get(&dot.writer)?.get(&dot.sequence)
    }

    pub(super) fn remove(&mut self, dot: &Dot) {
        if let Some(stream) = self.0.get_mut(&dot.writer) {
            stream.remove(&dot.sequence);
            if stream.is_empty() {
                self.0.remove(&dot.writer);
            }
        }
    }

    /// Those in `(after, through]` of a writer, in order.
    pub(super) fn range(
        &self,
        writer: &Writer,
        after: u64,
        through: u64,
    ) -> impl Iterator<Item = &Arc<Entry>> {
        let bounds = (Bound::Excluded(after.min(through)), Bound::Included(through));
        let stream = self.0.get(writer).into_iter();
        stream.flat_map(move |stream| stream.range(bounds)).map(|(_, entry)| entry)
    }

    /// Those of one node's `Owner` streams, in order.
    pub(super) fn owned_by(&self, node: NodeId) -> impl Iterator<Item = &Arc<Entry>> {
        let first = Writer::first_of(node, Lifetime::Owner);
        let end = Writer::first_of(node, Lifetime::Cluster);
        self.0.range(first..end).flat_map(|(_, stream)| stream.values())
    }
}
