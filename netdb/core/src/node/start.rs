//! How a node begins: from what is on disk, to its generation being durable, to its records published.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{
    gossip::{Gossip, Member, MemberState as Seen, Setup as GossipSetup},
    identity::{Generation, Name},
    time::{Now, Wall},
};

use super::{
    Node, NodeStats, Phase, Setup, StartError, decisions,
    disk::{self, Disk, Loaded, LoadedRow, LoadedWriter},
    io::CLUSTER_NETWORK,
    keys::Rotation,
    network::Network,
    push::Outbox,
    timers::{Timer, Timers},
};
use crate::{clock::Clock, presence::Presences, watch::Watchers};

/// How long a node that knows peers waits for one before it believes itself alone.
const BOOT_WAIT: Duration = Duration::from_secs(2);
/// How often the slow chores are done.
pub(super) const HOUSEKEEPING: Duration = Duration::from_secs(10);

impl Node {
    /// A node from its disk. Its first output is the commit of its generation; until that is durable it
    /// sends nothing and refuses commands.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(setup: Setup, now: Now) -> Result<Self, StartError> {
        let loaded = disk::load(setup.disk, now.wall)?;
        let id = setup.identity.node_id();
        if loaded.cluster.node != id {
            return Err(StartError::Damaged { what: "cluster identity (it names another node)" });
        }
        let Ok(cluster_name) = Name::new(CLUSTER_NETWORK) else {
            return Err(StartError::Damaged { what: "name of the cluster network" });
        };
        let generation =
            Generation((loaded.generation.0.saturating_add(1)).max(now.wall.unix_secs()));
        let member = Member { id, generation, revision: 0, addr: setup.addr };
        let mut disk = Disk::default();
        disk.put_generation(generation);
        let gossip = Gossip::new(
            GossipSetup {
                config: setup.config.gossip.clone(),
                cluster: loaded.cluster.cluster,
                member,
                keyring: loaded.keyring.clone(),
                seed: setup.seed,
                entropy: setup.entropy,
            },
            now,
        );
        let mut node = Self {
            identity: setup.identity,
            id,
            name: setup.name,
            cluster: loaded.cluster.cluster,
            gossip,
            rng: decisions(setup.seed ^ 0x6e_6574_6462),
            clock: Clock::resume(loaded.clock),
            phase: Phase::Starting { commit: disk.next_commit() },
            presences: Presences::default(),
            networks: BTreeMap::new(),
            admitted: alloc::collections::BTreeSet::new(),
            attachments: BTreeMap::new(),
            own_attachments: loaded.attachments.clone(),
            old_peers: by_id(&loaded.peers),
            cluster_name: Arc::new(cluster_name),
            watchers: Watchers::default(),
            outbox: Outbox::default(),
            outputs: alloc::collections::VecDeque::new(),
            disk,
            unsaved: alloc::collections::BTreeSet::new(),
            timers: Timers::default(),
            rotation: Rotation::default(),
            boot_until: now.mono + BOOT_WAIT,
            reborn_at: None,
            next_pull: 0,
            inspected: super::inspect::Pace::default(),
            requests: super::requests::Requests::default(),
            stats: NodeStats::default(),
            config: setup.config,
        };
        node.restore(now, loaded);
        Ok(node)
    }

    /// Opens the networks that this node was attached to and fills them from disk.
    fn restore(&mut self, now: Now, loaded: Loaded) {
        let Loaded { mut rows, mut writers, attachments, .. } = loaded;
        let cluster = Arc::clone(&self.cluster_name);
        let attached = attachments.into_iter().filter(|(_, a)| a.attached);
        let attached = attached.map(|(name, _)| Arc::new(name));
        for name in core::iter::once(cluster).chain(attached) {
            let network = self.open_network(now, &name);
            let rows = rows.remove(&*name).unwrap_or_default();
            let writers = writers.remove(&*name).unwrap_or_default();
            fill(network, now, rows, writers);
            self.watch_graves(&name);
        }
    }

    /// The generation is durable: take part.
    pub(super) fn begin(&mut self, now: Now) {
        self.phase = Phase::Running;
        self.boot_until = now.mono + BOOT_WAIT;
        self.timers.set(self.boot_until, Timer::Boot);
        self.timers.set(now.mono + HOUSEKEEPING, Timer::Housekeeping);
        self.timers.set(now.mono, Timer::Keys);
        let me = *self.gossip.me();
        self.presences.seen(now.mono, me, Seen::Alive);
        self.stir(self.id);
        let rows: Vec<_> = self.own_records();
        for change in rows {
            self.record_changed(now, &change);
        }
        let peers: Vec<_> = self.old_peers.iter().map(|m| (*m, Seen::Alive)).collect();
        self.publish_everything(now);
        self.gossip.contact(now, &peers);
        self.drain_gossip(now);
    }

    /// The cluster's records as they stand on disk, told as news.
    fn own_records(&self) -> Vec<crate::replica::Change> {
        let Some(cluster) = self.networks.get(&*self.cluster_name) else { return Vec::new() };
        let rows = cluster.replica.rows_from(core::ops::Bound::Unbounded);
        rows.map(|e| crate::replica::Change { old: None, new: Some(Arc::clone(e)) }).collect()
    }

    /// Whoever was going to answer at the start has: nobody means alone.
    pub(super) fn boot_due(&mut self, now: Now) {
        if now.mono >= self.boot_until {
            let names: Vec<_> = self.networks.keys().cloned().collect();
            for name in names {
                self.check_alone(now, &name);
            }
        }
    }
}

/// In order of the ids, one of each.
fn by_id(peers: &[Member]) -> Vec<Member> {
    let by_id: BTreeMap<_, _> = peers.iter().map(|member| (member.id, *member)).collect();
    by_id.into_values().collect()
}

fn fill(network: &mut Network, now: Now, rows: Vec<LoadedRow>, writers: Vec<LoadedWriter>) {
    for LoadedRow { entry, age } in rows {
        // What was accepted once is not doubted again, whatever the clock says before it is set.
        network.replica.apply(now.mono, Wall(u64::MAX), entry, age);
    }
    for LoadedWriter { writer, contiguous, purged, retired } in writers {
        let digest = network.replica.digest_mut();
        digest.restore(writer, contiguous, purged);
        if retired {
            digest.retire(&writer);
        }
    }
}
