//! The merge laws against a plain model, and the bounds.

use alloc::{collections::BTreeMap, vec::Vec};

use netdb_gossip_core::identity::Generation;
use proptest::prelude::*;

use super::*;

const LIFE: Duration = Duration::from_mins(1);
const NOON: Wall = Wall(1_000_000_000_000);

fn replica() -> Replica {
    Replica::new(LIFE, 1_000)
}

/// A write as a test names it: (lifetime, node, key, sequence, stamp, value or tombstone).
type Write = (bool, u8, u8, u64, u64, Option<u8>);

/// Sequences must name one write each, so a dot always carries the same content in these tests.
fn entry(&(cluster, node, key, sequence, at, value): &Write) -> Entry {
    let lifetime = if cluster { Lifetime::Cluster } else { Lifetime::Owner };
    let node = NodeId([node; 16]);
    let writer = Writer { node, lifetime, generation: Generation(1), attachment: 1 };
    let owner = if cluster { NodeId::default() } else { node };
    let row = RowKey { table: "t".into(), lifetime, key: [key].into(), owner };
    let value = value.map(|v| [v].as_slice().into());
    Entry::new(row, Dot { writer, sequence }, NOON.0 - 100 + at, value)
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let write = (any::<bool>(), 0u8..3, 0u8..4, 0u64..20, prop::option::weighted(0.7, 0u8..3));
    prop::collection::vec(write, 0..60).prop_map(|writes| {
        let mut next = BTreeMap::new();
        writes
            .into_iter()
            .map(|(cluster, node, key, at, value)| {
                let sequence = next.entry((cluster, node)).or_insert(0u64);
                *sequence += 1;
                (cluster, node, key, *sequence, at, value)
            })
            .collect()
    })
}

fn apply_all(writes: &[Write]) -> Replica {
    let mut replica = replica();
    for write in writes {
        replica.apply(Time(0), NOON, entry(write), Duration::ZERO);
    }
    replica
}

fn content(replica: &Replica) -> Vec<(RowKey, Dot, Option<Vec<u8>>)> {
    replica
        .rows_from(Bound::Unbounded)
        .map(|e| (e.row.clone(), e.dot, e.value.as_ref().map(|v| v.to_vec())))
        .collect()
}

fn assert_consistent(replica: &Replica) {
    let live: Vec<_> = replica.rows_from(Bound::Unbounded).filter(|e| !e.is_tombstone()).collect();
    assert_eq!(replica.live(), live.len());
    assert_eq!(replica.bytes(), live.iter().map(|e| e.size()).sum::<usize>());
    let held: Vec<_> = replica.places(0, u64::MAX).collect();
    let aside = replica.aside().filter(|entry| !entry.is_tombstone()).count();
    assert_eq!(held.len(), live.len() + aside);
    let hash = held.iter().fold(0u64, |hash, e| hash.wrapping_add(e.mark()));
    assert_eq!(replica.hash(), hash);
}

proptest! {
    /// Order, repetition and the way in don't matter: the rows are those of a plain model that keeps
    /// the best write per row.
    #[test]
    fn merging_converges(
        (writes, shuffled) in writes().prop_flat_map(|w| {
            let doubled: Vec<_> = w.iter().chain(&w).copied().collect();
            (Just(w), Just(doubled).prop_shuffle())
        })
    ) {
        let mut model: BTreeMap<RowKey, Entry> = BTreeMap::new();
        for write in &writes {
            let entry = entry(write);
            if model.get(&entry.row).is_none_or(|old| entry.beats(old)) {
                model.insert(entry.row.clone(), entry);
            }
        }
        let expected: Vec<_> = model
            .into_values()
            .map(|e| (e.row.clone(), e.dot, e.value.map(|v| v.to_vec())))
            .collect();
        let (one, other) = (apply_all(&writes), apply_all(&shuffled));
        prop_assert_eq!(&content(&one), &expected);
        prop_assert_eq!(&content(&other), &expected);
        prop_assert_eq!(one.hash(), other.hash());
        prop_assert_eq!(one.digest().hash(), other.digest().hash());
        assert_consistent(&one);
        assert_consistent(&other);
    }

    /// Leaving out what was written after a cutoff gives the hashes of a replica that never saw it.
    #[test]
    fn a_cutoff_hides_what_came_later(mut writes in writes(), cutoff in 0u64..20) {
        // A writer's stamps grow, as the clock sees to; rows are then overwritten in stamp order.
        writes.sort_by_key(|w| w.4);
        let mut next = BTreeMap::new();
        for write in &mut writes {
            let sequence = next.entry((write.0, write.1)).or_insert(0u64);
            *sequence += 1;
            write.3 = *sequence;
        }
        let all = apply_all(&writes);
        let early: Vec<_> = writes.iter().filter(|w| w.4 <= cutoff).copied().collect();
        let early = apply_all(&early);
        let as_of = all.recent().as_of(NOON.0 - 100 + cutoff, all.digest(), all.hash());
        prop_assert_eq!(as_of.received, early.digest().hash());
        let tied = writes.iter().any(|a| writes.iter().any(|b| a != b && a.4 == b.4));
        if !tied {
            prop_assert_eq!(as_of.held, early.hash());
        }
    }

    /// Removing and dropping keep the indexes, counts and hash in step.
    #[test]
    fn removal_is_consistent(writes in writes(), picks in prop::collection::vec(0usize..60, 0..20)) {
        let mut replica = apply_all(&writes);
        for pick in picks {
            if let Some(write) = writes.get(pick) {
                replica.remove(&entry(write).dot);
                assert_consistent(&replica);
            }
        }
        replica.drop_owner(NodeId([1; 16]), |_| true);
        prop_assert_eq!(replica.owned_by(NodeId([1; 16])).count(), 0);
        assert_consistent(&replica);
    }
}

