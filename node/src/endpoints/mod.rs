//! The endpoints of this host: sandboxes plugged into networks, and what the others have to know of them.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `attach` | plugging a sandbox in and out: addresses, rows, waiting for the kernel |
//! | `board` | the task that turns rows and this host's endpoints into what the kernel should be like |
//! | `gateway` | the way out of an overlay |
//! | `mesh` | this node's part in the routing mesh |
//! | `moves` | endpoints that go on elsewhere |
//! | `numbers` | addresses as numbers of the rings |
//! | `outcome` | what became of an endpoint in the kernel |
//! | `ports` | which ports an endpoint may publish |
//! | `resolv_conf` | the file by which a sandbox finds its names |
//! | `rows` | the rows of all networks that this node takes part in |
//! | `sandboxes` | which sandbox a path leads to |
//! | `serving` | what an endpoint is to a service: drained, healthy |
//! | `stays` | networks that this node takes part in for a while, without an endpoint |
//! | `store` | this host's endpoints on disk |
//! | `survey` | what the host is like, apart from what we make |
//! | `wire` | addresses that nobody on a macvlan's wire has |

mod attach;
mod board;
mod gateway;
mod mesh;
mod moves;
mod numbers;
mod outcome;
mod ports;
mod resolv_conf;
mod rows;
mod sandboxes;
mod serving;
mod stays;
mod store;
mod survey;
mod wire;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    time::Duration,
};

use netdb::{Filter, Lifetime, Name, NameError, NetDb, Stopped, WatchError};
use netnode_plan::{
    catalog::Scope,
    host_ports::HostPorts,
    lb::{Balances, Explained},
    overlay::{self, DEFAULT_PORT},
    publish::Published,
    records::{ENDPOINTS, EndpointId, MESH, NetworkId, PEERS, ServiceId},
    services::Services as AllServices,
};
use tokio::{
    sync::{Mutex, mpsc, oneshot, watch},
    task,
    time::sleep,
};

pub(crate) use attach::{AttachError, DetachError, Wish};
pub(crate) use board::Shown;
pub(crate) use board::{AddError, State};
use board::{Board, Command, Keeper};
pub(crate) use ports::PortError;
pub(crate) use serving::{ServeError, Served, Service};
use stays::Stays;
pub(crate) use stays::VisitError;
pub(crate) use store::Local;
use store::{Locals, Resting, Store};
use survey::Survey;

use crate::{
    kernel::{Linux, Way, lacks},
    networks::Networks,
    services::Services,
    state_file::StateFileError,
};

/// Namespaces of networks, below the state directory.
const NAMESPACES: &str = "namespaces";
/// MTU of a link that can't be asked, be it the underlay's or a macvlan's parent: that of Ethernet.
const ETHERNET_MTU: u32 = 1500;
/// How often a node that is cut off looks whether it still is.
const ISOLATED_PERIOD: Duration = Duration::from_secs(1);
/// How long after the others were met their rows are all here: several comparisons.
const HEARD: Duration = Duration::from_secs(20);
/// Commands that wait for the board; whoever gives one waits beyond that.
const MAX_COMMANDS: usize = 64;

/// Why endpoints can't be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Store(#[from] StateFileError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The endpoints of this host. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoints {
    db: NetDb,
    networks: Networks,
    services: watch::Receiver<Arc<AllServices>>,
    commands: mpsc::Sender<Command>,
    shown: watch::Receiver<Arc<Shown>>,
    /// Why the kernel can't be changed, if it can't.
    kernel: Result<(), Arc<io::Error>>,
    /// Whether what was attached before the start is taken up: its addresses are in use, its rows are said.
    ready: watch::Receiver<bool>,
    /// What is attached here, and the rows that say so, change together.
    changing: Arc<Mutex<()>>,
    /// Networks whose rows somebody needs just now, endpoint or not.
    stays: Stays,
}

/// An endpoint as this host sees it.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: EndpointId,
    pub(crate) local: Local,
    /// Ports of this host that lead to it since its service publishes them.
    pub(crate) hosted: Vec<Published>,
    pub(crate) state: State,
    /// Bytes in an IP packet, if it is known.
    pub(crate) mtu: Option<u32>,
}

