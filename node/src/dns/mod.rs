//! The DNS driver: what each sandbox of this host asks for is answered inside of it, by the rows of now.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `follow` | the task that takes rows, networks and sandboxes as they change |
//! | `listed` | the names of all networks, and what one sandbox sees of them |
//! | `query` | what a sandbox would be told, and why |
//! | `served` | the sandboxes that are answered: their sockets, and why one is not |
//! | `upstreams` | who is asked for what is not ours |
//! | `worker` | the thread that answers them |
//!
//! What a name means is [`netnode_plan::dns`]'s to say, what a packet means is `netnode_dns`'s.

mod follow;
mod listed;
mod query;
mod served;
mod upstreams;
mod worker;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use netdb::{CLUSTER_NETWORK, Lifetime, NameError, NetDb, Stopped, WatchError};
use netnode_dns::{Forwarder, Stats, resolv_conf};
use netnode_plan::records::{ENDPOINTS, NetworkId, SERVICES};
use tokio::{sync::watch, task, time::timeout};

use crate::{
    endpoints::{Endpoints, of_all_networks},
    networks::Networks,
};
use follow::Follower;
use listed::Listed;
pub(crate) use query::{Explained, SeenNetwork};
use served::Served;
use worker::Worker;

/// Where sandboxes find it, as Docker's do.
pub(crate) const DEFAULT_ADDRESS: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11)), 53);
/// For how long an answer of ours may be kept.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(5);
/// How long an attach waits until its sandbox is answered.
const PATIENCE: Duration = Duration::from_secs(2);

/// How names are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Where, inside each sandbox; nowhere if not said.
    pub(crate) listen: Option<SocketAddr>,
    /// Whether what a sandbox asks of its networks' gateways comes there, too.
    pub(crate) at_gateways: bool,
    /// What our names end with where they are written out.
    pub(crate) domain: String,
    /// For how long an answer of ours may be kept, in seconds.
    pub(crate) ttl_s: u32,
    /// Who is asked for what is not ours; those of the host if nobody is named.
    pub(crate) upstreams: Vec<SocketAddr>,
}

/// Why names can't be answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error("no thread for it: {0}")]
    Worker(#[from] io::Error),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why there is no `resolv.conf` that would lead to the names.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoResolvConf {
    #[error("names are not answered in sandboxes: a resolv.conf would lead to nobody")]
    Off,
    #[error("names are answered at {0}, and a resolv.conf can't name a port other than 53")]
    Port(SocketAddr),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// How each sandbox is answered, by the path to its namespace: `Err` says why it is not.
type Standings = BTreeMap<String, Result<(), String>>;

/// The names of this host's sandboxes. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Dns {
    settings: Arc<Settings>,
    listed: Arc<Listed>,
    forwarder: Forwarder,
    standings: watch::Receiver<Standings>,
}

impl Dns {
    /// Answers from now on, until the node ends.
    pub(crate) async fn start(
        db: &NetDb,
        networks: &Networks,
        endpoints: &Endpoints,
        settings: Settings,
    ) -> Result<Self, StartError> {
        let settings = Arc::new(settings);
        let listed = Arc::new(Listed::default());
        let forwarder = upstreams::forwarder(&settings);
        let (tell, standings) = watch::channel(Standings::new());
        let cluster = db.network(CLUSTER_NETWORK).await?.ok_or(Stopped)?;
        let follower = Follower {
            db: db.clone(),
            endpoints: db.watch(of_all_networks(ENDPOINTS)?).await?,
            services: cluster.table(SERVICES, Lifetime::Cluster)?.watch().await?,
            catalog: networks.watch(),
            here: endpoints.watch(),
            listed: Arc::clone(&listed),
            served: Served::new(&settings, &listed, forwarder.clone(), Worker::start()?, tell),
            taken: None,
            own: BTreeMap::new(),
            settled: BTreeMap::new(),
            syncing: BTreeMap::new(),
        };
        tokio::spawn(follower.run());
        Ok(Self { settings, listed, forwarder, standings })
    }

    /// What a sandbox's `resolv.conf` has to say.
    pub(crate) async fn resolv_conf(&self) -> Result<String, NoResolvConf> {
        let at = self.settings.listen.ok_or(NoResolvConf::Off)?;
        if at.port() != DEFAULT_ADDRESS.port() {
            return Err(NoResolvConf::Port(at));
        }
        let host = task::spawn_blocking(upstreams::text_of_host).await.map_err(|_| Stopped)?;
        Ok(resolv_conf::of_sandbox(&host, at.ip()))
    }

    /// Why the names of a sandbox are not answered, if so.
    pub(crate) fn fault(&self, sandbox: &str) -> Option<String> {
        self.standings.borrow().get(sandbox)?.clone().err()
    }

    /// Waits until a sandbox is answered with the names of a network, or it is known why it is not.
    pub(crate) async fn stands(&self, sandbox: &str, network: NetworkId) {
        if self.settings.listen.is_some() {
            let (mut standings, mut synced) = (self.standings.clone(), self.listed.synced());
            let known = async {
                // An error means that the node is stopping.
                let _ = standings.wait_for(|standings| standings.contains_key(sandbox)).await;
                let _ = synced.wait_for(|synced| synced.contains(&network)).await;
            };
            // Beyond that it is under way.
            let _ = timeout(PATIENCE, known).await;
        }
    }

    /// What was counted.
    pub(crate) fn stats(&self) -> Stats {
        self.forwarder.stats()
    }
}
