//! All ranges of a space as this node sees them. Knows rows, not what is done about them.

use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Range;

use netdb_gossip_core::identity::NodeId;

use super::row::{Row, State};

/// Rows by their first number.
#[derive(Clone, Debug, Default)]
pub(super) struct Ranges(BTreeMap<u128, Row>);

impl Ranges {
    pub(super) fn get(&self, start: u128) -> Option<&Row> {
        self.0.get(&start)
    }

    pub(super) fn set(&mut self, start: u128, row: Option<Row>) {
        match row {
            Some(row) => self.0.insert(start, row),
            None => self.0.remove(&start),
        };
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u128, &Row)> {
        self.0.iter().map(|(start, row)| (*start, row))
    }

    /// What a row stands for: up to its end, or to the next row.
    pub(super) fn span(&self, start: u128) -> Option<Range<u128>> {
        let row = self.0.get(&start)?;
        Some(
            start..self.0.range(start + 1..).next().map_or(row.end, |(next, _)| row.end.min(*next)),
        )
    }

    /// The range that a number is in.
    pub(super) fn of(&self, n: u128) -> Option<(u128, &Row)> {
        let (start, row) = self.0.range(..=n).next_back()?;
        (n < row.end).then_some((*start, row))
    }

    /// The ranges that a node decides about.
    pub(super) fn held_by(&self, node: NodeId) -> impl Iterator<Item = (u128, &Row)> {
        self.iter().filter(move |(_, row)| row.holder == node)
    }

    /// Everyone who gives numbers, with the bits of how much is free, most first.
    pub(super) fn holders(&self) -> Vec<(NodeId, u128)> {
        let mut free: BTreeMap<NodeId, u128> = BTreeMap::new();
        for row in self.0.values().filter(|row| row.state == State::Held) {
            let most = 1_u128.checked_shl(u32::from(row.free_bits)).unwrap_or(u128::MAX);
            let sum = free.entry(row.holder).or_insert(0);
            *sum = sum.saturating_add(most - 1);
        }
        let mut holders: Vec<(NodeId, u128)> = free.into_iter().collect();
        holders.sort_by_key(|(node, free)| (core::cmp::Reverse(*free), *node));
        holders
    }

    /// Whether a range is on its way from one node to another.
    pub(super) fn is_moving(&self) -> bool {
        self.0.values().any(|row| row.state != State::Held)
    }

    /// Rows that begin behind the first number of `within`, and inside of it.
    pub(super) fn inside(&self, within: Range<u128>) -> Vec<u128> {
        let behind = within.start.saturating_add(1)..within.end.max(within.start.saturating_add(1));
        self.0.range(behind).map(|(start, _)| *start).collect()
    }

    /// Who claims the first number of a range besides its own row.
    pub(super) fn covered_by(&self, start: u128) -> Option<NodeId> {
        let (_, before) = self.0.range(..start).next_back()?;
        (before.end > start).then_some(before.holder)
    }

    /// How far the row before a range claims, if that is into it.
    pub(super) fn covered_until(&self, start: u128) -> Option<u128> {
        let (_, before) = self.0.range(..start).next_back()?;
        (before.end > start).then_some(before.end)
    }

    /// Stretches of the space that no row stands for.
    pub(super) fn holes(&self, size: u128) -> Vec<Range<u128>> {
        let mut at = 0;
        let mut holes = Vec::new();
        for start in self.0.keys() {
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
