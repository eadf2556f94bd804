//! Who may give which number: a ring of ranges that needs no majority, so that no number is given twice.
//!
//! One [`Ring`] is one node's part in one space: the addresses of a subnet, the subnets of a pool, VNIs. A
//! range is a row of a `Cluster` table, and only its holder gives from it. These rules keep a number from
//! being given twice, whatever is lost, cut off or killed:
//!
//! 1. *One decides.* A row is raised by its holder alone, who has the standing row before it and so stamps
//!    above it. What it gives away is free, and it gives none of it from then on.
//! 2. *A promise, then a word.* A range moves in two writes. The holder promises it; when that is on its
//!    disk, and only then, it says so to the taker, who writes that it holds the range, and gives once that is
//!    on its own disk. Rows travel before they are durable, so without the word a holder that is killed at the
//!    wrong moment would not know of the promise that the taker relies on.
//! 3. *A row reaches to its end or to the next row*, so a promise is one row, and atomic; the end written in
//!    it is its holder's knowledge, so that a row that has not arrived yet does not make it longer. What takes
//!    two rows is done one after the other, each on disk before the next, so that nothing is lost in between.
//! 4. *Whoever starts, listens first.* A disk may be an old copy. Nothing is given and no row is written
//!    before [`Ring::handle_synced`].
//! 5. *What is taken over rests.* An heir waits until all that are not called down have been here for a while
//!    and the tables are at rest, then accepts; what endpoints still name stays reserved.

mod give;
mod grant;
mod hunt;
mod io;
mod message;
mod moves;
mod numbers;
mod ranges;
mod row;
mod runs;
mod space;
mod takeover;
#[cfg(test)]
mod tests;
mod tidy;

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use core::{ops::Range, time::Duration};

use netdb_gossip_core::identity::NodeId;
pub use netdb_gossip_core::time::Time;

pub use self::{
    give::MAX_WAITING,
    grant::MAX_ROWS,
    io::{Figures, Output, Refusal, Share, TakeoverError, Usage, Wish},
    message::{Ask, Reply},
    row::{MAX_DOWN, MAX_SPACE_ID, Row, State, key, parse_key},
    space::{Config, DEFAULT_REST, MAX_RESERVED, Space, SpaceError},
    takeover::{Heir, Inherited},
};
use self::{
    give::Request,
    grant::Then,
    hunt::{Hunt, Purpose},
    moves::Word,
    numbers::Numbers,
    ranges::Ranges,
};

/// How often what is under way is looked after.
const TICK: Duration = Duration::from_millis(200);
/// How often a quiet ring is looked after.
const TIDY: Duration = Duration::from_secs(10);

/// One node's part in one space. See the module's documentation for the rules.
///
/// # Contract
///
/// The owner hands in what the table shows, what was written, asked and answered, and time. After every
/// call that takes `&mut self` it drains [`poll_output`](Self::poll_output), does what each output says in
/// that order, and then asks [`poll_timeout`](Self::poll_timeout) when to call
/// [`handle_timeout`](Self::handle_timeout) at the latest. Nothing that a peer sends makes a call fail.
#[derive(Debug)]
pub struct Ring {
    me: NodeId,
    space: Space,
    config: Config,
    ranges: Ranges,
    numbers: Numbers,
    synced: bool,
    leaving: bool,
    /// All other nodes that are admitted, and since when those are alive that are.
    members: BTreeMap<NodeId, Option<Time>>,
    /// Own writes that are not durable yet, by row.
    unsettled: BTreeMap<u128, u64>,
    /// Rows of those writes, by write.
    writes: BTreeMap<u64, (u128, Option<Row>)>,
    /// Rows that the table did not take.
    again: BTreeMap<u128, Row>,
    /// What follows a write once it is durable.
    then: BTreeMap<u64, Then>,
    /// Words that holders gave to this node, by the first number of the range.
    words: BTreeMap<u128, Word>,
    /// Who waits for a promise to be durable.
    awaited: BTreeMap<u128, Vec<u64>>,
    /// Rows that this node wrote, as they say, and does not remember.
    doubtful: BTreeSet<u128>,
    /// Ranges that were in use at another node a while ago, and when that is over.
    unripe: BTreeMap<u128, Time>,
    /// Since when this node sees itself as the heir of a range, at which version.
    heir_since: BTreeMap<u128, (u64, Time)>,
    /// Since when small ranges lie idle.
    idle_since: BTreeMap<u128, Time>,
    asks: BTreeMap<u64, (NodeId, Purpose)>,
    requests: BTreeMap<u64, Request>,
    hunt: Option<Hunt>,
    outputs: VecDeque<Output>,
    next_id: u64,
    ticked: Time,
    tidied: Time,
}

