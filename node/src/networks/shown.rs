//! The catalog as it stands, kept up from the table; and what the desk of numbers has to know of it.

use std::{collections::BTreeMap, sync::Arc};

use ipnet::IpNet;
use netdb::{Event, NodeId, Watch};
use netnode_plan::{
    catalog::Catalog,
    records::{self, NetworkId, NetworkRecord},
    spaces::{self, SpaceId},
};
use tokio::sync::watch;

use super::Pools;
use crate::ipam::Ipam;

/// The rows, and who wrote each.
type Rows = BTreeMap<NetworkId, (NetworkRecord, NodeId)>;

/// Follows the table until the node ends.
pub(super) fn keep_up(mut watch: Watch, ipam: Ipam, pools: Pools) -> watch::Receiver<Arc<Catalog>> {
    let (sender, receiver) = watch::channel(Arc::new(Catalog::default()));
    tokio::spawn(async move {
        let mut rows = Rows::new();
        while let Some(event) = watch.next().await {
            let before = rows.clone();
            take(&mut rows, &event);
            let networks = rows.iter().map(|(id, (record, _))| (*id, record.clone()));
            sender.send_replace(Arc::new(Catalog::new(networks)));
            if tell(&ipam, pools, &before, &rows).await.is_err() {
                return;
            }
        }
    });
    receiver
}

fn take(rows: &mut Rows, event: &Event) {
    let Some(entry) = event.kind.entry() else { return };
    let Ok(id) = <[u8; 16]>::try_from(&*entry.row.key).map(NetworkId) else { return };
    let value = event.kind.standing().and_then(|standing| standing.value.as_ref());
    match value.map(|value| records::decode::<NetworkRecord>(value)) {
        Some(Ok(record)) => {
            rows.insert(id, (record, entry.dot.writer.node));
        }
        Some(Err(error)) => {
            tracing::warn!(network = %id, "the row of a network is not understood: {error}");
            rows.remove(&id);
        }
        None => {
            rows.remove(&id);
        }
    }
}

/// Tells the desk which spaces there are, and which numbers the networks name.
async fn tell(ipam: &Ipam, pools: Pools, before: &Rows, rows: &Rows) -> Result<(), netdb::Stopped> {
    for (id, (record, _)) in rows.iter().filter(|(id, _)| !before.contains_key(id)) {
        for (place, subnet) in (0..).zip(&record.subnets) {
            match spaces::addresses(subnet) {
                Ok(space) => ipam.open(SpaceId::Subnet(*id, place), space, false).await?,
                Err(error) => tracing::warn!(network = %id, subnet = %subnet.prefix, "{error}"),
            }
        }
    }
    for (id, (record, _)) in before.iter().filter(|(id, _)| !rows.contains_key(id)) {
        for (place, _) in (0..).zip(&record.subnets) {
            ipam.close(SpaceId::Subnet(*id, place), false).await?;
        }
    }
    let used = |pool: spaces::Pool| {
        let mut users = BTreeMap::new();
        for (record, node) in rows.values() {
            for touched in record.subnets.iter().filter_map(|s| pool.touched_by(&s.prefix)) {
                users.extend(touched.map(|number| (number, *node)));
            }
        }
        users
    };
    ipam.set_users(SpaceId::Pool4, used(pools.v4)).await?;
    ipam.set_users(SpaceId::Pool6, used(pools.v6)).await?;
    let vni = |(record, node): &(NetworkRecord, NodeId)| Some((record.options.vni?.into(), *node));
    ipam.set_users(SpaceId::Vni, rows.values().filter_map(vni).collect()).await
}

/// Whether two subnets share addresses.
pub(super) fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}
