//! Plugging a sandbox into a network, and out of it.
//!
//! What an endpoint needs is on this host's disk before anybody hears of it; what fails gives back what was
//! taken. An answer comes when the kernel is as it should be, or with why it is not.

use std::{collections::BTreeMap, io, net::IpAddr, path::PathBuf, sync::Arc, time::Duration};

use ipnet::IpNet;
use netdb::{AttachError as ScopeError, Lifetime, Name, NameError, Stopped, WriteError};
use netnode_plan::{
    bridge::GATEWAY,
    catalog::{FindError, Listed, Scope},
    host::HOST,
    mesh::INGRESS,
    overlay,
    publish::Published,
    records::{
        self, Backend, Driver, ENDPOINTS, EndpointId, LinkName, LinkNameError, Mac, NetworkId,
        PEER_KEY, PEERS, PeerRecord, RecordError,
    },
};
use tokio::{
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    Endpoint, Endpoints, State,
    board::{AddError, Command},
    ports::{self, PortError},
    resolv_conf::ResolvConfError,
    rows::scope_of,
    sandboxes::{SandboxError, check_host},
    serving::{Service, backend_of, drain_end},
    store::{Local, Locals},
};
use crate::{
    ipam::TakeError,
    kernel::has_v6,
    networks::{CreateError, What},
    state_file::StateFileError,
};

/// How long an attach waits for the kernel before it says that it is under way.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a node stays in a network's scope after its last endpoint went: the next may come soon.
const LINGER: Duration = Duration::from_secs(30);
/// How long the rows of a network are waited for after a start.
const SYNC: Duration = Duration::from_secs(20);

/// What somebody wants plugged in.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) network: String,
    pub(crate) name: Name,
    pub(crate) aliases: Vec<Name>,
    /// Addresses that it is to have, at most one in each subnet.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) mac: Option<Mac>,
    /// The path that leads to the sandbox's namespace, or [`HOST`].
    pub(crate) sandbox: String,
    /// What the interface is to be called; the next ethN if not said.
    pub(crate) interface: Option<LinkName>,
    /// Ports of the host that are to lead to it.
    pub(crate) published: Vec<Published>,
    /// What it is to serve.
    pub(crate) service: Option<Service>,
    /// Of a sandbox's endpoints that lead out, the highest is its way to everywhere; the first of several.
    pub(crate) gw_priority: i32,
    /// It is on another host, and goes on here.
    pub(crate) takes_over: bool,
    /// The file by which its sandbox is to find its names, and what is to be in it.
    pub(crate) resolv_conf: Option<(PathBuf, String)>,
}

/// What an endpoint is known by, wherever it is.
pub(super) struct Identity {
    pub(super) id: EndpointId,
    pub(super) addresses: Vec<IpNet>,
    pub(super) mac: Mac,
    pub(super) aliases: Vec<Name>,
    /// How often it moved from one node to another.
    pub(super) moves: u32,
    pub(super) backend: Option<Backend>,
}

