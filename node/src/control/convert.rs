//! The node's words as the API's words.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use netdb::{
    CLUSTER_NETWORK, DeleteReason, Entry, Event, EventKind, KeysInfo, Lifetime, MemberInfo,
    MemberState, NetworkInfo, NodeId, OwnerState, RotationStep,
};
use netnode_api::{Payload, keys, node, rows};

use super::names::Names;

/// A table of the cluster network whose values are secrets: they are never shown.
const SECRET_TABLE: &str = "_tokens";

/// What a row is shown against.
pub(super) struct Viewer<'a> {
    pub(super) names: &'a Names,
    /// Cluster time, in microseconds since the Unix epoch.
    pub(super) now_us: u64,
}

impl Viewer<'_> {
    pub(super) fn row(&self, network: &str, entry: &Entry, state: OwnerState) -> rows::Row {
        let owner = (entry.row.lifetime == Lifetime::Owner).then_some(entry.row.owner);
        rows::Row {
            network: network.to_owned(),
            table: entry.row.table.to_string(),
            lifetime: lifetime(entry.row.lifetime),
            key: Payload::from(&*entry.row.key),
            value: value(network, entry),
            decoded: decoded(network, entry),
            owner: owner.map(|owner| owner.to_string()),
            owner_name: owner.and_then(|owner| self.names.of(owner).map(ToOwned::to_owned)),
            dot: dot(entry.dot),
            stamp_us: entry.at,
            age_ms: self.now_us.saturating_sub(entry.at) / 1000,
            state: row_state(state),
        }
    }

    pub(super) fn event(&self, event: &Event) -> rows::WatchEvent {
        let row =
            |entry: &Entry| Box::new(self.row(event.network.as_str(), entry, event.owner_state));
        match &event.kind {
            EventKind::Created { new } => rows::WatchEvent::Created { row: row(new) },
            EventKind::Updated { old, new } => {
                let value = value(event.network.as_str(), old);
                let old = rows::Old { value, dot: dot(old.dot), stamp_us: old.at };
                rows::WatchEvent::Updated { row: row(new), old }
            }
            EventKind::Deleted { old, reason } => {
                rows::WatchEvent::Deleted { row: row(old), reason: delete_reason(*reason) }
            }
            EventKind::SnapshotEnd => rows::WatchEvent::Snapshot,
        }
    }
}

/// Cluster time as a node with this clock offset sees it, in microseconds since the Unix epoch.
pub(super) fn cluster_time(clock_offset_us: i64) -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let own = u64::try_from(since.as_micros()).unwrap_or(u64::MAX);
    own.saturating_add_signed(clock_offset_us)
}

fn value(network: &str, entry: &Entry) -> Payload {
    let secret = network == CLUSTER_NETWORK && &*entry.row.table == SECRET_TABLE;
    let bytes = entry.value.as_deref().filter(|_| !secret);
    Payload::from(bytes.unwrap_or_default())
}

/// The fields of a row in one of the node's own tables.
fn decoded(network: &str, entry: &Entry) -> Option<BTreeMap<String, String>> {
    let value = entry.value.as_deref().filter(|_| network == CLUSTER_NETWORK)?;
    let fields = netdb::describe(&entry.row.table, &entry.row.key, value)?;
    Some(fields.into_iter().map(|(name, text)| (name.to_owned(), text)).collect())
}

pub(super) fn dot(dot: netdb::Dot) -> rows::Dot {
    rows::Dot {
        node: dot.writer.node.to_string(),
        generation: dot.writer.generation.0,
        attachment: dot.writer.attachment,
        sequence: dot.sequence,
    }
}

pub(super) fn lifetime(lifetime: Lifetime) -> rows::Lifetime {
    match lifetime {
        Lifetime::Owner => rows::Lifetime::Owner,
        Lifetime::Cluster => rows::Lifetime::Cluster,
    }
}

pub(super) fn to_lifetime(lifetime: rows::Lifetime) -> Lifetime {
    match lifetime {
        rows::Lifetime::Owner => Lifetime::Owner,
        rows::Lifetime::Cluster => Lifetime::Cluster,
    }
}

fn row_state(state: OwnerState) -> rows::RowState {
    match state {
        OwnerState::Alive => rows::RowState::Alive,
        OwnerState::Suspect => rows::RowState::Suspect,
        OwnerState::Restarting => rows::RowState::Restarting,
        OwnerState::Failed => rows::RowState::Failed,
    }
}

fn delete_reason(reason: DeleteReason) -> rows::DeleteReason {
    match reason {
        DeleteReason::Deleted => rows::DeleteReason::Deleted,
        DeleteReason::OwnerFailed => rows::DeleteReason::OwnerFailed,
        DeleteReason::OwnerLeft => rows::DeleteReason::OwnerLeft,
        DeleteReason::Detached => rows::DeleteReason::Detached,
    }
}

pub(super) fn member_state(state: MemberState) -> node::MemberState {
    match state {
        MemberState::Alive => node::MemberState::Alive,
        MemberState::Suspect => node::MemberState::Suspect,
        MemberState::Restarting => node::MemberState::Restarting,
        MemberState::Failed => node::MemberState::Failed,
        MemberState::Left => node::MemberState::Left,
    }
}

pub(super) fn member(info: &MemberInfo, this: NodeId) -> node::Member {
    node::Member {
        id: info.member.id.to_string(),
        name: info.name.as_ref().map(ToString::to_string),
        address: info.member.addr.to_string(),
        state: member_state(info.state),
        generation: info.member.generation.0,
        rtt_us: info.rtt.map(|rtt| u64::try_from(rtt.as_micros()).unwrap_or(u64::MAX)),
        conflict: info.conflict,
        is_self: info.member.id == this,
    }
}

pub(super) fn scope(info: &NetworkInfo) -> node::Scope {
    node::Scope {
        name: info.name.to_string(),
        synced: info.synced,
        entries: info.entries,
        bytes: info.bytes,
        tombstones: info.tombstones,
        aside: info.aside,
        hash: format!("{:016x}", info.hash),
        peers: info.peers,
    }
}

pub(super) fn keys(info: &KeysInfo) -> keys::Keys {
    let mut keys: Vec<_> = info
        .keys
        .iter()
        .map(|key| keys::Key {
            id: key.id.to_string(),
            epoch: key.epoch,
            primary: key.primary,
            held_by: key.held_by,
        })
        .collect();
    keys.sort_by_key(|key| (!key.primary, std::cmp::Reverse(key.epoch)));
    keys::Keys { keys, rotation: rotation(&info.rotation), live: info.live }
}

fn rotation(step: &RotationStep) -> keys::Rotation {
    let told = |key: &dyn ToString, waiting_for: &[NodeId]| keys::RotationStep {
        key: key.to_string(),
        waiting_for: waiting_for.iter().map(ToString::to_string).collect(),
    };
    match step {
        RotationStep::Idle => keys::Rotation::Idle,
        RotationStep::Installing { key, waiting_for } => {
            keys::Rotation::Installing(told(key, waiting_for))
        }
        RotationStep::Using { key, waiting_for } => keys::Rotation::Using(told(key, waiting_for)),
        RotationStep::Removing { key, waiting_for } => {
            keys::Rotation::Removing(told(key, waiting_for))
        }
    }
}
