//! The handle of a running node: cheap to clone, never blocks, holds no lock.
//!
//! Everything goes to the one task that owns the node, over a bounded channel; a caller waits for its
//! answer only. Must never keep anything of the node itself.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use netdb_core::{
    config::InvalidConfig,
    entry::RowKey,
    node::{Farewell, KeysInfo, MemberInfo, NetworkInfo, NodeEvent, RotateError, TokenInfo},
    view::{Filter, Row},
};
use netdb_gossip_core::{
    identity::{ClusterId, Name, NodeId},
    time::Wall,
};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::{
    Settings,
    command::{Command, Reply, Stop},
    driver::{Driver, MAX_WATCHES},
    events::Events,
    info::{Info, Stats},
    network::{AttachError, Network},
    storage::StorageError,
    watch::{Watch, WatchError},
};

/// The most rows that one page holds: no page keeps the node busy for long.
pub const MAX_PAGE: usize = 1024;

/// The node was stopped, by this handle or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node was stopped")]
pub struct Stopped;

/// Why a stop was not clean. The node is stopped all the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// Changes that nobody was told are durable are not on disk. Peers that were told of them still hold
    /// them.
    #[error("stopped, but the last changes are not on disk: {0}")]
    NotDurable(#[from] StorageError),
}

/// Why a change of the node's own affairs did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError<E: std::error::Error> {
    /// The node refused; nothing changed.
    #[error("{0}")]
    Refused(E),
    /// It is changed and peers may know, but a crash would undo it here until the disk takes it; the
    /// node goes on trying.
    #[error("done, but not on disk yet: {0}")]
    NotDurable(StorageError),
    /// Nothing changed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What can't go wrong except with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Never {}

/// A running node. Clones share it. [`NetDb::stop`] ends it properly; when the last clone, [`Network`]
/// and [`Table`](crate::Table) is dropped it ends without a word to the peers, as if its host had failed.
#[derive(Clone, Debug)]
pub struct NetDb {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) commands: mpsc::Sender<Command>,
    /// Its other end is dropped when the node has ended.
    pub(crate) ended: watch::Receiver<()>,
    pub(crate) id: NodeId,
    pub(crate) cluster: ClusterId,
    pub(crate) listen: SocketAddr,
    pub(crate) state_dir: PathBuf,
}

/// Networks that some node is attached to, and how many nodes are.
pub type KnownNetworks = Vec<(Name, usize)>;

/// A row and the network that it is in.
pub type NetworkRow = (Arc<Name>, Row);

