//! The rows of endpoints and peers in all networks that this node is attached to, as the view shows them.

use std::collections::BTreeMap;

use netdb::{Entry, Event, Name, NodeId, OwnerState, Row as ShownRow};
use netnode_plan::{
    mesh,
    overlay::Row,
    records::{
        self, ENDPOINTS, EndpointId, EndpointRecord, MESH, MeshRecord, NetworkId, PEERS,
        PeerRecord, Record, ServiceId,
    },
};

/// One row, decoded.
#[derive(Clone, Debug)]
struct Held<T> {
    state: OwnerState,
    record: T,
}

/// The rows of one network.
#[derive(Clone, Debug, Default)]
pub(super) struct Rows {
    endpoints: BTreeMap<(NodeId, EndpointId), Held<EndpointRecord>>,
    peers: BTreeMap<NodeId, Held<PeerRecord>>,
    /// Of the network on which nodes hand each other what comes from outside.
    mesh: BTreeMap<(NodeId, ServiceId), Held<MeshRecord>>,
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
        let value = entry.value.as_deref().filter(|_| there);
        let owner = entry.row.owner;
        match &*entry.row.table {
            ENDPOINTS => {
                let Some(of) = endpoint_of(entry) else { return false };
                put(&mut rows.endpoints, of, decoded(network, value, state));
            }
            PEERS => put(&mut rows.peers, owner, decoded(network, value, state)),
            MESH => {
                let Ok(id) = <[u8; 16]>::try_from(&*entry.row.key) else { return false };
                put(&mut rows.mesh, (owner, ServiceId(id)), decoded(network, value, state));
            }
            _ => return false,
        }
        true
    }

    /// All networks that anything was said of.
    pub(super) fn networks(&self) -> impl Iterator<Item = (NetworkId, &Rows)> {
        self.0.iter().map(|(network, rows)| (*network, rows))
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

fn decoded<T: Record>(
    network: NetworkId,
    value: Option<&[u8]>,
    state: OwnerState,
) -> Option<Held<T>> {
    match records::decode(value?) {
        Ok(record) => Some(Held { state, record }),
        Err(error) => {
            tracing::warn!(%network, "a row is not understood: {error}");
            None
        }
    }
}

impl<T> Held<T> {
    fn row(&self, owner: NodeId) -> Row<'_, T> {
        Row { owner, live: self.state != OwnerState::Failed, record: &self.record }
    }
}

/// The endpoint that a row is about, in the tables that have such.
pub(super) fn endpoint_of(entry: &Entry) -> Option<(NodeId, EndpointId)> {
    let id = <[u8; 16]>::try_from(&*entry.row.key).ok().filter(|_| &*entry.row.table == ENDPOINTS);
    id.map(|id| (entry.row.owner, EndpointId(id)))
}

impl Rows {
    /// What is said of one endpoint by one node, and how that is doing.
    pub(super) fn endpoint(
        &self,
        of: (NodeId, EndpointId),
    ) -> Option<(&EndpointRecord, OwnerState)> {
        self.endpoints.get(&of).map(|held| (&held.record, held.state))
    }

    pub(super) fn endpoints(&self) -> BTreeMap<(NodeId, EndpointId), Row<'_, EndpointRecord>> {
        let mut rows = BTreeMap::new();
        for ((owner, id), held) in &self.endpoints {
            rows.insert((*owner, *id), held.row(*owner));
        }
        rows
    }

    pub(super) fn records(&self) -> impl Iterator<Item = (&(NodeId, EndpointId), &EndpointRecord)> {
        self.endpoints.iter().map(|(holder, held)| (holder, &held.record))
    }

    /// Each node's endpoint, and what it takes of services from outside. Own rows are left out: of its own, a node
    /// knows more than it said.
    pub(super) fn mesh(&self, own: NodeId) -> BTreeMap<NodeId, mesh::Peer<'_>> {
        let mut peers = BTreeMap::new();
        for ((owner, _), held) in self.endpoints.iter().filter(|((owner, _), _)| *owner != own) {
            let of = (*owner, ServiceId([0; 16]))..=(*owner, ServiceId([0xff; 16]));
            peers.entry(*owner).or_insert_with(|| mesh::Peer {
                state: held.state,
                endpoint: &held.record,
                shares: self.mesh.range(of).map(|((_, id), held)| (*id, held.record)).collect(),
            });
        }
        peers
    }

    pub(super) fn peers(&self) -> Vec<Row<'_, PeerRecord>> {
        self.peers.iter().map(|(owner, held)| held.row(*owner)).collect()
    }
}
