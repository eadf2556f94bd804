//! The real kernel, by netlink and `/proc/sys`.
//!
//! A netlink socket belongs for life to the namespace of the thread that opened it (`network_namespaces(7)`):
//! it is opened on a thread that enters the namespace and ends, and used from anywhere. No thread that
//! lives on changes its namespace.

mod act;
mod attributes;
mod capabilities;
mod filter;
mod flows;
mod forwarding;
mod index;
mod listen;
mod namespace;
mod notices;
mod policy;
mod probe;
mod read;
mod settings;
mod socket;
mod write;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    net::IpAddr,
    path::PathBuf,
};

use ipnet::IpNet;
use netlink_packet_core::NLM_F_REQUEST;
use netlink_packet_route::{
    RouteNetlinkMessage,
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteMetric},
};
use netnode_plan::{
    firewall::{Edit, Family, SeenFirewall},
    host::{Action, Place, Seen, SeenLink},
    policy::Seen as SeenPolicy,
    records::LinkName,
};

pub use capabilities::{EGRESS, Lack, has_v6, lacks};
pub use listen::{NamespaceId, listen, namespace_id};
pub use probe::holders;

use self::{namespace::Namespaces, notices::Watches, socket::Socket};
use super::{Failure, Kernel, KernelError, Way};

/// Of the routes and addresses that we make (`RTPROT_*`, `IFA_PROTO`): not taken in Linux's `rtnetlink.h`
/// nor iproute2's `rt_protos`.
const PROTOCOL: u8 = 110;
/// Of the links that we make (`IFLA_GROUP`), from the moment that they are there: "nn". Their alias, which
/// says more, can only be set afterwards.
const GROUP: u32 = 0x6e6e;

/// Elements of a packet filter that are changed without being told of it ourselves.
const QUIETLY: usize = 1000;

/// The index of `lo` in every namespace (`LOOPBACK_IFINDEX`).
const LOOPBACK: u32 = 1;

/// The kernel of this host.
#[derive(Debug)]
pub struct Linux {
    namespaces: Namespaces,
    /// The host's packet filter as it was read last. Its namespace stays; others might come back as
    /// another one.
    filter: Option<SeenFirewall>,
    /// What is told about packet filters, where the kernel has such.
    watches: Watches,
}

impl Linux {
    /// For the namespace that this process is in; namespaces of networks are kept in this folder.
    ///
    /// # Errors
    /// The folder can't be made, or `/proc` is not there.
    pub fn new(folder: PathBuf) -> io::Result<Self> {
        // Not of the thread: the process' main thread never leaves its namespace.
        Self::within(File::open("/proc/self/ns/net")?, folder)
    }

    /// The same for any namespace, as if this process were in it.
    ///
    /// # Errors
    /// The folder can't be made.
    pub fn within(host: File, folder: PathBuf) -> io::Result<Self> {
        let watches = Watches::new(&host)?;
        Ok(Self { namespaces: Namespaces::new(host, folder), filter: None, watches })
    }
}

/// Where this host's routes lead to: those that we made excepted, and those that lead everywhere.
///
/// # Errors
/// The kernel can't be asked.
pub fn host_routes() -> Result<Vec<IpNet>, KernelError> {
    let read = Socket::route().and_then(|mut socket| read::destinations(&mut socket));
    read.map_err(|error| KernelError::new("reading the host's routes", error))
}

/// What the host has apart from what we make.
#[derive(Clone, Debug)]
pub struct Uplinks {
    /// Links of its namespace that are not ours.
    pub foreign: BTreeSet<LinkName>,
    /// How packets get to those addresses that there is a way to.
    pub ways: Vec<Way>,
    /// Tables of `iptables-legacy` that are in use, such as `ip filter`: nobody can read what is in them
    /// by netlink.
    pub legacy: BTreeSet<String>,
}

/// Looks at the host's own links and at the ways to these addresses. Namespaces of networks are not entered.
///
/// # Errors
/// The kernel can't be asked.
pub fn uplinks(to: &[IpAddr]) -> Result<Uplinks, KernelError> {
    // Not of the thread: the process' main thread never leaves its namespace.
    let host = File::open("/proc/self/ns/net").and_then(|host| {
        let links = read::look(&host, None)?;
        Ok((namespace::inside(&host, Socket::route)??, links))
    });
    let (mut socket, links) =
        host.map_err(|error| KernelError::new("reading the host's links", error))?;
    let ways = to.iter().filter_map(|address| way(&mut socket, &links, *address).ok()).collect();
    let foreign = links.into_iter().filter(|(_, link)| link.mark.is_none());
    Ok(Uplinks { foreign: foreign.map(|(name, _)| name).collect(), ways, legacy: legacy_tables() })
}

/// Not of the thread, as above. The files are there once a module of such tables is.
fn legacy_tables() -> BTreeSet<String> {
    let read = |family: &'static str| {
        let names = fs::read_to_string(format!("/proc/self/net/{family}_tables_names"));
        let names = names.unwrap_or_default();
        names.lines().map(|name| format!("{family} {name}")).collect::<Vec<_>>()
    };
    ["ip", "ip6"].into_iter().flat_map(read).collect()
}

