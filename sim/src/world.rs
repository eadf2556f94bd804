//! The simulated world: the nodes, what surrounds them, and what is checked while it runs.
//!
//! [`Fabric`] says what reaches which node and when; this room calls the node, takes what it puts out and
//! shows it to the checks. [`script`] is what scenarios are written in.

pub mod clock;
pub mod cuts;
pub mod disk;
pub mod fabric;
mod faults;
mod host;
mod keeper;
pub mod link;
pub mod machine;
mod options;
pub mod port;
mod probe;
mod queue;
mod sabotage;
pub mod script;
mod settled;
mod show;
mod sightings;
mod streams;
#[cfg(test)]
mod tests;
mod wait;
pub mod weather;
mod wiretap;

use std::{collections::BTreeMap, mem, net::SocketAddr, time::Duration};

use netdb_core::{
    node::{NodeEvent, Output},
    view::{Event, EventKind},
};
use netdb_gossip_core::{
    identity::{Name, NodeId, PublicIdentity},
    time::Time,
};

use self::{fabric::Fabric, machine::Delivery, wiretap::Wiretap};
pub use self::{
    faults::{Disk, Stop},
    host::Host,
    keeper::{Keeper, RANGES},
    options::Options,
    probe::{Probe, Want},
    sabotage::Sabotage,
    script::Table,
    sightings::Sightings,
};
use crate::{
    broken::{Broken, Outcome},
    check::{self, Check, Verdict, numbers::Numbers, replay::View},
    figures::Figures,
    ledger::Ledger,
    seed::Draws,
};

/// Events at one moment of virtual time, beyond which time is said to stand still.
const MOST_AT_ONCE: u64 = 2_000_000;
const SECOND: Duration = Duration::from_secs(1);

/// Something that the script planned for later.
type Action = Box<dyn FnOnce(&mut World) -> Outcome>;

/// The world.
pub struct World {
    options: Options,
    /// Everything around the nodes.
    pub fabric: Fabric,
    hosts: Vec<Host>,
    by_id: BTreeMap<NodeId, usize>,
    views: Vec<Option<View>>,
    checks: Vec<Box<dyn Check>>,
    probes: Vec<Probe>,
    actions: BTreeMap<u64, Action>,
    next_action: u64,
    next_tick: Time,
    wiretap: Wiretap,
    sightings: Sightings,
    at_once: (Time, u64),
    /// Whether a fault has been made so far.
    faulty: bool,
    /// When something last happened to each host that others may take for a failure, and to all of them.
    disturbed: Vec<Time>,
    all_disturbed: Time,
    /// How often everything was mended: what was planned before is void.
    heals: u64,
    /// What was written, and what of it was acknowledged.
    pub ledger: Ledger,
    /// Who uses which number, if numbers are given.
    pub numbers: Option<Numbers>,
    /// What was measured.
    pub figures: Figures,
    /// The nodes did not meet one by one: see [`World::start_settled`].
    pub settled: bool,
    /// For the scenario's own choices.
    pub draws: Draws,
    /// Set by scenarios in which hosts are apart for longer than deletes are remembered.
    pub forgets_tombstones: bool,
}

impl World {
    /// A world with hosts and no node running.
    pub fn new(options: Options) -> Self {
        let seed = options.seed;
        let mut fabric = Fabric::new(seed, options.link.clone(), options.rate);
        fabric.topology = options.topology();
        let mut hosts = Vec::with_capacity(options.nodes);
        for index in 0..options.nodes {
            let addr = address(index);
            fabric.add(addr);
            if let Ok(name) = Name::new(&format!("n{index}")) {
                hosts.push(Host::new(&options, index, name, addr));
            }
        }
        Self {
            by_id: hosts.iter().map(|host| (host.id, host.index)).collect(),
            views: hosts.iter().map(|_| None).collect(),
            draws: seed.stream("script", 0),
            next_tick: Time(0) + SECOND,
            fabric,
            hosts,
            checks: check::standard(),
            probes: Vec::new(),
            actions: BTreeMap::new(),
            next_action: 0,
            wiretap: Wiretap::default(),
            sightings: Sightings::default(),
            at_once: (Time(0), 0),
            faulty: false,
            heals: 0,
            disturbed: vec![Time(0); options.nodes],
            all_disturbed: Time(0),
            ledger: Ledger::default(),
            numbers: None,
            figures: Figures::default(),
            settled: false,
            forgets_tombstones: false,
            options,
        }
    }

