//! What a node keeps for one network that it is attached to.

use alloc::{
    borrow::Cow,
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    vec::Vec,
};
use core::time::Duration;

use netdb_gossip_core::{
    identity::{Generation, Name, NodeId},
    time::Time,
};

use crate::{
    config::Config,
    entry::{Dot, Lifetime, Writer},
    replica::Replica,
    wire::Reached,
};

/// Writes younger than this are on their way and don't count as a difference.
pub(super) const SETTLE: Duration = Duration::from_secs(1);
/// How long a writer of whom a write was refused is asked for nothing.
const REFUSAL: Duration = Duration::from_secs(30);

/// One attached network.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) name: Arc<Name>,
    pub(super) replica: Replica,
    /// Number of this attachment.
    pub(super) attachment: u32,
    /// The last own sequence of the `Owner` and the `Cluster` stream.
    written: [u64; 2],
    /// The own `Owner` set is whole from this sequence on.
    pub(super) complete: Option<u64>,
    pub(super) synced: bool,
    /// How often everything was fetched from a peer that was not in sync itself.
    pub(super) doubts: u32,
    pub(super) schedule: Schedule,
    /// With whom it was compared last, the newest at the end.
    pub(super) compared: Compared,
    /// At most one bulk pull at a time.
    pub(super) pull: Option<PullState>,
    /// Whom to ask for the gaps in the sequences, and when.
    pub(super) gap: Option<(Time, NodeId)>,
    /// Nodes whose older generation still shows, until when.
    pub(super) replacing: BTreeMap<NodeId, Time>,
    /// Per node, the first `Owner` stream that counts; what comes of older ones is stale.
    pub(super) replaced: BTreeMap<NodeId, Writer>,
    /// Writers of whom writes were refused a moment ago, until when they are asked for nothing.
    refused: BTreeMap<Writer, Time>,
    /// Names this copy: a copy that was dropped and begun anew has another one.
    pub(super) copy: u64,
    /// The live nodes attached to the network, this one excluded.
    pub(super) peers: Listed,
    /// Those among them that nobody suspects.
    pub(super) alive: Listed,
}

/// A list of nodes, as of a change of who is here: with the next change it must be made anew.
#[derive(Debug, Default)]
pub(super) struct Listed(Option<(u64, Arc<[NodeId]>)>);

/// The peers that a network was compared with a moment ago: others have their turn first, or a write whose
/// push was lost everywhere could stay unknown to one of few for as long as chance wants it.
#[derive(Debug, Default)]
pub(super) struct Compared(VecDeque<NodeId>);

/// When to compare next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) at: Time,
    pub(super) interval: Duration,
    /// Until then things change and the interval stays short.
    busy_until: Time,
}

/// A pull under way.
#[derive(Debug)]
pub(super) struct PullState {
    pub(super) id: u64,
    pub(super) from: NodeId,
    pub(super) deadline: Time,
    /// Everything was asked for, not a part.
    pub(super) all: bool,
    /// Which copy of the peer's the chunks come from, once the first is here.
    pub(super) copy: Option<u64>,
    /// What the pull completes once all of it is here.
    pub(super) complete: Vec<Reached>,
    pub(super) purged: bool,
    /// The peer was not in sync itself.
    pub(super) doubtful: bool,
}

impl Network {
    pub(super) fn new(
        name: Arc<Name>,
        attachment: u32,
        copy: u64,
        config: &Config,
        now: Time,
    ) -> Self {
        Self {
            name,
            replica: Replica::new(config.tombstone_life, config.max_tombstones),
            attachment,
            written: [0; 2],
            complete: None,
            synced: false,
            doubts: 0,
            schedule: Schedule { at: now, interval: config.compare_interval, busy_until: now },
            compared: Compared::default(),
            pull: None,
            gap: None,
            replacing: BTreeMap::new(),
            replaced: BTreeMap::new(),
            refused: BTreeMap::new(),
            copy,
            peers: Listed::default(),
            alive: Listed::default(),
        }
    }

    /// The stream that this node writes now.
    pub(super) fn writer(&self, node: NodeId, generation: Generation, life: Lifetime) -> Writer {
        Writer { node, lifetime: life, generation, attachment: self.attachment }
    }

    /// The next dot of this node.
    pub(super) fn next_dot(&mut self, node: NodeId, generation: Generation, life: Lifetime) -> Dot {
        let writer = self.writer(node, generation, life);
        let [owner, cluster] = &mut self.written;
        let last = if life == Lifetime::Owner { owner } else { cluster };
        *last += 1;
        Dot { writer, sequence: *last }
    }

    /// The last own sequence.
    pub(super) fn written(&self, life: Lifetime) -> u64 {
        let [owner, cluster] = self.written;
        if life == Lifetime::Owner { owner } else { cluster }
    }

