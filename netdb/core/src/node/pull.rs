//! Fetching rows from a peer in chunks, serving them, and asking for gaps.

use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{
    identity::{Name, NodeId},
    time::Now,
};

use super::{Node, network::PullState, timers::Timer};
use crate::{
    entry::{Entry, Lifetime},
    sync::serve,
    wire::{self, Chunk, Message, Pull, PullWhat, Reached, Want},
};

/// How long a pull may go without a chunk before it is given up.
const PULL_TIMEOUT: Duration = Duration::from_secs(5);
/// The most ranges or dots that one pull asks for; the rest is found by the next comparison.
const MAX_WANTS: usize = 8192;
/// How many peers that are not in sync themselves are asked before their answers are believed.
const MAX_DOUBTS: u32 = 3;
/// The most writers whose gaps one request asks for.
const MAX_GAPS: usize = 64;

impl Node {
    /// Fetches everything if this copy is empty. True if it does, or is about to.
    pub(super) fn fetch_all_if_empty(&mut self, now: Now, name: &Name, peer: NodeId) -> bool {
        let own = self.id;
        let Some(network) = self.networks.get(name) else { return true };
        let empty = !network.synced
            && network.replica.digest().writers().all(|(writer, _)| writer.node == own);
        if empty {
            self.pull(now, peer, name, PullWhat::All(None));
        }
        empty
    }

    /// Asks a peer for rows, unless rows are on their way already.
    pub(super) fn pull(&mut self, now: Now, peer: NodeId, name: &Name, mut what: PullWhat) {
        match &mut what {
            PullWhat::Ranges(wants) => wants.truncate(MAX_WANTS),
            PullWhat::Dots(dots) => dots.truncate(MAX_WANTS),
            PullWhat::All(_) => {}
        }
        if self.networks.get(name).is_none_or(|network| network.pull.is_some()) {
            return;
        }
        let all = matches!(what, PullWhat::All(_));
        self.next_pull += 1;
        let id = self.next_pull;
        let message = Message::Pull(Pull { network: name.clone(), id, what });
        // A peer that this node does not know to be admitted yet can't open a stream to answer on.
        let sent = if self.admits(peer) {
            self.say(now, peer, &message)
        } else {
            self.say_on_stream(peer, wire::encode(&message))
        };
        if !sent {
            return;
        }
        let deadline = now.mono + PULL_TIMEOUT;
        if let Some(network) = self.networks.get_mut(name) {
            let complete = Vec::new();
            let (purged, doubtful) = (false, false);
            let (from, copy) = (peer, None);
            network.sweep_refusals(now.mono);
            network.pull =
                Some(PullState { id, from, deadline, all, copy, complete, purged, doubtful });
            self.timers.set(deadline, Timer::Pull(Arc::clone(&network.name)));
        }
    }

    pub(super) fn take_pull(&mut self, now: Now, from: NodeId, pull: Pull) {
        let Some(network) = self.networks.get(&pull.network) else { return };
        let chunk = serve::serve(&network.replica, network.copy, network.synced, now.mono, pull);
        self.stats.chunks_served += 1;
        self.say(now, from, &Message::Chunk(chunk));
    }

    pub(super) fn take_chunk(&mut self, now: Now, from: NodeId, chunk: Chunk) {
        let Chunk { network, id, copy, batch, complete, synced, purged, more } = chunk;
        let whole = more.is_none();
        // Ask for the next chunk before working on this one.
        let expected = self.advance_pull(now, from, &network, (id, copy), more);
        let Some((name, rows)) = self.unpack(&network, batch) else {
            self.drop_pull(now, &network, id);
            return;
        };
        self.take_rows(now, from, &name, rows);
        let Some(network) = self.networks.get_mut(&name).filter(|_| expected) else { return };
        let Some(pull) = network.pull.as_mut() else { return };
        // What all chunks together complete is said by the first; one that is repeated says more, but
        // of rows that were passed already.
        if !pull.all || pull.complete.is_empty() {
            pull.complete.extend(complete);
        }
        pull.purged |= purged;
        pull.doubtful |= !synced;
        if whole {
            self.finish_pull(now, &name);
        }
    }

    /// Whether a chunk belongs to the running pull; if so, asks for what is left.
    fn advance_pull(
        &mut self,
        now: Now,
        from: NodeId,
        name: &Name,
        (id, copy): (u64, u64),
        more: Option<PullWhat>,
    ) -> bool {
        let Some(network) = self.networks.get_mut(name) else { return false };
        let Some(pull) = network.pull.as_mut().filter(|p| p.id == id && p.from == from) else {
            return false;
        };
        if *pull.copy.get_or_insert(copy) != copy {
            // The peer began its copy anew meanwhile: these chunks are of another one.
            self.drop_pull(now, name, id);
            return false;
        }
        pull.deadline = now.mono + PULL_TIMEOUT;
        if let Some(what) = more {
            let network = name.clone();
            self.say(now, from, &Message::Pull(Pull { network, id, what }));
        }
        true
    }

