//! Comparing networks with peers, and narrowing down what differs.

use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};

use netdb_gossip_core::{
    identity::{Name, NodeId},
    relay::Hop,
    time::{Now, micros},
};

use super::{
    Node,
    io::CLUSTER_NETWORK,
    network::{SETTLE, Schedule},
    timers::Timer,
};
use crate::{
    config::Config,
    digest::MAX_SEQUENCE,
    entry::{Dot, Writer},
    sync::{self, narrow},
    wire::{Compare, Holding, Message, Part, PartContent, PullWhat, Reached, Unpacked, Want},
};

/// The most networks in one comparison message; further ones are compared with the next.
const MAX_COMPARED: usize = 64;
/// The most deletions from behind a gap that one answer tells; further ones follow with the next.
const MAX_OVERTAKING: usize = 64;

impl Node {
    /// A network is due: compare it with a peer, and with the same peer what else is due soon.
    pub(super) fn compare_due(&mut self, now: Now, name: &Arc<Name>) {
        let Some(network) = self.networks.get(name) else { return };
        if network.schedule.at > now.mono {
            let at = network.schedule.at;
            self.timers.set(at, Timer::Compare(Arc::clone(name)));
            return;
        }
        self.check_alone(now, name);
        let Some(peer) = self.pick_peer(name) else {
            self.reschedule(now, name);
            return;
        };
        self.compare_with(now, name, peer);
    }

    /// A random one of the peers whose turn it is, one that is not suspected if there is any.
    fn pick_peer(&mut self, name: &Name) -> Option<NodeId> {
        let alive = self.alive_targets(name);
        let peers = if alive.is_empty() { self.targets(name) } else { alive };
        let due = self.networks.get(name)?.compared.due(&peers);
        self.pick(&due)
    }

    /// Compares a network with a peer, and what else is due about now and shared with it.
    pub(super) fn compare_with(&mut self, now: Now, name: &Arc<Name>, peer: NodeId) {
        let mut names = alloc::vec![Arc::clone(name)];
        let soon = now.mono + self.config.compare_interval / 2;
        for (other, network) in &self.networks {
            let shared = || {
                other.as_str() == CLUSTER_NETWORK
                    || self.attachments.get(&**other).is_some_and(|nodes| nodes.contains_key(&peer))
            };
            let due = network.schedule.at <= soon && network.synced;
            if due && other != name && names.len() < MAX_COMPARED && shared() {
                names.push(Arc::clone(other));
            }
        }
        for name in &names {
            self.reschedule(now, name);
            self.had_turn(name, peer);
        }
        if self.fetch_all_if_empty(now, name, peer) {
            return;
        }
        let items: Vec<Compare> = names.iter().filter_map(|n| self.compare_item(now, n)).collect();
        self.stats.compares += 1;
        self.say(now, peer, &Message::Compare(items));
    }

    fn compare_item(&self, now: Now, name: &Name) -> Option<Compare> {
        let network = self.networks.get(name)?;
        let replica = &network.replica;
        // A copy that is not in sync yet lacks what was written a moment ago as well.
        let settled = self.cluster_time(now).0.saturating_sub(micros(SETTLE));
        let cutoff = if network.synced { settled } else { u64::MAX };
        let as_of = replica.recent().as_of(cutoff, replica.digest(), replica.hash());
        let (received, held) = (as_of.received, as_of.held);
        Some(Compare { network: name.clone(), cutoff, received, held })
    }

    fn had_turn(&mut self, name: &Name, peer: NodeId) {
        if let Some(network) = self.networks.get_mut(name) {
            network.compared.note(peer);
        }
    }

    fn reschedule(&mut self, now: Now, name: &Name) {
        let (spread, synced) = (self.random_byte(), self.is_synced(name));
        self.plan_compare(name, |schedule, _| schedule.advance(now.mono, synced, spread));
    }

    /// Something changed, or differs: compare soon, and again once it has settled.
    pub(super) fn compare_soon(&mut self, now: Now, name: &Name) {
        self.plan_compare(name, |schedule, config| schedule.hurry(now.mono, config));
    }

    /// Changes when a network is compared next.
    pub(super) fn plan_compare(&mut self, name: &Name, plan: impl FnOnce(&mut Schedule, &Config)) {
        if let Some(network) = self.networks.get_mut(name) {
            plan(&mut network.schedule, &self.config);
            let at = network.schedule.at;
            self.timers.set(at, Timer::Compare(Arc::clone(&network.name)));
        }
    }

