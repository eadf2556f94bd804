//! What a node says of itself: the core's words, and those of the sockets and the disk around it.

use std::{net::SocketAddr, path::PathBuf};

use netdb_core::node::{NodeInfo, NodeStats};

use crate::disk::{StorageState, StorageStats};

/// A node in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Cluster, identity, name, clock and health.
    pub node: NodeInfo,
    /// Where its sockets are bound.
    pub listen: SocketAddr,
    /// Its state directory.
    pub state_dir: PathBuf,
    /// Whether what must survive the process is on disk.
    pub storage: StorageState,
}

/// What a node has counted since it was opened.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Tables and their dissemination.
    pub node: NodeStats,
    /// Packets, links and membership.
    pub gossip: netdb_gossip_core::stats::Stats,
    /// Sockets and streams.
    pub transport: netdb_gossip::Stats,
    /// Commits and transactions.
    pub storage: StorageStats,
    /// Watches open now.
    pub watches: usize,
}
