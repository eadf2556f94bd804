//! The catalog as it stands, kept up from the table; and what the desk of numbers has to know of it.

use std::{collections::BTreeMap, sync::Arc};

use netdb::{Event, EventKind, NodeId, Stopped, Watch};
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

/// Puts together what is there, then follows the table until the node ends.
pub(super) async fn keep_up(
    mut watch: Watch,
    ipam: Ipam,
    pools: Pools,
) -> Result<watch::Receiver<Arc<Catalog>>, Stopped> {
    let mut rows = Rows::new();
    loop {
        let event = watch.next().await.ok_or(Stopped)?;
        if matches!(event.kind, EventKind::SnapshotEnd) {
            break;
        }
        take(&mut rows, &event);
    }
    for (id, (record, _)) in &rows {
        open(&ipam, *id, record).await?;
    }
    // Before anybody can ask for a number, those that are in use are known.
    tell_users(&ipam, pools, &rows).await?;
    let (sender, receiver) = watch::channel(Arc::new(catalog(&rows)));
    tokio::spawn(async move {
        while let Some(event) = watch.next().await {
            let Some((id, before)) = take(&mut rows, &event) else { continue };
            sender.send_replace(Arc::new(catalog(&rows)));
            let told = match (before, rows.get(&id)) {
                (None, Some((record, _))) => open(&ipam, id, record).await,
                (Some((record, _)), None) => close(&ipam, id, &record).await,
                _ => Ok(()),
            };
            if told.is_err() || tell_users(&ipam, pools, &rows).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

fn catalog(rows: &Rows) -> Catalog {
    Catalog::new(rows.iter().map(|(id, (record, _))| (*id, record.clone())))
}

/// Which network an event was about, and what its row was before.
fn take(rows: &mut Rows, event: &Event) -> Option<(NetworkId, Option<(NetworkRecord, NodeId)>)> {
    let entry = event.kind.entry()?;
    let id = <[u8; 16]>::try_from(&*entry.row.key).map(NetworkId).ok()?;
    let value = event.kind.standing().and_then(|standing| standing.value.as_ref());
    let before = match value.map(|value| records::decode::<NetworkRecord>(value)) {
        Some(Ok(record)) => rows.insert(id, (record, entry.dot.writer.node)),
        Some(Err(error)) => {
            tracing::warn!(network = %id, "the row of a network is not understood: {error}");
            rows.remove(&id)
        }
        None => rows.remove(&id),
    };
    Some((id, before))
}

/// Tells the desk of a network's spaces.
async fn open(ipam: &Ipam, id: NetworkId, record: &NetworkRecord) -> Result<(), Stopped> {
    for (place, subnet) in (0..).zip(&record.subnets) {
        match spaces::addresses(subnet) {
            Ok(space) => ipam.open(SpaceId::Subnet(id, place), space, false).await?,
            Err(error) => tracing::warn!(network = %id, subnet = %subnet.prefix, "{error}"),
        }
    }
    Ok(())
}

/// Tells the desk that a network's spaces are gone.
async fn close(ipam: &Ipam, id: NetworkId, record: &NetworkRecord) -> Result<(), Stopped> {
    for (place, _) in (0..).zip(&record.subnets) {
        ipam.close(SpaceId::Subnet(id, place), false).await?;
    }
    Ok(())
}

/// Tells the desk which numbers the networks name.
async fn tell_users(ipam: &Ipam, pools: Pools, rows: &Rows) -> Result<(), Stopped> {
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