impl Ring {
    /// A ring with the rows that are on this node's disk. It gives nothing before
    /// [`handle_synced`](Self::handle_synced).
    pub fn new(
        me: NodeId,
        space: Space,
        config: Config,
        now: Time,
        rows: impl IntoIterator<Item = (u128, Row)>,
    ) -> Self {
        let numbers = Numbers::new(space.reserved());
        let mut ring = Self {
            me,
            space,
            config,
            ranges: Ranges::default(),
            numbers,
            synced: false,
            leaving: false,
            members: BTreeMap::new(),
            unsettled: BTreeMap::new(),
            writes: BTreeMap::new(),
            again: BTreeMap::new(),
            then: BTreeMap::new(),
            words: BTreeMap::new(),
            awaited: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            unripe: BTreeMap::new(),
            heir_since: BTreeMap::new(),
            idle_since: BTreeMap::new(),
            asks: BTreeMap::new(),
            requests: BTreeMap::new(),
            hunt: None,
            outputs: VecDeque::new(),
            next_id: 0,
            ticked: now,
            tidied: now,
        };
        for (start, row) in rows {
            if ring.makes_sense(start, &row) {
                ring.ranges.set(start, Some(row));
            }
        }
        // It may have been doubtful before.
        let claimed = |start: &u128| ring.ranges.covered_by(*start).is_some_and(|by| by != me);
        ring.doubtful = ring.ranges.held_by(me).map(|(start, _)| start).filter(claimed).collect();
        ring
    }

    /// This node makes the space: all of it is its own.
    pub fn found(&mut self) {
        if self.ranges.len() == 0 {
            let row = self.held(0..self.space.size(), 1);
            self.write(0, Some(row));
        }
    }

    /// The table shows another row than before, by whoever's write: `row` as it is shown now.
    pub fn handle_row(&mut self, now: Time, start: u128, row: Option<Row>) {
        // What this node has just written may not be shown yet; when it is durable, it is looked at again.
        let known = self.ranges.get(start).map_or(0, |known| known.version);
        let older = row.as_ref().is_none_or(|row| row.version < known);
        if !(self.unsettled.contains_key(&start) && older) {
            self.take_row(now, start, row);
        }
        self.tend(now);
    }

    fn take_row(&mut self, now: Time, start: u128, row: Option<Row>) {
        let row = row.filter(|row| self.makes_sense(start, row));
        if self.ranges.get(start) == row.as_ref() {
            return;
        }
        self.idle_since.remove(&start);
        self.doubtful.remove(&start);
        if let Some(Row { holder, state, version, .. }) = &row
            && *holder == self.me
        {
            if matches!(state, State::Inherited { .. }) {
                self.heir_since.insert(start, (*version, now));
            } else {
                self.doubtful.insert(start);
            }
        }
        if let Some(row) = row.as_ref().filter(|row| row.free_bits > 0) {
            self.hunt_anew(row.holder);
        }
        self.ranges.set(start, row);
    }

    fn makes_sense(&self, start: u128, row: &Row) -> bool {
        start < row.end && row.end <= self.space.size()
    }

    /// A write is durable; `shown` is what the table shows of its row by now.
    pub fn handle_written(&mut self, now: Time, id: u64, shown: Option<Row>) {
        let Some((start, _)) = self.writes.remove(&id) else { return };
        let then = self.then.remove(&id);
        if self.unsettled.get(&start) != Some(&id) {
            return self.abandon(then);
        }
        self.unsettled.remove(&start);
        self.take_row(now, start, shown);
        if let Some(then) = then {
            self.go_on(start, then);
        }
        self.speak(start);
        self.hunt_on();
        self.tend(now);
    }

    /// A write was not made; `shown` is what the table shows of its row.
    pub fn handle_refused(&mut self, now: Time, id: u64, shown: Option<Row>) {
        let Some((start, wanted)) = self.writes.remove(&id) else { return };
        let then = self.then.remove(&id);
        self.abandon(then);
        if self.unsettled.get(&start) == Some(&id) {
            self.unsettled.remove(&start);
            // What is behind a promise must not be without a row.
            if let Some(row) = wanted.filter(|_| shown.is_none()) {
                self.again.insert(start, row);
            }
            self.take_row(now, start, shown);
            for handle in self.awaited.remove(&start).unwrap_or_default() {
                self.reply(handle, Reply::Later);
            }
        }
    }

