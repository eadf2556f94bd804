//! What a node is told when it is opened: where its state is, where it listens, what it is called.
//!
//! Must never be read after the opening, but for what [`NetDb::reload`](crate::NetDb::reload) changes.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use netdb_core::config::InvalidConfig;
use netdb_gossip_core::identity::{Name, NameError};

use crate::Settings;

/// The port of a node unless it is told otherwise, for UDP and TCP.
pub const DEFAULT_PORT: u16 = 7940;

/// Everything a node needs to know at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The directory of the node's keys and durable tables. It is made with mode 0700 if it is missing,
    /// and belongs to one node.
    pub state_dir: PathBuf,
    /// Where to listen, for UDP and TCP. Port 0 takes a free one, which then changes at every start.
    pub listen: SocketAddr,
    /// What other nodes are told to send to, if it is not where this one listens (behind NAT, or with
    /// several interfaces). By default the listening address, or if that is unspecified the address
    /// that packets to the other nodes leave from.
    pub advertise: Option<SocketAddr>,
    /// What people call the node; the host's name by default.
    pub name: Option<Name>,
    /// Timings and limits.
    pub settings: Settings,
}

/// A setting that can't be used. Nothing was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A timing or limit is out of its range.
    #[error(transparent)]
    Settings(#[from] InvalidConfig),
    /// The host's name can't be a node's name.
    #[error("the host name {host:?} can't be the node's name ({error}): set `name`")]
    HostName {
        /// The host's name.
        host: String,
        /// Why not.
        error: NameError,
    },
    /// Nobody could reach the node there.
    #[error("{0} can't be advertised: give an address and port that other nodes can send to")]
    Advertise(SocketAddr),
    /// The host has no route to the world, and none or several addresses.
    #[error("cannot tell at which address of this host others can reach it: set `advertise`")]
    NoAddress,
}

impl Config {
    /// A node of a LAN with its state in `state_dir`, listening on all interfaces.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_PORT),
            advertise: None,
            name: None,
            settings: Settings::lan(),
        }
    }

    /// A node on a free port of the loopback interface, with quick timings: for tests and
    /// experiments with several nodes on one machine.
    pub fn local(state_dir: impl Into<PathBuf>, name: Name) -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            name: Some(name),
            settings: Settings::local(),
            ..Self::new(state_dir)
        }
    }

    /// Checks what can be checked without touching anything.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.settings.validate()?;
        if let Some(advertise) = self.advertise
            && (advertise.ip().is_unspecified() || advertise.port() == 0)
        {
            return Err(ConfigError::Advertise(advertise));
        }
        self.node_name().map(drop)
    }

    /// The node's name.
    pub(crate) fn node_name(&self) -> Result<Name, ConfigError> {
        if let Some(name) = &self.name {
            return Ok(name.clone());
        }
        let host = nix::unistd::gethostname().unwrap_or_default();
        let host = host.to_string_lossy().into_owned();
        Name::new(&host).map_err(|error| ConfigError::HostName { host, error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_used_is_named() {
        let good = Config::local("x", Name::new("a").unwrap());
        assert_eq!(good.validate(), Ok(()));
        let advertise = |text: &str| Config { advertise: text.parse().ok(), ..good.clone() };
        assert!(matches!(advertise("0.0.0.0:1").validate(), Err(ConfigError::Advertise(_))));
        assert!(matches!(advertise("[::]:1").validate(), Err(ConfigError::Advertise(_))));
        assert!(matches!(advertise("10.0.0.1:0").validate(), Err(ConfigError::Advertise(_))));
        assert_eq!(advertise("10.0.0.1:1").validate(), Ok(()));
        let settings = Settings { fanout: 1, ..Settings::lan() };
        let wrong = Config { settings, ..good };
        assert!(matches!(wrong.validate(), Err(ConfigError::Settings(_))));
    }
}