    /// Runs until `until`.
    pub fn run_until(&mut self, until: Time) -> Outcome {
        self.run_while(until, |_| true).map(|_| ())
    }

    /// Runs for a span.
    pub fn run_for(&mut self, span: Duration) -> Outcome {
        self.run_until(self.fabric.now() + span)
    }

    /// Runs for a span that is drawn, in microseconds, both ends included.
    pub fn run_for_between(&mut self, low: u64, high: u64) -> Outcome {
        let span = self.draws.between(low, high);
        self.run_for(Duration::from_micros(span))
    }

    /// Runs until `until`, or until `go_on` says no after an event; whether it did.
    pub fn run_while(
        &mut self,
        until: Time,
        mut go_on: impl FnMut(&Self) -> bool,
    ) -> Outcome<bool> {
        loop {
            while let Some((host, delivery)) = self.fabric.next(until.min(self.next_tick)) {
                self.take(host, delivery)?;
                if !go_on(self) {
                    return Ok(true);
                }
            }
            if self.next_tick > until {
                return Ok(false);
            }
            self.next_tick += SECOND;
            self.ask(|check, world| check.tick(world))?;
        }
    }

    /// A node gets what reached it.
    fn take(&mut self, host: usize, delivery: Delivery) -> Outcome {
        self.count_at_once()?;
        if let Delivery::Action(id) = delivery {
            return self.actions.remove(&id).map_or(Ok(()), |action| action(self));
        }
        let now = self.fabric.clocks(host);
        let peer = |index: usize| self.hosts.get(index).map(|host| (host.id, host.public));
        let (from, public) = match &delivery {
            Delivery::Stream { from, .. } | Delivery::Dialled { from, .. } => peer(*from),
            Delivery::StreamFailed { to } => peer(*to),
            _ => None,
        }
        .unzip();
        if let (Delivery::Dialled { from, connection }, Some(public)) = (&delivery, public) {
            // Whoever dials knows whom it wants, and is content with that one's proof.
            let admitted = self.admits(host, &public);
            self.fabric.answer(host, *from, *connection, admitted);
            return Ok(());
        }
        let Some(entry) = self.hosts.get_mut(host) else { return Ok(()) };
        let deaf = entry.sabotage == Some(Sabotage::Deaf);
        let Some(node) = entry.node.as_mut() else { return Ok(()) };
        match delivery {
            Delivery::Datagram { .. } | Delivery::Stream { .. } if deaf => {}
            Delivery::Datagram { addr, mut bytes, .. } => {
                node.handle_packet(now, addr, &mut bytes);
            }
            Delivery::Stream { message, .. } => {
                node.handle_stream(now, from.unwrap_or_default(), &message);
            }
            Delivery::StreamFailed { .. } => {
                node.handle_stream_failed(now, from.unwrap_or_default());
            }
            Delivery::Committed(ids) => {
                for &id in &ids {
                    node.handle_committed(now, id);
                    self.ledger.durable(host, id);
                }
                self.ring_written(host, &ids);
            }
            Delivery::Timer => {
                node.handle_timeout(now);
                self.ring_due(host);
            }
            Delivery::Dialled { .. } | Delivery::Action(_) => {}
        }
        self.drain(host)
    }

    fn admits(&self, host: usize, who: &PublicIdentity) -> bool {
        self.node(host).is_some_and(|node| node.is_admitted(who))
    }