impl NetDb {
    pub(crate) fn new(shared: Shared) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.shared.id
    }

    /// The cluster that the node belongs to.
    pub fn cluster(&self) -> ClusterId {
        self.shared.cluster
    }

    /// The address that the node's sockets are bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.listen
    }

    /// Attaches to a network: from now on this node holds its tables. Fails if it is attached already,
    /// also from an earlier run: attachments survive a restart.
    pub async fn attach(&self, network: &str) -> Result<Network, AttachError> {
        let name = Name::new(network)?;
        let wanted = name.clone();
        self.change(move |node, now| node.attach(now, &wanted)).await?;
        Ok(Network::new(self.clone(), name))
    }

    /// A network that this node is attached to, attaching to it first if need be: what a program
    /// calls that does not care whether it was here before.
    pub async fn ensure_attached(&self, network: &str) -> Result<Network, AttachError> {
        match self.attach(network).await {
            Err(AttachError::Refused(netdb_core::node::AttachError::Attached(name))) => {
                Ok(Network::new(self.clone(), name))
            }
            other => other,
        }
    }

    /// A network that this node is attached to.
    pub async fn network(&self, network: &str) -> Result<Option<Network>, Stopped> {
        let Ok(name) = Name::new(network) else { return Ok(None) };
        let wanted = name.clone();
        let attached = self.call(move |driver| driver.is_attached(&wanted)).await?;
        Ok(attached.then(|| Network::new(self.clone(), name)))
    }

    /// The networks that this node is attached to, the cluster's own among them.
    pub async fn networks(&self) -> Result<Vec<NetworkInfo>, Stopped> {
        self.call(|driver| driver.node.networks()).await
    }

    /// The time that the live nodes agree on about: the own clock, moved by the median offset of theirs.
    pub async fn cluster_time(&self) -> Result<Wall, Stopped> {
        self.call(|driver| driver.node.cluster_time(driver.now())).await
    }

    /// All networks of the cluster.
    pub async fn known_networks(&self) -> Result<KnownNetworks, Stopped> {
        self.call(|driver| driver.node.known_networks()).await
    }

    /// The cluster's nodes, this one among them, as it sees them.
    pub async fn members(&self) -> Result<Vec<MemberInfo>, Stopped> {
        self.call(|driver| driver.node.members()).await
    }

    /// This node in short, and how its disk is doing.
    pub async fn info(&self) -> Result<Info, Stopped> {
        let (listen, state_dir) = (self.shared.listen, self.shared.state_dir.clone());
        self.call(move |driver| Info {
            node: driver.node.info(),
            listen,
            state_dir,
            storage: driver.disk.state(),
        })
        .await
    }

    /// What the node has counted since it was opened.
    pub async fn stats(&self) -> Result<Stats, Stopped> {
        self.call(|driver| Stats {
            node: driver.node.stats().clone(),
            gossip: driver.node.gossip().stats(),
            transport: driver.transport.stats(),
            storage: driver.disk.stats(),
            watches: driver.open_watches(),
            queues: driver.queues(),
        })
        .await
    }

    /// The keys that packets are sealed with, and how far a rotation is.
    pub async fn keys(&self) -> Result<KeysInfo, Stopped> {
        self.call(|driver| driver.node.keys()).await
    }

    /// Begins to replace the cluster's key. [`NetDb::keys`] shows how far it is.
    pub async fn rotate_keys(&self) -> Result<(), ChangeError<RotateError>> {
        self.change(netdb_core::node::Node::rotate).await
    }

    /// The token that lets nodes join, unless this node has not heard of it yet. Whoever has it can
    /// join.
    pub async fn token(&self) -> Result<Option<TokenInfo>, Stopped> {
        self.call(|driver| driver.node.token()).await
    }

    /// Replaces the token, for ever or for a time. The old one admits nobody any more once the news
    /// has spread; nodes that joined with it stay.
    pub async fn rotate_token(
        &self,
        expires: Option<Duration>,
    ) -> Result<TokenInfo, ChangeError<Never>> {
        self.change(move |node, now| Ok(node.rotate_token(now, expires).0)).await
    }

    /// Everything that happens to the node and its cluster from now on.
    pub async fn events(&self) -> Result<Events, Stopped> {
        let receiver: broadcast::Receiver<NodeEvent> =
            self.call(|driver| driver.events.subscribe()).await?;
        Ok(Events::new(receiver))
    }

    /// Watches rows: first all that are there, then [`EventKind::SnapshotEnd`], then changes.
    ///
    /// [`EventKind::SnapshotEnd`]: crate::EventKind::SnapshotEnd
    pub async fn watch(&self, filter: Filter) -> Result<Watch, WatchError> {
        let events = self.call(move |driver| driver.watch(filter)).await?;
        events.map(Watch::new).ok_or(WatchError::TooMany(MAX_WATCHES))
    }

    /// All rows that a filter selects, in the order of network, table, key and owner. They are fetched
    /// page by page: a row that changes meanwhile is in the answer as it was at some moment of it.
    pub async fn rows(&self, filter: Filter) -> Result<Vec<NetworkRow>, Stopped> {
        let mut rows: Vec<NetworkRow> = Vec::new();
        loop {
            let after = rows.last().map(|(network, row)| (&**network, &row.entry.row));
            let mut page = self.rows_page(&filter, after, MAX_PAGE).await?;
            if page.is_empty() {
                return Ok(rows);
            }
            rows.append(&mut page);
        }
    }

    /// The rows that come after `after`, at most `limit` of them and never more than [`MAX_PAGE`]; none
    /// if there are none.
    pub async fn rows_page(
        &self,
        filter: &Filter,
        after: Option<(&Name, &RowKey)>,
        limit: usize,
    ) -> Result<Vec<NetworkRow>, Stopped> {
        let filter = filter.clone();
        let after = after.map(|(network, row)| (network.clone(), row.clone()));
        self.call(move |driver| {
            let after = after.as_ref().map(|(network, row)| (network, row));
            driver.node.rows_page(&filter, after, limit.min(MAX_PAGE))
        })
        .await
    }

    /// Takes new timings and limits, as far as they can change in a running node.
    pub async fn reload(&self, settings: Settings) -> Result<(), ChangeError<InvalidConfig>> {
        settings.validate().map_err(ChangeError::Refused)?;
        let reload = self.call(move |driver| {
            let now = driver.now();
            driver.node.reconfigure(now, settings);
        });
        Ok(reload.await?)
    }

    /// Leaves the cluster for good: its entries go, its admission ends, and its state directory is good
    /// only for a new `init` or `join`.
    pub async fn leave(&self) -> Result<(), StopError> {
        self.stop(Farewell::Leaving).await
    }

    /// Ends the node: tells the peers why, waits a second at most for them to hear it, writes what is not
    /// on disk yet, and closes everything. When it returns, port and state directory are free again.
    /// Stopping twice is no error.
    pub async fn stop(&self, how: Farewell) -> Result<(), StopError> {
        let (reply, answer) = oneshot::channel();
        let stop = Stop { how: Some(how), reply: Some(reply) };
        let sent = self.shared.commands.send(Command::Stop(stop)).await.is_ok();
        let result = if sent { answer.await.ok() } else { None };
        // An error is the end: nothing is ever sent here.
        let _ = self.shared.ended.clone().changed().await;
        Ok(result.unwrap_or(Ok(()))?)
    }

    /// Does something where the node is.
    pub(crate) async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Driver) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        self.call_later(move |driver, reply| {
            let _ = reply.send(call(driver));
        })
        .await
    }

    /// Has something done where the node is, whose answer may come later.
    pub(crate) async fn call_later<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Driver, Reply<T>) + Send + 'static,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        let call = Box::new(move |driver: &mut Driver| ask(driver, reply));
        self.shared.commands.send(Command::Call(call)).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Changes something of the node and waits until that is durable.
    async fn change<T, E>(
        &self,
        change: impl FnOnce(&mut netdb_core::node::Node, netdb_gossip_core::time::Now) -> Result<T, E>
        + Send
        + 'static,
    ) -> Result<T, ChangeError<E>>
    where
        T: Send + 'static,
        E: std::error::Error + Send + 'static,
    {
        self.call_later(move |driver, reply| {
            let refused = |node: &mut _, now| change(node, now).map_err(ChangeError::Refused);
            driver.durably(reply, refused, ChangeError::NotDurable);
        })
        .await?
    }
}
