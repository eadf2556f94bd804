//! The services as they stand: the rows with their clashes settled, and what the desk of numbers has to know
//! of their addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use netdb::{Event, EventKind, NodeId, Stopped, Watch};
use netnode_plan::{
    catalog::Catalog,
    records::{self, ServiceId, ServiceRecord},
    services::Services as All,
    spaces::{SpaceId, number_in},
};
use tokio::sync::watch;

use crate::ipam::{Ipam, Source};

/// Which numbers of each space somebody uses.
type Users = BTreeMap<SpaceId, BTreeMap<u128, NodeId>>;

/// All services, and who wrote each.
pub(super) struct Shelf {
    ipam: Ipam,
    catalog: watch::Receiver<Arc<Catalog>>,
    rows: BTreeMap<ServiceId, (ServiceRecord, NodeId)>,
    /// Spaces of which the desk was told that somebody uses something.
    told: BTreeSet<SpaceId>,
}

impl Shelf {
    pub(super) fn new(ipam: Ipam, catalog: watch::Receiver<Arc<Catalog>>) -> Self {
        Self { ipam, catalog, rows: BTreeMap::new(), told: BTreeSet::new() }
    }

    /// Puts together what is there, then follows the table until the node ends.
    pub(super) async fn keep_up(
        mut self,
        mut rows: Watch,
    ) -> Result<watch::Receiver<Arc<All>>, Stopped> {
        loop {
            let event = rows.next().await.ok_or(Stopped)?;
            if matches!(event.kind, EventKind::SnapshotEnd) {
                break;
            }
            self.take(&event);
        }
        self.tell_users().await?;
        let (sender, receiver) = watch::channel(Arc::new(self.all()));
        tokio::spawn(async move {
            // The node is stopping.
            while self.step(&mut rows, &sender).await.is_ok() {}
        });
        Ok(receiver)
    }

    /// Who is shown a service may take its addresses for known to the desk.
    async fn step(
        &mut self,
        rows: &mut Watch,
        shown: &watch::Sender<Arc<All>>,
    ) -> Result<(), Stopped> {
        tokio::select! {
            event = rows.next() => {
                self.take(&event.ok_or(Stopped)?);
                // Of many that come at once, all are taken before they are looked at.
                while let Some(event) = waiting(rows).await {
                    self.take(&event);
                }
                self.tell_users().await?;
                shown.send_replace(Arc::new(self.all()));
                Ok(())
            }
            // The row of a network may come after those of its services.
            changed = self.catalog.changed() => {
                changed.map_err(|_| Stopped)?;
                self.tell_users().await
            }
        }
    }

    fn all(&self) -> All {
        All::new(self.rows.iter().map(|(id, (record, _))| (*id, record.clone())))
    }

    fn take(&mut self, event: &Event) {
        let Some(entry) = event.kind.entry() else { return };
        let Ok(id) = <[u8; 16]>::try_from(&*entry.row.key).map(ServiceId) else { return };
        let value = event.kind.standing().and_then(|standing| standing.value.as_ref());
        match value.map(|value| records::decode::<ServiceRecord>(value)) {
            Some(Ok(record)) => drop(self.rows.insert(id, (record, entry.dot.writer.node))),
            Some(Err(error)) => {
                tracing::warn!(service = %id, "the row of a service is not understood: {error}");
                self.rows.remove(&id);
            }
            None => drop(self.rows.remove(&id)),
        }
    }

    /// Tells the desk which addresses services have. Of a network that is gone, nobody has to know.
    async fn tell_users(&mut self) -> Result<(), Stopped> {
        let catalog = self.catalog.borrow_and_update().clone();
        let users = self.users(&catalog);
        let before = std::mem::replace(&mut self.told, users.keys().copied().collect());
        for id in before.into_iter().filter(|id| !users.contains_key(id)) {
            self.ipam.set_users(id, Source::Services, BTreeMap::new()).await?;
        }
        for (id, users) in users {
            self.ipam.set_users(id, Source::Services, users).await?;
        }
        Ok(())
    }

    fn users(&self, catalog: &Catalog) -> Users {
        let mut users = Users::new();
        for (record, node) in self.rows.values() {
            let Some(network) = catalog.get(record.network) else { continue };
            for (place, subnet) in (0..).zip(&network.record.subnets) {
                let numbers = record.vips.iter().filter_map(|vip| number_in(&subnet.prefix, *vip));
                for number in numbers {
                    let id = SpaceId::Subnet(record.network, place);
                    users.entry(id).or_default().insert(number, *node);
                }
            }
        }
        users
    }
}

/// The next event, if it is there already.
async fn waiting(rows: &mut Watch) -> Option<Event> {
    tokio::select! {
        biased;
        event = rows.next() => event,
        () = std::future::ready(()) => None,
    }
}