    /// Alone in a network counts as in sync, once it is clear that nobody else is there.
    pub(super) fn check_alone(&mut self, now: Now, name: &Name) {
        let waited = now.mono >= self.boot_until || self.old_peers.is_empty();
        let certain = if name.as_str() == CLUSTER_NETWORK {
            waited
        } else {
            self.is_synced(&self.cluster_name)
        };
        if certain && self.targets(name).is_empty() {
            self.set_synced(name);
        }
    }

    pub(super) fn take_compare(&mut self, now: Now, from: NodeId, items: Vec<Compare>) {
        let mut same = Vec::new();
        let mut seen = BTreeSet::new();
        for item in items.into_iter().take(MAX_COMPARED) {
            self.had_turn(&item.network, from);
            if !seen.insert(item.network.clone()) {
                self.stats.malformed += 1;
                continue;
            }
            let Some(network) = self.networks.get(&item.network) else {
                self.say(now, from, &Message::NotAttached(item.network));
                continue;
            };
            let replica = &network.replica;
            let as_of = replica.recent().as_of(item.cutoff, replica.digest(), replica.hash());
            if as_of.received != item.received {
                let items = sync::received_items(replica, item.cutoff);
                let parts = begin(&items, item.received);
                let Compare { network, cutoff, .. } = item;
                self.differs(now, &network);
                self.say(now, from, &Message::Received { network, cutoff, parts });
            } else if as_of.held != item.held {
                let parts = begin(&sync::held_items(replica), item.held);
                self.differs(now, &item.network);
                let (network, settled) = (item.network, true);
                self.say(now, from, &Message::Held { network, settled, parts });
            } else {
                let synced = network.synced;
                same.push((item.network, synced));
            }
        }
        if !same.is_empty() {
            self.say(now, from, &Message::Same(same));
        }
    }

    /// A comparison found a difference: look again soon.
    fn differs(&mut self, now: Now, name: &Name) {
        self.stats.differences += 1;
        self.compare_soon(now, name);
    }

    pub(super) fn take_same(&mut self, now: Now, names: &[(Name, bool)]) {
        for (name, synced) in names {
            if *synced || self.gives_up_doubt(name) {
                self.set_synced(name);
            }
            if let Some(network) = self.networks.get_mut(name).filter(|n| n.synced) {
                network.schedule.relax(now.mono, &self.config);
            }
        }
    }

    pub(super) fn take_received(
        &mut self,
        now: Now,
        from: NodeId,
        name: &Name,
        cutoff: u64,
        parts: Vec<Part<Reached>>,
    ) {
        let Some(network) = self.networks.get(name) else { return };
        let items = sync::received_items(&network.replica, cutoff);
        let found = narrow::answer(&items, parts);
        self.differs(now, name);
        let silent = found.answer.is_empty();
        if !silent {
            let message = Message::Received { network: name.clone(), cutoff, parts: found.answer };
            self.say(now, from, &message);
        }
        let wants = self.wants(now, name, &found.theirs);
        if !wants.is_empty() {
            self.pull(now, from, name, PullWhat::Ranges(wants));
        } else if silent && !self.expects_repair(now, name, &found.theirs) {
            // Neither side is going to fetch anything, and yet the digests differ: that must not hide a
            // difference in what is held.
            self.compare_held(now, from, name);
        }
    }

    /// What this node lacks of the writers that a peer knows.
    fn wants(&mut self, now: Now, name: &Name, theirs: &[Reached]) -> Vec<Want> {
        let me = self.id;
        for reached in theirs.iter().filter(|reached| reached.writer.node == me) {
            self.notice_own(
                now,
                name,
                &Dot { writer: reached.writer, sequence: reached.contiguous },
            );
        }
        self.revive(name, theirs);
        let Some(network) = self.networks.get(name) else { return Vec::new() };
        let digest = network.replica.digest();
        let want = |reached: &Reached| {
            let after = digest.contiguous(&reached.writer);
            let through = reached.contiguous.min(MAX_SEQUENCE);
            let lacking = after < through && self.is_wanted(now, name, &reached.writer);
            lacking.then_some(Want { writer: reached.writer, after, through })
        };
        theirs.iter().filter_map(want).collect()
    }

