//! The keyring's life: install, use, remove, each after every live node confirmed the step before.
//!
//! The state is in tables of the cluster network, so anybody can go on where somebody stopped. Whoever
//! ranks first for a key (by rendezvous hashing over the live nodes) takes the next step; if that node
//! does not, the next in order does.

use alloc::{sync::Arc, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use netdb_gossip_core::{
    codec,
    identity::NodeId,
    keyring::{Key, KeyId, Keyring},
    sealed::{open_sealed, seal_to},
    time::{Now, Time, micros},
};

use super::{
    KeyInfo, KeysInfo, MemberState, Node, NodeEvent, RotateError, RotationStep, timers::Timer,
};
use crate::{
    entry::{Entry, KeyBytes, Lifetime, RowKey},
    records::{self, AdmittedRecord, KeyRecord, KeyStage, NodeStatus},
    rendezvous,
    wire::{Batch, BatchBuilder, Message},
};

/// What a key is sealed for.
const SEAL_CONTEXT: &[u8] = b"netdb rotation";
/// How long each node further down the order waits before it takes a step in place of those before it.
const STEP_PATIENCE: Duration = Duration::from_secs(3);
/// How often a keyring is asked for, at most.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How often all nodes together look for failed nodes that lack the present key.
const CALL_EVERY: Duration = Duration::from_secs(2);
/// How rarely one node does, at most.
const CALL_EVERY_MAX: Duration = Duration::from_mins(5);
/// How often the keyring is seen to when nothing calls for it.
const IDLE_CHECK: Duration = Duration::from_secs(30);
/// How long an announced key may be held by nobody before another rotation may begin.
const ABANDONED_AFTER: Duration = Duration::from_mins(2);
/// How many rotations a node may have missed and still believe what it hears.
const MAX_EPOCHS_MISSED: u64 = 1 << 20;
/// Bytes of admission rows that travel with a keyring.
pub(super) const ADMITTED_BUDGET: usize = 512 * 1024;

/// What a node remembers of rotations.
#[derive(Debug, Default)]
pub(super) struct Rotation {
    /// The newest key and its stage, and since when they are known.
    stage: Option<(KeyId, KeyStage, Time)>,
    asked_at: Option<Time>,
    /// When this node last looked for failed nodes that lack the present key.
    called_at: Option<Time>,
}

impl Node {
    /// Begins a rotation: a new key for everybody.
    ///
    /// # Errors
    /// See [`RotateError`].
    pub fn rotate(&mut self, now: Now) -> Result<(), RotateError> {
        if self.is_starting() {
            return Err(RotateError::Starting);
        }
        let newest = self.newest_key().map(|(_, record)| record);
        let under_way = newest.is_some_and(|record| record.stage != KeyStage::RemoveOlder);
        if under_way && !self.is_abandoned(now) {
            return Err(RotateError::UnderWay);
        }
        // Above what is told as well as what is held: a key that does not become the newest is no step.
        let told = newest.map_or(0, |record| record.epoch);
        let highest = told.max(self.gossip.keyring().highest_epoch());
        let epoch = highest.checked_add(1).ok_or(RotateError::NoEpochLeft)?;
        // Its maker takes a key up like everybody; one that it can't open would stay unknown to it.
        if !self.admitted.contains(&self.id) {
            return Err(RotateError::NotAdmitted);
        }
        let key = Key::generate(epoch, self.gossip.entropy());
        let secret = codec::encode(&key);
        let record = |node: &NodeId| Some((*node, self.admission(*node)?));
        let admitted: Vec<(NodeId, AdmittedRecord)> =
            self.admitted.iter().filter_map(record).collect();
        for (node, record) in admitted {
            let sealed = seal_to(&record.identity, SEAL_CONTEXT, &secret, self.gossip.entropy());
            if let Ok(sealed) = sealed {
                let row = records::sealed_key_row(key.id(), node);
                self.write_record(now, records::SEALED_KEYS, &row, Some(sealed));
            }
        }
        self.write_stage(now, key.id(), epoch, KeyStage::Install);
        self.timers.set(now.mono, Timer::Keys);
        Ok(())
    }

    fn write_stage(&mut self, now: Now, id: KeyId, epoch: u64, stage: KeyStage) {
        let known = self.key_records().into_iter().find(|(known, _)| *known == id);
        let made_at = known.map_or(self.cluster_time(now).0, |(_, record)| record.made_at);
        let record = KeyRecord { epoch, stage, made_at };
        self.write_record(now, records::KEYS, &id.0, Some(records::encode(&record)));
    }

    /// Live rows of one of the node's own tables.
    pub(super) fn record_rows(&self, table: &str) -> Vec<Arc<Entry>> {
        let Some(cluster) = self.networks.get(&*self.cluster_name) else { return Vec::new() };
        let start = RowKey {
            table: table.into(),
            lifetime: Lifetime::Owner,
            key: KeyBytes::default(),
            owner: NodeId::default(),
        };
        let rows = cluster.replica.rows_from(core::ops::Bound::Included(&start));
        rows.take_while(|e| &*e.row.table == table).filter(|e| !e.is_tombstone()).cloned().collect()
    }

    fn key_records(&self) -> Vec<(KeyId, KeyRecord)> {
        let record = |entry: &Arc<Entry>| {
            let id = KeyId((*entry.row.key).try_into().ok()?);
            Some((id, records::decode(entry.value.as_ref()?).ok()?))
        };
        self.record_rows(records::KEYS).iter().filter_map(record).collect()
    }

    /// The newest key that is told of. Epochs grow by one: one far above all keys here is a lie.
    fn newest_key(&self) -> Option<(KeyId, KeyRecord)> {
        let believable = self.gossip.keyring().highest_epoch().saturating_add(MAX_EPOCHS_MISSED);
        let records = self.key_records().into_iter().filter(|(_, r)| r.epoch <= believable);
        records.max_by_key(|(id, record)| (record.epoch, *id))
    }

    /// Whether the newest key was announced a while ago and nobody here holds it: its maker went before
    /// it had handed it out.
    fn is_abandoned(&self, now: Now) -> bool {
        let Some((id, KeyStage::Install, since)) = self.rotation.stage else { return false };
        let holds = |node: &NodeId| {
            self.presences.record(*node).is_some_and(|record| record.keys.contains(&id))
        };
        now.mono >= since + ABANDONED_AFTER && !self.live().any(|node| holds(&node))
    }

    /// How long this node waits for those before it in the order of who acts for a key.
    fn patience(&self, id: KeyId) -> Duration {
        let own = rendezvous::bid(&id.0, &self.id);
        let before = self.live().filter(|node| rendezvous::bid(&id.0, node) > own).count();
        STEP_PATIENCE * u32::try_from(before).unwrap_or(u32::MAX)
    }

    /// Live nodes, this one included.
    fn live(&self) -> impl Iterator<Item = NodeId> {
        let live = self.presences.iter().filter(|(node, p)| {
            **node == self.id || matches!(p.state(), MemberState::Alive | MemberState::Suspect)
        });
        live.map(|(node, _)| *node)
    }

    /// Whether any other node is live.
    fn has_company(&self) -> bool {
        self.live().nth(1).is_some()
    }

    /// Follows what the tables say, takes the next step if it is this node's turn, and begins a
    /// rotation when one is due.
    pub(super) fn keys_due(&mut self, now: Now) {
        if self.is_leaving() {
            return;
        }
        self.follow(now);
        self.lead(now);
        self.ask_if_isolated(now);
        self.call_sleepers(now);
        self.timers.set(now.mono + IDLE_CHECK, Timer::Keys);
    }

    fn follow(&mut self, now: Now) {
        let before = self.gossip.keyring().clone();
        let records = self.key_records();
        for (id, _) in &records {
            if self.gossip.keyring().get(*id).is_none()
                && let Some(key) = self.unseal(*id)
            {
                let _ = self.gossip.keyring_mut().install(key);
            }
        }
        if let Some((id, record)) = self.newest_key() {
            self.reach(now, id, record.stage);
            if self.gossip.keyring().get(id).is_none() {
                self.ask_anyone(now);
            }
        }
        self.keyring_changed(now, &before);
    }

    fn reach(&mut self, now: Now, id: KeyId, stage: KeyStage) {
        if self.rotation.stage.is_none_or(|(key, known, _)| (key, known) != (id, stage)) {
            self.rotation.stage = Some((id, stage, now.mono));
            self.emit(NodeEvent::Keys);
        }
        let keyring = self.gossip.keyring_mut();
        if stage >= KeyStage::Use && keyring.get(id).is_some() {
            // Refused if a higher key is in use already: then the step is moot.
            let _ = keyring.use_key(id);
        }
        if stage == KeyStage::RemoveOlder && keyring.primary().id() == id {
            let rank = keyring.primary().rank();
            let older: Vec<KeyId> =
                keyring.iter().filter(|key| key.rank() < rank).map(Key::id).collect();
            for key in older {
                let _ = keyring.remove(key);
            }
        }
    }

    /// Stores and publishes a keyring that changed.
    fn keyring_changed(&mut self, now: Now, before: &Keyring) {
        if self.gossip.keyring() != before {
            self.disk.put_keyring(self.gossip.keyring());
            if !self.is_leaving() {
                self.publish_self(now, NodeStatus::Active);
            }
            self.emit(NodeEvent::Keys);
        }
    }

    fn unseal(&self, id: KeyId) -> Option<Key> {
        let row = records::sealed_key_row(id, self.id);
        let cluster = self.networks.get(&*self.cluster_name)?;
        let row = RowKey::shared(records::SEALED_KEYS, &row);
        let sealed = cluster.replica.get(&row)?.value.clone()?;
        let secret = open_sealed(&self.identity, SEAL_CONTEXT, &sealed).ok()?;
        let key: Key = codec::decode(&secret).ok()?;
        (key.id() == id).then_some(key)
    }

    fn lead(&mut self, now: Now) {
        let Some((id, record)) = self.newest_key() else { return };
        let Some((_, _, since)) = self.rotation.stage else { return };
        let (stage, after) = match record.stage {
            KeyStage::Install => (KeyStage::Use, Duration::ZERO),
            KeyStage::Use => (KeyStage::RemoveOlder, self.config.key_retire_after),
            KeyStage::RemoveOlder => {
                self.begin_if_due(now, id, record.made_at);
                return;
            }
        };
        let at = since + after + self.patience(id);
        if now.mono < at {
            self.timers.set(at, Timer::Keys);
        } else if self.is_abandoned(now) {
            let _ = self.rotate(now);
        } else if self.lagging(id, record.stage).is_empty() {
            self.write_stage(now, id, record.epoch, stage);
            if stage == KeyStage::RemoveOlder {
                self.clear_sealed(now, id);
            }
            self.timers.set(now.mono, Timer::Keys);
        }
    }

    /// Rows of keys before `id` have served their time.
    fn clear_sealed(&mut self, now: Now, id: KeyId) {
        for entry in self.record_rows(records::SEALED_KEYS) {
            if !entry.row.key.starts_with(&id.0) {
                self.write_record(now, records::SEALED_KEYS, &entry.row.key, None);
            }
        }
        for (key, _) in self.key_records().into_iter().filter(|(key, _)| *key != id) {
            self.write_record(now, records::KEYS, &key.0, None);
        }
    }

    fn begin_if_due(&mut self, now: Now, id: KeyId, made_at: u64) {
        let Some(every) = self.config.key_rotation else { return };
        let left = |due: u64| due.saturating_sub(self.cluster_time(now).0);
        let due = made_at.saturating_add(micros(every));
        // The idle check comes by again, and the clock may be set meanwhile.
        if left(due) > micros(IDLE_CHECK) {
            return;
        }
        let left = left(due.saturating_add(micros(self.patience(id))));
        if left == 0 {
            let _ = self.rotate(now);
        } else {
            self.timers.set(now.mono + Duration::from_micros(left), Timer::Keys);
        }
    }

    /// Live nodes that have not confirmed a step.
    fn lagging(&self, id: KeyId, stage: KeyStage) -> Vec<NodeId> {
        let confirmed = |node: &NodeId| {
            if *node == self.id {
                return match stage {
                    KeyStage::Install => self.gossip.keyring().get(id).is_some(),
                    KeyStage::Use => self.gossip.keyring().primary().id() == id,
                    KeyStage::RemoveOlder => self.gossip.keyring().iter().count() == 1,
                };
            }
            self.presences.record(*node).is_some_and(|record| match stage {
                KeyStage::Install => record.keys.contains(&id),
                KeyStage::Use => record.primary == id,
                KeyStage::RemoveOlder => record.keys == [id],
            })
        };
        self.live().filter(|node| !confirmed(node)).collect()
    }

    /// Somebody seals with a key that this node lacks, or lacks the one that this node seals with: the
    /// two exchange keyrings over a stream, where each proves who it is.
    pub(super) fn unknown_key(&mut self, now: Now, from: SocketAddr) {
        let known = self.presences.iter().find(|(_, p)| p.member.addr == from);
        let known = known.map(|(node, _)| *node);
        let old = || self.old_peers.iter().find(|m| m.addr == from).map(|m| m.id);
        if let Some(node) = known.or_else(old).filter(|node| *node != self.id) {
            self.ask_keys(now, node);
        }
    }

    fn ask_keys(&mut self, now: Now, node: NodeId) {
        if self.rotation.asked_at.is_some_and(|at| now.mono < at + ASK_EVERY) {
            return;
        }
        self.rotation.asked_at = Some(now.mono);
        self.send_keys(now, node);
        self.say_on_stream(node, crate::wire::encode(&Message::KeysWanted));
    }

    fn ask_anyone(&mut self, now: Now) {
        let peers: Vec<NodeId> = self.live().filter(|node| *node != self.id).collect();
        if let Some(peer) = self.pick(&peers) {
            self.ask_keys(now, peer);
        }
        self.timers.set(now.mono + ASK_EVERY * 2, Timer::Keys);
    }

    /// Nobody answers, though peers are known: perhaps they changed their keys meanwhile.
    fn ask_if_isolated(&mut self, now: Now) {
        if self.has_company() {
            return;
        }
        let peers: Vec<NodeId> =
            self.old_peers.iter().map(|m| m.id).filter(|node| *node != self.id).collect();
        if let Some(peer) = self.pick(&peers) {
            self.ask_keys(now, peer);
            self.timers.set(now.mono + ASK_EVERY * 4, Timer::Keys);
        }
    }

    /// Failed nodes that lack the present key can't hear this node's calls: perhaps they are back, and
    /// have nobody to ask. All live nodes together look about every two seconds.
    fn call_sleepers(&mut self, now: Now) {
        let primary = self.gossip.keyring().primary().id();
        let lacks = |node: &NodeId| {
            self.presences.record(*node).is_none_or(|record| !record.keys.contains(&primary))
        };
        let sleepers: Vec<NodeId> = self.presences.failed().filter(lacks).collect();
        if sleepers.is_empty() {
            return;
        }
        let live = u32::try_from(self.live().count()).unwrap_or(u32::MAX);
        let every = CALL_EVERY.saturating_mul(live).min(CALL_EVERY_MAX);
        let at = self.rotation.called_at.map_or(now.mono + every, |called| called + every);
        if now.mono < at {
            self.rotation.called_at.get_or_insert(now.mono);
            self.timers.set(at, Timer::Keys);
            return;
        }
        self.rotation.called_at = Some(now.mono);
        if let Some(node) = self.pick(&sleepers) {
            self.ask_keys(now, node);
        }
        self.timers.set(now.mono + every, Timer::Keys);
    }

    /// The keyring to one node, with the admissions that it was made for.
    pub(super) fn send_keys(&mut self, _now: Now, to: NodeId) {
        let admitted = self.admitted_batch();
        let keyring = self.gossip.keyring().clone();
        self.say_on_stream(to, crate::wire::encode(&Message::Keys { keyring, admitted }));
    }

    /// Admission rows, as many as fit.
    pub(super) fn admitted_batch(&self) -> Batch {
        let mut batch = BatchBuilder::new(ADMITTED_BUDGET);
        for entry in self.record_rows(records::ADMITTED) {
            if !batch.add(&entry, Duration::ZERO) {
                break;
            }
        }
        batch.finish()
    }

    pub(super) fn take_keys(&mut self, now: Now, from: NodeId, keyring: &Keyring, admitted: Batch) {
        let cluster = Arc::clone(&self.cluster_name);
        if let Some((name, rows)) = self.unpack(&cluster, admitted) {
            self.take_rows(now, from, &name, rows);
        }
        let before = self.gossip.keyring().clone();
        self.gossip.keyring_mut().merge(keyring);
        self.keyring_changed(now, &before);
        self.timers.set(now.mono, Timer::Keys);
        if !self.has_company() {
            // What kept them apart is gone: call everybody at once.
            let alive = netdb_gossip_core::gossip::MemberState::Alive;
            let peers: Vec<_> = self.old_peers.iter().map(|member| (*member, alive)).collect();
            self.gossip.contact(now, &peers);
            self.drain_gossip(now);
        }
    }

    /// The keys this node holds, and where the rotation stands.
    pub fn keys(&self) -> KeysInfo {
        let live: Vec<NodeId> = self.live().collect();
        let keyring = self.gossip.keyring();
        let held_by = |id: KeyId| {
            let others = live.iter().filter(|node| **node != self.id);
            let records = others.filter_map(|node| self.presences.record(*node));
            1 + records.filter(|record| record.keys.contains(&id)).count()
        };
        let primary = keyring.primary().id();
        let info = |key: &Key| KeyInfo {
            id: key.id(),
            epoch: key.epoch(),
            primary: key.id() == primary,
            held_by: held_by(key.id()),
        };
        let rotation = self.newest_key().map_or(RotationStep::Idle, |(key, record)| {
            let waiting_for = self.lagging(key, record.stage);
            match record.stage {
                KeyStage::Install => RotationStep::Installing { key, waiting_for },
                KeyStage::Use => RotationStep::Using { key, waiting_for },
                KeyStage::RemoveOlder if waiting_for.is_empty() => RotationStep::Idle,
                KeyStage::RemoveOlder => RotationStep::Removing { key, waiting_for },
            }
        });
        KeysInfo { keys: keyring.iter().map(info).collect(), rotation, live: live.len() }
    }
}
