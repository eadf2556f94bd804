//! The task that knows what this host has attached and what the rows say, and tells the kernel's keeper
//! what is wanted of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};

use ipnet::IpNet;
use netdb::{Event, Name, NetworkRow, NodeId, Stopped, Watch};
use netnode_plan::{
    bridge,
    catalog::Catalog,
    desired::Desired,
    firewall::{Firewall, routers},
    host::{HOST, Place, Wanted},
    host_ports::HostPorts,
    lb::{Balances, Explained},
    macvlan,
    overlay::{self, Row},
    publish::Published,
    records::{
        Driver, EndpointId, EndpointRecord, LinkName, NetworkId, NetworkRecord, PublishedPort,
        ServiceId,
    },
    services::Services,
    spaces::{SpaceId, number_in},
};
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    ETHERNET_MTU, mesh,
    outcome::state_of,
    rows::{AllRows, Rows, endpoint_of},
    store::{Local, Locals, Resting, Store},
    survey::Survey,
};
use crate::{
    drivers::{
        keeper::{PERIOD, Told, Wants, keep},
        reconcile::Report,
    },
    ipam::{Ipam, Source},
    kernel::{Linux, Way},
    state_file::StateFileError,
};

/// How an endpoint is doing on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The kernel is as it should be.
    Ready,
    /// Not yet, and why.
    Pending(String),
    /// Another endpoint has its address.
    Conflict(String),
    /// It can't be, and what to do.
    Error(String),
}

/// Why an endpoint was not added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddError {
    #[error(transparent)]
    File(#[from] StateFileError),
    #[error("port {port} of this host leads to endpoint {to} already, by {by}")]
    Published { port: Published, to: Name, by: Published },
    #[error("endpoint {with} has the interface {interface} in that sandbox already")]
    Interface { interface: LinkName, with: Name },
}

/// What the board is told.
pub(super) enum Command {
    /// Of an endpoint that is there, it is what it is from now on.
    Add {
        id: EndpointId,
        local: Box<Local>,
        reply: oneshot::Sender<Result<(), AddError>>,
    },
    Remove {
        id: EndpointId,
        reply: oneshot::Sender<Result<Option<Local>, StateFileError>>,
    },
    /// From now on the kernel is asked for what is wanted; these rows are known.
    Begin(Vec<NetworkRow>),
    /// What the host is like.
    Survey {
        survey: Survey,
        shown: oneshot::Sender<()>,
    },
    /// What the addresses of these services do here.
    Explain {
        services: Vec<ServiceId>,
        reply: oneshot::Sender<Vec<(ServiceId, Vec<Explained>)>>,
    },
    /// Another node is up, or there is none: what it knows of these networks is here.
    Met,
    /// The others have said what they have: what no row backs is stale from now on.
    Heard,
}

/// What is to keep the kernel as it should be, once it is known how.
pub(super) struct Keeper {
    pub(super) kernel: Linux,
    pub(super) tell: mpsc::Sender<Told>,
}

impl Keeper {
    fn start(self, wants: watch::Receiver<Arc<Desired>>) {
        let Self { kernel, tell } = self;
        tokio::spawn(keep(kernel, wants, PERIOD, move |told| {
            // A board that is behind hears of the next comparison.
            let _ = tell.try_send(told);
        }));
    }
}

/// What others may see of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) locals: Locals,
    /// Of those that the kernel was asked for.
    pub(super) states: BTreeMap<EndpointId, State>,
    /// MTU of each overlay on this node, in bytes.
    pub(super) mtus: BTreeMap<NetworkId, u32>,
    /// What this node's underlay lets through a tunnel, in bytes.
    pub(super) tunnel_mtu: u32,
    /// Whether the kernel is as it should be, as far as it can be.
    pub(super) settled: bool,
    /// Endpoints of this host that another node has by now.
    pub(super) moved: BTreeMap<EndpointId, NodeId>,
    /// Ports of this host that lead to endpoints since their services publish them.
    pub(super) hosted: BTreeMap<EndpointId, Vec<Published>>,
    /// Ports of the mesh that are not open here, and why.
    pub(crate) closed: BTreeMap<PublishedPort, String>,
}

