//! The holder's side: what is promised to who asks, and when the word is given.

use core::ops::Range;

use netdb_gossip_core::{identity::NodeId, time::Time};

use super::{Ask, Reply, Ring, Row, State, moves::Word};

/// With so many ranges in a space none is split further; whole ones still move.
pub const MAX_ROWS: usize = 65_536;
/// What follows a write once it is durable. Meanwhile nothing is given from the ranges concerned.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// What is behind the piece has a row: promise the piece.
    Promise { start: u128, piece: Range<u128>, to: NodeId },
    /// The end of a range is promised: it is shorter.
    Shrink { start: u128 },
    /// The left range is written as long as both: delete the right one.
    Delete { left: u128, right: u128 },
}

impl Then {
    pub(super) fn concerns(&self, row: u128) -> bool {
        match self {
            Self::Promise { start, .. } | Self::Shrink { start } => *start == row,
            Self::Delete { left, right } => *left == row || *right == row,
        }
    }

    fn promises(&self, row: u128) -> bool {
        matches!(self, Self::Promise { piece, .. } if piece.start == row)
    }

    fn planned_for(&self, node: NodeId) -> Option<Range<u128>> {
        match self {
            Self::Promise { piece, to, .. } if *to == node => Some(piece.clone()),
            _ => None,
        }
    }
}

/// The most that may wait for one promise to be durable.
const MAX_AWAITED: usize = 16;

impl Ring {
    /// Another node asks. The answer is an output with this handle, at once or when a promise is durable.
    pub fn handle_ask(&mut self, now: Time, from: NodeId, bytes: &[u8], handle: u64) {
        self.numbers.wake(now);
        let Ok(ask) = Ask::decode(bytes) else { return self.reply(handle, Reply::NotMine) };
        match ask {
            Ask::Take { start, version, rests } => {
                self.hear_word(start, Word { from, version, rests });
                self.reply(handle, Reply::Heard);
            }
            _ if !self.synced || self.leaving => self.reply(handle, Reply::Later),
            Ask::Share(most) => self.grant_share(from, most.max(1), handle),
            Ask::Exact(n) => self.grant_exact(from, n, handle),
        }
        self.tend(now);
    }

    fn grant_share(&mut self, to: NodeId, most: u128, handle: u64) {
        // Who asks again has not heard the answer, or not yet taken what it was promised.
        let promised = self.promised_to(to).find(|span| !self.in_window(span).is_empty());
        if let Some(span) = promised {
            return self.give_word(span.start, handle);
        }
        let Some((start, piece)) = self.spare(most) else {
            // What rests or is on its way may be free soon.
            let soon = self.usable().any(|(_, span)| self.numbers.rests_in(&self.in_window(&span)))
                || !self.unripe.is_empty()
                || !self.unsettled.is_empty()
                || self.ranges.held_by(self.me).any(|(_, row)| row.state != State::Held)
                || self.is_promised_something();
            return self.reply(handle, if soon { Reply::Later } else { Reply::Nothing });
        };
        let at = piece.start;
        self.promise(start, piece, to);
        self.give_word(at, handle);
    }

    fn grant_exact(&mut self, to: NodeId, n: u128, handle: u64) {
        let of = self.promised_to(to).find(|span| span.contains(&n));
        if let Some(span) = of {
            return self.give_word(span.start, handle);
        }
        let range = self.ranges.of(n).map(|(start, row)| (start, row.holder));
        let Some((start, _)) = range.filter(|(_, holder)| *holder == self.me) else {
            return self.reply(handle, Reply::NotMine);
        };
        if let Some(by) = self.taken_by(n) {
            return self.reply(handle, Reply::Taken(by));
        }
        let usable = self.ranges.get(start).is_some_and(|row| self.is_usable(start, row));
        if !usable || self.space.reserved().contains(&n) || self.ranges.len() >= MAX_ROWS {
            return self.reply(handle, Reply::Later);
        }
        self.promise(start, n..n + 1, to);
        self.give_word(n, handle);
    }

    fn promised_to(&self, to: NodeId) -> impl Iterator<Item = Range<u128>> {
        let planned = self.then.values().filter_map(move |then| then.planned_for(to));
        let promised =
            self.ranges.held_by(self.me).filter(move |(_, row)| row.state == State::Promised(to));
        planned.chain(promised.filter_map(|(start, _)| self.ranges.span(start)))
    }

    fn is_promised_something(&self) -> bool {
        self.ranges.moving().any(|(_, row)| row.state == State::Promised(self.me))
    }

