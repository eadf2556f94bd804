//! A host's part in giving numbers away: a ring above its node, the table and the requests below it.
//!
//! What a real daemon does around [`Ring`]: rows go into a `Cluster` table of the cluster network, questions
//! travel as requests, what was given is kept on disk and shown as rows of its own. Knows nothing of who
//! should hold what.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use netdb_core::{
    entry::{Entry, Lifetime},
    node::{CLUSTER_NETWORK, MemberState, Node, Operation, WatchId, Write},
    view::Filter,
};
use netdb_gossip_core::{
    identity::{Name, NodeId},
    time::{Now, Time},
};
use netnode_plan::ring::{self, Config, Output, Refusal, Ring, Row, Space, Wish};

use super::{Sabotage, World};
use crate::{broken::Outcome, check::numbers::Numbers};

/// The table of ranges.
pub const RANGES: &str = "ranges";
/// The table of what is in use.
const USED: &str = "used";
/// The space's id, and the topic of requests.
const SPACE: &str = "space";
/// A node that was alone hears a peer's rows before it counts as in sync with it.
const HEARD: Duration = Duration::from_secs(5);

/// The ring of a running host.
#[derive(Debug)]
pub struct Keeper {
    ring: Ring,
    watch: WatchId,
    /// Requests of others, by the ring's handle.
    asked: BTreeMap<u64, (NodeId, u64)>,
    next_handle: u64,
    /// The ring's questions, by the node's number.
    asks: BTreeMap<u64, u64>,
    /// Writes that wait for a commit.
    writes: BTreeMap<u64, Vec<(u64, u128)>>,
    /// When each request was made, by world time.
    since: BTreeMap<u64, Time>,
    /// What is in use here and not shown yet.
    unpublished: BTreeSet<u128>,
    /// Since when a peer is here, while the ring waits to be in sync.
    peer_since: Option<Time>,
}

impl Keeper {
    /// The ring.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(crate) fn poll_timeout(&self) -> Time {
        self.ring.poll_timeout()
    }
}

fn name(text: &str) -> Option<Name> {
    Name::new(text).ok()
}

fn filter(table: Option<&str>) -> Filter {
    Filter {
        network: name(CLUSTER_NETWORK),
        table: table.and_then(name),
        include_failed: true,
        ..Filter::default()
    }
}

fn shown(node: &Node, start: u128) -> Option<Row> {
    let key = ring::key(SPACE.as_bytes(), start);
    // With the lifetime it is one row that is looked at, and not the table.
    let lifetime = Some(Lifetime::Cluster);
    let filter = Filter { prefix: key, lifetime, ..filter(Some(RANGES)) };
    let (_, row) = node.rows(&filter).into_iter().next()?;
    Row::decode(row.entry.value.as_ref()?).ok()
}

fn write(table: &str, lifetime: Lifetime, key: Vec<u8>, value: Option<Vec<u8>>) -> Option<Write> {
    let operation = if value.is_some() { Operation::Upsert } else { Operation::Delete };
    let (network, table) = (name(CLUSTER_NETWORK)?, name(table)?);
    let value = Arc::from(value.unwrap_or_default());
    Some(Write { network, table, lifetime, key, operation, value })
}

/// The number that a row of the table of what is in use names.
fn used_number(entry: &Entry) -> Option<u128> {
    (&*entry.row.table == USED)
        .then(|| (*entry.row.key).try_into().ok().map(u128::from_be_bytes))?
}

fn is_up(state: MemberState) -> bool {
    matches!(state, MemberState::Alive | MemberState::Suspect)
}

impl World {
    /// From now on numbers of a space are given; `founder` holds all of it at first.
    pub fn found_space(&mut self, founder: usize, space: Space) -> Outcome {
        self.numbers = Some(Numbers::new(space));
        for host in self.running() {
            self.keep_ring(host)?;
        }
        self.with_ring(founder, |ring, now| {
            ring.handle_synced(now.mono);
            ring.found();
        })
    }

