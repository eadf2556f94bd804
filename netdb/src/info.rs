//! What a node says of itself: the core's words, and those of the sockets and the disk around it.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

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
    /// What waits at this moment.
    pub queues: Queues,
}

/// How much waits in each of a node's queues; every one has a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// Calls of handles that wait for the node's task.
    pub calls: usize,
    /// Callers who wait for the disk.
    pub callers: usize,
    /// Changed records that wait for the next transaction.
    pub records: usize,
    /// Bytes of frames that wait for peers or are on their way to them.
    pub link_bytes: usize,
    /// Watches whose watcher has not taken what it was handed.
    pub watches: usize,
    /// For how long the slowest of these has not.
    pub watch_lag: Duration,
}