/// Why a sandbox was not plugged in. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttachError {
    #[error(transparent)]
    Find(#[from] FindError),
    /// This process may not change the kernel, or it is another system's.
    #[error("the kernel can't be changed: {0}")]
    Kernel(Arc<io::Error>),
    #[error("a network of the host driver is the host's own namespace: run the process there")]
    Host,
    #[error("a network of the none driver is loopback alone, which every namespace has")]
    None,
    #[error("the network {INGRESS} is for what nodes hand each other: endpoints go on another one")]
    Ingress,
    #[error("the network has the subnet {0}, and this host's kernel has no IPv6")]
    NoV6(IpNet),
    #[error(transparent)]
    Overlay(#[from] overlay::Fault),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("this host has an endpoint {name} on that network already: {id}")]
    Exists { name: Name, id: EndpointId },
    #[error("no other host has an endpoint {0} on that network: there is nothing to move")]
    NotThere(Name),
    #[error("the network is this host's alone: a service is on a network of all nodes")]
    LocalService,
    #[error("address {0} is in none of the network's subnets")]
    Outside(IpAddr),
    #[error("no address can be given of {of}: {why}")]
    NoAddress { of: What, why: TakeError },
    #[error("address {address} is in use on the wire of {parent}, by {mac}")]
    OnWire { address: IpAddr, parent: LinkName, mac: Mac },
    #[error("the wire of {parent} can't be asked whether an address is in use: {error}")]
    Wire { parent: LinkName, error: io::Error },
    #[error("{0} is not the hardware address of one interface")]
    Mac(Mac),
    #[error(transparent)]
    ResolvConf(#[from] ResolvConfError),
    #[error(transparent)]
    Interface(#[from] LinkNameError),
    #[error("no random numbers: {0}")]
    Entropy(#[from] getrandom::Error),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Add(#[from] AddError),
    #[error(transparent)]
    File(#[from] StateFileError),
    #[error("no way out of the cluster: the network {GATEWAY} can't be had: {0}")]
    Gateway(CreateError),
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why an endpoint was not plugged out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DetachError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("this host has no endpoint {0} on that network")]
    Unknown(Name),
    #[error(transparent)]
    File(#[from] StateFileError),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Endpoints {
    /// Plugs a sandbox in.
    pub(crate) async fn attach(&self, wish: Wish) -> Result<Endpoint, AttachError> {
        let found = self.networks.find(&wish.network)?;
        if self.is_ingress(found.0) {
            return Err(AttachError::Ingress);
        }
        self.plug_in(found, wish).await
    }

    /// The same, on whatever network.
    pub(super) async fn plug_in(
        &self,
        (network, listed): (NetworkId, Listed),
        mut wish: Wish,
    ) -> Result<Endpoint, AttachError> {
        self.kernel.clone().map_err(AttachError::Kernel)?;
        self.started().await?;
        match listed.record.driver {
            Driver::Overlay if listed.record.options.encrypted => {
                return Err(overlay::Fault::Encrypted.into());
            }
            Driver::Overlay | Driver::Bridge | Driver::Macvlan => {}
            Driver::Host => return Err(AttachError::Host),
            Driver::None => return Err(AttachError::None),
        }
        let of_v6 = listed.record.subnets.iter().find(|subnet| subnet.prefix.addr().is_ipv6());
        if let Some(subnet) = of_v6.filter(|_| !has_v6()) {
            return Err(AttachError::NoV6(subnet.prefix));
        }
        if let Some(id) = self.find(network, &wish.name) {
            return Err(AttachError::Exists { name: wish.name, id });
        }
        wish.sandbox = self.sandbox_at(wish.sandbox)?;
        if wish.sandbox == HOST {
            check_host(listed.record.driver, &wish)?;
        }
        ports::check(&listed.record, &wish.published)?;
        if listed.scope == Scope::Local && wish.service.is_some() {
            return Err(AttachError::LocalService);
        }
        let _staying = self.stays.begin(network);
        if listed.scope == Scope::Cluster {
            self.db.ensure_attached(scope_of(network)?.as_str()).await?;
            // What others use of a range that came here from a node that is gone is known by their rows
            // alone.
            self.wait_synced(network).await;
        }
        let mut taken = Vec::new();
        let attached = self.attach_with(network, &listed, wish, &mut taken).await;
        if attached.is_err() {
            self.give_back(taken).await?;
        }
        attached
    }

    async fn attach_with(
        &self,
        network: NetworkId,
        listed: &Listed,
        wish: Wish,
        taken: &mut Vec<(NetworkId, IpNet)>,
    ) -> Result<Endpoint, AttachError> {
        let known = if wish.takes_over {
            self.taken_over(network, &wish.name).await?
        } else {
            self.new_identity(network, listed, &wish, taken).await?
        };
        let Identity { id, addresses, mac, aliases, moves, backend } = known;
        let interface = match wish.interface {
            Some(interface) => interface,
            None => self.free_interface(&wish.sandbox)?,
        };
        let ahead = self.leading(&wish.sandbox);
        let default_route = !listed.record.options.internal
            && wish.sandbox != HOST
            && ahead.as_ref().is_none_or(|ahead| ahead.local.gw_priority < wish.gw_priority);
        let ahead = ahead.filter(|_| default_route);
        let way_out = match listed.record.driver {
            Driver::Overlay if default_route => Some(self.way_out(taken).await?),
            Driver::Overlay if !wish.published.is_empty() => Err(PortError::NoWayOut)?,
            _ => None,
        };
        let leads_to = way_out.as_ref().map_or(&addresses, |out| &out.addresses);
        ports::check_addresses(&wish.published, leads_to)?;
        let resolv_conf = match wish.resolv_conf {
            Some((path, text)) => Some(self.prepare_file(path, text).await?),
            None => None,
        };
        let local = Local {
            network,
            name: wish.name,
            aliases,
            sandbox: wish.sandbox,
            interface,
            addresses,
            mac,
            default_route,
            gw_priority: wish.gw_priority,
            moves,
            published: wish.published,
            way_out,
            drained_s: drain_end(backend.as_ref(), None),
            backend,
            resolv_conf,
        };
        if listed.record.driver == Driver::Macvlan {
            // Its parent may have been made just before.
            self.survey().await;
        }
        let stepped_back = match &ahead {
            Some(ahead) => self.step_back(ahead).await?,
            None => Vec::new(),
        };
        if let Err(error) = self.enter(id, &local).await {
            if let Some(Endpoint { id, local, .. }) = &ahead {
                self.put(*id, local).await?;
            }
            return Err(error);
        }
        let settled = self.settled(id).await;
        self.give_back(stepped_back).await?;
        Ok(settled.ok_or(Stopped)?)
    }

    /// A new endpoint: addresses that it wished for or others, a random id.
    async fn new_identity(
        &self,
        network: NetworkId,
        listed: &Listed,
        wish: &Wish,
        taken: &mut Vec<(NetworkId, IpNet)>,
    ) -> Result<Identity, AttachError> {
        let addresses = self.take_free(network, listed, &wish.addresses, taken).await?;
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let mac = wish.mac.map_or_else(random_mac, Ok)?;
        if !mac.is_an_interfaces() {
            return Err(AttachError::Mac(mac));
        }
        let (id, aliases) = (EndpointId(id), wish.aliases.clone());
        let backend = backend_of(&wish.name, wish.service.clone());
        Ok(Identity { id, addresses, mac, aliases, moves: 0, backend })
    }

    /// Says what is attached to this host's disk, to its kernel's keeper and to the other nodes.
    async fn enter(&self, id: EndpointId, local: &Local) -> Result<(), AttachError> {
        let changing = self.changing.lock().await;
        self.put(id, local).await?;
        self.tell(Command::Begin(Vec::new())).await?;
        drop(changing);
        if local.backend.is_some() {
            // Clients are sent to it as soon as they hear of it: their first packet must find it.
            self.settled(id).await;
        }
        let _changing = self.changing.lock().await;
        if self.get(id).is_none() {
            // It was plugged out meanwhile.
            return Ok(());
        }
        if !self.is_own(local.network)
            && let Err(error) = self.publish(id, local).await
        {
            self.forget(id).await?;
            return Err(error);
        }
        Ok(())
    }

    /// Says to the other nodes where an endpoint is.
    pub(super) async fn publish(&self, id: EndpointId, local: &Local) -> Result<(), AttachError> {
        let scope = self.db.ensure_attached(scope_of(local.network)?.as_str()).await?;
        let own = self.db.info().await?.node.member.addr.ip();
        let shown = self.shown.borrow().clone();
        let peer = PeerRecord { tunnels: vec![own], mtu: shown.tunnel_mtu };
        let record = local.record(own, shown.tunnel_mtu);
        records::Record::check(&record).map_err(RecordError::from)?;
        let peers = scope.table(PEERS, Lifetime::Owner)?;
        peers.upsert(PEER_KEY, records::encode(&peer)).await?;
        let endpoints = scope.table(ENDPOINTS, Lifetime::Owner)?;
        endpoints.upsert(id.0, records::encode(&record)).await?;
        Ok(())
    }

    /// After a start: the rows are written anew.
    pub(super) async fn publish_again(
        &self,
        network: NetworkId,
        locals: &Locals,
    ) -> Result<(), AttachError> {
        let scope = self.db.ensure_attached(scope_of(network)?.as_str()).await?;
        for (id, local) in locals.iter().filter(|(_, local)| local.network == network) {
            self.publish(*id, local).await?;
        }
        if self.is_ingress(network) {
            self.say_shares(&scope, &mut BTreeMap::new()).await?;
        }
        scope.mark_complete().await?;
        Ok(())
    }

    /// After a start: without the others' rows the way to them would be taken for stale, and removed.
    pub(super) async fn wait_synced(&self, network: NetworkId) {
        let Ok(name) = scope_of(network) else { return };
        if let Ok(Some(scope)) = self.db.network(name.as_str()).await {
            // Cut off, it goes on with what it has.
            let _ = timeout(SYNC, scope.wait_synced()).await;
        }
    }

    /// Waits until the kernel was asked for an endpoint and did it, or can't.
    async fn settled(&self, id: EndpointId) -> Option<Endpoint> {
        let mut shown = self.shown.clone();
        let done = shown.wait_for(|shown| {
            matches!(
                shown.states.get(&id),
                Some(State::Ready | State::Error(_) | State::Conflict(_))
            )
        });
        // Beyond that it is under way.
        let _ = timeout(PATIENCE, done).await;
        self.get(id)
    }

    /// Plugs an endpoint out.
    pub(crate) async fn detach(&self, network: &str, name: &Name) -> Result<Local, DetachError> {
        self.started().await?;
        let (network, _) = self.networks.find(network)?;
        let unknown = || DetachError::Unknown(name.clone());
        let id = self.find(network, name).ok_or_else(unknown)?;
        self.give_up(network, id).await?.ok_or_else(unknown)
    }

    /// Lets go of an endpoint of this host, if it has it, and of all that it had.
    pub(super) async fn give_up(
        &self,
        network: NetworkId,
        id: EndpointId,
    ) -> Result<Option<Local>, DetachError> {
        let Some(local) = self.withdraw(network, id).await? else { return Ok(None) };
        // Beyond that it is under way.
        let _ = timeout(PATIENCE, self.shown.clone().wait_for(|shown| shown.settled)).await;
        self.give_back(local.all_addresses()).await?;
        if !self.is_own(network) && !self.is_used(network) {
            let again = self.clone();
            tokio::spawn(async move { again.leave_scope(network).await });
        }
        Ok(Some(local))
    }

    /// Takes back what [`Self::enter`] said, from the other nodes first: they send nothing more before the
    /// link goes.
    async fn withdraw(
        &self,
        network: NetworkId,
        id: EndpointId,
    ) -> Result<Option<Local>, DetachError> {
        let _changing = self.changing.lock().await;
        // While it is on disk what was there: after a crash here, it is only asked for again.
        self.put_file_back(id).await;
        if let Some(scope) = self.db.network(scope_of(network)?.as_str()).await? {
            // The row may be gone already.
            let _ = scope.table(ENDPOINTS, Lifetime::Owner)?.delete(id.0).await;
        }
        let local = self.forget(id).await?;
        if let Some(local) = &local
            && let Err(error) = self.pass_on(local).await
        {
            tracing::warn!(sandbox = %local.sandbox, "it has no way out any more: {error}");
        }
        Ok(local)
    }

    /// Stores what an endpoint is, and has the kernel asked for it.
    pub(super) async fn put(&self, id: EndpointId, local: &Local) -> Result<(), AttachError> {
        let (reply, stored) = oneshot::channel();
        let local = Box::new(local.clone());
        self.tell(Command::Add { id, local, reply }).await?;
        Ok(stored.await.map_err(|_| Stopped)??)
    }

    async fn forget(&self, id: EndpointId) -> Result<Option<Local>, FileOrStopped> {
        let (reply, removed) = oneshot::channel();
        self.tell(Command::Remove { id, reply }).await?;
        Ok(removed.await.map_err(|_| Stopped)??)
    }

    /// A host holds no rows of networks that it has no endpoint on; a short while excepted.
    pub(super) async fn leave_scope(&self, network: NetworkId) {
        sleep(LINGER).await;
        while self.stays.is_anybody_on(network) {
            sleep(LINGER).await;
        }
        self.leave_if_idle(network).await;
    }

    /// Leaves a network that nobody here needs the rows of.
    pub(super) async fn leave_if_idle(&self, network: NetworkId) {
        if self.is_used(network) || self.stays.is_anybody_on(network) {
            return;
        }
        let Ok(name) = scope_of(network) else { return };
        if let Ok(Some(scope)) = self.db.network(name.as_str()).await
            && let Err(error) = scope.detach().await
        {
            tracing::warn!(%network, "its scope was not left: {error}");
        }
    }

    /// Waits until what was attached before the start is known to the desk of addresses.
    pub(super) async fn started(&self) -> Result<(), Stopped> {
        self.ready.clone().wait_for(|ready| *ready).await.map(|_| ()).map_err(|_| Stopped)
    }

    async fn tell(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }
}

/// A hardware address that nobody has.
pub(super) fn random_mac() -> Result<Mac, getrandom::Error> {
    let mut random = [0; 6];
    getrandom::fill(&mut random)?;
    Ok(Mac::random(random))
}

/// Why an endpoint was not forgotten.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileOrStopped {
    #[error(transparent)]
    File(#[from] StateFileError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl From<FileOrStopped> for AttachError {
    fn from(error: FileOrStopped) -> Self {
        match error {
            FileOrStopped::File(error) => error.into(),
            FileOrStopped::Stopped(stopped) => stopped.into(),
        }
    }
}

impl From<FileOrStopped> for DetachError {
    fn from(error: FileOrStopped) -> Self {
        match error {
            FileOrStopped::File(error) => error.into(),
            FileOrStopped::Stopped(stopped) => stopped.into(),
        }
    }
}