#[test]
fn a_tombstone_is_purged_by_its_carried_age() {
    let mut replica = replica();
    replica.apply(Time(0), NOON, entry(&(true, 1, 1, 1, 1, None)), LIFE / 2);
    replica.apply(Time(0), NOON, entry(&(true, 1, 2, 2, 2, Some(1))), Duration::ZERO);
    assert_eq!((replica.live(), replica.tombstones()), (1, 1));
    let due = replica.next_purge().unwrap();
    assert_eq!(due, Time(0) + LIFE / 2);
    assert!(replica.purge(due - Duration::from_micros(1)).is_empty());
    assert_eq!(replica.purge(due).len(), 1);
    let writer = entry(&(true, 1, 1, 1, 1, None)).dot.writer;
    assert_eq!(replica.digest().progress(&writer).unwrap().purged(), 1);
    assert!(!replica.apply(due, NOON, entry(&(true, 1, 1, 1, 1, None)), Duration::ZERO).fresh);
    assert_consistent(&replica);
}

#[test]
fn tombstones_are_bounded() {
    let mut replica = Replica::new(LIFE, 2);
    for n in 1..=3u8 {
        replica.apply(Time(0), NOON, entry(&(true, 1, n, n.into(), 1, None)), Duration::ZERO);
    }
    assert_eq!(replica.purge(Time(0)).len(), 1);
    assert_eq!(replica.tombstones(), 2);
}

#[test]
fn a_delete_from_the_far_future_is_not_held_either() {
    let (mut replica, mut other) = (replica(), replica());
    let late = entry(&(true, 1, 1, 1, 3_600_000_000, None));
    replica.apply(Time(0), NOON, late.clone(), Duration::ZERO);
    assert_eq!(replica.aside().count(), 1);
    other.apply_believed(Time(0), NOON, late, Duration::ZERO);
    assert_eq!(replica.hash(), other.hash(), "for whom it took effect holds nothing");
    assert_consistent(&replica);
}

#[test]
fn a_write_from_the_far_future_waits_for_its_time() {
    let mut replica = replica();
    let hour = 3_600_000_000;
    let late = entry(&(true, 1, 1, 1, hour, Some(1)));
    let applied = replica.apply(Time(0), NOON, late.clone(), Duration::ZERO);
    assert!(applied.fresh && applied.change.is_none(), "received, passed on, not in effect");
    assert!(replica.digest().covers(&late.dot));
    replica.apply(Time(0), NOON, entry(&(true, 2, 1, 1, 5, Some(2))), Duration::ZERO);
    assert_eq!(replica.get(&late.row).unwrap().dot.writer.node, NodeId([2; 16]));
    assert_consistent(&replica);
    assert!(replica.release_aside(Time(0), NOON).is_empty());
    let changes = replica.release_aside(Time(1), Wall(NOON.0 + hour));
    assert_eq!(changes.len(), 1);
    assert_eq!(replica.get(&late.row).unwrap().dot, late.dot);
    assert_consistent(&replica);
}

#[test]
fn the_far_future_is_bounded_per_writer() {
    let mut replica = replica();
    for n in 1..=MAX_ASIDE_PER_WRITER as u64 + 1 {
        let write = entry(&(true, 1, 1, n, 3_600_000_000 + n, Some(1)));
        let fresh = replica.apply(Time(0), NOON, write, Duration::ZERO).fresh;
        assert_eq!(fresh, n <= MAX_ASIDE_PER_WRITER as u64);
    }
    assert_eq!(replica.aside().count(), MAX_ASIDE_PER_WRITER);
}

#[test]
fn replacing_a_generation_drops_only_what_is_older() {
    let mut replica = apply_all(&[(false, 1, 1, 1, 1, Some(1)), (false, 1, 2, 2, 2, Some(2))]);
    let mut renewed = entry(&(false, 1, 1, 1, 3, Some(1)));
    renewed.dot.writer.generation = Generation(2);
    let keep = renewed.dot.writer;
    replica.apply(Time(0), NOON, renewed, Duration::ZERO);
    let dropped = replica.drop_owner(NodeId([1; 16]), |writer| *writer < keep);
    assert_eq!(dropped.len(), 1, "only the row that was not written again");
    assert_eq!(replica.live(), 1);
    assert_consistent(&replica);
}

#[test]
fn a_tombstone_stands_for_its_row() {
    let mut replica = apply_all(&[(true, 1, 7, 1, 1, Some(0)), (true, 1, 7, 2, 2, None)]);
    let row = entry(&(true, 1, 7, 1, 1, None)).row;
    let standing = replica.standing(row.place()).map(|e| e.dot.sequence);
    assert_eq!(standing, Some(2));
    replica.purge(Time(0) + LIFE);
    assert!(replica.standing(row.place()).is_none());
}

#[test]
fn tombstones_keep_a_shared_stream_alive_and_an_owned_one_not() {
    let deletes = [true, false].map(|cluster| (cluster, 1, 1, 1, 1, None));
    let mut replica = apply_all(&deletes);
    let writers: Vec<_> = replica.digest().writers().map(|(writer, _)| *writer).collect();
    let retired = replica.retire_finished(&writers);
    assert_eq!(retired.iter().map(|w| w.lifetime).collect::<Vec<_>>(), [Lifetime::Owner]);
    assert_eq!(replica.tombstones(), 1);
    assert!(!replica.apply(Time(0), NOON, entry(&(false, 1, 1, 1, 1, None)), LIFE).fresh);
}