    /// What is given away: the upper half of the longest stretch of free numbers, at most `most`. Nothing in it
    /// is in use, so nobody has to be told later what becomes free.
    fn spare(&self, most: u128) -> Option<(u128, Range<u128>)> {
        let whole = self.ranges.len() >= MAX_ROWS;
        let gaps = self.usable().flat_map(|(start, span)| {
            let gaps = self.numbers.busy().gaps(self.in_window(&span));
            gaps.map(move |gap| (start, span.clone(), gap))
        });
        // A range that nobody may split goes as a whole, or not at all.
        let gaps = gaps.filter(|(_, span, gap)| !whole || span == gap);
        let longest = gaps.max_by_key(|(_, _, gap)| gap.end - gap.start);
        longest.map(|(start, _, gap)| {
            let half = if whole { u128::MAX } else { (gap.end - gap.start).div_ceil(2).min(most) };
            (start, gap.end.saturating_sub(half).max(gap.start)..gap.end)
        })
    }

    /// Promises a part of a range of this node. What is behind it gets a row of its own before, so that all
    /// of the range has a holder at any time, whatever of it is lost with this node.
    pub(super) fn promise(&mut self, start: u128, piece: Range<u128>, to: NodeId) {
        let (Some(row), Some(span)) = (self.ranges.get(start), self.ranges.span(start)) else {
            return;
        };
        let version = row.version + 1;
        if piece.end < span.end {
            let rest = self.held(piece.end..span.end, version);
            let id = self.write(piece.end, Some(rest));
            self.then.insert(id, Then::Promise { start, piece, to });
        } else {
            let promise = Row { state: State::Promised(to), ..self.held(piece.clone(), version) };
            let id = self.write(piece.start, Some(promise));
            self.then.insert(id, Then::Shrink { start });
        }
    }

    /// A write is durable: what follows it.
    pub(super) fn go_on(&mut self, written: u128, then: Then) {
        match then {
            Then::Promise { start, piece, to } => {
                let ends = self.ranges.span(start).is_some_and(|span| span.end == piece.end);
                if ends && self.ranges.get(start).is_some_and(|row| self.is_usable(start, row)) {
                    self.promise(start, piece, to);
                } else {
                    self.speak(piece.start);
                }
            }
            // What is left of a range says so itself: then no row in it is taken for a part of it.
            Then::Shrink { start } if start != written => self.write_anew(start),
            Then::Shrink { .. } => {}
            Then::Delete { left, right } => {
                let joined = self.ranges.get(left).is_some_and(|row| {
                    self.is_usable(left, row)
                        && self.ranges.span(left).is_some_and(|span| span.end == right)
                        && self.ranges.span(right).is_some_and(|span| span.end == row.end)
                });
                if joined && self.ranges.get(right).is_some_and(|row| self.is_usable(right, row)) {
                    self.write(right, None);
                }
            }
        }
    }

    /// What was to follow a write does not come.
    pub(super) fn abandon(&mut self, then: Option<Then>) {
        if let Some(Then::Promise { piece, .. }) = then {
            self.speak(piece.start);
        }
    }

    /// Writes a range of this node as it is.
    pub(super) fn write_anew(&mut self, start: u128) {
        let (Some(row), Some(span)) = (self.ranges.get(start), self.ranges.span(start)) else {
            return;
        };
        if self.is_usable(start, row) {
            let row = self.held(span, row.version + 1);
            self.write(start, Some(row));
        }
    }

    /// Answers that a promise is durable, now or when it is.
    fn give_word(&mut self, start: u128, handle: u64) {
        let planned = self.then.values().any(|then| then.promises(start));
        if !planned && !self.unsettled.contains_key(&start) {
            return self.say_word(start, handle);
        }
        let awaited = self.awaited.entry(start).or_default();
        if awaited.len() < MAX_AWAITED {
            awaited.push(handle);
        } else {
            self.reply(handle, Reply::Later);
        }
    }

    /// A write of this node is durable: who waited for it is told.
    pub(super) fn speak(&mut self, start: u128) {
        if self.then.values().any(|then| then.promises(start)) {
            return;
        }
        for handle in self.awaited.remove(&start).unwrap_or_default() {
            self.say_word(start, handle);
        }
    }

    /// Whether a promise is vouched for: this node remembers it, or it was on its disk when it started and
    /// nothing of it was given. Who has the word for one never sees it broken: nothing is given after that.
    pub(super) fn is_sure(&mut self, start: u128) -> bool {
        let Some(span) = self.ranges.span(start) else { return false };
        if self.numbers.given_in(span).next().is_some() {
            self.doubtful.insert(start);
        }
        !self.doubtful.contains(&start)
    }

    fn say_word(&mut self, start: u128, handle: u64) {
        let promise = self
            .ranges
            .get(start)
            .cloned()
            .filter(|row| row.holder == self.me && matches!(row.state, State::Promised(_)));
        let reply = match promise {
            Some(row) if self.is_sure(start) => Reply::Word { start, version: row.version },
            _ => Reply::Later,
        };
        self.reply(handle, reply);
    }
}
