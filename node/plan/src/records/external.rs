//! How what comes from outside gets to a service.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Which backends get what comes by a port that all nodes have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ExternalTraffic {
    /// All of the cluster.
    #[default]
    Cluster,
    /// Those of the node that it comes to; elsewhere it is refused.
    Local,
}

/// Not an [`ExternalTraffic`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected cluster or local")]
pub struct ParseExternalTrafficError;

impl fmt::Display for ExternalTraffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cluster => "cluster",
            Self::Local => "local",
        })
    }
}

impl FromStr for ExternalTraffic {
    type Err = ParseExternalTrafficError;

    fn from_str(text: &str) -> Result<Self, ParseExternalTrafficError> {
        match text {
            "cluster" => Ok(Self::Cluster),
            "local" => Ok(Self::Local),
            _ => Err(ParseExternalTrafficError),
        }
    }
}
