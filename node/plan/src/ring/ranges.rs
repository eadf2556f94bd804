//! All ranges of a space as this node sees them. Knows rows, not what is done about them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::ops::Range;

use netdb_gossip_core::identity::NodeId;

use super::row::{Row, State};

/// Rows by their first number.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges {
    rows: BTreeMap<u128, Row>,
    /// Where each holder's begin: a node looks at its own all the time, and at a thousand others' seldom.
    held: BTreeMap<NodeId, BTreeSet<u128>>,
    /// Where those begin that are on their way.
    moving: BTreeSet<u128>,
}

impl Ranges {
    pub(super) fn get(&self, start: u128) -> Option<&Row> {
        self.rows.get(&start)
    }

    pub(super) fn set(&mut self, start: u128, row: Option<Row>) {
        if let Some(before) = self.rows.remove(&start) {
            if let Some(held) = self.held.get_mut(&before.holder) {
                held.remove(&start);
                if held.is_empty() {
                    self.held.remove(&before.holder);
                }
            }
            self.moving.remove(&start);
        }
        let Some(row) = row else { return };
        self.held.entry(row.holder).or_default().insert(start);
        if row.state != State::Held {
            self.moving.insert(start);
        }
        self.rows.insert(start, row);
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, &Row)> {
        self.rows.iter().map(|(start, row)| (*start, row))
    }

    /// What a row stands for: up to its end, or to the next row.
    pub(super) fn span(&self, start: u128) -> Option<Range<u128>> {
        let row = self.rows.get(&start)?;
        Some(
            start
                ..self
                    .rows
                    .range(start + 1..)
                    .next()
                    .map_or(row.end, |(next, _)| row.end.min(*next)),
        )
    }

    /// The range that a number is in.
    pub(super) fn of(&self, n: u128) -> Option<(u128, &Row)> {
        let (start, row) = self.rows.range(..=n).next_back()?;
        (n < row.end).then_some((*start, row))
    }

    /// The ranges that a node decides about.
    pub(super) fn held_by(&self, node: NodeId) -> impl Iterator<Item = (u128, &Row)> {
        let starts = self.held.get(&node).into_iter().flatten();
        starts.filter_map(|start| Some((*start, self.rows.get(start)?)))
    }

    /// Everyone who gives numbers, with the bits of how much is free, most first.
    pub(super) fn holders(&self) -> Vec<(NodeId, u128)> {
        let mut free: BTreeMap<NodeId, u128> = BTreeMap::new();
        for row in self.rows.values().filter(|row| row.state == State::Held) {
            let most = 1_u128.checked_shl(u32::from(row.free_bits)).unwrap_or(u128::MAX);
            let sum = free.entry(row.holder).or_insert(0);
            *sum = sum.saturating_add(most - 1);
        }
        let mut holders: Vec<(NodeId, u128)> = free.into_iter().collect();
        holders.sort_by_key(|(node, free)| (core::cmp::Reverse(*free), *node));
        holders
    }

    /// The ranges that are on their way from one node to another.
    pub(super) fn moving(&self) -> impl Iterator<Item = (u128, &Row)> {
        self.moving.iter().filter_map(|start| Some((*start, self.rows.get(start)?)))
    }

    /// Whether a range is.
    pub(super) fn is_moving(&self) -> bool {
        !self.moving.is_empty()
    }

    /// Rows that begin behind the first number of `within`, and inside of it.
    pub(super) fn inside(&self, within: Range<u128>) -> Vec<u128> {
        let behind = within.start.saturating_add(1)..within.end.max(within.start.saturating_add(1));
        self.rows.range(behind).map(|(start, _)| *start).collect()
    }

    /// Who claims the first number of a range besides its own row.
    pub(super) fn covered_by(&self, start: u128) -> Option<NodeId> {
        let (_, before) = self.rows.range(..start).next_back()?;
        (before.end > start).then_some(before.holder)
    }

    /// How far the row before a range claims, if that is into it.
    pub(super) fn covered_until(&self, start: u128) -> Option<u128> {
        let (_, before) = self.rows.range(..start).next_back()?;
        (before.end > start).then_some(before.end)
    }

    /// Stretches of the space that no row stands for.
    pub(super) fn holes(&self, size: u128) -> Vec<Range<u128>> {
        let mut at = 0;
        let mut holes = Vec::new();
        for start in self.rows.keys() {
            let Some(span) = self.span(*start) else { continue };
            if at < span.start {
                holes.push(at..span.start);
            }
            at = span.end.max(at);
        }
        if at < size {
            holes.push(at..size);
        }
        holes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_of_holders_and_moves_is_what_the_rows_say() {
        let nodes = [1, 2].map(|n| NodeId([n; 16]));
        let row = |holder, state| Row { end: 9, version: 1, holder, state, free_bits: 0 };
        let mut ranges = Ranges::default();
        let steps = [
            (1, Some(row(nodes[0], State::Held))),
            (5, Some(row(nodes[1], State::Promised(nodes[0])))),
            (5, Some(row(nodes[0], State::Held))),
            (1, Some(row(nodes[1], State::Promised(nodes[0])))),
            (1, None),
            (5, None),
        ];
        for (start, row) in steps {
            ranges.set(start, row);
            for node in nodes {
                let found: Vec<_> = ranges.held_by(node).collect();
                assert_eq!(
                    found,
                    ranges.iter().filter(|(_, r)| r.holder == node).collect::<Vec<_>>()
                );
            }
            let found: Vec<_> = ranges.moving().collect();
            let moving = ranges.iter().filter(|(_, r)| r.state != State::Held);
            assert_eq!(found, moving.collect::<Vec<_>>());
        }
        assert!(ranges.held.is_empty());
    }
}
