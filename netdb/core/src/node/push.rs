//! News on its way: what was written here or is passed on for others, over spans of the ring.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{
    codec,
    identity::{Name, NodeId},
    relay::{self, Hop, Span},
    time::{Now, Time},
};

use super::{Node, timers::Timer};
use crate::wire::{self, Batch, BatchBuilder, Message, Push, Unpacked};

/// The most writes that wait for word of who is attached; further ones are found by comparing.
const MAX_EARLY: usize = 65_536;

/// Writes that follow within this time share packets, unless they fill one at once.
const GATHER: Duration = Duration::from_millis(1);

/// A write to be passed on.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) network: Arc<Name>,
    span: Span,
    /// Who failed to take it.
    except: Option<NodeId>,
    write: Unpacked,
}

/// What writes that go the same way share.
type Route = (Arc<Name>, Span, Option<NodeId>);

impl Outgoing {
    /// A write to be passed on to everybody in `span`.
    pub(super) fn news(network: Arc<Name>, span: Span, write: Unpacked) -> Self {
        Self { network, span, except: None, write }
    }
}

/// What waits to be sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: Vec<Outgoing>,
    /// Until the cluster network says who is attached to what.
    early: Vec<Outgoing>,
    /// About the bytes of what waits, and of the last write among it.
    bytes: usize,
    last: usize,
    /// The next write that comes alone leaves at this time at the earliest.
    open_at: Time,
}

impl Outbox {
    pub(super) fn push(&mut self, outgoing: Outgoing) {
        let before = self.waiting.last().map(|before| &*before.write.entry);
        self.last = BatchBuilder::cost_among(&outgoing.write.entry, before);
        self.bytes += self.last;
        self.waiting.push(outgoing);
    }

    /// What is shown of it.
    pub(super) fn shown(&self) -> super::debug::Outgoing {
        let (waiting, early) = (self.waiting.len(), self.early.len());
        super::debug::Outgoing { waiting, early, limit: MAX_EARLY }
    }

    /// It is known by now who is attached to what.
    pub(super) fn release_early(&mut self) {
        for outgoing in core::mem::take(&mut self.early) {
            self.push(outgoing);
        }
    }
}

impl Node {
    /// Sends what waits if it fills a packet, or if nothing was sent a moment ago.
    pub(super) fn flush_when_due(&mut self, now: Now) {
        let Outbox { waiting, bytes, last, open_at, .. } = &self.outbox;
        let Some(first) = waiting.first() else { return };
        let overhead =
            wire::push_overhead(&first.network) + BatchBuilder::overhead(&first.write.entry);
        let full = overhead + bytes + last > self.gossip.max_frame();
        if now.mono >= *open_at || full {
            self.flush_outbox(now);
        } else {
            self.timers.set(*open_at, Timer::Flush);
        }
    }

    /// Sends what waits, writes that go the same way together. Before the cluster network is in sync this
    /// node does not know who is attached to others: what it has for them waits.
    pub(super) fn flush_outbox(&mut self, now: Now) {
        let mut routes: BTreeMap<Route, Vec<Unpacked>> = BTreeMap::new();
        let oriented = self.is_synced(&self.cluster_name);
        self.outbox.bytes = 0;
        self.outbox.open_at = now.mono + GATHER;
        for out in core::mem::take(&mut self.outbox.waiting) {
            if !oriented && out.network != self.cluster_name {
                if self.outbox.early.len() < MAX_EARLY {
                    self.outbox.early.push(out);
                }
                continue;
            }
            let route = (out.network, out.span, out.except);
            routes.entry(route).or_default().push(out.write);
        }
        for ((name, span, except), writes) in routes {
            let targets = self.targets(&name);
            let others: Vec<NodeId>;
            let members: &[NodeId] = match except {
                None => &targets,
                Some(lost) => {
                    others = targets.iter().copied().filter(|node| *node != lost).collect();
                    &others
                }
            };
            let trusted = |node| self.is_trusted(node);
            let hops = relay::split(span, members, self.id, self.config.fanout, trusted);
            if !hops.is_empty() {
                self.send_along(now, &name, &writes, &hops);
            }
        }
    }

