//! The networks of the cluster: creating, finding and removing them, and what this host has to know of
//! each.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `create` | from a request to a row: name, subnets and VNI claimed, then written |
//! | `keeper` | who serialises creates of one name, and what it remembers for that |
//! | `shown` | the catalog as it stands, kept up from the table |
//!
//! A name decides nothing but what people call a network: rows are keyed by random ids.

mod create;
mod keeper;
mod shown;

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netdb::{
    CLUSTER_NETWORK, ClusterId, Lifetime, NameError, NetDb, ServeError, Stopped, Table, WatchError,
    WriteError,
};
use netnode_plan::{
    catalog::{Catalog, FindError, Listed},
    records::{NETWORKS, NetworkId},
    ring::{SpaceError, Usage},
    spaces::{Pool, PoolError, SpaceId, vnis},
};
use tokio::sync::watch;

pub(crate) use create::CreateError;

use crate::ipam::{self, Ipam};

/// Subnets for networks that name none: 4,096 of 4,094 endpoints each.
const POOL4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);
const POOL4_LEN: u8 = 20;
const POOL6_LEN: u8 = 64;

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
    Stopped(#[from] Stopped),
}

/// Why a network was not removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error(transparent)]
    Find(#[from] FindError),
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
    catalog: watch::Receiver<Arc<Catalog>>,
}

/// Where subnets come from that nobody named.
#[derive(Clone, Copy, Debug)]
struct Pools {
    v4: Pool,
    v6: Pool,
}

impl Pools {
    fn of(cluster: ClusterId) -> Result<Self, PoolError> {
        let v4 = Pool::new(POOL4.into(), POOL4_LEN)?;
        Ok(Self { v4, v6: Pool::new(unique_local(cluster), POOL6_LEN)? })
    }
}

/// The cluster's own /48 of IPv6 (RFC 4193): the global id comes from the cluster's random id.
fn unique_local(ClusterId(id): ClusterId) -> IpNet {
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
    pub(crate) async fn start(db: &NetDb, founder: bool) -> Result<Self, StartError> {
        let network = db.network(CLUSTER_NETWORK).await?.ok_or(Stopped)?;
        let table = network.table(NETWORKS, Lifetime::Cluster)?;
        let (ipam, pools) = (Ipam::start(db).await?, Pools::of(db.cluster())?);
        ipam.open(SpaceId::Pool4, pools.v4.space()?, founder).await?;
        ipam.open(SpaceId::Pool6, pools.v6.space()?, founder).await?;
        ipam.open(SpaceId::Vni, vnis()?, founder).await?;
        let catalog = shown::keep_up(table.watch().await?, ipam.clone(), pools).await?;
        keeper::serve(db, catalog.clone()).await?;
        Ok(Self { db: db.clone(), table, ipam, pools, catalog })
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

    /// How the addresses of a network's subnets are shared out.
    pub(crate) async fn usage(
        &self,
        id: NetworkId,
        listed: &Listed,
    ) -> Result<BTreeMap<IpNet, Usage>, Stopped> {
        let mut usage = BTreeMap::new();
        for (place, subnet) in (0..).zip(&listed.record.subnets) {
            if let Some(of) = self.ipam.usage(SpaceId::Subnet(id, place)).await? {
                usage.insert(subnet.prefix, of);
            }
        }
        Ok(usage)
    }

    /// Removes a network for all nodes.
    pub(crate) async fn remove(&self, text: &str) -> Result<NetworkId, RemoveError> {
        let (id, listed) = self.find(text)?;
        self.table.delete(id.0).await?;
        for (place, _) in (0..).zip(&listed.record.subnets) {
            self.ipam.close(SpaceId::Subnet(id, place), true).await?;
        }
        Ok(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_has_its_own_unique_local_prefix() {
        let prefix = unique_local(ClusterId([0x12; 16]));
        assert_eq!(prefix.to_string(), "fd12:1212:1212::/48");
        assert!(Pools::of(ClusterId([0xff; 16])).is_ok());
    }
}
