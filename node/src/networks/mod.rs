//! The networks of the cluster and of this host: creating, finding and removing them, and what this host
//! has to know of each.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `create` | from a request to a row: name, subnets and VNI claimed, then written |
//! | `keeper` | who serialises creates of one name, and what it remembers for that |
//! | `named` | what people call the spaces of numbers |
//! | `own` | the networks of this host alone, on disk |
//! | `shown` | the catalog as it stands, kept up from the table, and orders about this host's own |
//!
//! A name decides nothing but what people call a network: rows are keyed by random ids.

mod create;
mod keeper;
mod named;
mod own;
mod shown;

use std::{net::Ipv4Addr, path::Path, sync::Arc};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netdb::{
    CLUSTER_NETWORK, ClusterId, Lifetime, NameError, NetDb, NodeId, ServeError, Stopped, Table,
    WatchError, WriteError,
};
use netnode_plan::{
    catalog::{Catalog, FindError, Listed, Scope},
    records::{NETWORKS, NetworkId},
    ring::{Config, SpaceError},
    spaces::{Pool, PoolError, SpaceId, vnis},
};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use create::CreateError;
pub(crate) use named::{Named, What};
use own::Own;
use shown::{Order, Sources};

use crate::{
    ipam::{self, Census, Ipam},
    state_file::StateFileError,
};

/// Subnets for networks that name none: 4,096 of 4,094 endpoints each.
const POOL4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);
const POOL4_LEN: u8 = 20;
const POOL6_LEN: u8 = 64;
/// The same for networks of one host, which needs no ways to the others': 256 of 4,094 endpoints each.
const LOCAL_POOL4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12);
/// Orders about this host's networks that wait; whoever gives one waits beyond that.
const MAX_ORDERS: usize = 16;

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
    pools: Pools,
    orders: mpsc::Sender<Order>,
    catalog: watch::Receiver<Arc<Catalog>>,
}

/// Where subnets come from that nobody named.
#[derive(Clone, Copy, Debug)]
struct Pools {
    v4: Pool,
    v6: Pool,
    /// For networks of this host alone.
    local4: Pool,
    local6: Pool,
}

impl Pools {
    fn of(ClusterId(cluster): ClusterId, NodeId(node): NodeId) -> Result<Self, PoolError> {
        Ok(Self {
            v4: Pool::new(POOL4.into(), POOL4_LEN)?,
            v6: Pool::new(unique_local(cluster), POOL6_LEN)?,
            local4: Pool::new(LOCAL_POOL4.into(), POOL4_LEN)?,
            local6: Pool::new(unique_local(node), POOL6_LEN)?,
        })
    }
}

/// A /48 of IPv6 of somebody's own (RFC 4193): the global id comes from the owner's random id.
fn unique_local(id: [u8; 16]) -> IpNet {
    let mut address = [0; 16];
    address[0] = 0xfd;
    for (to, from) in address.iter_mut().skip(1).zip(id).take(5) {
        *to = from;
    }
    Ipv6Net::new_assert(address.into(), 48).into()
}

impl Networks {
    /// Takes part in the networks of a running node. `founder` is the node that made the cluster: at first
    /// all numbers are its own.
    pub(crate) async fn start(
        db: &NetDb,
        founder: bool,
        state_dir: &Path,
        config: Config,
    ) -> Result<Self, StartError> {
        let network = db.network(CLUSTER_NETWORK).await?.ok_or(Stopped)?;
        let table = network.table(NETWORKS, Lifetime::Cluster)?;
        let (ipam, pools) = (Ipam::start(db, config).await?, Pools::of(db.cluster(), db.id())?);
        ipam.open(SpaceId::Pool4, pools.v4.space()?, founder).await?;
        ipam.open(SpaceId::Pool6, pools.v6.space()?, founder).await?;
        ipam.open(SpaceId::Vni, vnis()?, founder).await?;
        let (orders, queue) = mpsc::channel(MAX_ORDERS);
        let sources = Sources {
            table: table.watch().await?,
            own: Own::load(state_dir)?,
            orders: queue,
            ipam: ipam.clone(),
            pools,
        };
        let catalog = shown::keep_up(sources).await?;
        keeper::serve(db, catalog.clone()).await?;
        Ok(Self { db: db.clone(), table, ipam, pools, orders, catalog })
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
        listed.map(|listed| (id, listed)).ok_or_else(|| FindError::Unknown(text.to_owned()))
    }

    /// The spaces of a network, or all of them.
    pub(crate) fn named(&self, network: Option<NetworkId>) -> Vec<Named> {
        named::list(&self.catalog(), self.pools, network)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_has_its_own_unique_local_prefix() {
        assert_eq!(unique_local([0x12; 16]).to_string(), "fd12:1212:1212::/48");
        assert!(Pools::of(ClusterId([0xff; 16]), NodeId([1; 16])).is_ok());
    }
}
