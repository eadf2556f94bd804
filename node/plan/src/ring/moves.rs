//! Ranges on their way: the taker's side of a promise, reminders, and handing all over before leaving.

use alloc::vec::Vec;

use netdb_core::rendezvous;
use netdb_gossip_core::{identity::NodeId, time::Time};

use super::{Ask, Ring, Row, State, hunt::Purpose};

/// The most words that wait for their rows; of further ones the holder reminds later.
const MAX_WORDS: usize = 256;
/// The most questions of this kind that are open at one time.
const MAX_REMINDERS: usize = 64;

/// A holder says that a promise is on its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) from: NodeId,
    pub(super) version: u64,
    /// Something in the range was in use a moment ago.
    pub(super) rests: bool,
}

impl Ring {
    pub(super) fn hear_word(&mut self, start: u128, word: Word) {
        // A word that is behind what is known already is of a promise that was kept.
        let known = self.ranges.get(start).map_or(0, |row| row.version);
        let room = self.words.len() < MAX_WORDS || self.words.contains_key(&start);
        if word.version >= known && start < self.space.size() && room {
            self.words.insert(start, word);
        }
    }

    /// Takes what was promised to this node and vouched for.
    pub(super) fn take_promised(&mut self, now: Time) {
        if !self.synced || self.leaving {
            return;
        }
        let words: Vec<(u128, Word)> =
            self.words.iter().map(|(start, word)| (*start, *word)).collect();
        for (start, word) in words {
            let Some(row) = self.ranges.get(start) else { continue };
            if row.version > word.version {
                self.words.remove(&start);
            }
            let promised = row.state == State::Promised(self.me)
                && (row.holder, row.version) == (word.from, word.version);
            if promised && !self.unsettled.contains_key(&start) {
                self.words.remove(&start);
                // Its holder knew of no row in there: those are of before it joined them.
                for inner in self.ranges.inside(start..row.end) {
                    self.write(inner, None);
                }
                self.hold(start, now, word.rests);
            }
        }
    }

    /// This node holds a range from now on.
    pub(super) fn hold(&mut self, start: u128, now: Time, rests: bool) {
        let (Some(row), Some(span)) = (self.ranges.get(start), self.ranges.span(start)) else {
            return;
        };
        let row = self.held(span, row.version + 1);
        if rests {
            self.unripe.insert(start, now + self.config.rest);
        }
        self.write(start, Some(row));
    }

    /// What is due while something is under way.
    pub(super) fn tick(&mut self, now: Time) {
        self.expire(now);
        if !self.synced {
            return;
        }
        for (start, row) in core::mem::take(&mut self.again) {
            self.write(start, Some(row));
        }
        self.resolve_doubts(now);
        self.inherit(now);
        if self.leaving {
            self.hand_over();
        }
        self.remind();
        self.hunt_again(now);
        self.pursue(now);
    }

    /// A row of its own that this node does not remember was written in a life whose end its disk missed.
    /// Nobody has its word for a promise in it, so that is made again, or taken back if something of it was
    /// given since. If another node claims the numbers, that one is to decide first.
    fn resolve_doubts(&mut self, now: Time) {
        let doubts = core::mem::take(&mut self.doubtful);
        for start in doubts {
            let (Some(row), Some(span)) = (self.ranges.get(start), self.ranges.span(start)) else {
                continue;
            };
            if self.ranges.covered_by(start).is_some_and(|other| other != self.me) {
                self.doubtful.insert(start);
                continue;
            }
            // What this node claims behind it would be nobody's: the row that begins later counts.
            if let Some(hole) = self.hole_behind(start) {
                let version = row.version + 1;
                if !self.unsettled.contains_key(&hole.start) {
                    let rest = self.held(hole.clone(), version);
                    self.write(hole.start, Some(rest));
                }
                self.doubtful.insert(start);
                continue;
            }
            let given = self.numbers.given_in(span.clone()).next().is_some();
            let state = if given { State::Held } else { row.state.clone() };
            let version = row.version + 1;
            self.unripe.insert(start, now + self.config.rest);
            self.write(start, Some(Row { state, ..self.held(span, version) }));
        }
    }

    /// The numbers behind a row that the row before it claims, and no row stands for, or none that is on
    /// this node's disk.
    fn hole_behind(&self, start: u128) -> Option<core::ops::Range<u128>> {
        let end = self.ranges.span(start)?.end;
        let cover = self.ranges.covered_until(start).filter(|cover| *cover > end)?;
        match self.ranges.get(end) {
            Some(_) if self.unsettled.contains_key(&end) => Some(end..cover),
            Some(_) => None,
            None => Some(end..self.ranges.inside(end..cover).first().copied().unwrap_or(cover)),
        }
    }

    /// Tells takers of promises that are durable: the answer to their question may have been lost.
    fn remind(&mut self) {
        let due: Vec<(u128, NodeId, u64)> = self
            .ranges
            .held_by(self.me)
            .filter(|(start, _)| !self.unsettled.contains_key(start))
            .filter_map(|(start, row)| match row.state {
                State::Promised(to) if self.is_alive(to) => Some((start, to, row.version)),
                _ => None,
            })
            .filter(|(start, ..)| !self.is_reminded(*start))
            .take(MAX_REMINDERS)
            .collect();
        for (start, to, version) in due {
            let Some(span) = self.ranges.span(start).filter(|_| self.is_sure(start)) else {
                continue;
            };
            let rests = self.unripe.contains_key(&start)
                || self.numbers.rests_in(&span)
                || self.numbers.used_in(span) > 0;
            self.ask(to, Ask::Take { start, version, rests }, Purpose::Take(start));
        }
    }

    fn is_reminded(&self, start: u128) -> bool {
        self.asks.values().any(|(_, purpose)| *purpose == Purpose::Take(start))
    }

    /// This node is to leave: it gives nothing more and hands over all it holds, with the numbers of its own
    /// endpoints, which leave as well. Wait for [`is_drained`](Self::is_drained) before it goes; what is left
    /// then needs an administrator.
    pub fn leave(&mut self, now: Time) {
        self.leaving = true;
        self.hunt = None;
        let given: Vec<u128> = self.numbers.given_in(0..self.space.size()).collect();
        for number in given {
            self.release(now, number);
        }
        let waiting: Vec<u64> = self.requests.keys().copied().collect();
        for request in waiting {
            self.refuse(request, super::Refusal::Leaving);
        }
        self.tick(now);
    }

    /// Whether this node decides about no range any more.
    pub fn is_drained(&self) -> bool {
        self.holdings() == 0
    }

    /// How many ranges this node decides about.
    pub fn holdings(&self) -> usize {
        self.ranges.held_by(self.me).count()
    }

    /// Each range goes to one of the live nodes, by rendezvous hashing.
    fn hand_over(&mut self) {
        let here: Vec<NodeId> =
            self.members.iter().filter(|(_, since)| since.is_some()).map(|(n, _)| *n).collect();
        // Who takes what rests lets it rest anew, so that there is no waiting for it.
        let mine = self.ranges.held_by(self.me).filter(|(start, row)| self.is_settled(*start, row));
        let mine: Vec<(u128, core::ops::Range<u128>)> =
            mine.filter_map(|(start, _)| Some((start, self.ranges.span(start)?))).collect();
        for (start, span) in mine {
            if let Some(heir) = rendezvous::winner(&start.to_be_bytes(), here.iter().copied()) {
                self.promise(start, span, heir);
            }
        }
    }
}