    /// Starts the ring of a host whose node has just started.
    pub(crate) fn keep_ring(&mut self, host: usize) -> Outcome {
        let now = self.fabric.clocks(host);
        let Some(numbers) = &self.numbers else { return Ok(()) };
        let space = numbers.space().clone();
        let Some(entry) = self.hosts.get_mut(host) else { return Ok(()) };
        let Some(node) = entry.node.as_mut() else { return Ok(()) };
        let rows = node.rows(&filter(Some(RANGES)));
        let rows = rows.iter().filter_map(|(_, row)| {
            let (_, start) = ring::parse_key(&row.entry.row.key)?;
            Some((start, Row::decode(row.entry.value.as_ref()?).ok()?))
        });
        let mut ring = Ring::new(entry.id, space, Config::default(), now.mono, rows);
        let forgets = entry.sabotage == Some(Sabotage::ForgetsGiven);
        let known = if forgets { BTreeSet::new() } else { entry.given.clone() };
        for n in &known {
            ring.keep(*n);
        }
        entry.keeper = Some(Box::new(Keeper {
            ring,
            watch: node.watch(now, filter(None)),
            asked: BTreeMap::new(),
            next_handle: 0,
            asks: BTreeMap::new(),
            writes: BTreeMap::new(),
            since: BTreeMap::new(),
            unpublished: known,
            peer_since: None,
        }));
        self.poll_ring_watch(host);
        self.drain(host)
    }

    /// Calls the ring of a running host, and takes what it puts out.
    pub fn with_ring<T>(
        &mut self,
        host: usize,
        call: impl FnOnce(&mut Ring, Now) -> T,
    ) -> Outcome<T> {
        let now = self.fabric.clocks(host);
        let keeper = self.hosts.get_mut(host).and_then(|host| host.keeper.as_mut());
        let Some(keeper) = keeper else {
            return Err(self.broken(super::script::SCRIPT, format!("n{host} has no ring")));
        };
        let result = call(&mut keeper.ring, now);
        self.drain(host)?;
        Ok(result)
    }

    /// A host asks for a number, if it runs.
    pub fn take_number(&mut self, host: usize, wish: Wish) -> Outcome {
        self.tell_ring_members(host);
        let (now, world) = (self.fabric.clocks(host), self.now());
        let keeper = self.hosts.get_mut(host).and_then(|host| host.keeper.as_mut());
        let Some(keeper) = keeper else { return Ok(()) };
        let request = keeper.ring.take(now.mono, wish);
        keeper.since.insert(request, world);
        self.drain(host)
    }

