//! The services of the cluster: creating, changing and removing them, and who serves them.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `backends` | who serves, by the rows of endpoints, here or elsewhere |
//! | `change` | from a request to a row, and from one row to the next |
//! | `shown` | the services as they stand, kept up from the table; which addresses are theirs |
//! | `vips` | virtual addresses, taken and given back |
//!
//! A row is keyed by a random id. Its addresses are in use as long as the row says so, on every node and
//! whoever wrote it; nothing else remembers them.

mod backends;
mod change;
mod shown;
mod vips;

use std::sync::Arc;

use netdb::{
    CLUSTER_NETWORK, Lifetime, Name, NameError, NetDb, ServeError, Stopped, Table, WatchError,
};
use netnode_plan::{
    records::{SERVICES, ServiceId},
    services::{FindError, Listed, Services as All},
};
use tokio::sync::{Mutex, watch};

pub(crate) use backends::{Standing, StandingError};
pub(crate) use change::{Change, ChangeError, RemoveError, Wanted};
use shown::Shelf;
pub(crate) use vips::VipError;

use crate::{name_keeper::NameKeeper, networks::Networks};

/// What nodes ask each other for names under.
const NAMES: &str = "service-names";

/// Why there are no services.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The services as this host sees them. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    db: NetDb,
    table: Table,
    networks: Networks,
    names: NameKeeper,
    shown: watch::Receiver<Arc<All>>,
    /// A row is read, changed and written by one request of this host at a time.
    changing: Arc<Mutex<()>>,
}

impl Services {
    /// Follows the services of a running node. Addresses that they have are known to be in use when this
    /// returns.
    pub(crate) async fn start(db: &NetDb, networks: &Networks) -> Result<Self, StartError> {
        let network = db.network(CLUSTER_NETWORK).await?.ok_or(Stopped)?;
        let table = network.table(SERVICES, Lifetime::Cluster)?;
        let shelf = Shelf::new(networks.ipam().clone(), networks.watch());
        let shown = shelf.keep_up(table.watch().await?).await?;
        let known = shown.clone();
        let holder = move |name: &Name| known.borrow().named(name).map(|(id, _)| id.0);
        let names = NameKeeper::serve(db, NAMES, holder).await?;
        backends::serve(db.clone(), db.serve(backends::TOPIC).await?);
        let (db, networks, changing) = (db.clone(), networks.clone(), Arc::default());
        Ok(Self { db, table, networks, names, shown, changing })
    }

    /// All services, as this node sees them now.
    pub(crate) fn all(&self) -> Arc<All> {
        self.shown.borrow().clone()
    }

    /// The same, now and whenever they change.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<All>> {
        self.shown.clone()
    }

    /// A service by its name, its id, or the start of that.
    pub(crate) fn find(&self, text: &str) -> Result<(ServiceId, Listed), FindError> {
        let all = self.all();
        let id = all.find(text)?;
        let unknown = || FindError::Unknown { kind: "service", text: text.to_owned() };
        all.get(id).cloned().map(|listed| (id, listed)).ok_or_else(unknown)
    }
}