    /// Begins new streams, for a new generation.
    pub(super) fn restart_streams(&mut self) {
        self.written = [0; 2];
        self.complete = None;
    }

    /// There was no room for a write of `writer`. Nothing of it is asked for in a while, or every comparison
    /// would fetch what is refused again.
    pub(super) fn refuse(&mut self, now: Time, writer: Writer) {
        self.refused.insert(writer, now + REFUSAL);
    }

    /// Forgets the refusals that are over.
    pub(super) fn sweep_refusals(&mut self, now: Time) {
        self.refused.retain(|_, until| *until > now);
    }

    /// Whether writes of `writer` were refused a moment ago.
    pub(super) fn refuses(&self, now: Time, writer: &Writer) -> bool {
        self.refused.get(writer).is_some_and(|until| *until > now)
    }

    /// Whether a node's `Owner` stream was replaced by a later one.
    pub(super) fn is_replaced(&self, writer: &Writer) -> bool {
        self.replaced.get(&writer.node).is_some_and(|keep| writer < keep)
    }
}

impl Listed {
    /// The list, if it is still the one after so many `changes`.
    pub(super) fn get(&self, changes: u64) -> Option<Arc<[NodeId]>> {
        self.0.as_ref().filter(|(of, _)| *of == changes).map(|(_, nodes)| Arc::clone(nodes))
    }

    pub(super) fn set(&mut self, changes: u64, nodes: &Arc<[NodeId]>) {
        self.0 = Some((changes, Arc::clone(nodes)));
    }

    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

impl Compared {
    /// More are not remembered, and among more than twice as many chance is fair enough.
    const MAX: usize = 8;

    /// `peer` had its turn.
    pub(super) fn note(&mut self, peer: NodeId) {
        self.0.retain(|known| *known != peer);
        if self.0.len() == Self::MAX {
            self.0.pop_front();
        }
        self.0.push_back(peer);
    }

    /// Those of `peers` whose turn it is: at least one, if there is any.
    pub(super) fn due<'a>(&self, peers: &'a [NodeId]) -> Cow<'a, [NodeId]> {
        if peers.len() > 2 * Self::MAX {
            return Cow::Borrowed(peers);
        }
        let known = self.0.iter().rev().filter(|peer| peers.contains(peer));
        let had: Vec<&NodeId> = known.take(peers.len().saturating_sub(1)).collect();
        peers.iter().filter(|peer| !had.contains(peer)).copied().collect()
    }
}

impl Schedule {
    /// Something changed: compare soon, and again once it has settled.
    pub(super) fn hurry(&mut self, now: Time, config: &Config) {
        self.busy_until = now + SETTLE + config.compare_interval * 2;
        self.interval = config.compare_interval;
        self.at = self.at.min(now + config.compare_interval);
    }

    /// A comparison begins: when the next one is due, with `spread` in `0..=255` against lockstep. What waits
    /// for the network to be in sync does not wait for long if this comparison comes to nothing.
    pub(super) fn advance(&mut self, now: Time, synced: bool, spread: u8) {
        let interval = if synced { self.interval } else { self.interval / 4 };
        let jitter = interval / 8 * u32::from(spread) / 255;
        self.at = now + interval - jitter;
    }

    /// A comparison found nothing.
    pub(super) fn relax(&mut self, now: Time, config: &Config) {
        if now >= self.busy_until {
            self.interval = (self.interval * 2).min(config.compare_interval_max);
            self.at = self.at.max(now + self.interval - self.interval / 8);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use netdb_gossip_core::identity::NodeId;

    use super::Compared;

    fn nodes(count: u8) -> Vec<NodeId> {
        (0..count).map(|n| NodeId([n; 16])).collect()
    }

    #[test]
    fn all_of_few_peers_have_their_turn_before_one_has_two() {
        let peers = nodes(5);
        let mut compared = Compared::default();
        compared.note(NodeId([9; 16]));
        for _ in 0..3 {
            let mut had = Vec::new();
            for _ in &peers {
                let due = compared.due(&peers).into_owned();
                assert!(due.iter().all(|peer| !had.contains(peer)), "{due:?} after {had:?}");
                let next = due[due.len() / 2];
                compared.note(next);
                had.push(next);
            }
        }
    }

    #[test]
    fn there_is_always_somebody_to_compare_with() {
        let mut compared = Compared::default();
        let (one, many) = (nodes(1), nodes(99));
        for peer in &many {
            compared.note(*peer);
        }
        compared.note(one[0]);
        assert_eq!(*compared.due(&one), one);
        assert_eq!(*compared.due(&many), many);
        assert!(compared.due(&[]).is_empty());
    }
}