pub(super) struct Board {
    pub(super) node: NodeId,
    pub(super) port: u16,
    pub(super) survey: Survey,
    /// Where names are answered in each sandbox, if what is asked of gateways is led there.
    pub(super) names_at: Option<SocketAddr>,
    /// What its administrator notes about this node.
    pub(super) labels: BTreeMap<String, String>,
    pub(super) store: Store,
    pub(super) locals: Locals,
    /// Addresses of endpoints that went a moment ago.
    pub(super) resting: Vec<Resting>,
    pub(super) rows: AllRows,
    pub(super) catalog: watch::Receiver<Arc<Catalog>>,
    pub(super) services: watch::Receiver<Arc<Services>>,
    /// Who serves, by the rows.
    pub(super) balances: Balances,
    /// Sandboxes from before the start, until it is known who serves: what they have goes on.
    pub(super) unmet: BTreeSet<String>,
    pub(super) endpoints: Watch,
    pub(super) peers: Watch,
    pub(super) shares: Watch,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) told: mpsc::Receiver<Told>,
    pub(super) wants: Wants,
    pub(super) wanted: Arc<Desired>,
    /// Until the first wants are known: a keeper that was told nothing would remove everything.
    pub(super) keeper: Option<Keeper>,
    pub(super) begun: bool,
    pub(super) heard: bool,
    /// Sandboxes that something of ours may still be in.
    pub(super) left: BTreeSet<String>,
    pub(super) ipam: Ipam,
    pub(super) shown: watch::Sender<Arc<Shown>>,
    /// What stands in the way of an endpoint, by the rows.
    pub(super) faults: BTreeMap<EndpointId, State>,
    /// Which of them have the ports of their services.
    pub(super) ports: HostPorts,
    /// Which ports of the mesh are open here.
    pub(super) mesh: mesh::Ports,
}

