//! Events replayed into a map give exactly the rows: per row in order, once, with the right old value.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use netdb_core::{
    entry::{Entry, RowKey},
    view::{Event, EventKind, OwnerState},
};
use netdb_gossip_core::identity::Name;

use super::{Check, Verdict};
use crate::world::World;

/// What one watcher has been told.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// By network. All views together hold many of them: an entry knows its row.
    rows: BTreeMap<Arc<Name>, BTreeSet<Told>>,
    snapshot_ended: bool,
    /// By network: rows that came, went or changed their value, the snapshot apart.
    changes: BTreeMap<String, u64>,
}

/// A row as told last, in the order of rows.
#[derive(Clone, Debug)]
struct Told(Arc<Entry>, OwnerState);

impl Borrow<RowKey> for Told {
    fn borrow(&self) -> &RowKey {
        &self.0.row
    }
}
impl Ord for Told {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.row.cmp(&other.0.row)
    }
}
impl PartialOrd for Told {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Told {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Told {}

/// The invariant's name.
pub const NAME: &str = "event order";

impl View {
    /// Takes an event; an error says how it does not fit what was told before.
    pub fn replay(&mut self, event: &Event) -> Verdict {
        let state = event.owner_state;
        self.count(event);
        match &event.kind {
            EventKind::SnapshotEnd if self.snapshot_ended => Err("the snapshot ended twice".into()),
            EventKind::SnapshotEnd => {
                self.snapshot_ended = true;
                Ok(())
            }
            EventKind::Created { new } => {
                match self.note(&event.network, Told(Arc::clone(new), state)) {
                    None => Ok(()),
                    Some(Told(old, _)) => Err(format!("created {} over {}", show(new), show(&old))),
                }
            }
            EventKind::Updated { old, new } => {
                let told = self.note(&event.network, Told(Arc::clone(new), state));
                match told {
                    Some(Told(told, before)) if told.value == old.value => {
                        let news = old.value != new.value || before != state;
                        if news {
                            Ok(())
                        } else {
                            Err(format!("updated to what it was: {}", show(new)))
                        }
                    }
                    told => Err(format!(
                        "updated {} to {}, but told before was {}",
                        show(old),
                        show(new),
                        told.map_or_else(|| "nothing".into(), |Told(told, _)| show(&told)),
                    )),
                }
            }
            EventKind::Deleted { old, .. } => {
                let rows = self.rows.get_mut(&event.network);
                match rows.and_then(|rows| rows.take(&old.row)) {
                    Some(Told(told, _)) if told.value == old.value => Ok(()),
                    told => Err(format!(
                        "deleted {}, but told before was {}",
                        show(old),
                        told.map_or_else(|| "nothing".into(), |Told(told, _)| show(&told)),
                    )),
                }
            }
        }
    }

    /// What is told of a row from now on; returns what was told before.
    fn note(&mut self, network: &Arc<Name>, told: Told) -> Option<Told> {
        let rows = match self.rows.get_mut(network) {
            Some(rows) => rows,
            None => self.rows.entry(Arc::clone(network)).or_default(),
        };
        rows.replace(told)
    }

    fn count(&mut self, event: &Event) {
        let changed = match &event.kind {
            EventKind::Updated { old, new } => old.value != new.value,
            EventKind::Created { .. } | EventKind::Deleted { .. } => true,
            EventKind::SnapshotEnd => false,
        };
        if changed && self.snapshot_ended {
            *self.changes.entry(event.network.to_string()).or_default() += 1;
        }
    }

    /// Rows of a network that came, went or changed their value since the snapshot.
    pub fn changes(&self, network: &str) -> u64 {
        self.changes.get(network).copied().unwrap_or(0)
    }

    /// What stands in a row, as told: a write with the same value as one told before is no news.
    pub fn standing(&self, network: &Arc<Name>, row: &RowKey) -> Option<&Arc<Entry>> {
        self.rows.get(network)?.get(row).map(|Told(entry, _)| entry)
    }

    /// Rows told and not deleted.
    pub fn len(&self) -> usize {
        self.rows.values().map(BTreeSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.values().all(BTreeSet::is_empty)
    }
}

/// A write in words.
pub fn show(entry: &Entry) -> String {
    format!("{}/{} {:?}", entry.row.table, key_words(&entry.row.key), entry.dot)
}

/// A key as text if it is some, else in hexadecimal.
pub fn key_words(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if text.chars().all(|c| c.is_ascii_graphic()) => text.to_owned(),
        _ => key.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")),
    }
}

/// A row in a view: its network, what stands, how its owner is doing.
type Sight<'a> = (&'a Arc<Name>, &'a Arc<Entry>, OwnerState);

/// An event in words.
pub fn words(event: &Event) -> String {
    let network = &event.network;
    match &event.kind {
        EventKind::Created { new } => format!("created {network}/{}", show(new)),
        EventKind::Updated { old, new } => {
            format!("updated {network}/{} over {:?} {:?}", show(new), old.dot, event.owner_state)
        }
        EventKind::Deleted { old, reason } => format!("deleted {network}/{} {reason:?}", show(old)),
        EventKind::SnapshotEnd => "snapshot end".into(),
    }
}

/// At rest every replayed view equals what the node lists.
pub struct ReplayEqualsRows;

impl Check for ReplayEqualsRows {
    fn name(&self) -> &'static str {
        NAME
    }

    fn at_rest(&mut self, world: &World) -> Verdict {
        for host in world.running() {
            let Some(view) = world.view(host) else { continue };
            let listed = world.watched_rows(host);
            // Only those who asked for failed nodes' rows hear of their owners' states.
            let with_state = world.host(host).is_some_and(crate::world::Host::sees_failed);
            let same = |one: &Sight<'_>, other: &Sight<'_>| {
                let rows = one.0 == other.0 && one.1.row == other.1.row;
                rows && one.1.value == other.1.value && (!with_state || one.2 == other.2)
            };
            let replayed = view.rows.iter().flat_map(|(name, rows)| {
                rows.iter().map(move |Told(entry, state)| (name, entry, *state))
            });
            let rows = listed.iter().map(|(name, row)| (name, &row.entry, row.owner_state));
            let differs = replayed.zip(rows).find(|(told, listed)| !same(told, listed));
            if let Some((told, listed)) = differs {
                return Err(format!(
                    "n{host} lists {}/{} {:?}, but its watcher was told {}/{} {:?}",
                    listed.0,
                    show(listed.1),
                    listed.2,
                    told.0,
                    show(told.1),
                    told.2,
                ));
            }
            if view.len() != listed.len() {
                let (told, listed) = (view.len(), listed.len());
                return Err(format!("n{host} lists {listed} rows, its watcher was told of {told}"));
            }
        }
        Ok(())
    }
}
