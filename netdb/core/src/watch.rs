//! Watchers: each sees every change of its rows once, in order, and as late as it likes.
//!
//! A watcher's queue holds at most one pending change per row, from what it was last told to what stands
//! now; further changes coalesce into it. So a slow watcher holds nobody back, and its memory is bounded
//! by the rows it was told of plus those in view.

use alloc::{collections::BTreeMap, sync::Arc};

use netdb_gossip_core::identity::Name;

use crate::{
    entry::{Entry, RowKey},
    node::WatchId,
    view::{DeleteReason, Event, EventKind, Filter, OwnerState},
};

/// A row as a watcher sees it: the write, and how its owner is doing. `None` is out of view.
pub type Seen = Option<(Arc<Entry>, OwnerState)>;

#[derive(Debug)]
struct Pending {
    order: u64,
    told: Seen,
    now: Seen,
    reason: DeleteReason,
}

/// One watcher's queue.
#[derive(Debug)]
struct Watcher {
    filter: Filter,
    rows: BTreeMap<(Arc<Name>, RowKey), Pending>,
    queue: BTreeMap<u64, (Arc<Name>, RowKey)>,
    next: u64,
    /// Where in the queue the snapshot ends, until that was told.
    snapshot_end: Option<u64>,
}

/// All watchers of a node.
#[derive(Debug, Default)]
pub struct Watchers {
    watchers: BTreeMap<WatchId, Watcher>,
    next: u64,
}

/// A change to one row's view: before and after, owner state included.
#[derive(Clone, Debug)]
pub struct ViewChange {
    /// Before.
    pub before: Seen,
    /// After.
    pub after: Seen,
    /// Why, if it left.
    pub reason: DeleteReason,
}

impl Watchers {
    /// Adds a watcher that will first be told `snapshot`.
    pub fn add(
        &mut self,
        filter: Filter,
        snapshot: impl Iterator<Item = (Arc<Name>, Arc<Entry>, OwnerState)>,
    ) -> WatchId {
        let mut watcher = Watcher {
            filter,
            rows: BTreeMap::new(),
            queue: BTreeMap::new(),
            next: 0,
            snapshot_end: None,
        };
        for (network, entry, state) in snapshot {
            let after = Some((entry, state));
            let reason = DeleteReason::Deleted;
            watcher.offer(&network, &ViewChange { before: None, after, reason });
        }
        watcher.snapshot_end = Some(watcher.next);
        self.next += 1;
        let id = WatchId(self.next);
        self.watchers.insert(id, watcher);
        id
    }

    /// Removes a watcher.
    pub fn remove(&mut self, id: WatchId) {
        self.watchers.remove(&id);
    }

    /// Whether anybody watches.
    pub fn is_empty(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Shows a change to everyone whom it concerns; `ready` hears who has something to fetch now and
    /// had nothing before.
    pub fn offer(
        &mut self,
        network: &Arc<Name>,
        change: &ViewChange,
        mut ready: impl FnMut(WatchId),
    ) {
        for (id, watcher) in &mut self.watchers {
            let was_idle = watcher.is_idle();
            watcher.offer(network, change);
            if was_idle && !watcher.is_idle() {
                ready(*id);
            }
        }
    }

    /// The next event of a watcher.
    pub fn poll(&mut self, id: WatchId) -> Option<Event> {
        self.watchers.get_mut(&id)?.poll()
    }

    /// Changes waiting for a watcher.
    pub fn waiting(&self, id: WatchId) -> usize {
        self.watchers.get(&id).map_or(0, |w| w.queue.len())
    }
}

impl Watcher {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.snapshot_end.is_none()
    }

    fn offer(&mut self, network: &Arc<Name>, change: &ViewChange) {
        let Some((entry, _)) = change.after.as_ref().or(change.before.as_ref()) else { return };
        if !self.filter.selects(network, &entry.row) {
            return;
        }
        let shown = |seen: &Seen| seen.clone().filter(|(_, state)| self.filter.shows(*state));
        let (before, after) = (shown(&change.before), shown(&change.after));
        let key = (network.clone(), entry.row.clone());
        let pending = self.rows.entry(key.clone()).or_insert_with(|| {
            self.next += 1;
            self.queue.insert(self.next, key.clone());
            Pending { order: self.next, told: before, now: None, reason: change.reason }
        });
        pending.now = after;
        pending.reason = change.reason;
        let marks_failed = self.filter.include_failed;
        if same(&pending.told, &pending.now, marks_failed) {
            let order = pending.order;
            self.rows.remove(&key);
            self.queue.remove(&order);
        }
    }

    fn poll(&mut self) -> Option<Event> {
        let first = self.queue.first_key_value().map(|(order, _)| *order);
        if self.snapshot_end.is_some_and(|end| first.is_none_or(|first| first > end)) {
            self.snapshot_end = None;
            return Some(Event {
                network: Arc::new(Name::new("_").ok()?),
                owner_state: OwnerState::Alive,
                kind: EventKind::SnapshotEnd,
            });
        }
        let (_, key) = self.queue.pop_first()?;
        let pending = self.rows.remove(&key)?;
        let (kind, owner_state) = match (pending.told, pending.now) {
            (None, Some((new, state))) => (EventKind::Created { new }, state),
            (Some((old, _)), Some((new, state))) => (EventKind::Updated { old, new }, state),
            (Some((old, state)), None) => {
                (EventKind::Deleted { old, reason: pending.reason }, state)
            }
            (None, None) => return self.poll(),
        };
        Some(Event { network: key.0, owner_state, kind })
    }
}

