//! The catalog as it stands: the table's networks and this host's own, of which the same task decides; and
//! what the desk of numbers has to know of both.

use std::{collections::BTreeMap, sync::Arc};

use ipnet::IpNet;
use netdb::{Event, EventKind, NodeId, Stopped, Watch};
use netnode_plan::{
    catalog::Catalog,
    local::{self, Ground},
    records::{self, NetworkId, NetworkRecord},
    request::NetworkRequest,
    spaces::{self, SpaceId},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{CreateError, Pools, own::Own};
use crate::{ipam::Ipam, state_file::StateFileError};

/// The rows, and who wrote each.
type Rows = BTreeMap<NetworkId, (NetworkRecord, NodeId)>;

/// What is to become of this host's own networks.
pub(super) enum Order {
    Create {
        id: NetworkId,
        request: Box<NetworkRequest>,
        /// Also a subnet of IPv6, if none is named.
        ipv6: bool,
        /// What the host has ways to.
        taken: Vec<IpNet>,
        created_us: u64,
        reply: oneshot::Sender<Result<NetworkRecord, CreateError>>,
    },
    Remove {
        id: NetworkId,
        reply: oneshot::Sender<Result<(), StateFileError>>,
    },
}

/// What the catalog is made of.
pub(super) struct Sources {
    pub(super) table: Watch,
    pub(super) own: Own,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) ipam: Ipam,
    pub(super) pools: Pools,
}

struct Shelf {
    rows: Rows,
    own: Own,
    ipam: Ipam,
    pools: Pools,
}

/// Puts together what is there, then follows the table and orders until the node ends.
pub(super) async fn keep_up(sources: Sources) -> Result<watch::Receiver<Arc<Catalog>>, Stopped> {
    let Sources { mut table, own, mut orders, ipam, pools } = sources;
    let mut shelf = Shelf { rows: Rows::new(), own, ipam, pools };
    loop {
        let event = table.next().await.ok_or(Stopped)?;
        if matches!(event.kind, EventKind::SnapshotEnd) {
            break;
        }
        shelf.take(&event);
    }
    for (id, (record, _)) in &shelf.rows {
        open(&shelf.ipam, *id, record, false).await?;
    }
    for (id, record) in shelf.own.all() {
        open(&shelf.ipam, *id, record, true).await?;
    }
    // Before anybody can ask for a number, those that are in use are known.
    shelf.tell_users().await?;
    let (sender, receiver) = watch::channel(Arc::new(shelf.catalog()));
    tokio::spawn(async move {
        loop {
            let went = tokio::select! {
                event = table.next() => match event {
                    Some(event) => shelf.changed(&event, &sender).await,
                    None => Err(Stopped),
                },
                Some(order) = orders.recv() => shelf.obey(order, &sender).await,
            };
            if went.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

impl Shelf {
    fn catalog(&self) -> Catalog {
        let rows = self.rows.iter().map(|(id, (record, _))| (*id, record.clone()));
        Catalog::new(rows, self.own.all().clone())
    }

    /// Which network an event was about, and what its row was before.
    fn take(&mut self, event: &Event) -> Option<(NetworkId, Option<(NetworkRecord, NodeId)>)> {
        let entry = event.kind.entry()?;
        let id = <[u8; 16]>::try_from(&*entry.row.key).map(NetworkId).ok()?;
        let value = event.kind.standing().and_then(|standing| standing.value.as_ref());
        let before = match value.map(|value| records::decode::<NetworkRecord>(value)) {
            Some(Ok(record)) => self.rows.insert(id, (record, entry.dot.writer.node)),
            Some(Err(error)) => {
                tracing::warn!(network = %id, "the row of a network is not understood: {error}");
                self.rows.remove(&id)
            }
            None => self.rows.remove(&id),
        };
        Some((id, before))
    }

    async fn changed(
        &mut self,
        event: &Event,
        shown: &watch::Sender<Arc<Catalog>>,
    ) -> Result<(), Stopped> {
        let Some((id, before)) = self.take(event) else { return Ok(()) };
        shown.send_replace(Arc::new(self.catalog()));
        match (before, self.rows.get(&id)) {
            (None, Some((record, _))) => open(&self.ipam, id, record, false).await?,
            (Some((record, _)), None) => close(&self.ipam, id, &record).await?,
            _ => {}
        }
        self.tell_users().await
    }

    /// Answers come when the catalog shows what was done.
    async fn obey(
        &mut self,
        order: Order,
        shown: &watch::Sender<Arc<Catalog>>,
    ) -> Result<(), Stopped> {
        match order {
            Order::Create { id, request, ipv6, taken, created_us, reply } => {
                let created = self.create(id, *request, ipv6, taken, created_us);
                if let Ok(record) = &created {
                    open(&self.ipam, id, record, true).await?;
                    shown.send_replace(Arc::new(self.catalog()));
                }
                // Whoever asked may be gone.
                drop(reply.send(created));
            }
            Order::Remove { id, reply } => {
                let removed = self.own.remove(id);
                if let Ok(Some(record)) = &removed {
                    close(&self.ipam, id, record).await?;
                    shown.send_replace(Arc::new(self.catalog()));
                }
                // Whoever asked may be gone.
                drop(reply.send(removed.map(drop)));
            }
        }
        Ok(())
    }

    fn create(
        &mut self,
        id: NetworkId,
        request: NetworkRequest,
        ipv6: bool,
        taken: Vec<IpNet>,
        created_us: u64,
    ) -> Result<NetworkRecord, CreateError> {
        let ground = Ground { v4: self.pools.local4, v6: self.pools.local6, taken };
        let record = local::record(request, ipv6, &ground, &self.catalog(), created_us)?;
        for subnet in &record.subnets {
            spaces::addresses(subnet)?;
        }
        self.own.insert(id, record.clone())?;
        Ok(record)
    }

    /// Tells the desk which numbers the networks of the cluster name.
    async fn tell_users(&self) -> Result<(), Stopped> {
        let Self { rows, ipam, pools, .. } = self;
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
        let vni =
            |(record, node): &(NetworkRecord, NodeId)| Some((record.options.vni?.into(), *node));
        ipam.set_users(SpaceId::Vni, rows.values().filter_map(vni).collect()).await
    }
}

/// Tells the desk of a network's spaces; `alone`: this host gives from them without asking anybody.
async fn open(
    ipam: &Ipam,
    id: NetworkId,
    record: &NetworkRecord,
    alone: bool,
) -> Result<(), Stopped> {
    for (place, subnet) in (0..).zip(&record.subnets) {
        let space_id = SpaceId::Subnet(id, place);
        match spaces::addresses(subnet) {
            Ok(space) if alone => ipam.open_alone(space_id, space).await?,
            Ok(space) => ipam.open(space_id, space, false).await?,
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