fn way(socket: &mut Socket, links: &BTreeMap<LinkName, SeenLink>, to: IpAddr) -> io::Result<Way> {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    (header.address_family, header.destination_prefix_length) = write::family_of(to);
    message.attributes.push(RouteAttribute::Destination(route_address(to)));
    let answer = socket.ask(RouteNetlinkMessage::GetRoute(message), NLM_F_REQUEST)?;
    let Some(RouteNetlinkMessage::NewRoute(route)) = answer else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let (mut from, mut mtu, mut index) = (None, None, None);
    for attribute in route.attributes {
        match attribute {
            RouteAttribute::PrefSource(RouteAddress::Inet(address)) => from = Some(address.into()),
            RouteAttribute::PrefSource(RouteAddress::Inet6(address)) => {
                from = Some(address.into());
            }
            RouteAttribute::Oif(link) => index = Some(link),
            RouteAttribute::Metrics(metrics) => {
                mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) if *mtu > 0 => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    let of_link = || links.values().find(|link| Some(link.index) == index).map(|link| link.mtu);
    let (Some(from), Some(mtu)) = (from, mtu.or_else(of_link)) else {
        return Err(io::ErrorKind::NetworkUnreachable.into());
    };
    Ok(Way { from, mtu })
}

impl Kernel for Linux {
    fn look(&mut self, sandboxes: &BTreeSet<String>) -> Result<Seen, KernelError> {
        self.watches.begin(&self.namespaces);
        let host = self.namespaces.open(&Place::Host).and_then(|host| read::look(&host, None));
        let host = host.map_err(|error| KernelError::new("reading the host's links", error))?;
        let parents = read::names(&host);
        let mut seen: Seen = [(Place::Host, host)].into();
        let ours = self.namespaces.list();
        let ours = ours.map_err(|error| KernelError::new("reading our namespaces", error))?;
        for place in ours.into_iter().map(Place::Network) {
            let links =
                self.namespaces.open(&place).and_then(|place| read::look(&place, Some(&parents)));
            let what = || format!("reading {place:?}");
            let links = links.map_err(|error| KernelError::new(what(), error))?;
            seen.insert(place, links);
        }
        for path in sandboxes {
            let place = Place::Sandbox(path.clone());
            let links =
                self.namespaces.open(&place).and_then(|place| read::look(&place, Some(&parents)));
            if let Ok(links) = links {
                seen.insert(place, links);
            }
        }
        Ok(seen)
    }

    fn firewall(&mut self, at: &Place) -> Result<SeenFirewall, KernelError> {
        let before = self.filter.take().filter(|_| *at == Place::Host);
        let found =
            self.namespaces.open(at).and_then(|there| filter::look(&there, before.as_ref()));
        let found = found.map_err(|error| {
            KernelError::new(format!("reading the packet filter of {at:?}"), error)
        })?;
        match at {
            Place::Host => self.filter = Some(found.clone()),
            // Whoever changed it since then is noticed by the count.
            Place::Sandbox(path) => self.watches.add(path, &self.namespaces),
            Place::Network(_) => {}
        }
        Ok(found)
    }

    fn policy(&mut self, links: &BTreeMap<LinkName, SeenLink>) -> Result<SeenPolicy, KernelError> {
        let host = self.namespaces.open(&Place::Host);
        let found = host.and_then(|host| policy::look(&host, links));
        found.map_err(|error| KernelError::new("reading the host's rules of routing", error))
    }

    fn is_unchanged(&mut self, at: &Place, generation: u32) -> bool {
        let Ok(there) = self.namespaces.open(at) else { return false };
        let socket = self.watches.socket(at, &there);
        socket.is_some_and(|socket| filter::generation(socket).is_ok_and(|now| now == generation))
    }

    fn forward(&mut self, families: &BTreeSet<Family>, seen: &Seen) -> Result<(), KernelError> {
        let Some(links) = seen.get(&Place::Host).filter(|_| !families.is_empty()) else {
            return Ok(());
        };
        let host = self.namespaces.open(&Place::Host);
        let done = host
            .and_then(|host| namespace::inside(&host, || forwarding::forward(families, links)))
            .flatten();
        let failed = |error| KernelError::new("making the host's links forward", error);
        for link in done.map_err(failed)? {
            tracing::info!(%link, "it forwards from now on: a network here has a way out");
        }
        Ok(())
    }

    async fn disturbed(&mut self) {
        if self.watches.disturbed(&self.namespaces).await.is_err() {
            // There is still the timer.
            std::future::pending::<()>().await;
        }
    }

    fn act(&mut self, actions: &[Action]) -> Vec<Failure> {
        let edited = || actions.iter().filter_map(edited);
        // Nobody has to be told of all that comes at once.
        for (path, _) in edited().filter(|(_, elements)| *elements > QUIETLY) {
            self.watches.quiet(path);
        }
        let failures = act::Session::new(&self.namespaces, &mut self.watches).act(actions);
        // What we did ourselves is no news.
        edited().for_each(|(path, _)| self.watches.add(path, &self.namespaces));
        failures
    }
}

/// The sandbox whose packet filter a step changes, and how many elements that is about.
fn edited(action: &Action) -> Option<(&str, usize)> {
    match action {
        Action::Filter { at: Place::Sandbox(path), edits, .. } => {
            Some((path, edits.values().flatten().map(Edit::elements).sum()))
        }
        _ => None,
    }
}

fn route_address(address: IpAddr) -> RouteAddress {
    match address {
        IpAddr::V4(address) => RouteAddress::Inet(address),
        IpAddr::V6(address) => RouteAddress::Inet6(address),
    }
}

/// Names of the host's links by their index, for links elsewhere that lie on them.
type Parents = BTreeMap<u32, LinkName>;