impl Board {
    /// Works until the last handle or the node is gone.
    pub(super) async fn run(mut self) {
        self.balances.put_services(&self.services.borrow_and_update().clone());
        loop {
            let went = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => { self.obey(command); Ok(()) }
                    None => Err(Stopped),
                },
                event = self.endpoints.next() => match event {
                    Some(event) => self.changed(&event).await,
                    None => Err(Stopped),
                },
                event = self.peers.next() => match event {
                    Some(event) => self.changed(&event).await,
                    None => Err(Stopped),
                },
                event = self.shares.next() => match event {
                    Some(event) => self.changed(&event).await,
                    None => Err(Stopped),
                },
                changed = self.services.changed() => {
                    let services = self.services.borrow_and_update().clone();
                    self.balances.put_services(&services);
                    self.want();
                    changed.map_err(|_| Stopped)
                }
                changed = self.catalog.changed() => {
                    self.want();
                    changed.map_err(|_| Stopped)
                }
                Some(told) = self.told.recv() => { self.compared(&told); Ok(()) }
            };
            if went.is_err() {
                return;
            }
        }
    }

    /// Answers come when what was asked is among what is wanted, and no longer shown as settled.
    fn obey(&mut self, command: Command) {
        match command {
            Command::Add { id, local, reply } => {
                let done = self.add(id, *local);
                self.want();
                // Whoever asked may be gone.
                drop(reply.send(done));
            }
            Command::Remove { id, reply } => {
                let mut locals = self.locals.clone();
                let removed = locals.remove(&id);
                let done = if removed.is_some() { self.replace(locals) } else { Ok(()) };
                self.want();
                // Whoever asked may be gone.
                drop(reply.send(done.map(|()| removed)));
            }
            Command::Begin(rows) => {
                for (network, row) in &rows {
                    self.rows.take_row(network, row);
                }
                for (network, rows) in self.rows.networks() {
                    for of in rows.records().map(|(of, _)| *of) {
                        self.balances.put_endpoint(network, of.0, of.1, rows.endpoint(of));
                    }
                }
                self.begun = true;
                self.want();
            }
            Command::Explain { services, reply } => {
                let explain = |id| (id, self.balances.explain(id));
                // Whoever asked may be gone.
                drop(reply.send(services.into_iter().map(explain).collect()));
            }
            Command::Met => {
                self.unmet.clear();
                self.want();
            }
            Command::Survey { survey, shown } => {
                self.survey = survey;
                self.want();
                // Whoever looked may be gone.
                let _ = shown.send(());
            }
            Command::Heard => {
                self.heard = true;
                self.want();
            }
        }
    }

    /// Adds one, or says anew what it is. What two can't have goes to the first.
    fn add(&mut self, id: EndpointId, local: Local) -> Result<(), AddError> {
        for (of, other) in self.locals.iter().filter(|(other, _)| **other != id) {
            for port in &local.published {
                let given = self.ports.given.get(of).into_iter().flatten();
                let mut there = other.published.iter().chain(given);
                if let Some(by) = there.find(|there| there.clashes(port)) {
                    let (port, to, by) = (port.clone(), other.name.clone(), by.clone());
                    return Err(AddError::Published { port, to, by });
                }
            }
            let mut taken = other.interfaces().filter(|_| other.sandbox == local.sandbox);
            if let Some(taken) = taken.find(|taken| local.interfaces().any(|own| own == *taken)) {
                let (interface, with) = (taken.clone(), other.name.clone());
                return Err(AddError::Interface { interface, with });
            }
        }
        let mut locals = self.locals.clone();
        locals.insert(id, local);
        Ok(self.replace(locals)?)
    }

    fn replace(&mut self, locals: Locals) -> Result<(), StateFileError> {
        let gone = self.locals.iter().filter(|(id, _)| !locals.contains_key(id));
        let gone: Vec<&Local> = gone.map(|(_, local)| local).collect();
        let resting = self.resting.iter().filter(|address| address.rests()).cloned();
        let resting: Vec<Resting> =
            resting.chain(gone.iter().flat_map(|local| Resting::of(local))).collect();
        self.store.save(&locals, &resting)?;
        self.left.extend(gone.iter().map(|local| local.sandbox.clone()));
        self.resting = resting;
        self.locals = locals;
        Ok(())
    }

    async fn changed(&mut self, event: &Event) -> Result<(), Stopped> {
        let Some(network) = self.rows.take(event) else { return Ok(()) };
        if let Some(of) = event.kind.entry().and_then(|entry| endpoint_of(entry)) {
            let row = self.rows.of(network).and_then(|rows| rows.endpoint(of));
            self.balances.put_endpoint(network, of.0, of.1, row);
        }
        self.want();
        let catalog = self.catalog.borrow().clone();
        let (Some(listed), Some(rows)) = (catalog.get(network), self.rows.of(network)) else {
            return Ok(());
        };
        for (place, subnet) in (0..).zip(&listed.record.subnets) {
            let mut users = BTreeMap::new();
            for ((owner, _), row) in rows.endpoints() {
                let numbers = row.record.addresses.iter().map(IpNet::addr);
                let numbers = numbers.filter_map(|address| number_in(&subnet.prefix, address));
                users.extend(numbers.map(|number| (number, owner)));
            }
            let id = SpaceId::Subnet(network, place);
            self.ipam.set_users(id, Source::Endpoints, users).await?;
        }
        Ok(())
    }

    /// Says anew what is wanted.
    fn want(&mut self) {
        let mut wanted = Desired::default();
        for sandbox in &self.left {
            let place = Place::of_sandbox(sandbox);
            wanted.links.insert(place.clone(), BTreeMap::new());
            wanted.firewalls.insert(place, Firewall::default());
        }
        // Named also if nobody wants anything of it: then what was there goes.
        wanted.firewalls.insert(Place::Host, Firewall::default());
        self.faults.clear();
        self.settle_ports();
        self.settle_mesh();
        let mtus = self.want_of_networks(&mut wanted);
        self.lead(&mut wanted);
        self.lead_in(&mut wanted);
        let news = *self.wanted != wanted;
        if news {
            self.wanted = Arc::new(wanted);
        }
        if self.begun {
            let news = !Arc::ptr_eq(&self.wanted, &self.wants.borrow());
            if news {
                self.wants.send_replace(Arc::clone(&self.wanted));
            }
            if let Some(keeper) = self.keeper.take() {
                keeper.start(self.wants.subscribe());
            }
        }
        let (locals, moved) = (self.locals.clone(), self.moved());
        let tunnel_mtu = overlay::mtu_over(self.survey.way.from, self.survey.way.mtu);
        self.shown.send_modify(|shown| {
            let states = shown.states.clone();
            let settled = shown.settled && !news;
            let (hosted, closed) = (self.ports.given.clone(), self.mesh.closed.clone());
            *shown = Arc::new(Shown {
                locals,
                states,
                mtus,
                tunnel_mtu,
                settled,
                moved,
                hosted,
                closed,
            });
        });
    }

    /// What is wanted for each network that an endpoint is on; MTUs of those that have one of their own, in bytes.
    fn want_of_networks(&mut self, wanted: &mut Desired) -> BTreeMap<NetworkId, u32> {
        let mut mtus = BTreeMap::new();
        let catalog = self.catalog.borrow().clone();
        let networks: BTreeSet<NetworkId> =
            self.locals.values().flat_map(Local::networks).collect();
        for network in networks {
            let Some(listed) = catalog.get(network) else {
                let fault = State::Error("a network of it was removed: detach it".into());
                self.blame(network, &fault);
                continue;
            };
            let part = match listed.record.driver {
                Driver::Overlay => {
                    let outcome = self.overlay(network, &listed.record);
                    mtus.insert(network, outcome.mtu);
                    self.judge(network, &outcome);
                    outcome.wanted
                }
                Driver::Macvlan => match self.macvlan(network, &listed.record) {
                    Ok(part) => part.into(),
                    Err(fault) => {
                        self.blame(network, &State::Error(fault.to_string()));
                        Desired::default()
                    }
                },
                Driver::Bridge => {
                    mtus.insert(network, bridge::mtu(&listed.record, self.survey.way.mtu));
                    self.bridge(network, &listed.record)
                }
                Driver::Host | Driver::None => Desired::default(),
            };
            wanted.absorb(part);
        }
        mtus
    }

    /// What each sandbox balances, and what of it leads to names: the services and the routers of its networks.
    fn lead(&self, wanted: &mut Desired) {
        let catalog = self.catalog.borrow();
        for local in self.locals.values().filter(|local| !self.unmet.contains(&local.sandbox)) {
            let place = Place::of_sandbox(&local.sandbox);
            let firewall = wanted.firewalls.entry(place).or_default();
            firewall.balances.insert(local.network, self.balances.of(local.network));
            // The host itself is not answered: it may have a resolver of its own at its bridges.
            let Some(at) = self.names_at.filter(|_| local.sandbox != HOST) else { continue };
            let networks = local.networks().filter_map(|network| catalog.get(network));
            firewall.names.extend(networks.flat_map(|listed| routers(&listed.record, at)));
        }
    }

    /// Endpoints of this node that another has by now.
    fn moved(&self) -> BTreeMap<EndpointId, NodeId> {
        let own = self.locals.iter().map(|(id, local)| (*id, local.moves)).collect();
        let networks: BTreeSet<NetworkId> = self.locals.values().map(|l| l.network).collect();
        let rows = networks.into_iter().filter_map(|network| self.rows.of(network));
        overlay::moved_away(rows.flat_map(Rows::records), self.node, &own)
    }

    fn of_network(&self, network: NetworkId) -> impl Iterator<Item = (EndpointId, &Local)> {
        let is_on = move |local: &Local| local.networks().any(|on| on == network);
        let of = self.locals.iter().filter(move |(_, local)| is_on(local));
        of.map(|(id, local)| (*id, local))
    }

    /// What this node says of its endpoints.
    pub(super) fn own_records(&self, network: NetworkId) -> BTreeMap<EndpointId, EndpointRecord> {
        let Way { from, mtu } = self.survey.way;
        let mtu = overlay::mtu_over(from, mtu);
        self.of_network(network).map(|(id, local)| (id, local.record(from, mtu))).collect()
    }

    fn overlay(&self, network: NetworkId, record: &NetworkRecord) -> overlay::Outcome {
        let none = Rows::default();
        let rows = self.rows.of(network).unwrap_or(&none);
        let mut endpoints = rows.endpoints();
        // Its own it knows without the rows, which come a moment later.
        let own = self.own_records(network);
        for (id, record) in &own {
            endpoints.insert((self.node, *id), Row { owner: self.node, live: true, record });
        }
        endpoints.retain(|(owner, id), _| *owner != self.node || own.contains_key(id));
        overlay::desired(&overlay::Network {
            id: network,
            record,
            node: self.node,
            local: self.survey.way.from,
            port: self.port,
            underlay_mtu: self.survey.way.mtu,
            peers: rows.peers(),
            endpoints,
            attached: self.of_network(network).map(|(id, local)| (id, local.attached())).collect(),
            heard: self.heard,
        })
    }

    fn bridge(&self, network: NetworkId, record: &NetworkRecord) -> Desired {
        let own = self.of_network(network);
        let endpoints = own.filter_map(|(id, local)| {
            let mut endpoint = local.on_bridge(network)?;
            endpoint.published.extend(self.ports.given.get(&id).into_iter().flatten().cloned());
            endpoint.shares_ports = self.mesh.led_to.contains(&id);
            Some((id, endpoint))
        });
        let (uplink_mtu, endpoints) = (self.survey.way.mtu, endpoints.collect());
        bridge::desired(&bridge::Network { id: network, record, uplink_mtu, endpoints })
    }

    fn macvlan(
        &self,
        network: NetworkId,
        record: &NetworkRecord,
    ) -> Result<Wanted, macvlan::Fault> {
        let records = self.own_records(network);
        let parent = record.options.parent.as_ref();
        let parent_is_there = parent.is_some_and(|p| self.survey.foreign.contains(&p.name));
        let own = self
            .of_network(network)
            .filter_map(|(id, local)| Some((id, (local.attached(), records.get(&id)?))));
        macvlan::desired(&macvlan::Network {
            id: network,
            record,
            parent_is_there,
            parent_mtu: ETHERNET_MTU,
            attached: own.collect(),
        })
    }

    fn judge(&mut self, network: NetworkId, outcome: &overlay::Outcome) {
        for clash in &outcome.clashes {
            if let overlay::Clash::Address { address, loser: (node, id), .. } = clash
                && *node == self.node
            {
                self.faults.insert(*id, State::Conflict(clash.to_string()));
                tracing::warn!(%address, "{clash}");
            }
        }
        for fault in &outcome.faults {
            match fault {
                overlay::Fault::NoVni => {
                    self.blame(network, &State::Pending(fault.to_string()));
                }
                overlay::Fault::Encrypted => {
                    self.blame(network, &State::Error(fault.to_string()));
                }
                overlay::Fault::NoTunnel { .. } => {}
            }
        }
    }

    fn blame(&mut self, network: NetworkId, state: &State) {
        let all: Vec<EndpointId> = self.of_network(network).map(|(id, _)| id).collect();
        for id in all {
            self.faults.insert(id, state.clone());
        }
    }

    /// Whether it is on a bridge of this host that packets pass from and to elsewhere.
    fn leads_out(&self, local: &Local) -> bool {
        let catalog = self.catalog.borrow();
        let mut records = local.networks().filter_map(|on| Some(&catalog.get(on)?.record));
        records.any(|on| on.driver == Driver::Bridge && !on.options.internal)
    }

    /// The keeper compared.
    fn compared(&mut self, told: &Told) {
        if !Arc::ptr_eq(&told.wanted, &self.wanted) {
            return;
        }
        let mut states = BTreeMap::new();
        for (id, local) in &self.locals {
            let state = match (&told.report, self.faults.get(id)) {
                (_, Some(fault)) => fault.clone(),
                (Err(error), None) => State::Error(error.to_string()),
                (Ok(Report { closed: Some(error), .. }), None) if self.leads_out(local) => {
                    let help = "`sysctl -w net.ipv4.ip_forward=1` does it for all";
                    State::Error(format!("{error}; {help}"))
                }
                (Ok(report), None) => state_of(report, *id, local),
            };
            states.insert(*id, state);
        }
        let settled = told.report.as_ref().is_ok_and(Report::is_settled);
        if settled {
            self.left.clear();
        }
        self.shown.send_modify(|shown| {
            *shown = Arc::new(Shown { states, settled, ..Shown::clone(shown) });
        });
    }
}
