//! What a node takes of a service's connections from outside the cluster.

use serde::{Deserialize, Serialize};

use super::Record;

/// The most that backends of one node weigh together.
pub const MAX_MESH_WEIGHT: u32 = 1 << 20;

/// How much the backends that a node has of a service weigh together, in each version of IP in which they are reached;
/// those that take something new. A node whose backends only end what they have begun says so by weights of 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshRecord {
    /// By IPv4.
    pub v4: u32,
    /// By IPv6.
    pub v6: u32,
}

/// What is wrong with a [`MeshRecord`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MeshError {
    /// Over [`MAX_MESH_WEIGHT`].
    #[error("backends that weigh {0}, {MAX_MESH_WEIGHT} at most")]
    Weight(u32),
}

impl Record for MeshRecord {
    type Error = MeshError;

    fn check(&self) -> Result<(), MeshError> {
        match self.v4.max(self.v6) {
            over if over > MAX_MESH_WEIGHT => Err(MeshError::Weight(over)),
            _ => Ok(()),
        }
    }
}