    /// Whether others may depend on a node to pass things on.
    pub(super) fn is_trusted(&self, node: NodeId) -> bool {
        self.presences.state(node) == super::MemberState::Alive && self.gossip.is_responsive(node)
    }

    /// Sends writes to some nodes, each with whom it is to pass them on to.
    pub(super) fn send_along(&mut self, now: Now, name: &Name, writes: &[Unpacked], hops: &[Hop]) {
        let room = self.gossip.max_frame().saturating_sub(wire::push_overhead(name));
        for (batch, fits) in batches(writes, room) {
            let bytes = codec::encode(&batch);
            for hop in hops {
                let message = wire::encode_push(name, hop.rest, &bytes);
                if fits {
                    self.say_bytes(now, hop.to, message);
                } else {
                    self.say_on_stream(hop.to, message);
                }
            }
        }
    }

    /// Takes a push in and passes all of it on to its span: also what this node knew already, by comparing
    /// or from somebody else, for those in the span may not.
    pub(super) fn take_push(&mut self, now: Now, from: NodeId, push: Push) {
        let Some((name, rows)) = self.unpack(&push.network, push.batch) else { return };
        if let Some(span) = push.span {
            self.stats.entries_relayed += u64::try_from(rows.len()).unwrap_or(0);
            for row in &rows {
                self.outbox.push(Outgoing::news(Arc::clone(&name), span, row.clone()));
            }
        }
        self.take_rows(now, from, &name, rows);
    }

    /// A peer did not confirm a frame in time. Another node tries to reach it now, and if it was to pass
    /// something on, others do that.
    pub(super) fn route_around(&mut self, now: Now, to: NodeId, frame: &[u8]) {
        let Ok(Message::Push(push)) = wire::decode(frame) else { return };
        // It was tried on two ways.
        if push.span == Some(Span::only(to)) {
            return;
        }
        self.hand_over(now, to, &push);
        let Some(span) = push.span else { return };
        let Some((name, rows)) = self.unpack(&push.network, push.batch) else { return };
        self.stats.takeovers += 1;
        for write in rows {
            let (network, except) = (Arc::clone(&name), Some(to));
            self.outbox.push(Outgoing { network, span, except, write });
        }
    }

    /// Has another node try to reach a peer: it may be the way from here that is cut.
    fn hand_over(&mut self, now: Now, to: NodeId, push: &Push) {
        let targets = self.targets(&push.network);
        let others = targets.iter().copied().filter(|node| *node != to && self.is_trusted(*node));
        let others: Vec<NodeId> = others.collect();
        let Some(other) = self.pick(&others) else { return };
        self.stats.takeovers += 1;
        let message =
            wire::encode_push(&push.network, Some(Span::only(to)), &codec::encode(&push.batch));
        self.say_bytes(now, other, message);
    }

    /// Takes a batch apart, if it is in order. Of a network that this node has just left as well: others count
    /// on it to pass things on.
    pub(super) fn unpack(
        &mut self,
        network: &Name,
        batch: Batch,
    ) -> Option<(Arc<Name>, Vec<Unpacked>)> {
        let (name, rows) = match self.networks.get_mut(network) {
            Some(network) => {
                let rows = batch.unpack(|table| network.replica.intern(table));
                (Arc::clone(&network.name), rows)
            }
            None => (Arc::new(network.clone()), batch.unpack(|table| Arc::from(table))),
        };
        if rows.is_err() {
            self.stats.malformed += 1;
        }
        rows.ok().map(|rows| (name, rows))
    }
}

/// Packs writes into batches that fit into a frame; one that is too large goes alone.
fn batches(writes: &[Unpacked], room: usize) -> Vec<(Batch, bool)> {
    let mut batches = Vec::new();
    let mut builder = BatchBuilder::new(room);
    for Unpacked { entry, age } in writes {
        if BatchBuilder::cost_alone(entry) > room {
            let mut alone = BatchBuilder::new(room);
            alone.add(entry, *age);
            batches.push((alone.finish(), false));
        } else if !builder.add(entry, *age) {
            let full = core::mem::replace(&mut builder, BatchBuilder::new(room));
            batches.push((full.finish(), true));
            builder.add(entry, *age);
        }
    }
    if !builder.is_empty() {
        batches.push((builder.finish(), true));
    }
    batches
}
