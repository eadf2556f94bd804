//! The networks of the cluster and of this host: creating, finding and removing them, and what this host
//! has to know of each.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `create` | from a request to a row: name, subnets and VNI claimed, then written |
//! | `named` | what people call the spaces of numbers |
//! | `own` | the networks of this host alone, on disk |
//! | `pools` | where subnets come from that nobody named |
//! | `routes` | what routes of hosts lie in the pools |
//! | `shown` | the catalog as it stands, kept up from the table, and orders about this host's own |
//!
//! A name decides nothing but what people call a network: rows are keyed by random ids.

mod create;
mod named;
mod own;
mod pools;
mod routes;
mod shown;

use std::sync::Arc;

use netdb::{
    CLUSTER_NETWORK, Filter, Lifetime, Name, NameError, NetDb, ServeError, Stopped, Table,
    WatchError, WriteError,
};
use netnode_plan::{
    catalog::{Catalog, Claim, FindError, Listed, Scope},
    records::{NETWORKS, NetworkId, ROUTES},
    ring::SpaceError,
    spaces::{PoolError, SpaceId, vnis},
};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use create::CreateError;
pub(crate) use named::{Named, What};
use own::Own;
pub(crate) use pools::{Founding, Pools};
use pools::{Known, LocalPools};
use shown::{Order, Shelf, Sources};

use crate::{
    ipam::{self, Census, Ipam},
    name_keeper::NameKeeper,
    settings::Settings,
    state_file::StateFileError,
};

/// Orders about this host's networks that wait; whoever gives one waits beyond that.
const MAX_ORDERS: usize = 16;

/// What nodes ask each other for names under.
const NAMES: &str = "network-names";

/// Why there are no networks.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Ipam(#[from] ipam::StartError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error(transparent)]
    Space(#[from] SpaceError),
    #[error(transparent)]
    File(#[from] StateFileError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a network was not removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    File(#[from] StateFileError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The networks as this host sees them. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Networks {
    db: NetDb,
    table: Table,
    ipam: Ipam,
    pools: Known,
    orders: mpsc::Sender<Order>,
    names: NameKeeper,
    catalog: watch::Receiver<Arc<Catalog>>,
}

impl Networks {
    /// Takes part in the networks of a running node. Who made the cluster has a `founding`: at first all
    /// numbers are its own.
    pub(crate) async fn start(
        db: &NetDb,
        founding: Option<Founding>,
        settings: &Settings,
    ) -> Result<Self, StartError> {
        let network = db.network(CLUSTER_NETWORK).await?.ok_or(Stopped)?;
        let table = network.table(NETWORKS, Lifetime::Cluster)?;
        let ipam = Ipam::start(db, settings.to_ring_config()).await?;
        let pools = pools::keep_up(&network, &ipam, founding, settings.to_founding()).await?;
        ipam.open(SpaceId::Vni, &What::Vni, vnis()?, founding.is_some()).await?;
        let routes = network.table(ROUTES, Lifetime::Owner)?;
        let of_hosts = db.watch(Filter { include_failed: true, ..routes.filter(&[]) }).await?;
        routes::tell(routes, pools.clone());
        let (orders, queue) = mpsc::channel(MAX_ORDERS);
        let sources = Sources { networks: table.watch().await?, routes: of_hosts, orders: queue };
        let (own, local) = (Own::load(&settings.state_dir)?, LocalPools::of(db.id())?);
        let shelf = Shelf::new(ipam.clone(), pools.clone(), own, local);
        let catalog = shelf.keep_up(sources).await?;
        let known = catalog.clone();
        let names = NameKeeper::serve(db, NAMES, move |name| holder(&known.borrow(), name)).await?;
        Ok(Self { db: db.clone(), table, ipam, pools, orders, names, catalog })
    }

    /// The desk that gives their numbers.
    pub(crate) fn ipam(&self) -> &Ipam {
        &self.ipam
    }

    /// All networks, now and whenever they change.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Catalog>> {
        self.catalog.clone()
    }

    /// All networks, as this node sees them now.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.borrow().clone()
    }

    /// A network by its name, its id, or the start of that.
    pub(crate) fn find(&self, text: &str) -> Result<(NetworkId, Listed), FindError> {
        let catalog = self.catalog();
        let id = catalog.find(text)?;
        let listed = catalog.get(id).cloned();
        listed
            .map(|listed| (id, listed))
            .ok_or_else(|| FindError::Unknown { kind: "network", text: text.to_owned() })
    }

    /// The spaces of a network, or all of them.
    pub(crate) fn named(&self, network: Option<NetworkId>) -> Vec<Named> {
        named::list(&self.catalog(), *self.pools.borrow(), network)
    }

    /// How full the spaces of a network are, or of all networks and the pools besides; and what each is.
    pub(crate) async fn usage(
        &self,
        network: Option<NetworkId>,
    ) -> Result<(Vec<Named>, Census), Stopped> {
        let named = self.named(network);
        let ids: Vec<SpaceId> = named.iter().map(|named| named.id).collect();
        let census = self.ipam.census(&ids).await?;
        Ok((named, census))
    }

    /// Removes a network for all nodes that have it.
    pub(crate) async fn remove(&self, text: &str) -> Result<NetworkId, RemoveError> {
        let (id, listed) = self.find(text)?;
        if listed.scope == Scope::Local {
            let (reply, removed) = oneshot::channel();
            self.order(Order::Remove { id, reply }).await?;
            removed.await.map_err(|_| Stopped)??;
            return Ok(id);
        }
        self.table.delete(id.0).await?;
        for (place, _) in (0..).zip(&listed.record.subnets) {
            self.ipam.close(SpaceId::Subnet(id, place), true).await?;
        }
        Ok(id)
    }

    async fn order(&self, order: Order) -> Result<(), Stopped> {
        self.orders.send(order).await.map_err(|_| Stopped)
    }
}

/// The network of the cluster that has a name: what this host alone calls so is nobody else's business.
fn holder(catalog: &Catalog, name: &Name) -> Option<[u8; 16]> {
    let id = catalog.holder(&Claim::Name(name.clone()))?;
    catalog.get(id).filter(|listed| listed.scope == Scope::Cluster).map(|_| id.0)
}
