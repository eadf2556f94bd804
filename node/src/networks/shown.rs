//! The catalog as it stands: the table's networks and this host's own, of which the same task decides; and
//! what the desk of numbers has to know of both.

use std::{collections::BTreeMap, sync::Arc};

use ipnet::IpNet;
use netdb::{Event, EventKind, NodeId, Stopped, Watch};
use netnode_plan::{
    catalog::Catalog,
    local::{self, Ground},
    records::{self, NetworkId, NetworkRecord, RoutesRecord},
    request::NetworkRequest,
    spaces::{self, SpaceId},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    CreateError, What,
    own::Own,
    pools::{Known, LocalPools},
};
use crate::{
    ipam::{Ipam, Source},
    state_file::StateFileError,
};

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

/// What changes the catalog.
pub(super) struct Sources {
    /// The networks of the cluster.
    pub(super) networks: Watch,
    /// What routes of hosts lie in the pools.
    pub(super) routes: Watch,
    pub(super) orders: mpsc::Receiver<Order>,
}

/// All networks, and what is known of who uses which numbers.
pub(super) struct Shelf {
    ipam: Ipam,
    pools: Known,
    own: Own,
    local: LocalPools,
    rows: Rows,
    routes: BTreeMap<NodeId, RoutesRecord>,
}

impl Shelf {
    pub(super) fn new(ipam: Ipam, pools: Known, own: Own, local: LocalPools) -> Self {
        Self { ipam, pools, own, local, rows: Rows::new(), routes: BTreeMap::new() }
    }

    /// Puts together what is there, then follows tables and orders until the node ends.
    pub(super) async fn keep_up(
        mut self,
        mut sources: Sources,
    ) -> Result<watch::Receiver<Arc<Catalog>>, Stopped> {
        loop {
            let event = sources.networks.next().await.ok_or(Stopped)?;
            if matches!(event.kind, EventKind::SnapshotEnd) {
                break;
            }
            self.take(&event);
        }
        for (id, (record, _)) in &self.rows {
            open(&self.ipam, *id, record, false).await?;
        }
        for (id, record) in self.own.all() {
            open(&self.ipam, *id, record, true).await?;
        }
        // Before anybody can ask for a number, those that are in use are known.
        self.tell_users().await?;
        let (sender, receiver) = watch::channel(Arc::new(self.catalog()));
        tokio::spawn(async move {
            // The node is stopping.
            while self.step(&mut sources, &sender).await.is_ok() {}
        });
        Ok(receiver)
    }

    async fn step(
        &mut self,
        sources: &mut Sources,
        shown: &watch::Sender<Arc<Catalog>>,
    ) -> Result<(), Stopped> {
        tokio::select! {
            event = sources.networks.next() => self.changed(&event.ok_or(Stopped)?, shown).await,
            event = sources.routes.next() => {
                self.take_routes(&event.ok_or(Stopped)?);
                self.tell_users().await
            }
            // They are fixed once they are known.
            Ok(()) = self.pools.changed() => self.tell_users().await,
            Some(order) = sources.orders.recv() => self.obey(order, shown).await,
        }
    }

    fn take_routes(&mut self, event: &Event) {
        let Some(entry) = event.kind.entry() else { return };
        let standing = event.kind.standing().and_then(|standing| standing.value.as_ref());
        match standing.map(|value| records::decode(value)) {
            Some(Ok(record)) => drop(self.routes.insert(entry.row.owner, record)),
            Some(Err(error)) => tracing::warn!("a row of routes is not understood: {error}"),
            None => drop(self.routes.remove(&entry.row.owner)),
        }
    }

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
        // Who is told of a network finds its spaces open, to say who uses what of them.
        match (before, self.rows.get(&id)) {
            (None, Some((record, _))) => open(&self.ipam, id, record, false).await?,
            (Some((record, _)), None) => close(&self.ipam, id, &record).await?,
            _ => {}
        }
        shown.send_replace(Arc::new(self.catalog()));
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
        let ground = Ground { v4: self.local.v4, v6: self.local.v6, taken };
        let record = local::record(request, ipv6, &ground, &self.catalog(), created_us)?;
        for subnet in &record.subnets {
            spaces::addresses(subnet)?;
        }
        self.own.insert(id, record.clone())?;
        Ok(record)
    }

    /// Tells the desk which numbers networks of the cluster name, and which subnets routes of hosts touch.
    async fn tell_users(&self) -> Result<(), Stopped> {
        let known = *self.pools.borrow();
        if let Some(pools) = known {
            for (id, pool) in [(SpaceId::Pool4, pools.v4), (SpaceId::Pool6, pools.v6)] {
                self.ipam.set_users(id, Source::Networks, self.users_of(pool)).await?;
            }
        }
        let vni =
            |(record, node): &(NetworkRecord, NodeId)| Some((record.options.vni?.into(), *node));
        let vnis = self.rows.values().filter_map(vni).collect();
        self.ipam.set_users(SpaceId::Vni, Source::Networks, vnis).await
    }

    fn users_of(&self, pool: spaces::Pool) -> BTreeMap<u128, NodeId> {
        let routes = self.routes.iter();
        let routes = routes.flat_map(|(node, of)| of.routes.iter().map(move |to| (to, node)));
        let rows = self.rows.values();
        let subnets =
            rows.flat_map(|(record, node)| record.subnets.iter().map(move |s| (&s.prefix, node)));
        // Many hosts have the same routes.
        let by_prefix: BTreeMap<_, _> = routes.chain(subnets).collect();
        let mut users = BTreeMap::new();
        for (prefix, node) in by_prefix {
            users.extend(pool.touched_by(prefix).into_iter().flatten().map(|n| (n, *node)));
        }
        users
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
            Ok(space) => {
                let name = record.name.clone();
                let what = What::Subnet { network: id, name, subnet: subnet.prefix };
                if alone {
                    ipam.open_alone(space_id, &what, space).await?;
                } else {
                    ipam.open(space_id, &what, space, false).await?;
                }
            }
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
