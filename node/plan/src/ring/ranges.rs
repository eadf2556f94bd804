//! All ranges of a space as this node sees them. Knows rows, not what is done about them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::{cmp::Reverse, ops::Range};

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
    /// How much each seems to have of whom numbers are given.
    free: BTreeMap<NodeId, u128>,
    /// The same, most first: who looks for more asks for it at every answer.
    by_free: BTreeSet<(Reverse<u128>, NodeId)>,
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
            self.count_free(before.holder);
        }
        let Some(row) = row else { return };
        let holder = row.holder;
        self.held.entry(holder).or_default().insert(start);
        if row.state != State::Held {
            self.moving.insert(start);
        }
        self.rows.insert(start, row);
        self.count_free(holder);
    }

    /// What a node seems to have changed. It is counted anew: so much that it is cut can't be subtracted from.
    fn count_free(&mut self, holder: NodeId) {
        let given = self.held_by(holder).filter(|(_, row)| row.state == State::Held);
        let free = given
            .map(|(_, row)| 1_u128.checked_shl(u32::from(row.free_bits)).unwrap_or(u128::MAX) - 1);
        let free = free.reduce(u128::saturating_add);
        let before = match free {
            Some(free) => self.free.insert(holder, free),
            None => self.free.remove(&holder),
        };
        if let Some(before) = before {
            self.by_free.remove(&(Reverse(before), holder));
        }
        if let Some(free) = free {
            self.by_free.insert((Reverse(free), holder));
        }
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

    /// Everyone who gives numbers, with about how much is free, most first.
    pub(super) fn holders(&self) -> impl Iterator<Item = (NodeId, u128)> {
        self.by_free.iter().map(|(Reverse(free), node)| (*node, *free))
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
