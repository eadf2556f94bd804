//! The rows that drivers live on: what they mean, their bytes, and what is refused about them.
//!
//! | table | where | lifetime | key | row |
//! | --- | --- | --- | --- | --- |
//! | [`NETWORKS`] | cluster network | cluster | network id | [`NetworkRecord`] |
//! | [`ENDPOINTS`] | the network | owner | endpoint id | [`EndpointRecord`] |
//! | [`SERVICES`] | cluster network | cluster | service id | [`ServiceRecord`] |
//! | [`POOLS`] | cluster network | cluster | [`POOL4_KEY`], [`POOL6_KEY`] | [`Pool`](crate::spaces::Pool) |
//! | [`ROUTES`] | cluster network | owner | [`ROUTES_KEY`] | [`RoutesRecord`] |
//! | [`LOST`] | cluster network | cluster | node id | what people called it |
//! | [`PEERS`] | the network | owner | [`PEER_KEY`] | [`PeerRecord`] |
//! | [`MESH`] | the ingress network | owner | service id | [`MeshRecord`] |
//!
//! A row comes from another node, which may be wrong or ill-meaning: what decodes here has been checked,
//! so nobody behind this module has to look again.

mod backend;
mod endpoint;
mod external;
mod id;
mod link_name;
mod mac;
mod mesh;
mod network;
mod peer;
mod routes;
mod service;
mod subnet;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;

use netdb_gossip_core::codec;
use serde::{Serialize, de::DeserializeOwned};

use crate::spaces::PoolError;
pub use backend::{
    Backend, BackendState, Health, MAX_WEIGHT, ParseBackendStateError, ParseHealthError,
};
pub(crate) use endpoint::latest;
pub use endpoint::{EndpointError, EndpointRecord, MAX_ADDRESSES, MAX_ALIASES, MAX_SANDBOX};
pub use external::{ExternalTraffic, ParseExternalTrafficError};
pub use id::{EndpointId, NetworkId, ParseIdError, ServiceId};
pub use link_name::{LinkName, LinkNameError};
pub use mac::{Mac, ParseMacError};
pub use mesh::{MAX_MESH_WEIGHT, MeshError, MeshRecord};
pub use netdb_core::records::ATTACHMENTS;
pub use network::{
    Driver, MAX_LABEL, MAX_LABELS, MAX_MTU, MAX_SUBNETS, MAX_VNI, MIN_MTU, MIN_MTU_V6, MacvlanMode,
    NetworkError, NetworkOptions, NetworkRecord, Parent,
};
pub use peer::{MAX_TUNNELS, PeerError, PeerRecord};
pub use routes::{MAX_ROUTES, RoutesError, RoutesRecord};
pub use service::{
    MAX_PORTS, ParseProtocolError, ParsePublishModeError, ParseServiceModeError, Protocol,
    PublishMode, PublishedPort, ServiceError, ServiceMode, ServiceRecord,
};
pub use subnet::{MAX_AUX, Subnet, SubnetError};

/// Table of [`NetworkRecord`]s.
pub const NETWORKS: &str = "networks";
/// Table of [`EndpointRecord`]s.
pub const ENDPOINTS: &str = "endpoints";
/// Table of [`PeerRecord`]s.
pub const PEERS: &str = "peers";
/// Key of a node's only row in [`PEERS`].
pub const PEER_KEY: &[u8] = b"self";
/// Table of [`MeshRecord`]s.
pub const MESH: &str = "mesh";
/// Table of [`ServiceRecord`]s.
pub const SERVICES: &str = "services";
/// Table of the [`Pool`](crate::spaces::Pool)s that subnets come from.
pub const POOLS: &str = "pools";
/// Key of the pool of IPv4.
pub const POOL4_KEY: &[u8] = b"v4";
/// Key of the pool of IPv6.
pub const POOL6_KEY: &[u8] = b"v6";
/// Table of [`RoutesRecord`]s.
pub const ROUTES: &str = "routes";
/// Key of a node's only row in [`ROUTES`].
pub const ROUTES_KEY: &[u8] = b"self";

/// Table of nodes that are down for good.
pub const LOST: &str = "lost";

const VERSION: u8 = 1;

/// A record of one of these tables.
pub trait Record: Serialize + DeserializeOwned {
    /// What may be wrong with one.
    type Error: Into<RecordError>;

    /// Whether its parts fit together.
    ///
    /// # Errors
    /// The first part that doesn't.
    fn check(&self) -> Result<(), Self::Error>;
}

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A node of another release wrote it.
    #[error("version {0} of the record is not known here")]
    Version(u8),
    /// Not one whole record.
    #[error("malformed record")]
    Malformed,
    /// A network that can't be.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// An endpoint that can't be.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// A peer that can't be.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// A share of the mesh that can't be.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// A service that can't be.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A pool that can't be.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// Routes that can't be.
    #[error(transparent)]
    Routes(#[from] RoutesError),
}

/// A record to the bytes of its row.
pub fn encode<T: Record>(record: &T) -> Vec<u8> {
    codec::encode(&(VERSION, record))
}

/// The bytes of a row to its record, checked.
///
/// # Errors
/// Another version, not one whole record, or parts that don't fit together.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, RecordError> {
    let version = bytes.first().copied().ok_or(RecordError::Malformed)?;
    if version != VERSION {
        return Err(RecordError::Version(version));
    }
    let (_, record): (u8, T) = codec::decode(bytes).map_err(|_| RecordError::Malformed)?;
    record.check().map_err(Into::into)?;
    Ok(record)
}