    /// Gives a pull up; the next comparison finds what is still missing.
    fn drop_pull(&mut self, now: Now, name: &Name, id: u64) {
        let Some(network) = self.networks.get_mut(name) else { return };
        if network.pull.take_if(|pull| pull.id == id).is_some() {
            self.plan_compare(name, |schedule, config| {
                schedule.at = now.mono + config.compare_interval / 4;
            });
        }
    }

    /// All chunks are here: what they complete counts from now on.
    fn finish_pull(&mut self, now: Now, name: &Arc<Name>) {
        let generation = self.gossip.me().generation;
        let pull = self.networks.get_mut(name).and_then(|network| network.pull.take());
        let Some(mut pull) = pull else { return };
        let mut complete = core::mem::take(&mut pull.complete);
        complete.retain(|reached| !self.is_outdated(name, &reached.writer));
        let Some(network) = self.networks.get_mut(name) else { return };
        let mut nodes = BTreeSet::new();
        let mut refused = false;
        for Reached { writer, contiguous } in complete {
            // A pull that is refused in part does not complete what it says.
            if network.refuses(now.mono, &writer) {
                refused = true;
                continue;
            }
            // What this node wrote last it knows best; of its past others may know more.
            if writer == network.writer(self.id, generation, writer.lifetime) {
                continue;
            }
            network.replica.digest_mut().advance(&writer, contiguous);
            nodes.insert(writer.node);
            if writer.lifetime == Lifetime::Cluster {
                self.unsaved.insert((Arc::clone(name), writer));
            }
        }
        for node in nodes {
            self.expect_replacement(now, name, node);
        }
        if pull.purged || refused {
            self.compare_held(now, pull.from, name);
        }
        if pull.all && (!pull.doubtful || self.gives_up_doubt(name)) {
            self.set_synced(name);
        }
        self.compare_with(now, name, pull.from);
    }

    /// Rows came from a peer that is not in sync itself. Others are asked too, but when all of them have
    /// just begun, what they hold together is all there is.
    pub(super) fn gives_up_doubt(&mut self, name: &Name) -> bool {
        let Some(network) = self.networks.get_mut(name) else { return false };
        network.doubts += 1;
        network.doubts >= MAX_DOUBTS
    }

    pub(super) fn pull_due(&mut self, now: Now, name: &Arc<Name>) {
        let Some(network) = self.networks.get_mut(name) else { return };
        let Some((id, deadline)) = network.pull.as_ref().map(|pull| (pull.id, pull.deadline))
        else {
            return;
        };
        if deadline <= now.mono {
            self.drop_pull(now, name, id);
        } else {
            self.timers.set(deadline, Timer::Pull(Arc::clone(name)));
        }
    }

    /// A peer can't be reached on streams: what was asked of it is asked of others.
    pub(super) fn abandon_pulls(&mut self, now: Now, peer: NodeId) {
        let asked = self.networks.values().filter_map(|network| {
            let pull = network.pull.as_ref().filter(|pull| pull.from == peer)?;
            Some((Arc::clone(&network.name), pull.id))
        });
        for (name, id) in asked.collect::<Vec<_>>() {
            self.drop_pull(now, &name, id);
        }
    }

    /// News that came ahead of a gap: if the gap is still there in a moment, ask who sent the news.
    pub(super) fn watch_gaps(
        &mut self,
        now: Now,
        from: NodeId,
        name: &Arc<Name>,
        fresh: &[Arc<Entry>],
    ) {
        let rtt = self.gossip.rtt(from).unwrap_or_default();
        let Some(network) = self.networks.get_mut(name) else { return };
        let digest = network.replica.digest();
        let ahead = |e: &Arc<Entry>| e.dot.sequence > digest.contiguous(&e.dot.writer);
        if network.pull.is_none() && network.gap.is_none() && fresh.iter().any(ahead) {
            // Reordering is no loss: twice a round trip lets what is on its way arrive.
            let at = now.mono + rtt * 2 + self.config.gossip.min_rto;
            network.gap = Some((at, from));
            self.timers.set(at, Timer::Gap(Arc::clone(name)));
        }
    }

    pub(super) fn gap_due(&mut self, now: Now, name: &Arc<Name>) {
        let Some(network) = self.networks.get_mut(name) else { return };
        let Some((at, from)) = network.gap else { return };
        if at > now.mono {
            self.timers.set(at, Timer::Gap(Arc::clone(name)));
            return;
        }
        network.gap = None;
        let digest = network.replica.digest();
        let gap = |(writer, progress): (&_, &crate::digest::Progress)| {
            let (after, through) = progress.first_gap()?;
            Some(Want { writer: *writer, after, through })
        };
        let wants: Vec<Want> = digest.writers().filter_map(gap).take(MAX_GAPS).collect();
        if !wants.is_empty() {
            self.pull(now, from, name, PullWhat::Ranges(wants));
        }
    }
}