    fn count_at_once(&mut self) -> Outcome {
        let now = self.fabric.now();
        if self.at_once.0 != now {
            self.at_once = (now, 0);
        }
        self.at_once.1 += 1;
        if self.at_once.1 > MOST_AT_ONCE {
            let what = format!("time stands still: {MOST_AT_ONCE} events in one microsecond");
            return Err(self.broken("bounds", what));
        }
        Ok(())
    }

    /// Takes everything that a node has to say, until it has nothing.
    pub(crate) fn drain(&mut self, host: usize) -> Outcome {
        self.drain_node(host)?;
        while self.drain_ring(host)? {
            self.drain_node(host)?;
        }
        Ok(())
    }

    fn drain_node(&mut self, host: usize) -> Outcome {
        let now = self.fabric.clocks(host);
        let mut outputs = Vec::new();
        let Some(entry) = self.hosts.get_mut(host) else { return Ok(()) };
        let forgets = entry.sabotage == Some(Sabotage::ForgetsCommits);
        let Some(node) = entry.node.as_mut() else { return Ok(()) };
        while let Some(output) = node.poll_output(now) {
            outputs.push(output);
        }
        let timer = node.poll_timeout();
        let mut events = Vec::new();
        for output in outputs {
            match output {
                Output::Packet { to, bytes } => self.send_packet(host, to, bytes),
                Output::Stream { to, addr, message } => self.send_stream(host, to, addr, message),
                Output::Disconnect { peer } => self.disconnect(host, peer),
                Output::Commit { id, ops } => {
                    self.fabric.commit(host, id, if forgets { Vec::new() } else { ops });
                }
                Output::Event(event) => events.push(event),
                // Nobody here asks.
                Output::Answer { .. } => {}
                Output::Request { from, id, body, .. } => self.ring_asked(host, from, id, &body),
                Output::Response { id, answer, .. } => {
                    self.ring_answered(host, id, answer.ok().as_deref());
                }
            }
        }
        events.iter().try_for_each(|event| self.node_event(host, event))?;
        let keeper = self.hosts.get(host).and_then(|host| host.keeper.as_ref());
        let ring = keeper.map(|keeper| keeper.poll_timeout());
        self.fabric.set_timer(host, [timer, ring].into_iter().flatten().min());
        Ok(())
    }

    fn send_packet(&mut self, host: usize, to: SocketAddr, bytes: Vec<u8>) {
        if self.wiretap.is_on() && self.is_lost_to_tap(host, to, &bytes) {
            self.fabric.send_lost(host, bytes.len());
        } else {
            self.fabric.send(host, to, bytes);
        }
    }

    fn is_lost_to_tap(&mut self, host: usize, to: SocketAddr, bytes: &[u8]) -> bool {
        let receiver = self.fabric.host_at(to).and_then(|to| self.hosts.get(to));
        let receiver = receiver.map(|receiver| receiver.id).unwrap_or_default();
        let node = self.hosts.get(host).and_then(Host::node);
        node.is_some_and(|node| self.wiretap.datagram(node, receiver, bytes))
    }

    fn send_stream(&mut self, host: usize, to: NodeId, addr: SocketAddr, message: Vec<u8>) {
        self.wiretap.message(&message);
        // Whoever else answers at that address can't prove to be the one that is meant.
        let meant =
            self.by_id.get(&to).copied().filter(|meant| self.fabric.host_at(addr) == Some(*meant));
        self.fabric.send_stream(host, meant.unwrap_or(usize::MAX), message);
    }

    fn disconnect(&mut self, host: usize, peer: NodeId) {
        if let Some(other) = self.by_id.get(&peer) {
            self.fabric.disconnect(host, *other);
        }
    }

