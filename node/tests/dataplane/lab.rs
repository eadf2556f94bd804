//! Hosts and sandboxes as network namespaces, connected by a switch, all of it this thread's alone.
//!
//! The thread of a test takes a mount and a network namespace of its own. Whatever it makes lies in them, so
//! nothing is left when it ends, also when it fails; and nothing of the machine can be touched. Its hosts are
//! connected by what it tests; `netdb_tests::hosts` has some that are made by hand.

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use netdb_gossip_core::identity::{Name, NodeId};
use netdb_tests::{
    namespaces::{self, Namespaces, set_apart},
    skips,
};
use netnode::{
    drivers::{
        keeper::RETRY,
        reconcile::{Report, reconcile},
    },
    kernel::{Kernel, Linux, has_v6},
};
use netnode_plan::{
    desired::Desired,
    host::{Attached, Kind, Link, Mark, Place, Port, Wanted},
    overlay::{self, Outcome, Row},
    records::{
        Driver, EndpointId, EndpointRecord, LinkName, Mac, NetworkId, NetworkOptions,
        NetworkRecord, Subnet,
    },
};

/// MTU of the wires between hosts.
pub(crate) const UNDERLAY_MTU: u32 = 1500;

/// How long a host may take to become right.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn link(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

/// Where the namespaces of a test are.
pub(crate) struct Lab {
    namespaces: Namespaces,
    /// Puts the switch right.
    switch: Linux,
    wires: Wanted,
    pub(crate) hosts: Vec<Host>,
}

/// A host: a namespace with an address, and what would be a netnode in it.
pub(crate) struct Host {
    pub(crate) node: NodeId,
    pub(crate) kernel: Linux,
    pub(crate) namespace: PathBuf,
    pub(crate) v4: String,
    pub(crate) v6: String,
}

impl Lab {
    /// So many hosts; `None`, and told, where that can't be.
    pub(crate) fn new(test: &str, hosts: u8) -> Option<Self> {
        if let Err(why) = set_apart() {
            skips::left_out(test, &why);
            return None;
        }
        let namespaces = Namespaces::new().unwrap();
        let own = File::open("/proc/thread-self/ns/net").unwrap();
        let switch = Linux::within(own, namespaces.folder().join("switch")).unwrap();
        let mut lab = Self { namespaces, switch, wires: Wanted::new(), hosts: Vec::new() };
        let nobody = Mark::network(NetworkId([0xee; 16]));
        let bridge = Link::new(nobody, Kind::Bridge, UNDERLAY_MTU);
        lab.wires.insert(Place::Host, [(link("switch"), bridge)].into());
        for number in 1..=hosts {
            lab.plug(nobody, number);
        }
        let report = reconcile(&mut lab.switch, &lab.wires.clone().into()).unwrap();
        assert!(report.is_settled(), "{report:?}");
        for host in &lab.hosts {
            // The host's own: what a netnode found with its mark and did not want, it would remove.
            by_hand(&host.namespace, "ip link set dev eth0 group default alias lab");
        }
        Some(lab)
    }

    fn plug(&mut self, mark: Mark, number: u8) {
        let namespace = self.namespace(&format!("host{number}"));
        let place = Place::Sandbox(namespace.to_str().unwrap().into());
        let kind = Kind::Veth { peer_at: place.clone(), peer: link("eth0") };
        let mut wire = Link::new(mark, kind, UNDERLAY_MTU);
        wire.port_of = Some((link("switch"), Port::LEARNING));
        let mut end = Link::new(mark, Kind::VethEnd, UNDERLAY_MTU);
        let (v4, v6) = (format!("192.0.2.{number}"), format!("2001:db8::{number}"));
        end.addresses.insert(format!("{v4}/24").parse().unwrap());
        if has_v6() {
            end.addresses.insert(format!("{v6}/64").parse().unwrap());
        }
        self.wires.get_mut(&Place::Host).unwrap().insert(link(&format!("host{number}")), wire);
        self.wires.insert(place, [(link("eth0"), end)].into());
        let folder = self.namespaces.folder().join(format!("nets{number}"));
        let kernel = Linux::within(File::open(&namespace).unwrap(), folder).unwrap();
        let node = NodeId([number; 16]);
        self.hosts.push(Host { node, kernel, namespace, v4, v6 });
    }

    /// A namespace as a container runtime makes one.
    pub(crate) fn namespace(&self, name: &str) -> PathBuf {
        self.namespaces.make(name).unwrap()
    }

    /// The runtime removes a container.
    pub(crate) fn remove_namespace(&self, namespace: &Path) {
        self.namespaces.remove(namespace).unwrap();
    }

    /// Where a host keeps the namespace of a network.
    pub(crate) fn network_namespace(&self, host: usize, network: NetworkId) -> PathBuf {
        self.namespaces.folder().join(format!("nets{}", host + 1)).join(network.to_string())
    }
}

/// Does something in a namespace.
pub(crate) fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> T {
    namespaces::inside(namespace, work).unwrap()
}

/// Runs a command of an administrator in a namespace, and returns what it says.
pub(crate) fn by_hand(namespace: &Path, command: &str) -> String {
    namespaces::by_hand(namespace, command).unwrap()
}