    /// A host gives one of its numbers back, drawn from those in use there; false if there is none.
    pub fn release_number(&mut self, host: usize) -> Outcome<bool> {
        let given: Vec<u128> =
            self.hosts.get(host).map(|h| h.given.iter().copied().collect()).unwrap_or_default();
        let Some(n) = self.draws.pick(&given).copied() else { return Ok(false) };
        if !self.is_running(host) {
            return Ok(false);
        }
        let at = self.now();
        if let Some(numbers) = &mut self.numbers {
            numbers.released(n, at);
        }
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.given.remove(&n);
            // Shown later, it would be in use for ever, and by nobody.
            if let Some(keeper) = &mut entry.keeper {
                keeper.unpublished.remove(&n);
            }
        }
        let key = n.to_be_bytes().to_vec();
        if let Some(write) = write(USED, Lifetime::Owner, key, None) {
            // Not there yet is as good as gone.
            self.on(host, |node, now| node.write(now, &write).is_ok())?;
        }
        self.with_ring(host, |ring, now| ring.release(now.mono, n))
    }

    fn tell_ring_members(&mut self, host: usize) {
        let now = self.fabric.clocks(host);
        let Some(entry) = self.hosts.get_mut(host) else { return };
        let (Some(node), Some(keeper)) = (entry.node.as_ref(), entry.keeper.as_mut()) else {
            return;
        };
        let members: Vec<(NodeId, bool)> =
            node.states().map(|(id, state)| (id, is_up(state))).collect();
        let alone = !members.iter().any(|(id, up)| *up && *id != entry.id);
        keeper.ring.handle_members(now.mono, members);
        let synced = name(CLUSTER_NETWORK).is_some_and(|name| node.is_synced(&name));
        if alone || !synced {
            keeper.peer_since = None;
        } else if *keeper.peer_since.get_or_insert(now.mono) + HEARD <= now.mono {
            keeper.ring.handle_synced(now.mono);
        }
    }

    /// What is due at a host's ring.
    pub(crate) fn ring_due(&mut self, host: usize) {
        let now = self.fabric.clocks(host);
        let keeper = self.hosts.get(host).and_then(|host| host.keeper.as_ref());
        if keeper.is_none_or(|keeper| keeper.ring.poll_timeout() > now.mono) {
            return;
        }
        self.tell_ring_members(host);
        let Some(entry) = self.hosts.get_mut(host) else { return };
        let (Some(node), Some(keeper)) = (entry.node.as_mut(), entry.keeper.as_mut()) else {
            return;
        };
        for n in std::mem::take(&mut keeper.unpublished) {
            let value = Some(Vec::new());
            let row = write(USED, Lifetime::Owner, n.to_be_bytes().to_vec(), value);
            if row.is_none_or(|row| node.write(now, &row).is_err()) {
                keeper.unpublished.insert(n);
            }
        }
        keeper.ring.handle_timeout(now.mono);
    }

    pub(crate) fn ring_reborn(&mut self, host: usize) {
        let keeper = self.hosts.get_mut(host).and_then(|host| host.keeper.as_mut());
        if let Some(keeper) = keeper {
            keeper.ring.handle_reborn();
            keeper.peer_since = None;
        }
    }

    pub(crate) fn ring_written(&mut self, host: usize, commits: &[u64]) {
        let now = self.fabric.clocks(host);
        let Some(entry) = self.hosts.get_mut(host) else { return };
        let (Some(node), Some(keeper)) = (entry.node.as_ref(), entry.keeper.as_mut()) else {
            return;
        };
        let Some(last) = commits.iter().max() else { return };
        let later = keeper.writes.split_off(&(last + 1));
        for (id, start) in std::mem::replace(&mut keeper.writes, later).into_values().flatten() {
            keeper.ring.handle_written(now.mono, id, shown(node, start));
        }
    }

    pub(crate) fn ring_asked(&mut self, host: usize, from: NodeId, id: u64, body: &[u8]) {
        let now = self.fabric.clocks(host);
        let Some(entry) = self.hosts.get_mut(host) else { return };
        match (entry.keeper.as_mut(), entry.node.as_mut()) {
            (Some(keeper), _) => {
                keeper.next_handle += 1;
                keeper.asked.insert(keeper.next_handle, (from, id));
                keeper.ring.handle_ask(now.mono, from, body, keeper.next_handle);
            }
            (None, Some(node)) => node.respond(now, from, id, None),
            (None, None) => {}
        }
    }

    pub(crate) fn ring_answered(&mut self, host: usize, id: u64, answer: Option<&[u8]>) {
        let now = self.fabric.clocks(host);
        let keeper = self.hosts.get_mut(host).and_then(|host| host.keeper.as_mut());
        if let Some(keeper) = keeper
            && let Some(id) = keeper.asks.remove(&id)
        {
            keeper.ring.handle_answer(now.mono, id, answer);
        }
    }

    /// Shows the ring what changed in the tables.
    pub(crate) fn poll_ring_watch(&mut self, host: usize) {
        let now = self.fabric.clocks(host);
        let Some(entry) = self.hosts.get_mut(host) else { return };
        let (Some(node), Some(keeper)) = (entry.node.as_mut(), entry.keeper.as_mut()) else {
            return;
        };
        while let Some(event) = node.poll_watch(keeper.watch) {
            let Some(entry) = event.kind.entry() else { continue };
            if let Some(n) = used_number(entry) {
                let user = event.kind.standing().map(|standing| standing.row.owner);
                keeper.ring.handle_user(now.mono, n, user);
            } else if &*entry.row.table == RANGES
                && let Some((_, start)) = ring::parse_key(&entry.row.key)
            {
                keeper.ring.handle_row(now.mono, start, shown(node, start));
            }
        }
    }

    /// Does what the ring says; whether there was anything.
    pub(crate) fn drain_ring(&mut self, host: usize) -> Outcome<bool> {
        let now = self.fabric.clocks(host);
        let mut ends = Vec::new();
        let mut any = false;
        let Some(entry) = self.hosts.get_mut(host) else { return Ok(false) };
        let (Some(node), Some(keeper)) = (entry.node.as_mut(), entry.keeper.as_mut()) else {
            return Ok(false);
        };
        while let Some(output) = keeper.ring.poll_output() {
            any = true;
            match output {
                Output::Write { id, start, row } => keeper.write(node, now, id, start, row),
                Output::Ask { id, to, bytes } => keeper.ask(node, now, id, to, bytes),
                Output::Reply { handle, bytes } => {
                    if let Some((to, id)) = keeper.asked.remove(&handle) {
                        node.respond(now, to, id, Some(bytes));
                    }
                }
                Output::Given { request, number } => {
                    entry.given.insert(number);
                    let key = number.to_be_bytes().to_vec();
                    let row = write(USED, Lifetime::Owner, key, Some(Vec::new()));
                    if row.is_none_or(|row| node.write(now, &row).is_err()) {
                        keeper.unpublished.insert(number);
                    }
                    ends.push((keeper.since.remove(&request), Ok(number)));
                }
                Output::Refused { request, why } => {
                    ends.push((keeper.since.remove(&request), Err(why)));
                }
            }
        }
        for (since, end) in ends {
            self.number_ended(host, since.unwrap_or(self.now()), &end)?;
        }
        Ok(any)
    }

    fn number_ended(&mut self, host: usize, since: Time, end: &Result<u128, Refusal>) -> Outcome {
        let now = self.now();
        self.note(format_args!("number    n{host} {end:?}"));
        let what = match end {
            Ok(_) => "given",
            Err(Refusal::Full(_)) => "refused: full",
            Err(Refusal::Silent { .. } | Refusal::HolderSilent(_)) => "refused: holders silent",
            Err(Refusal::Unsettled(_) | Refusal::HolderUnknown) => "refused: on its way, or rests",
            Err(Refusal::Taken(_)) => "refused: taken",
            Err(Refusal::NotSynced) => "refused: not in sync yet",
            Err(_) => "refused: else",
        };
        self.figures.time(what, now.since(since));
        let Some(numbers) = &mut self.numbers else { return Ok(()) };
        let verdict = match end {
            Ok(n) => numbers.given(host, *n),
            Err(Refusal::Full(_)) => numbers.full(since),
            Err(_) => Ok(()),
        };
        verdict.map_err(|what| self.broken(crate::check::numbers::NAME, format!("n{host}: {what}")))
    }
}

impl Keeper {
    fn write(&mut self, node: &mut Node, now: Now, id: u64, start: u128, row: Option<Row>) {
        let key = ring::key(SPACE.as_bytes(), start);
        let row = write(RANGES, Lifetime::Cluster, key, row.map(|row| row.encode()));
        let receipt = row.and_then(|row| node.write(now, &row).ok());
        match receipt.and_then(|receipt| receipt.commit) {
            Some(commit) => self.writes.entry(commit).or_default().push((id, start)),
            None => self.ring.handle_refused(now.mono, id, shown(node, start)),
        }
    }

    fn ask(&mut self, node: &mut Node, now: Now, id: u64, to: NodeId, bytes: Vec<u8>) {
        let asked = name(SPACE).and_then(|topic| node.request(now, to, &topic, bytes).ok());
        match asked {
            Some(number) => {
                self.asks.insert(number, id);
            }
            None => self.ring.handle_answer(now.mono, id, None),
        }
    }
}