    fn node_event(&mut self, host: usize, event: &NodeEvent) -> Outcome {
        match *event {
            NodeEvent::WatchReady(_) => {
                self.poll_ring_watch(host);
                return self.poll_watch(host);
            }
            NodeEvent::Member { node, state } => {
                let subject = self.by_id.get(&node).copied();
                let now = self.fabric.now();
                let shown =
                    subject.map_or_else(|| format!("{node}"), |subject| format!("n{subject}"));
                self.fabric
                    .trace
                    .note(now, format_args!("member    n{host} sees {shown} {state:?}"));
                if let Some(subject) = subject {
                    self.sightings.note(host, subject, state);
                }
                return self.ask(|check, world| check.member(world, host, node, state));
            }
            NodeEvent::Synced(_) | NodeEvent::Keys | NodeEvent::Conflict { .. } => {}
            NodeEvent::Reborn(generation) => {
                let now = self.fabric.now();
                self.fabric.trace.note(now, format_args!("reborn    n{host} {generation:?}"));
                self.ring_reborn(host);
            }
        }
        Ok(())
    }

    /// Fetches the events of a host's watch.
    pub(crate) fn poll_watch(&mut self, host: usize) -> Outcome {
        loop {
            let Some(entry) = self.hosts.get_mut(host) else { return Ok(()) };
            let (Some(node), Some(watch)) = (entry.node.as_mut(), entry.watch) else {
                return Ok(());
            };
            let Some(event) = node.poll_watch(watch) else { return Ok(()) };
            let sabotage = entry.sabotage.clone();
            for event in sabotaged(sabotage.as_ref(), event) {
                self.view_event(host, &event)?;
            }
        }
    }

    fn view_event(&mut self, host: usize, event: &Event) -> Outcome {
        let mark = match &event.kind {
            EventKind::Created { new } | EventKind::Updated { new, .. } => new.mark(),
            EventKind::Deleted { old, .. } => !old.mark(),
            EventKind::SnapshotEnd => 0,
        };
        let now = self.fabric.now();
        self.fabric.trace.told(now, host, mark, || check::replay::words(event));
        let verdict = match self.views.get_mut(host) {
            Some(Some(view)) => view.replay(event),
            _ => return Ok(()),
        };
        verdict.map_err(|what| self.broken(check::replay::NAME, format!("n{host}: {what}")))?;
        self.ask(|check, _| check.event(host, event))?;
        if self.probes.is_empty() {
            return Ok(());
        }
        let Some(entry) = event.kind.entry() else { return Ok(()) };
        let row = &entry.row;
        let now = self.fabric.now();
        let view = self.views.get(host).and_then(Option::as_ref);
        let standing = view.and_then(|view| view.standing(&event.network, row));
        for probe in &mut self.probes {
            if probe.row == *row && probe.network == *event.network {
                probe.seen(now, host, standing);
            }
        }
        Ok(())
    }

    /// Asks every check.
    fn ask(&mut self, mut question: impl FnMut(&mut dyn Check, &Self) -> Verdict) -> Outcome {
        let mut checks = mem::take(&mut self.checks);
        let mut verdict = Ok(());
        for check in &mut checks {
            if let Err(what) = question(check.as_mut(), self) {
                verdict = Err(self.broken(check.name(), what));
                break;
            }
        }
        self.checks = checks;
        verdict
    }

    /// An invariant broke now.
    pub fn broken(&self, invariant: &'static str, what: impl Into<String>) -> Broken {
        Broken { invariant, what: what.into(), at: self.fabric.now() }
    }
}

/// Where a host is reached.
fn address(index: usize) -> SocketAddr {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    let [_, high, middle, low] = index.to_be_bytes();
    SocketAddr::from(([10, high, middle, low], 7946))
}

/// The events that a host's watcher is given instead of `event`.
fn sabotaged(sabotage: Option<&Sabotage>, event: Event) -> Vec<Event> {
    match (sabotage, &event.kind) {
        (Some(Sabotage::RepeatsEvents), EventKind::Created { .. }) => vec![event.clone(), event],
        (Some(Sabotage::Revives), EventKind::Deleted { old, .. }) => {
            let kind = EventKind::Created { new: old.clone() };
            let again = Event { kind, ..event.clone() };
            vec![event, again]
        }
        (Some(Sabotage::DropsRow(prefix)), EventKind::Created { new })
            if new.row.key.starts_with(prefix) =>
        {
            Vec::new()
        }
        _ => vec![event],
    }
}
