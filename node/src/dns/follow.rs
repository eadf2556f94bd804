//! The task that takes rows, networks and sandboxes as they change.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::Arc,
    time::Duration,
};

use netdb::{Entry, Event, NetDb, Stopped, Watch};
use netnode_plan::{
    catalog::{Catalog, Scope},
    dns::Standing,
    records::{self, EndpointId, EndpointRecord, NetworkId, ServiceId, ServiceRecord},
};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep},
};

use super::{
    listed::Listed,
    served::{Sandboxes, Served},
};
use crate::endpoints::Shown;

/// How often the paths to sandboxes are looked at.
const PERIOD: Duration = Duration::from_secs(1);
/// How long after a failed wait for a network's rows it is waited for again.
const REST: Duration = Duration::from_secs(1);
/// Networks whose rows have come, and of which the task has not heard.
const MAX_SYNCED: usize = 64;

pub(super) struct Follower {
    pub(super) db: NetDb,
    pub(super) endpoints: Watch,
    pub(super) services: Watch,
    pub(super) catalog: watch::Receiver<Arc<Catalog>>,
    pub(super) here: watch::Receiver<Arc<Shown>>,
    pub(super) listed: Arc<Listed>,
    pub(super) served: Served,
    /// What was plugged in here when that was taken last.
    pub(super) taken: Option<Arc<Shown>>,
    /// Endpoints of this host: it knows them before their rows come, and of networks that are its own there are
    /// none.
    pub(super) own: BTreeMap<EndpointId, NetworkId>,
    /// As they were settled last.
    pub(super) settled: Sandboxes,
    /// Networks of this host's sandboxes whose rows are waited for, or are here.
    pub(super) syncing: BTreeMap<NetworkId, tokio::task::AbortHandle>,
}

impl Follower {
    /// Works until the node ends.
    pub(super) async fn run(mut self) {
        let mut tick = interval(PERIOD);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (tell, mut synced) = mpsc::channel(MAX_SYNCED);
        loop {
            let went = tokio::select! {
                event = self.endpoints.next() => self.endpoint(event),
                event = self.services.next() => self.service(event),
                changed = self.catalog.changed() => {
                    self.networks();
                    self.sandboxes(&tell, false).await;
                    changed.map_err(|_| Stopped)
                }
                changed = self.here.changed() => {
                    // It also tells of the kernel, and after every row of anybody.
                    if self.is_news() {
                        self.sandboxes(&tell, false).await;
                    }
                    changed.map_err(|_| Stopped)
                }
                Some(network) = synced.recv() => {
                    self.listed.set_synced(network, true);
                    Ok(())
                }
                _ = tick.tick() => {
                    self.sandboxes(&tell, true).await;
                    Ok(())
                }
            };
            if went.is_err() {
                return;
            }
        }
    }

    fn endpoint(&mut self, event: Option<Event>) -> Result<(), Stopped> {
        let event = event.ok_or(Stopped)?;
        let Some(entry) = event.kind.entry() else { return Ok(()) };
        let network = event.network.as_str().parse();
        let id = <[u8; 16]>::try_from(&*entry.row.key).map(EndpointId);
        let (Ok(network), Ok(id)) = (network, id) else { return Ok(()) };
        let there = event.kind.standing().and_then(record::<EndpointRecord>);
        let row = there.as_ref().map(|record| (record, event.owner_state.into()));
        self.listed.change(|names| names.put_endpoint(network, entry.row.owner, id, row));
        Ok(())
    }

    fn service(&mut self, event: Option<Event>) -> Result<(), Stopped> {
        let event = event.ok_or(Stopped)?;
        let Some(entry) = event.kind.entry() else { return Ok(()) };
        let Ok(id) = <[u8; 16]>::try_from(&*entry.row.key).map(ServiceId) else { return Ok(()) };
        let there = event.kind.standing().and_then(record::<ServiceRecord>);
        self.listed.change(|names| names.put_service(id, there.as_ref()));
        Ok(())
    }

    fn networks(&mut self) {
        let catalog = self.catalog.borrow_and_update().clone();
        let here = self.here.borrow().clone();
        let used = |id| here.locals.values().any(|local| local.network == id);
        self.listed.take_catalog(&catalog, used);
    }

    /// Takes what is plugged in on this host; looks at what is as it was only if asked to.
    async fn sandboxes(&mut self, synced: &mpsc::Sender<NetworkId>, look: bool) {
        let here = self.here.borrow_and_update().clone();
        let catalog = self.catalog.borrow().clone();
        let is_own =
            |network| catalog.get(network).is_some_and(|listed| listed.scope == Scope::Local);
        let mut sandboxes = Sandboxes::new();
        let mut own = BTreeMap::new();
        let node = self.db.id();
        for (id, local) in &here.locals {
            let networks = sandboxes.entry(local.sandbox.clone()).or_default();
            if !networks.contains(&local.network) {
                networks.push(local.network);
            }
            own.insert(*id, local.network);
            let record = local.record(Ipv4Addr::UNSPECIFIED.into(), 0);
            let row = Some((&record, Standing::Up));
            self.listed.change(|names| names.put_endpoint(local.network, node, *id, row));
        }
        for (id, network) in self.own.iter().filter(|(id, _)| !own.contains_key(id)) {
            self.listed.change(|names| names.put_endpoint(*network, node, *id, None));
        }
        self.own = own;
        let networks: BTreeSet<NetworkId> = sandboxes.values().flatten().copied().collect();
        self.sync(&networks, is_own, synced);
        if look || sandboxes != self.settled {
            self.served.settle(&sandboxes).await;
            self.settled = sandboxes;
        }
        self.taken = Some(here);
    }

    /// Whether something else is plugged in here than when that was taken last.
    fn is_news(&mut self) -> bool {
        let here = self.here.borrow_and_update();
        self.taken.as_ref().is_none_or(|taken| taken.locals != here.locals)
    }

    /// Waits for the rows of networks that are new here.
    fn sync(
        &mut self,
        networks: &BTreeSet<NetworkId>,
        is_own: impl Fn(NetworkId) -> bool,
        synced: &mpsc::Sender<NetworkId>,
    ) {
        self.syncing.retain(|network, task| {
            let stays = networks.contains(network);
            if !stays {
                task.abort();
            }
            stays
        });
        let gone = |network: &NetworkId| !networks.contains(network);
        let gone: Vec<NetworkId> =
            self.listed.synced().borrow().iter().copied().filter(gone).collect();
        for network in gone {
            self.listed.set_synced(network, false);
        }
        for network in networks {
            if is_own(*network) {
                self.listed.set_synced(*network, true);
            } else if !self.syncing.contains_key(network) {
                let waiting = wait_synced(self.db.clone(), *network, synced.clone());
                self.syncing.insert(*network, tokio::spawn(waiting).abort_handle());
            }
        }
    }
}

/// Waits until this node holds what the others of a network hold, or finds that it is alone.
async fn wait_synced(db: NetDb, network: NetworkId, tell: mpsc::Sender<NetworkId>) {
    loop {
        if let Ok(Some(scope)) = db.network(&network.to_string()).await
            && scope.wait_synced().await.is_ok()
        {
            // The node is stopping.
            let _ = tell.send(network).await;
            return;
        }
        sleep(REST).await;
    }
}

fn record<T: records::Record>(entry: &Arc<Entry>) -> Option<T> {
    // What is not understood has been told of by whoever wires it.
    records::decode(entry.value.as_deref()?).ok()
}