impl Endpoints {
    /// Takes up what this host had attached when it last ran. What sandboxes ask of their gateways is led to
    /// where names are answered in each, if that is said.
    pub(crate) async fn start(
        db: &NetDb,
        networks: &Networks,
        services: &Services,
        state_dir: &Path,
        names_at: Option<SocketAddr>,
        labels: BTreeMap<String, String>,
    ) -> Result<Self, StartError> {
        let store = Store::new(state_dir);
        let (locals, resting) = store.load()?;
        let kernel = Linux::new(state_dir.join(NAMESPACES));
        let (commands, queue) = mpsc::channel(MAX_COMMANDS);
        let (tell, told) = mpsc::channel(MAX_COMMANDS);
        let wanted = Arc::default();
        let (wants, _) = watch::channel(Arc::clone(&wanted));
        let (keeper, kernel) = match kernel {
            Ok(kernel) => (Some(Keeper { kernel, tell }), Ok(())),
            Err(error) => (None, Err(Arc::new(error))),
        };
        let way = Way { from: db.info().await?.node.member.addr.ip(), mtu: ETHERNET_MTU };
        let tunnel_mtu = overlay::mtu_over(way.from, way.mtu);
        let shown = Shown { locals: locals.clone(), tunnel_mtu, ..Shown::default() };
        let (show, shown) = watch::channel(Arc::new(shown));
        let board = Board {
            node: db.id(),
            port: DEFAULT_PORT,
            survey: Survey { way, foreign: BTreeSet::new(), legacy: BTreeSet::new() },
            names_at,
            labels,
            store,
            locals: locals.clone(),
            resting: resting.clone(),
            rows: rows::AllRows::default(),
            catalog: networks.watch(),
            services: services.watch(),
            balances: Balances::new(db.id()),
            unmet: locals.values().map(|local| local.sandbox.clone()).collect(),
            endpoints: db.watch(of_all_networks(ENDPOINTS)?).await?,
            peers: db.watch(of_all_networks(PEERS)?).await?,
            shares: db.watch(of_all_networks(MESH)?).await?,
            commands: queue,
            told,
            wants,
            wanted,
            keeper,
            begun: false,
            // Who had nothing attached has nothing stale.
            heard: locals.is_empty(),
            left: BTreeSet::new(),
            ipam: networks.ipam().clone(),
            shown: show,
            faults: BTreeMap::new(),
            ports: HostPorts::default(),
            mesh: mesh::Ports::default(),
        };
        tokio::spawn(board.run());
        tokio::spawn(tell_lacks());
        let (networks, services) = (networks.clone(), services.watch());
        let (get_ready, ready) = watch::channel(false);
        let (db, changing, stays) = (db.clone(), Arc::default(), Stays::default());
        let endpoints =
            Self { db, networks, services, commands, shown, kernel, ready, changing, stays };
        let again = endpoints.clone();
        tokio::spawn(async move { again.take_up(locals, resting, &get_ready).await });
        tokio::spawn(endpoints.clone().follow_moves());
        tokio::spawn(endpoints.clone().end_drains());
        tokio::spawn(endpoints.clone().take_part());
        Ok(endpoints)
    }

    /// All endpoints of this host.
    pub(crate) fn list(&self) -> Vec<Endpoint> {
        let shown = self.shown.borrow().clone();
        shown.locals.iter().map(|(id, local)| of_shown(&shown, *id, local)).collect()
    }

