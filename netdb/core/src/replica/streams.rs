//! The held writes by who wrote them and when: each stream in order, found without a look at an entry.

use alloc::{collections::BTreeMap, sync::Arc};
use core::ops::{Bound, RangeBounds};

use netdb_gossip_core::identity::NodeId;

use crate::entry::{Dot, Entry, Lifetime, Writer};

/// No stream is empty.
#[derive(Debug, Default)]
pub(super) struct Streams(BTreeMap<Writer, Stream>);

/// The writes of one stream by sequence. Most nodes hold one write each of most streams of others (what each
/// says of itself), so one has no map of its own.
#[derive(Debug)]
enum Stream {
    One(u64, Arc<Entry>),
    Many(BTreeMap<u64, Arc<Entry>>),
}

impl Stream {
    fn insert(&mut self, sequence: u64, entry: Arc<Entry>) {
        match self {
            Self::One(known, held) if *known == sequence => *held = entry,
            Self::One(known, held) => {
                let both = [(*known, Arc::clone(held)), (sequence, entry)];
                *self = Self::Many(both.into());
            }
            Self::Many(entries) => {
                entries.insert(sequence, entry);
            }
        }
    }

    fn get(&self, sequence: u64) -> Option<&Arc<Entry>> {
        match self {
            Self::One(known, entry) => (*known == sequence).then_some(entry),
            Self::Many(entries) => entries.get(&sequence),
        }
    }

    /// False if none is left.
    fn remove(&mut self, sequence: u64) -> bool {
        match self {
            Self::One(known, _) => *known != sequence,
            Self::Many(entries) => {
                entries.remove(&sequence);
                if let (1, Some((known, entry))) = (entries.len(), entries.first_key_value()) {
                    *self = Self::One(*known, Arc::clone(entry));
                    return true;
                }
                !entries.is_empty()
            }
        }
    }

    fn range(&self, bounds: (Bound<u64>, Bound<u64>)) -> impl Iterator<Item = &Arc<Entry>> {
        let (one, many) = match self {
            Self::One(sequence, entry) => (bounds.contains(sequence).then_some(entry), None),
            Self::Many(entries) => (None, Some(entries.range(bounds))),
        };
        one.into_iter().chain(many.into_iter().flatten().map(|(_, entry)| entry))
    }
}

impl Streams {
    pub(super) fn insert(&mut self, entry: Arc<Entry>) {
        let Dot { writer, sequence } = entry.dot;
        match self.0.get_mut(&writer) {
            Some(stream) => stream.insert(sequence, entry),
            None => {
                self.0.insert(writer, Stream::One(sequence, entry));
            }
        }
    }

    pub(super) fn get(&self, dot: &Dot) -> Option<&Arc<Entry>> {
        self.0.get(&dot.writer)?.get(dot.sequence)
    }

    pub(super) fn remove(&mut self, dot: &Dot) {
        if let Some(stream) = self.0.get_mut(&dot.writer)
            && !stream.remove(dot.sequence)
        {
            self.0.remove(&dot.writer);
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
        self.0.get(writer).into_iter().flat_map(move |stream| stream.range(bounds))
    }

    /// Those of one node's `Owner` streams, in order.
    pub(super) fn owned_by(&self, node: NodeId) -> impl Iterator<Item = &Arc<Entry>> {
        let first = Writer::first_of(node, Lifetime::Owner);
        let end = Writer::first_of(node, Lifetime::Cluster);
        let all = (Bound::Unbounded, Bound::Unbounded);
        self.0.range(first..end).flat_map(move |(_, stream)| stream.range(all))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, vec::Vec};

    use netdb_gossip_core::identity::{Generation, Name};
    use proptest::prelude::*;

    use super::*;
    use crate::entry::RowKey;

    fn entry(node: u8, sequence: u64) -> Arc<Entry> {
        let (node, lifetime) = (NodeId([node; 16]), Lifetime::Owner);
        let writer = Writer { node, lifetime, generation: Generation(1), attachment: 1 };
        let row = RowKey::of(&Name::new("t").unwrap(), lifetime, b"k", node);
        Arc::new(Entry::new(row, Dot { writer, sequence }, 0, None))
    }

    proptest! {
        #[test]
        fn streams_hold_what_a_map_of_dots_holds(
            steps in prop::collection::vec((any::<bool>(), 0..3u8, 1..5u64), 0..60),
            after in 0..6u64,
            through in 0..6u64,
        ) {
            let (mut streams, mut model) = (Streams::default(), BTreeSet::new());
            for (comes, node, sequence) in steps {
                let entry = entry(node, sequence);
                if comes {
                    model.insert(entry.dot);
                    streams.insert(entry);
                } else {
                    model.remove(&entry.dot);
                    streams.remove(&entry.dot);
                }
            }
            for node in 0..3 {
                let of = |dot: &&Dot| dot.writer == entry(node, 1).dot.writer;
                let held: Vec<Dot> = model.iter().filter(of).copied().collect();
                let owned: Vec<Dot> = streams.owned_by(NodeId([node; 16])).map(|e| e.dot).collect();
                prop_assert_eq!(&owned, &held);
                let within = |dot: &&Dot| after < dot.sequence && dot.sequence <= through;
                let some: Vec<Dot> = held.iter().filter(within).copied().collect();
                let writer = entry(node, 1).dot.writer;
                let range = streams.range(&writer, after, through);
                prop_assert_eq!(range.map(|e| e.dot).collect::<Vec<_>>(), some);
                for sequence in 1..5 {
                    let dot = entry(node, sequence).dot;
                    prop_assert_eq!(streams.get(&dot).is_some(), held.contains(&dot));
                }
            }
        }
    }
}
