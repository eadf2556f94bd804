//! How a link shows that it is ours: its alias names the network and, if it has one, the endpoint.

use core::{fmt, str::FromStr};

use crate::records::{EndpointId, NetworkId};

/// What our aliases begin with.
const PREFIX: &str = "netnode:";

/// Whose a link is; its text is the link's alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The network.
    pub network: NetworkId,
    /// The endpoint, if it is one's.
    pub endpoint: Option<EndpointId>,
}

/// Not an alias of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a mark of netnode")]
pub struct NotAMark;

impl Mark {
    /// Of a link that was made and not marked yet, when its maker was killed: nobody wants it.
    pub const UNFINISHED: Self = Self { network: NetworkId([0; 16]), endpoint: None };

    /// The mark of what a network has once.
    pub fn network(network: NetworkId) -> Self {
        Self { network, endpoint: None }
    }

    /// The mark of an endpoint's link.
    pub fn endpoint(network: NetworkId, endpoint: EndpointId) -> Self {
        Self { network, endpoint: Some(endpoint) }
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.network)?;
        self.endpoint.map_or(Ok(()), |endpoint| write!(f, ":{endpoint}"))
    }
}

impl FromStr for Mark {
    type Err = NotAMark;

    fn from_str(text: &str) -> Result<Self, NotAMark> {
        let rest = text.strip_prefix(PREFIX).ok_or(NotAMark)?;
        let (network, endpoint) = match rest.split_once(':') {
            Some((network, endpoint)) => (network, Some(endpoint)),
            None => (rest, None),
        };
        let endpoint = endpoint.map(str::parse).transpose().map_err(|_| NotAMark)?;
        Ok(Self { network: network.parse().map_err(|_| NotAMark)?, endpoint })
    }
}
