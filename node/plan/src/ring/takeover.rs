//! What a node held that is down for good goes to an heir, because an administrator says so.
//!
//! Must never let two nodes give from one range: all who take part name the same heir, and the heir waits
//! until everybody else has been here, and the tables at rest, for longer than a partition stays unnoticed.

use alloc::vec::Vec;
use core::ops::Range;

use netdb_core::rendezvous;
use netdb_gossip_core::{identity::NodeId, time::Time};

use super::{MAX_DOWN, Ring, Row, State, TakeoverError};

/// Who gets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heir {
    /// Of each range one of the nodes that are here, the same whoever asks.
    Anyone,
    /// This node, which is the old one installed anew.
    Me,
}

/// A range that waits for its heir to take it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// Whose it was.
    pub from: NodeId,
    /// Who is to have it.
    pub heir: NodeId,
    /// Its numbers.
    pub numbers: Range<u128>,
}

impl Ring {
    /// Takes over what these nodes held, all of which are down for good. How many ranges there were.
    ///
    /// Assumes that they are: what one of them gave without others hearing of it may be given again.
    /// Two administrators at once do no harm. One that comes back sees that it holds nothing.
    ///
    /// # Errors
    /// See [`TakeoverError`].
    pub fn reclaim(&mut self, down: &[NodeId], heir: Heir) -> Result<usize, TakeoverError> {
        let lost = self.lost_with(down)?;
        for (_, numbers) in &lost {
            self.pass_on(numbers.start, down, heir);
        }
        Ok(lost.len())
    }

    /// What [`reclaim`](Self::reclaim) would take over, and with which of the nodes each range is lost.
    ///
    /// # Errors
    /// See [`TakeoverError`].
    pub fn lost_with(&self, down: &[NodeId]) -> Result<Vec<(NodeId, Range<u128>)>, TakeoverError> {
        if !self.synced || self.leaving {
            return Err(TakeoverError::NotSynced);
        }
        if down.len() > MAX_DOWN {
            return Err(TakeoverError::TooMany);
        }
        if let Some(alive) = down.iter().find(|node| self.is_alive(**node) || **node == self.me) {
            return Err(TakeoverError::Alive(*alive));
        }
        let absent: Vec<NodeId> = self
            .members
            .iter()
            .filter(|(node, since)| since.is_none() && !down.contains(node))
            .map(|(node, _)| *node)
            .collect();
        if !absent.is_empty() {
            return Err(TakeoverError::Absent(absent));
        }
        let rows = self.ranges.iter();
        let lost =
            rows.filter_map(|(start, row)| Some((lost(row, down)?, self.ranges.span(start)?)));
        Ok(lost.collect())
    }

    /// The ranges that wait for their heirs.
    pub fn inherited(&self) -> impl Iterator<Item = Inherited> {
        self.ranges.iter().filter_map(|(start, row)| match row.state {
            State::Inherited { from, .. } => {
                Some(Inherited { from, heir: row.holder, numbers: self.ranges.span(start)? })
            }
            State::Held | State::Promised(_) => None,
        })
    }

    fn pass_on(&mut self, start: u128, down: &[NodeId], heir: Heir) {
        let (Some(row), Some(span)) = (self.ranges.get(start), self.ranges.span(start)) else {
            return;
        };
        let Some(from) = lost(row, down) else { return };
        let others = self.members.keys().filter(|node| !down.contains(node)).copied();
        let anyone = || rendezvous::winner(&start.to_be_bytes(), others.chain([self.me]));
        let holder = match heir {
            // What was promised to a node that is down stays where it is.
            _ if !down.contains(&row.holder) => row.holder,
            Heir::Me => self.me,
            Heir::Anyone => anyone().unwrap_or(self.me),
        };
        let state = State::Inherited { from, down: down.to_vec() };
        let (version, free_bits) = (row.version + 1, row.free_bits);
        self.write(start, Some(Row { end: span.end, version, holder, state, free_bits }));
    }

    /// An heir takes what has lain still for long enough while everybody was here.
    pub(super) fn inherit(&mut self, now: Time) {
        let ripe: Vec<u128> = self
            .ranges
            .held_by(self.me)
            .filter(|(start, _)| !self.unsettled.contains_key(start))
            .filter(|(start, row)| match &row.state {
                State::Inherited { down, .. } => self.has_settled(now, *start, row.version, down),
                _ => false,
            })
            .map(|(start, _)| start)
            .collect();
        for start in ripe {
            self.heir_since.remove(&start);
            self.hold(start, now, true);
        }
        // Rows that were on the disk at the start, or written by this node itself, are seen from now on.
        let fresh: Vec<(u128, u64)> = self
            .ranges
            .held_by(self.me)
            .filter(|(_, row)| matches!(row.state, State::Inherited { .. }))
            .filter(|(start, row)| {
                self.heir_since.get(start).is_none_or(|(version, _)| *version != row.version)
            })
            .map(|(start, row)| (start, row.version))
            .collect();
        for (start, version) in fresh {
            self.heir_since.insert(start, (version, now));
        }
    }

    fn has_settled(&self, now: Time, start: u128, version: u64, down: &[NodeId]) -> bool {
        let long_ago = |since: Time| since + self.config.settle <= now;
        let seen = self.heir_since.get(&start);
        seen.is_some_and(|(known, since)| *known == version && long_ago(*since))
            && self
                .members
                .iter()
                .filter(|(node, _)| !down.contains(node))
                .all(|(_, since)| since.is_some_and(long_ago))
    }
}

/// Which of these nodes a range is lost with, if it is.
fn lost(row: &Row, down: &[NodeId]) -> Option<NodeId> {
    let promised = match &row.state {
        State::Promised(to) => Some(*to),
        State::Held | State::Inherited { .. } => None,
    };
    [Some(row.holder), promised].into_iter().flatten().find(|node| down.contains(node))
}
