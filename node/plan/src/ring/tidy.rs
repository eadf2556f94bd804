//! Keeping the table small and its hints right: neighbouring ranges of one holder become one, and small ones
//! that lie idle go to a neighbour, so that the number of ranges follows what is in use.

use alloc::vec::Vec;
use core::ops::Range;

use netdb_gossip_core::{identity::NodeId, time::Time};

use super::{Ring, State, grant::Then};

/// The most ranges that are joined, or given to a neighbour, in one go.
const AT_ONCE: usize = 16;
/// A range is small below this part of what a node may expect.
const SMALL_PART: u128 = 4;

impl Ring {
    pub(super) fn tidy(&mut self, now: Time) {
        if !self.synced || self.leaving {
            return;
        }
        self.join_neighbours();
        self.give_idle_away(now);
        self.refresh_hints();
        let wanting = self.numbers.given() > 0 && self.free() == 0;
        let hopeful = self.ranges.holders().next().is_some_and(|(_, free)| free > 0);
        if wanting && hopeful {
            self.acquire(now);
        }
    }

    /// The left one is written longer; once that is on disk, the right one is deleted.
    fn join_neighbours(&mut self) {
        for _ in 0..AT_ONCE {
            let mine: Vec<(u128, Range<u128>)> = self.usable().collect();
            let pair = mine.iter().zip(mine.iter().skip(1)).find(|(l, r)| l.1.end == r.0);
            let Some(((left, joined), (right, other))) = pair else { return };
            let version = [left, right].into_iter().filter_map(|start| self.ranges.get(*start));
            let version = version.map(|row| row.version).max().unwrap_or(0) + 1;
            let row = self.held(joined.start..other.end, version);
            let (left, right) = (*left, *right);
            let id = self.write(left, Some(row));
            self.then.insert(id, Then::Delete { left, right });
        }
    }

    /// A small range in which nothing is in use goes to a neighbour, who joins it with its own.
    fn give_idle_away(&mut self, now: Time) {
        let small = self.fair_share() / SMALL_PART;
        let idle: Vec<(u128, Range<u128>)> = self
            .usable()
            .filter(|(_, span)| span.end - span.start <= small.max(1))
            .filter(|(_, span)| {
                self.numbers.used_in(span.clone()) == 0 && !self.numbers.rests_in(span)
            })
            .collect();
        self.idle_since.retain(|start, _| idle.iter().any(|(idle, _)| idle == start));
        let mut given = 0;
        for (start, span) in idle {
            let since = *self.idle_since.entry(start).or_insert(now);
            if since + self.config.rest > now || given >= AT_ONCE {
                continue;
            }
            if let Some(to) = self.neighbour(&span) {
                given += 1;
                self.promise(start, span, to);
            }
        }
    }

    /// A live node that holds what is next to a range.
    fn neighbour(&self, span: &Range<u128>) -> Option<NodeId> {
        let before = span.start.checked_sub(1).and_then(|n| self.ranges.of(n));
        let after = self.ranges.of(span.end);
        [before, after]
            .into_iter()
            .flatten()
            .filter(|(_, row)| row.state == State::Held && self.is_alive(row.holder))
            .map(|(_, row)| row.holder)
            .next()
    }

    /// Rows say about how much is free; they are written again when that is off by a factor of four or more,
    /// or when another row has come to stand inside of one.
    fn refresh_hints(&mut self) {
        let stale: Vec<u128> = self
            .usable()
            .filter(|(start, span)| {
                let Some(row) = self.ranges.get(*start) else { return false };
                let (said, is) = (row.free_bits, self.free_bits(span));
                said.abs_diff(is) >= 2 || (said == 0) != (is == 0) || row.end != span.end
            })
            .map(|(start, _)| start)
            .take(AT_ONCE)
            .collect();
        for start in stale {
            self.write_anew(start);
        }
    }
}