    /// The table is in sync with a peer's; or there never was another node. Every row was handed in.
    pub fn handle_synced(&mut self, now: Time) {
        self.synced = true;
        self.tend(now);
    }

    /// This node's disk turned out to be an old copy: nothing is given until it is in sync again.
    pub fn handle_reborn(&mut self) {
        self.synced = false;
    }

    /// All other nodes that are admitted to the cluster, and whether each is alive.
    pub fn handle_members(&mut self, now: Time, members: impl IntoIterator<Item = (NodeId, bool)>) {
        let before = core::mem::take(&mut self.members);
        let others = members.into_iter().filter(|(node, _)| *node != self.me);
        self.members = others
            .map(|(node, alive)| {
                let since = before.get(&node).copied().flatten();
                (node, alive.then(|| since.unwrap_or(now)))
            })
            .collect();
    }

    /// An endpoint somewhere names a number (`user` is its node), or the last that did is gone.
    pub fn handle_user(&mut self, now: Time, number: u128, user: Option<NodeId>) {
        if number >= self.space.size() {
            return;
        }
        let before = self.numbers.set_user(number, user);
        if before.is_some() && user.is_none() {
            self.numbers.rest(number, now + self.config.rest);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.ticked = now;
        self.tend(now);
        self.tick(now);
        if now >= self.tidied + TIDY {
            self.tidied = now;
            self.tidy(now);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest.
    pub fn poll_timeout(&self) -> Time {
        let busy = !self.requests.is_empty()
            || self.hunt.is_some()
            || self.leaving
            || !self.doubtful.is_empty()
            || !self.again.is_empty()
            || self.ranges.held_by(self.me).any(|(_, row)| row.state != State::Held);
        if busy { (self.ticked + TICK).min(self.tidied + TIDY) } else { self.tidied + TIDY }
    }

    /// What to do next; `None` when everything was said.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// All rows as this node knows them.
    pub fn rows(&self) -> impl Iterator<Item = (u128, &Row)> {
        self.ranges.iter()
    }

    /// What happens whenever anything changed: what was waited for may have come.
    fn tend(&mut self, now: Time) {
        self.numbers.wake(now);
        self.unripe.retain(|_, until| *until > now);
        self.take_promised(now);
        self.serve(now);
        self.pursue(now);
    }

    /// Writes a row, and takes it for written here at once.
    fn write(&mut self, start: u128, row: Option<Row>) -> u64 {
        let id = self.number();
        self.writes.insert(id, (start, row.clone()));
        self.unsettled.insert(start, id);
        self.doubtful.remove(&start);
        self.again.remove(&start);
        self.idle_since.remove(&start);
        self.ranges.set(start, row.clone());
        self.outputs.push_back(Output::Write { id, start, row });
        id
    }

    fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn reply(&mut self, handle: u64, reply: Reply) {
        self.outputs.push_back(Output::Reply { handle, bytes: reply.encode() });
    }

    /// The row of a range that this node gives from.
    fn held(&self, span: Range<u128>, version: u64) -> Row {
        let free_bits = self.free_bits(&span);
        Row { end: span.end, version, holder: self.me, state: State::Held, free_bits }
    }

    fn in_window(&self, span: &Range<u128>) -> Range<u128> {
        let window = self.space.window();
        span.start.max(window.start)..span.end.min(window.end)
    }

    fn free_bits(&self, span: &Range<u128>) -> u8 {
        let free = self.numbers.busy().free(self.in_window(span));
        u8::try_from(u128::BITS - free.leading_zeros()).unwrap_or(u8::MAX)
    }

    /// Whether this node may give from a range of its own now.
    fn is_usable(&self, start: u128, row: &Row) -> bool {
        self.is_settled(start, row) && !self.unripe.contains_key(&start)
    }

    /// The same, but for what still rests in it.
    fn is_settled(&self, start: u128, row: &Row) -> bool {
        self.synced
            && row.holder == self.me
            && row.state == State::Held
            && !self.unsettled.contains_key(&start)
            && !self.doubtful.contains(&start)
            && !self.then.values().any(|then| then.concerns(start))
    }

    /// The ranges that this node may give from now.
    fn usable(&self) -> impl Iterator<Item = (u128, Range<u128>)> {
        self.ranges
            .held_by(self.me)
            .filter(|(start, row)| self.is_usable(*start, row))
            .filter_map(|(start, _)| Some((start, self.ranges.span(start)?)))
    }

    fn is_alive(&self, node: NodeId) -> bool {
        self.members.get(&node).is_some_and(Option::is_some)
    }
}
