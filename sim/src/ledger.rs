//! Every write that the script made, and which of them were acknowledged: what the checks compare with.
//!
//! Knows nothing of how nodes converge, only the promises: an acknowledged write stands until a later
//! one replaces it, and what was replaced or deleted never returns.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use netdb_core::entry::{Dot, Lifetime, RowKey};
use netdb_gossip_core::identity::Name;

/// One write that a node took.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Its name.
    pub dot: Dot,
    /// Its stamp's time.
    pub at: u64,
    /// What it wrote; `None` deletes.
    pub value: Option<Arc<[u8]>>,
    /// The write that the writer saw in the row before, as far as it is known.
    pub over: Option<Dot>,
    /// Whether its caller was told that it is safe.
    pub acknowledged: bool,
}

/// All writes of one row, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The writes.
    pub writes: Vec<Issued>,
    /// A disk that may have been the only one to hold an acknowledged write was lost, so anything that
    /// was written may stand.
    pub excused: bool,
}

impl History {
    /// The writes that some acknowledged write knew of when it replaced or deleted them, directly or
    /// through others.
    pub fn replaced(&self) -> BTreeSet<Dot> {
        let over: BTreeMap<Dot, Option<Dot>> =
            self.writes.iter().map(|write| (write.dot, write.over)).collect();
        let mut replaced = BTreeSet::new();
        for write in self.writes.iter().filter(|write| write.acknowledged) {
            let mut next = write.over;
            while let Some(dot) = next.filter(|dot| replaced.insert(*dot)) {
                next = over.get(&dot).copied().flatten();
            }
        }
        replaced
    }

    /// The acknowledged write that should stand: of `Owner` rows the last, no clock involved, of
    /// `Cluster` rows the one with the highest stamp.
    pub fn last_acknowledged(&self) -> Option<&Issued> {
        let acknowledged = self.writes.iter().filter(|write| write.acknowledged);
        acknowledged.max_by_key(|write| {
            let stamp = match write.dot.writer.lifetime {
                Lifetime::Owner => 0,
                Lifetime::Cluster => write.at,
            };
            (stamp, write.dot.writer.node, write.dot)
        })
    }
}

/// Which write of which row.
type Written = (Name, RowKey, Dot);

/// All writes.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rows: BTreeMap<(Name, RowKey), History>,
    /// By host and commit: what is acknowledged when that is durable.
    waiting: BTreeMap<(usize, u64), Vec<Written>>,
}

impl Ledger {
    /// Takes a write down.
    pub fn issued(
        &mut self,
        host: usize,
        network: Name,
        row: RowKey,
        write: Issued,
        commit: Option<u64>,
    ) {
        let mut write = write;
        match commit {
            None => write.acknowledged = true,
            Some(id) => {
                let waiting = self.waiting.entry((host, id)).or_default();
                waiting.push((network.clone(), row.clone(), write.dot));
            }
        }
        self.rows.entry((network, row)).or_default().writes.push(write);
    }

    /// Commits up to `id` of a host are durable: their callers have been told.
    pub fn durable(&mut self, host: usize, id: u64) {
        while let Some(entry) = self.waiting.range((host, 0)..=(host, id)).next() {
            let key = *entry.0;
            for (network, row, dot) in self.waiting.remove(&key).unwrap_or_default() {
                if let Some(history) = self.rows.get_mut(&(network, row)) {
                    let write = history.writes.iter_mut().rev().find(|write| write.dot == dot);
                    if let Some(write) = write {
                        write.acknowledged = true;
                    }
                }
            }
        }
    }

    /// A host's process is gone: nobody is left to be told, and its `Owner` rows are no promise any more.
    pub fn gone(&mut self, host: usize, node: netdb_gossip_core::identity::NodeId) {
        self.waiting.retain(|(of, _), _| *of != host);
        self.rows.retain(|(_, row), _| row.lifetime == Lifetime::Cluster || row.owner != node);
    }

    /// A node left a network: so did its `Owner` rows.
    pub fn detached(
        &mut self,
        host: usize,
        network: &Name,
        node: netdb_gossip_core::identity::NodeId,
    ) {
        // Who still waits for a disk has dropped what it wrote together with the network.
        for ((of, _), written) in &mut self.waiting {
            written.retain(|(name, ..)| *of != host || name != network);
        }
        self.rows.retain(|(name, row), _| {
            name != network || row.lifetime == Lifetime::Cluster || row.owner != node
        });
    }

    /// Rows in `network` whose last acknowledged write was held by nobody but a disk that is lost now.
    pub fn excuse(&mut self, network: &Name, held: impl Fn(&RowKey, &Dot) -> bool) {
        for ((name, row), history) in &mut self.rows {
            if name == network && row.lifetime == Lifetime::Cluster {
                let last = history.last_acknowledged();
                // A delete leaves no row to look for, so it can't be told whether others have it.
                let safe = last.is_some_and(|last| last.value.is_some() && held(row, &last.dot));
                history.excused |= !safe;
            }
        }
    }

    /// All rows with their writes.
    pub fn rows(&self) -> impl Iterator<Item = (&Name, &RowKey, &History)> {
        self.rows.iter().map(|((name, row), history)| (name, row, history))
    }

    /// The networks that were written to.
    pub fn networks(&self) -> BTreeSet<Name> {
        self.rows.keys().map(|(name, _)| name.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use netdb_core::entry::Writer;
    use netdb_gossip_core::identity::{Generation, NodeId};

    use super::*;

    fn dot(node: u8, sequence: u64) -> Dot {
        let writer = Writer {
            node: NodeId([node; 16]),
            lifetime: Lifetime::Cluster,
            generation: Generation(1),
            attachment: 1,
        };
        Dot { writer, sequence }
    }

    fn write(dot: Dot, at: u64, over: Option<Dot>) -> Issued {
        Issued { dot, at, value: Some(Arc::from(*b"v")), over, acknowledged: false }
    }

    #[test]
    fn only_durable_writes_replace_what_their_writer_saw() {
        let network = Name::new("net").unwrap();
        let table = Name::new("table").unwrap();
        let row = RowKey::of(&table, Lifetime::Cluster, b"k", NodeId([1; 16]));
        let mut ledger = Ledger::default();
        let [a, b, c] = [dot(1, 1), dot(1, 2), dot(2, 1)];
        ledger.issued(0, network.clone(), row.clone(), write(a, 10, None), Some(1));
        ledger.issued(0, network.clone(), row.clone(), write(b, 20, Some(a)), Some(2));
        ledger.issued(1, network.clone(), row.clone(), write(c, 30, Some(b)), Some(1));
        ledger.durable(0, 2);
        let history = ledger.rows().next().unwrap().2.clone();
        assert_eq!(history.replaced(), BTreeSet::from([a]));
        assert_eq!(history.last_acknowledged().unwrap().dot, b);
        ledger.durable(1, 1);
        let history = ledger.rows().next().unwrap().2.clone();
        assert_eq!(history.replaced(), BTreeSet::from([a, b]));
        assert_eq!(history.last_acknowledged().unwrap().dot, c);
    }
}