/// The names of the links in a namespace.
pub(crate) fn links(namespace: &Path) -> Vec<String> {
    namespaces::links(namespace).unwrap()
}

/// A network and its rows, as every node sees them.
pub(crate) struct Net {
    pub(crate) id: NetworkId,
    pub(crate) record: NetworkRecord,
    pub(crate) v6_underlay: bool,
    /// Endpoint, host, sandbox, interface, row.
    pub(crate) endpoints: BTreeMap<EndpointId, (usize, PathBuf, LinkName, EndpointRecord)>,
}

impl Net {
    pub(crate) fn new(number: u8, subnets: &[&str]) -> Self {
        let subnets = subnets.iter().map(|text| Subnet::of(text.parse().unwrap())).collect();
        let vni = Some(4096 + u32::from(number));
        let options = NetworkOptions { vni, ..NetworkOptions::default() };
        let name = Name::new(&format!("net{number}")).unwrap();
        let driver = Driver::Overlay;
        let record = NetworkRecord { name, driver, subnets, options, created_us: 1 };
        let id = NetworkId([number; 16]);
        Self { id, record, v6_underlay: false, endpoints: BTreeMap::new() }
    }

    /// Plugs a sandbox into the network, as its n-th endpoint.
    pub(crate) fn attach(&mut self, lab: &Lab, host: usize, sandbox: &Path, nth: u8) -> EndpointId {
        let id = EndpointId([nth; 16]);
        let addresses = self.record.subnets.iter().map(|subnet| {
            let base = subnet.prefix.addr().to_string();
            let base = base.strip_suffix(['0', ':']).unwrap();
            let base = if base.ends_with('.') { base.to_owned() } else { format!("{base}:") };
            format!("{base}{nth}/{}", subnet.prefix.prefix_len()).parse().unwrap()
        });
        let [.., number] = self.id.0;
        let record = EndpointRecord {
            network: self.id,
            name: Name::new(&format!("e{nth}")).unwrap(),
            aliases: vec![],
            addresses: addresses.collect(),
            mac: Mac([2, 0, 0, 0, number, nth]),
            sandbox: sandbox.display().to_string(),
            tunnels: vec![self.local(&lab.hosts[host])],
            moves: 0,
            mtu: 1450,
            backend: None,
        };
        let free = (0..16)
            .map(|n| link(&format!("eth{n}")))
            .find(|name| !links(sandbox).contains(&name.as_str().to_owned()));
        self.endpoints.insert(id, (host, sandbox.to_owned(), free.unwrap(), record));
        id
    }

    fn local(&self, host: &Host) -> std::net::IpAddr {
        if self.v6_underlay { &host.v6 } else { &host.v4 }.parse().unwrap()
    }

    /// What is wanted on a host.
    pub(crate) fn desired(&self, lab: &Lab, number: usize) -> Outcome {
        let host = &lab.hosts[number];
        let rows = self.endpoints.iter().map(|(id, (on, _, _, record))| {
            let owner = lab.hosts[*on].node;
            ((owner, *id), Row { owner, live: true, record })
        });
        let here = self.endpoints.iter().filter(|(_, (on, ..))| *on == number);
        let attached = here.map(|(id, (_, sandbox, interface, _))| {
            let sandbox = sandbox.to_str().unwrap().to_owned();
            (*id, Attached { sandbox, interface: interface.clone(), default_route: false })
        });
        overlay::desired(&overlay::Network {
            id: self.id,
            record: &self.record,
            node: host.node,
            local: self.local(host),
            port: overlay::DEFAULT_PORT,
            underlay_mtu: UNDERLAY_MTU,
            peers: vec![],
            endpoints: rows.collect(),
            attached: attached.collect(),
            heard: true,
        })
    }
}

/// What networks want of one host, with these sandboxes left if nothing is wanted of them.
pub(crate) fn wanted(lab: &Lab, host: usize, nets: &[&Net], left: &[&Path]) -> Wanted {
    let mut wanted = Wanted::new();
    for sandbox in left {
        wanted.insert(Place::Sandbox(sandbox.to_str().unwrap().into()), BTreeMap::new());
    }
    for net in nets {
        let outcome = net.desired(lab, host);
        assert_eq!((outcome.clashes, outcome.faults), (vec![], vec![]));
        for (place, links) in outcome.wanted.links {
            wanted.entry(place).or_default().extend(links);
        }
    }
    wanted
}

/// Makes every host right.
pub(crate) fn settle(lab: &mut Lab, nets: &[&Net]) -> Vec<Report> {
    let wants: Vec<Wanted> =
        (0..lab.hosts.len()).map(|host| wanted(lab, host, nets, &[])).collect();
    lab.hosts
        .iter_mut()
        .zip(wants)
        .map(|(host, wanted)| settle_one(&mut host.kernel, &wanted))
        .collect()
}

/// Makes one right, as its keeper would: the kernel frees what a deleted namespace held a moment later.
pub(crate) fn settle_one<W: Clone + Into<Desired>>(kernel: &mut impl Kernel, wanted: &W) -> Report {
    let wanted = wanted.clone().into();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let report = reconcile(kernel, &wanted).unwrap();
        if report.is_settled() && report.obstacles.is_empty() {
            return report;
        }
        assert!(Instant::now() < deadline, "{report:?}");
        thread::sleep(RETRY);
    }
}
