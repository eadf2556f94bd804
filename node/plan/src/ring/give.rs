//! Requests for numbers: given from what this node holds, or waiting for more, or refused.

use netdb_gossip_core::{identity::NodeId, time::Time};

use super::{Figures, Output, Refusal, Ring, Share, State, Usage, Wish};
use crate::usage::Report;

/// The most requests that may wait; more are refused.
pub const MAX_WAITING: usize = 1024;

/// Somebody waits for a number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) wish: Wish,
    pub(super) deadline: Time,
    /// For an exact one: when to ask its holder (again); `None` while one is asked.
    pub(super) ask_at: Option<Time>,
}

impl Ring {
    /// Asks for a number. The answer is an output, at once or after at most the configured patience.
    pub fn take(&mut self, now: Time, wish: Wish) -> u64 {
        let id = self.number();
        self.numbers.wake(now);
        if self.leaving {
            self.refuse(id, Refusal::Leaving);
        } else if let Some(why) = self.impossible(wish) {
            self.refuse(id, why);
        } else if self.requests.len() >= MAX_WAITING {
            self.refuse(id, Refusal::Busy);
        } else {
            let deadline = now + self.config.patience;
            self.requests.insert(id, Request { wish, deadline, ask_at: Some(now) });
            self.tend(now);
        }
        id
    }

    /// A number that was given is given back; it rests a while. False if it was not given by this node.
    pub fn release(&mut self, now: Time, number: u128) -> bool {
        self.numbers.release(number, now + self.config.rest)
    }

    /// A number that this node gave before it started, and that is still in use.
    pub fn keep(&mut self, number: u128) {
        if number < self.space.size() {
            self.numbers.give(number);
        }
    }

    /// Sees to it that this node has something to give before it is asked to.
    pub fn acquire(&mut self, now: Time) {
        if !self.leaving && self.free() == 0 {
            self.begin_hunt(now);
            self.tend(now);
        }
    }

    /// What this node could give now to who names no number.
    pub fn free(&self) -> u128 {
        self.usable().map(|(_, span)| self.numbers.busy().free(self.in_window(&span))).sum()
    }

    /// Who holds how much of the space, and how much is in use, as far as this node knows.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage { total: self.figures(), ..Usage::default() };
        for (start, row) in self.ranges.iter() {
            let Some(span) = self.ranges.span(start) else { continue };
            let share: &mut Share = usage.holders.entry(row.holder).or_default();
            share.numbers += span.end - span.start;
            share.ranges += 1;
        }
        for user in self.numbers.users_in(self.space.window(), self.me) {
            *usage.users.entry(user).or_default() += 1;
        }
        let holes = self.ranges.holes(self.space.size());
        usage.holes = holes.into_iter().map(|hole| hole.end - hole.start).sum();
        usage
    }

    /// What this node says of its own part when it is asked.
    pub fn report(&self) -> Report {
        let users = self.numbers.users_in(self.space.window(), self.me);
        let used = count(users.filter(|user| *user == self.me).count());
        Report { used, free: self.free() }
    }

    /// How the space stands, as far as this node knows.
    pub fn figures(&self) -> Figures {
        let (mut here, mut elsewhere) = (0, 0);
        for (start, row) in self.ranges.iter() {
            let span = self.ranges.span(start).map(|span| self.in_window(&span));
            let held = span.map_or(0, |span| span.end.saturating_sub(span.start));
            *(if row.holder == self.me { &mut here } else { &mut elsewhere }) += held;
        }
        let used = count(self.numbers.used_in(self.space.window()));
        Figures { size: self.space.dynamic(), used, here, elsewhere }
    }

    /// Why a wish can't come true, whoever holds what.
    fn impossible(&self, wish: Wish) -> Option<Refusal> {
        let Wish::Exact(n) = wish else { return None };
        if n >= self.space.size() {
            return Some(Refusal::OutOfRange(self.space.size()));
        }
        if self.space.reserved().contains(&n) {
            return Some(Refusal::Reserved);
        }
        self.taken_by(n).map(Refusal::Taken)
    }

    /// Who uses a number, as far as this node knows.
    pub(super) fn taken_by(&self, n: u128) -> Option<NodeId> {
        if self.numbers.is_given(n) { Some(self.me) } else { self.numbers.user(n) }
    }

    /// Gives what can be given from what this node holds.
    pub(super) fn serve(&mut self, now: Time) {
        if !self.synced || self.requests.is_empty() {
            return;
        }
        let mut dry = false;
        let waiting: alloc::vec::Vec<(u64, Wish)> =
            self.requests.iter().map(|(id, request)| (*id, request.wish)).collect();
        for (request, wish) in waiting {
            if let Some(why) = self.impossible(wish) {
                self.refuse(request, why);
                continue;
            }
            let found = match wish {
                Wish::Any if dry => None,
                Wish::Any => self.lowest_free(),
                Wish::Exact(n) => Some(n).filter(|n| self.is_mine(*n)),
            };
            if let Some(number) = found {
                self.numbers.give(number);
                self.requests.remove(&request);
                self.outputs.push_back(Output::Given { request, number });
            } else if wish == Wish::Any {
                dry = true;
                self.begin_hunt(now);
            }
        }
    }

    fn lowest_free(&self) -> Option<u128> {
        let busy = self.numbers.busy();
        self.usable().find_map(|(_, span)| busy.first_gap(&self.in_window(&span)))
    }

    fn is_mine(&self, n: u128) -> bool {
        let range = self.ranges.of(n);
        range.is_some_and(|(start, row)| self.is_usable(start, row))
    }

    pub(super) fn refuse(&mut self, request: u64, why: Refusal) {
        self.requests.remove(&request);
        self.outputs.push_back(Output::Refused { request, why });
    }

    /// Requests whose time is over are refused, with what kept them waiting.
    pub(super) fn expire(&mut self, now: Time) {
        let over = self.requests.iter().filter(|(_, request)| request.deadline <= now);
        let over: alloc::vec::Vec<(u64, Wish)> =
            over.map(|(id, request)| (*id, request.wish)).collect();
        for (id, wish) in over {
            let why = match wish {
                _ if !self.synced => Refusal::NotSynced,
                Wish::Any => self.why_dry(),
                Wish::Exact(n) => match self.ranges.of(n) {
                    Some((_, row)) if row.holder == self.me => Refusal::Unsettled(self.figures()),
                    Some((_, row)) if row.state == State::Held => Refusal::HolderSilent(row.holder),
                    _ => Refusal::HolderUnknown,
                },
            };
            self.refuse(id, why);
        }
    }
}

fn count(count: usize) -> u128 {
    u128::try_from(count).unwrap_or(u128::MAX)
}
