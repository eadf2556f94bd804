//! The rows of endpoints and peers in all networks that this node is attached to, as the view shows them.

use std::collections::BTreeMap;

use netdb::{Entry, Event, Name, NodeId, OwnerState, Row as ShownRow};
use netnode_plan::{
    overlay::Row,
    records::{self, ENDPOINTS, EndpointId, EndpointRecord, NetworkId, PEERS, PeerRecord, Record},
};

/// One row, decoded.
#[derive(Clone, Debug)]
struct Held<T> {
    live: bool,
    record: T,
}

/// The rows of one network.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    endpoints: BTreeMap<(NodeId, EndpointId), Held<EndpointRecord>>,
    peers: BTreeMap<NodeId, Held<PeerRecord>>,
}

/// The rows of all networks.
#[derive(Clone, Debug, Default)]
pub(super) struct AllRows(BTreeMap<NetworkId, Rows>);

/// What a network's tables are called by: its id, which never changes.
pub(super) fn scope_of(network: NetworkId) -> Result<Name, netdb::NameError> {
    Name::new(&network.to_string())
}

impl AllRows {
    /// Takes what a watch told. The network that it was about, if it was about one.
    pub(super) fn take(&mut self, event: &Event) -> Option<NetworkId> {
        let entry = event.kind.entry()?;
        let network: NetworkId = event.network.as_str().parse().ok()?;
        let there = event.kind.standing().is_some();
        self.put(network, entry, event.owner_state, there).then_some(network)
    }

    /// Takes what a list of rows told.
    pub(super) fn take_row(&mut self, network: &Name, row: &ShownRow) {
        if let Ok(network) = network.as_str().parse() {
            self.put(network, &row.entry, row.owner_state, true);
        }
    }

    fn put(&mut self, network: NetworkId, entry: &Entry, state: OwnerState, there: bool) -> bool {
        let rows = self.0.entry(network).or_default();
        let live = state != OwnerState::Failed;
        let value = entry.value.as_deref().filter(|_| there);
        let owner = entry.row.owner;
        match &*entry.row.table {
            ENDPOINTS => {
                let Ok(id) = <[u8; 16]>::try_from(&*entry.row.key).map(EndpointId) else {
                    return false;
                };
                put(&mut rows.endpoints, (owner, id), decoded(network, value, live));
            }
            PEERS => put(&mut rows.peers, owner, decoded(network, value, live)),
            _ => return false,
        }
        true
    }

    pub(super) fn of(&self, network: NetworkId) -> Option<&Rows> {
        self.0.get(&network)
    }
}

fn put<K: Ord, T>(rows: &mut BTreeMap<K, T>, key: K, row: Option<T>) {
    match row {
        Some(row) => rows.insert(key, row),
        None => rows.remove(&key),
    };
}

fn decoded<T: Record>(network: NetworkId, value: Option<&[u8]>, live: bool) -> Option<Held<T>> {
    match records::decode(value?) {
        Ok(record) => Some(Held { live, record }),
        Err(error) => {
            tracing::warn!(%network, "a row is not understood: {error}");
            None
        }
    }
}

impl Rows {
    pub(super) fn endpoints(&self) -> BTreeMap<(NodeId, EndpointId), Row<'_, EndpointRecord>> {
        let mut rows = BTreeMap::new();
        for ((owner, id), Held { live, record }) in &self.endpoints {
            rows.insert((*owner, *id), Row { owner: *owner, live: *live, record });
        }
        rows
    }

    pub(super) fn records(&self) -> impl Iterator<Item = (&(NodeId, EndpointId), &EndpointRecord)> {
        self.endpoints.iter().map(|(holder, held)| (holder, &held.record))
    }

    pub(super) fn peers(&self) -> Vec<Row<'_, PeerRecord>> {
        let peers = self.peers.iter();
        peers
            .map(|(owner, held)| Row { owner: *owner, live: held.live, record: &held.record })
            .collect()
    }
}