/// Whether two sights of a row are the same to a watcher: a row written again with the same value is
/// no news. The owner's state is news only to those who asked for it.
fn same(one: &Seen, other: &Seen, with_state: bool) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some((a, state_a)), Some((b, state_b))) => {
            a.value == b.value && (!with_state || state_a == state_b)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use netdb_gossip_core::identity::{Generation, NodeId};
    use proptest::prelude::*;

    use super::*;
    use crate::entry::{Dot, Lifetime, Writer};

    fn seen(key: u8, value: u8, sequence: u64, state: OwnerState) -> (Arc<Entry>, OwnerState) {
        let node = NodeId([1; 16]);
        let (lifetime, generation) = (Lifetime::Owner, Generation(1));
        let writer = Writer { node, lifetime, generation, attachment: 1 };
        let row = RowKey { table: "t".into(), lifetime, key: [key].into(), owner: node };
        let dot = Dot { writer, sequence };
        (Arc::new(Entry::new(row, dot, 0, Some([value].as_slice().into()))), state)
    }

    fn network() -> Arc<Name> {
        Arc::new(Name::new("n").unwrap())
    }

    fn value(seen: &Seen) -> Option<(u8, OwnerState)> {
        seen.as_ref().map(|(e, state)| (e.value.as_ref().unwrap()[0], *state))
    }

    proptest! {
        /// However seldom a watcher looks, what it was told adds up to what there is: old values match,
        /// nothing is told twice, and the queue never outgrows the rows.
        #[test]
        fn events_replay_to_the_view(
            steps in prop::collection::vec((0u8..4, prop::option::of((0u8..3, 0u8..2)), any::<bool>()), 0..80),
            include_failed in any::<bool>(),
        ) {
            let mut watchers = Watchers::default();
            let filter = Filter { include_failed, ..Filter::default() };
            let id = watchers.add(filter, core::iter::empty());
            prop_assert!(matches!(watchers.poll(id).unwrap().kind, EventKind::SnapshotEnd));
            let mut truth: BTreeMap<u8, Seen> = BTreeMap::new();
            let mut told: BTreeMap<Vec<u8>, (u8, OwnerState)> = BTreeMap::new();
            for (n, (key, target, fetch)) in steps.into_iter().enumerate() {
                let after = target.map(|(v, failed)| {
                    let state = if failed == 1 { OwnerState::Failed } else { OwnerState::Alive };
                    seen(key, v, n as u64 + 1, state)
                });
                let before = truth.insert(key, after.clone()).flatten();
                let reason = DeleteReason::Deleted;
                watchers.offer(&network(), &ViewChange { before, after, reason }, |_| {});
                prop_assert!(watchers.waiting(id) <= 4);
                if fetch {
                    replay(&mut watchers, id, &mut told);
                }
            }
            replay(&mut watchers, id, &mut told);
            for (key, seen) in truth {
                let shown = value(&seen).filter(|(_, state)| include_failed || state.is_visible());
                let got = told.get([key].as_slice()).copied();
                prop_assert_eq!(got.map(|(v, _)| v), shown.map(|(v, _)| v));
                if include_failed {
                    prop_assert_eq!(got, shown);
                }
            }
        }
    }

    fn replay(
        watchers: &mut Watchers,
        id: WatchId,
        told: &mut BTreeMap<Vec<u8>, (u8, OwnerState)>,
    ) {
        while let Some(event) = watchers.poll(id) {
            let byte = |e: &Arc<Entry>| e.value.as_ref().unwrap()[0];
            match event.kind {
                EventKind::Created { new } => {
                    let now = (byte(&new), event.owner_state);
                    assert!(told.insert(new.row.key.to_vec(), now).is_none(), "created twice");
                }
                EventKind::Updated { old, new } => {
                    let now = (byte(&new), event.owner_state);
                    let before = told.insert(new.row.key.to_vec(), now).unwrap();
                    assert_eq!(before.0, byte(&old));
                    assert_ne!(before, now);
                }
                EventKind::Deleted { old, .. } => {
                    let before = told.remove(&old.row.key.to_vec()).unwrap();
                    assert_eq!(before.0, byte(&old));
                }
                EventKind::SnapshotEnd => panic!("told once"),
            }
        }
    }

    #[test]
    fn the_snapshot_comes_first_and_its_end_is_told() {
        let mut watchers = Watchers::default();
        let rows = [seen(1, 1, 1, OwnerState::Alive), seen(2, 1, 2, OwnerState::Alive)];
        let snapshot = rows.into_iter().map(|(e, s)| (network(), e, s));
        let id = watchers.add(Filter::default(), snapshot);
        let after = Some(seen(3, 1, 3, OwnerState::Alive));
        let change = ViewChange { before: None, after, reason: DeleteReason::Deleted };
        let mut woken = 0;
        watchers.offer(&network(), &change, |_| woken += 1);
        assert_eq!(woken, 0, "it has something to fetch already");
        let kinds: Vec<bool> = core::iter::from_fn(|| watchers.poll(id))
            .map(|event| matches!(event.kind, EventKind::SnapshotEnd))
            .collect();
        assert_eq!(kinds, [false, false, true, false]);
        let gone = ViewChange { before: change.after, after: None, reason: DeleteReason::Detached };
        watchers.offer(&network(), &gone, |_| woken += 1);
        assert_eq!(woken, 1);
    }
}
