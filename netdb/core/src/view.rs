//! What a reader sees: rows with the state of their owner, and the events by which a view changes.

use alloc::sync::Arc;

use netdb_gossip_core::identity::{Name, NodeId};

use crate::entry::{Entry, KeyBytes, Lifetime, RowKey};

/// How the owner of a row is doing, from the local point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnerState {
    /// Alive, or the row is of `Cluster` lifetime and has no owner.
    Alive,
    /// Suspected of having failed: still in view, but steer new work away.
    Suspect,
    /// It said that it restarts; its rows are held for a while.
    Restarting,
    /// Failed: its rows are hidden, and shown only on request.
    Failed,
}

impl OwnerState {
    /// Whether rows of an owner in this state are in the ordinary view.
    pub fn is_visible(self) -> bool {
        self != Self::Failed
    }
}

/// Why a row left a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteReason {
    /// Somebody deleted it.
    Deleted,
    /// Its owner failed; the row comes back with it.
    OwnerFailed,
    /// Its owner left the cluster (or was purged after a long failure).
    OwnerLeft,
    /// Its owner left the network, or this node did.
    Detached,
}

/// A live row as a reader sees it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The write that stands.
    pub entry: Arc<Entry>,
    /// How its owner is doing.
    pub owner_state: OwnerState,
}

/// What happened to a row in a watcher's view.
#[derive(Clone, Debug)]
pub enum EventKind {
    /// It appeared.
    Created {
        /// The row now.
        new: Arc<Entry>,
    },
    /// Its value changed, or only the state of its owner (then `old` and `new` hold one value).
    Updated {
        /// The row as this watcher last saw it.
        old: Arc<Entry>,
        /// The row now.
        new: Arc<Entry>,
    },
    /// It left.
    Deleted {
        /// The row as this watcher last saw it.
        old: Arc<Entry>,
        /// Why.
        reason: DeleteReason,
    },
    /// Everything that was there when the watch began has been told.
    SnapshotEnd,
}

impl EventKind {
    /// The write that stands now; `None` if the row left, or for the end of the snapshot.
    pub fn standing(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Created { new } | Self::Updated { new, .. } => Some(new),
            Self::Deleted { .. } | Self::SnapshotEnd => None,
        }
    }

    /// The write that it is about: the one that stands now or, of a row that left, the last one seen. `None`
    /// for the end of the snapshot.
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Deleted { old, .. } => Some(old),
            _ => self.standing(),
        }
    }
}

/// One event of a watch: never a duplicate, never out of order for one row.
#[derive(Clone, Debug)]
pub struct Event {
    /// The network; of no meaning for [`EventKind::SnapshotEnd`].
    pub network: Arc<Name>,
    /// How the row's owner is doing now.
    pub owner_state: OwnerState,
    /// What happened.
    pub kind: EventKind,
}

/// Selects rows. The default selects every visible row of every attached network.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this network.
    pub network: Option<Name>,
    /// Only tables of this name.
    pub table: Option<Name>,
    /// Only tables of this lifetime.
    pub lifetime: Option<Lifetime>,
    /// Only keys that start so.
    pub prefix: alloc::vec::Vec<u8>,
    /// Only rows of this owner.
    pub owner: Option<NodeId>,
    /// Also the rows of failed nodes, marked so.
    pub include_failed: bool,
}

impl Filter {
    /// Whether the filter selects a row of `network`, its owner's state aside.
    pub fn selects(&self, network: &Name, row: &RowKey) -> bool {
        self.network.as_ref().is_none_or(|n| n == network) && self.selects_row(row)
    }

    /// The same for a row of a network that it selects.
    pub(crate) fn selects_row(&self, row: &RowKey) -> bool {
        self.table.as_ref().is_none_or(|t| t.as_str() == &*row.table)
            && self.lifetime.is_none_or(|l| l == row.lifetime)
            && self.owner.is_none_or(|o| o == row.owner)
            && row.key.starts_with(&self.prefix)
    }

    /// Where in the order of rows those begin that it selects, if it says more than a network.
    pub(crate) fn first(&self) -> Option<RowKey> {
        let table = self.table.as_ref()?.as_str().into();
        let (lifetime, key) = match self.lifetime {
            Some(lifetime) => (lifetime, self.prefix.as_slice().into()),
            None => (Lifetime::Owner, KeyBytes::default()),
        };
        Some(RowKey { table, lifetime, key, owner: NodeId::default() })
    }

    /// Whether a row from [`first`](Self::first) on, and so all behind it, comes after those that it selects.
    pub(crate) fn is_past(&self, row: &RowKey) -> bool {
        self.table.as_ref().is_some_and(|table| {
            table.as_str() != &*row.table
                || self.lifetime.is_some_and(|lifetime| {
                    lifetime != row.lifetime || !row.key.starts_with(&self.prefix)
                })
        })
    }

    /// Whether rows of owners in this state are selected.
    pub fn shows(&self, state: OwnerState) -> bool {
        self.include_failed || state.is_visible()
    }
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeSet, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    fn row() -> impl Strategy<Value = RowKey> {
        (0u8..3, any::<bool>(), prop::collection::vec(0u8..3, 1..4), 0u8..3).prop_map(
            |(table, owned, key, node)| {
                let lifetime = if owned { Lifetime::Owner } else { Lifetime::Cluster };
                RowKey::of(&name(table), lifetime, &key, NodeId([node; 16]))
            },
        )
    }

    fn filter() -> impl Strategy<Value = Filter> {
        let lifetime =
            prop::option::of(prop_oneof![Just(Lifetime::Owner), Just(Lifetime::Cluster)]);
        let prefix = prop::collection::vec(0u8..3, 0..3);
        (prop::option::of(0u8..3), lifetime, prefix).prop_map(|(table, lifetime, prefix)| Filter {
            table: table.map(name),
            lifetime,
            prefix,
            ..Filter::default()
        })
    }

    fn name(number: u8) -> Name {
        Name::new(["a", "ab", "b"][usize::from(number)]).unwrap()
    }

    proptest! {
        /// Between where they begin and where they are past lie all rows that a filter selects.
        #[test]
        fn nothing_selected_lies_outside(
            rows in prop::collection::btree_set(row(), 0..40),
            filter in filter(),
        ) {
            let selects = |row: &&RowKey| filter.selects(&name(0), row);
            let all: Vec<&RowKey> = rows.iter().filter(selects).collect();
            let first = filter.first();
            let from = rows.iter().skip_while(|row| first.as_ref().is_some_and(|f| *row < f));
            let near: BTreeSet<&RowKey> = from.take_while(|row| !filter.is_past(row)).collect();
            let found: Vec<&RowKey> = near.into_iter().filter(selects).collect();
            prop_assert_eq!(found, all);
        }
    }
}