    /// Whether a difference in what was received is one that goes away by itself: the peer fetches what it
    /// lacks, or this node will once it has room.
    fn expects_repair(&self, now: Now, name: &Name, theirs: &[Reached]) -> bool {
        let Some(network) = self.networks.get(name) else { return false };
        let digest = network.replica.digest();
        let behind = |reached: &Reached| {
            let known = digest.contiguous(&reached.writer);
            known > reached.contiguous && !digest.is_retired(&reached.writer)
        };
        theirs.iter().any(|r| behind(r) || network.refuses(now.mono, &r.writer))
    }

    /// Writers that a peer still counts and this node retired too early are exchanged again.
    fn revive(&mut self, name: &Name, theirs: &[Reached]) {
        let Some(network) = self.networks.get(name) else { return };
        if !theirs.iter().any(|r| network.replica.digest().is_retired(&r.writer)) {
            return;
        }
        let theirs = theirs.iter().map(|r| r.writer);
        let early: Vec<Writer> = theirs.filter(|w| !self.is_finished(name, w)).collect();
        if let Some(network) = self.networks.get_mut(name) {
            for writer in &early {
                network.replica.digest_mut().revive(writer);
            }
        }
    }

    pub(super) fn take_held(
        &mut self,
        now: Now,
        from: NodeId,
        name: &Name,
        settled: bool,
        parts: Vec<Part<Holding>>,
    ) {
        let settled_before = self.cluster_time(now).0.saturating_sub(micros(SETTLE));
        let Some(network) = self.networks.get(name) else { return };
        let replica = &network.replica;
        let in_full = parts.iter().all(|part| matches!(part.content, PartContent::Hash(_)));
        let found = narrow::answer(&sync::held_items(replica), parts);
        if in_full && found.answer.is_empty() {
            // The digests differ, and yet neither side lacks anything: one has stopped earlier to count a
            // stream that is over.
            let same = alloc::vec![(name.clone(), network.synced)];
            self.say(now, from, &Message::Same(same));
            return;
        }
        let (mut gone, mut wanted, mut overtaking) = (Vec::new(), Vec::new(), Vec::new());
        for Holding { place, dot } in found.theirs {
            if !replica.digest().covers(&dot) {
                if self.is_wanted(now, name, &dot.writer) {
                    wanted.push(dot);
                }
                continue;
            }
            // Received here and not held: it was deleted or overwritten. If what replaced it stands here,
            // the other side hears of that first, unless it had received that as well.
            let Some(standing) = replica.standing(place) else {
                gone.push(dot);
                continue;
            };
            // Equal digests only speak of what is contiguous: the other side need not have received a
            // replacement that stands behind a gap. Of a deletion nothing else tells it.
            let counted =
                standing.dot.sequence <= replica.digest().contiguous(&standing.dot.writer);
            let old = standing.at < settled_before;
            if old && counted && settled {
                gone.push(dot);
            } else if old && !counted && standing.is_tombstone() {
                let age = replica.age(now.mono, standing);
                overtaking.push(Unpacked { entry: Arc::clone(standing), age });
            }
        }
        overtaking.truncate(MAX_OVERTAKING);
        let hop = Hop { to: from, rest: None };
        self.send_along(now, name, &overtaking, &[hop]);
        self.differs(now, name);
        if !found.answer.is_empty() {
            let parts = found.answer;
            self.say(now, from, &Message::Held { network: name.clone(), settled, parts });
        }
        if !gone.is_empty() {
            self.say(now, from, &Message::Gone { network: name.clone(), dots: gone });
        }
        if !wanted.is_empty() {
            self.pull(now, from, name, PullWhat::Dots(wanted));
        }
    }

    /// Compares what is held in full, because tombstones may be missing.
    pub(super) fn compare_held(&mut self, now: Now, peer: NodeId, name: &Name) {
        let Some(network) = self.networks.get(name) else { return };
        let parts = alloc::vec![narrow::whole(&sync::held_items(&network.replica))];
        self.say(now, peer, &Message::Held { network: name.clone(), settled: false, parts });
    }
}

/// The first narrower parts for a peer whose hash over everything is `theirs`.
fn begin<T: narrow::Item>(items: &[T], theirs: u64) -> Vec<Part<T>> {
    // The hashes as of the cutoff differ, even where those of now happen not to.
    let whole = Part { from: 0, through: u64::MAX, content: PartContent::Hash(theirs) };
    let parts = narrow::answer(items, alloc::vec![whole]).answer;
    if parts.is_empty() { alloc::vec![narrow::whole(items)] } else { parts }
}