    /// The same, now and whenever they change.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Shown>> {
        self.shown.clone()
    }

    fn get(&self, id: EndpointId) -> Option<Endpoint> {
        let shown = self.shown.borrow().clone();
        shown.locals.get(&id).map(|local| of_shown(&shown, id, local))
    }

    /// How many nodes take part in a network.
    pub(crate) async fn nodes_on(&self, network: NetworkId) -> Result<usize, Stopped> {
        let Ok(scope) = rows::scope_of(network) else { return Ok(0) };
        let here = usize::from(self.is_used(network));
        let known = self.db.known_networks().await?;
        let nodes = known.iter().find(|(name, _)| *name == scope).map_or(0, |(_, nodes)| *nodes);
        Ok(nodes.max(here))
    }

    /// What the addresses of these services do here.
    pub(crate) async fn explain(
        &self,
        services: Vec<ServiceId>,
    ) -> Result<Vec<(ServiceId, Vec<Explained>)>, Stopped> {
        let (reply, answer) = oneshot::channel();
        let asked = Command::Explain { services, reply };
        self.commands.send(asked).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }

    /// Whether an endpoint of this host is on a network.
    pub(crate) fn is_used(&self, network: NetworkId) -> bool {
        self.list().iter().any(|endpoint| endpoint.local.networks().any(|on| on == network))
    }

    /// Whether a network is this host's alone: nobody else has to know of its endpoints.
    fn is_own(&self, network: NetworkId) -> bool {
        self.networks.catalog().get(network).is_some_and(|listed| listed.scope == Scope::Local)
    }

    /// The endpoint of this host that is called so on a network.
    pub(crate) fn find(&self, network: NetworkId, name: &Name) -> Option<EndpointId> {
        let shown = self.shown.borrow().clone();
        let mut all = shown.locals.iter();
        let found = all.find(|(_, local)| local.network == network && local.name == *name);
        found.map(|(id, _)| *id)
    }

    /// What was attached before is published again, and the kernel is looked at once the rows of its
    /// networks are here: until then nothing is touched, so that traffic goes on.
    async fn take_up(&self, locals: Locals, resting: Vec<Resting>, ready: &watch::Sender<bool>) {
        let networks: BTreeSet<NetworkId> = locals.values().flat_map(Local::networks).collect();
        let of_resting = resting.iter().map(|one| one.network);
        for network in networks.iter().copied().chain(of_resting).collect::<BTreeSet<_>>() {
            if self.keep_addresses(network, &locals).await.is_err() {
                return;
            }
        }
        // What went just before the last end rests on.
        let resting: Vec<_> = resting.iter().map(|one| (one.network, one.address)).collect();
        if self.keep_all(resting.clone()).await.is_err() || self.give_back(resting).await.is_err() {
            return;
        }
        let surveyed = self.survey().await;
        if !locals.is_empty() {
            self.say_again().await;
        }
        ready.send_replace(true);
        tokio::spawn(self.clone().keep_surveyed(surveyed));
        if locals.is_empty() {
            return;
        }
        for network in networks.into_iter().filter(|network| !self.is_own(*network)) {
            self.wait_synced(network).await;
        }
        let mut rows = Vec::new();
        for table in [ENDPOINTS, PEERS, MESH] {
            let Ok(filter) = of_all_networks(table) else { return };
            let Ok(mut of_table) = self.db.rows(filter).await else { return };
            rows.append(&mut of_table);
        }
        // The node is stopping.
        let _ = self.commands.send(Command::Begin(rows)).await;
        if self.met_others().await.is_ok() {
            let _ = self.commands.send(Command::Met).await;
            sleep(HEARD).await;
            let _ = self.commands.send(Command::Heard).await;
        }
    }

    /// Waits until another node is up, if there are others.
    async fn met_others(&self) -> Result<(), Stopped> {
        while self.db.info().await?.node.isolated {
            sleep(ISOLATED_PERIOD).await;
        }
        Ok(())
    }
}

/// Says what of the kernel's is missing, once. Without the right to find out, attaching says that.
async fn tell_lacks() {
    if let Ok(Ok(lacks)) = task::spawn_blocking(lacks).await {
        for lack in lacks {
            tracing::warn!("{lack}");
        }
    }
}

fn of_shown(shown: &Shown, id: EndpointId, local: &Local) -> Endpoint {
    let state = shown.states.get(&id).cloned();
    let state = state.unwrap_or_else(|| State::Pending("the kernel was not asked yet".into()));
    let mtu = shown.mtus.get(&local.network).copied();
    let hosted = shown.hosted.get(&id).cloned().unwrap_or_default();
    Endpoint { id, local: local.clone(), hosted, state, mtu }
}

/// A table of rows that nodes own, in every network that this node takes part in, failed owners' among them.
pub(crate) fn of_all_networks(table: &str) -> Result<Filter, NameError> {
    Ok(Filter {
        table: Some(Name::new(table)?),
        lifetime: Some(Lifetime::Owner),
        include_failed: true,
        ..Filter::default()
    })
}
