//! Where subnets come from that nobody named: said by who made the cluster, and the same on every node for
//! good, since a number stands for another subnet in another pool.

use std::{net::Ipv4Addr, time::Duration};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netdb::{ClusterId, Entry, Lifetime, Network, NodeId, Table, WriteError, WriteRefused};
use netnode_plan::{
    records::{self, POOL4_KEY, POOL6_KEY, POOLS},
    spaces::{Pool, PoolError, SpaceId},
};
use tokio::{sync::watch, time::sleep};

use super::{StartError, What};
use crate::ipam::Ipam;

/// 4,096 subnets of 4,094 endpoints each.
const POOL4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8);
const POOL4_LEN: u8 = 20;
const POOL6_LEN: u8 = 64;
/// The same for networks of one host, which needs no ways to the others': 256 of 4,094 endpoints each.
const LOCAL_POOL4: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12);

/// How soon a row that was not written is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// The pools of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pools {
    pub(crate) v4: Pool,
    pub(crate) v6: Pool,
}

impl Pools {
    /// The subnet that a number of one of them stands for.
    pub(super) fn subnet(&self, space: SpaceId, number: u128) -> Option<IpNet> {
        let pool = if space == SpaceId::Pool4 { self.v4 } else { self.v6 };
        pool.subnet(number)
    }
}

/// What settings say of the pools: who makes the cluster decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Founding {
    pub(crate) v4: Option<Pool>,
    /// A /48 of the cluster's own if it is not said.
    pub(crate) v6: Option<Pool>,
}

/// The pools, once they are known here.
pub(super) type Known = watch::Receiver<Option<Pools>>;

impl Founding {
    fn pools(self, ClusterId(cluster): ClusterId) -> Result<Pools, PoolError> {
        let v4 = self.v4.map_or_else(|| Pool::new(POOL4.into(), POOL4_LEN), Ok)?;
        let v6 = self.v6.map_or_else(|| Pool::new(unique_local(cluster), POOL6_LEN), Ok)?;
        Ok(Pools { v4, v6 })
    }

    /// Settings that are not so are told.
    fn compare(self, Pools { v4, v6 }: Pools) {
        for (name, said, is) in [("subnet_pool", self.v4, v4), ("subnet_pool_v6", self.v6, v6)] {
            if let Some(said) = said.filter(|said| *said != is) {
                let (said, is) = (said.to_setting(), is.to_setting());
                tracing::warn!(
                    "{name} = {said} has no effect: it was {is} when the cluster was made"
                );
            }
        }
    }
}

/// Where networks of this host alone get theirs.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalPools {
    pub(super) v4: Pool,
    pub(super) v6: Pool,
}

impl LocalPools {
    pub(super) fn of(NodeId(node): NodeId) -> Result<Self, PoolError> {
        let v4 = Pool::new(LOCAL_POOL4.into(), POOL4_LEN)?;
        Ok(Self { v4, v6: Pool::new(unique_local(node), POOL6_LEN)? })
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

/// Says the pools if this node made the cluster, and waits for them in the background if it did not. `said`
/// is what this node's settings say.
pub(super) async fn keep_up(
    network: &Network,
    ipam: &Ipam,
    founding: Option<Founding>,
    said: Founding,
) -> Result<Known, StartError> {
    let table = network.table(POOLS, Lifetime::Cluster)?;
    let mut watch = table.watch().await?;
    let mut rows = Rows::default();
    for row in table.list([]).await? {
        rows.take(&row.entry);
    }
    let mut known = rows.pools();
    if let Some(founding) = founding.filter(|_| known.is_none()) {
        let pools = founding.pools(ipam.cluster())?;
        known = Some(pools);
        tokio::spawn(say(table, pools));
    }
    let (sender, receiver) = watch::channel(known);
    if let Some(pools) = known {
        said.compare(pools);
        open(ipam, pools, founding.is_some()).await?;
        return Ok(receiver);
    }
    let ipam = ipam.clone();
    tokio::spawn(async move {
        while let Some(event) = watch.next().await {
            let Some(entry) = event.kind.standing() else { continue };
            rows.take(entry);
            if let Some(pools) = rows.pools() {
                said.compare(pools);
                match open(&ipam, pools, false).await {
                    Ok(()) | Err(StartError::Stopped(_)) => {}
                    Err(error) => tracing::warn!("no subnets can be given: {error}"),
                }
                // Who waits for it finds the spaces open.
                sender.send_replace(Some(pools));
                return;
            }
        }
    });
    Ok(receiver)
}

/// Writes the rows, however long that takes: a table that is full has room at some time.
async fn say(table: Table, pools: Pools) {
    for (key, pool) in [(POOL4_KEY, pools.v4), (POOL6_KEY, pools.v6)] {
        let mut told = false;
        while let Err(error) = table.create(key, records::encode(&pool)).await {
            match error {
                WriteError::Refused(WriteRefused::Exists) => break,
                WriteError::Stopped(_) => return,
                error if !told => tracing::warn!("other nodes can't be told of {pool}: {error}"),
                _ => {}
            }
            told = true;
            sleep(AGAIN).await;
        }
    }
}

async fn open(ipam: &Ipam, pools: Pools, founder: bool) -> Result<(), StartError> {
    for (id, pool) in [(SpaceId::Pool4, pools.v4), (SpaceId::Pool6, pools.v6)] {
        ipam.open(id, &What::Pool(pool), pool.space()?, founder).await?;
    }
    Ok(())
}

/// The two rows of the table.
#[derive(Debug, Default)]
struct Rows {
    v4: Option<Pool>,
    v6: Option<Pool>,
}

impl Rows {
    fn take(&mut self, entry: &Entry) {
        let slot = match &*entry.row.key {
            POOL4_KEY => &mut self.v4,
            POOL6_KEY => &mut self.v6,
            _ => return,
        };
        match entry.value.as_ref().map(|value| records::decode(value)) {
            Some(Ok(pool)) => *slot = Some(pool),
            Some(Err(error)) => tracing::warn!("the row of a pool is not understood: {error}"),
            None => {}
        }
    }

    fn pools(&self) -> Option<Pools> {
        Some(Pools { v4: self.v4?, v6: self.v6? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_has_its_own_unique_local_prefix() {
        let prefix = unique_local([0x12; 16]);
        assert_eq!(prefix.to_string(), "fd12:1212:1212::/48");
        let pools = Founding::default().pools(ClusterId([0xff; 16])).unwrap();
        assert_eq!(pools.v4.to_setting(), "10.0.0.0/8/20");
        assert_eq!(pools.v6.to_setting(), "fdff:ffff:ffff::/48/64");
    }

    #[test]
    fn who_makes_the_cluster_may_say_otherwise() {
        let v4 = "172.20.0.0/14/24".parse().ok();
        let pools = Founding { v4, v6: None }.pools(ClusterId([0; 16])).unwrap();
        assert_eq!(Some(pools.v4), v4);
    }
}
