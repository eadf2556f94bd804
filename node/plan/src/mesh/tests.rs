//! Each node sends on to who can take it, and nobody sends on what was sent on.

use alloc::{string::ToString, vec};

use netdb_gossip_core::identity::Name;

use super::*;
use crate::{
    firewall::Protocol,
    records::{Backend, ExternalTraffic, ServiceMode},
};

const NET: NetworkId = NetworkId([1; 16]);
const WEB: ServiceId = ServiceId([1; 16]);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn node(number: u8) -> NodeId {
    NodeId([number; 16])
}

fn port(bind: Option<&str>) -> PublishedPort {
    PublishedPort {
        protocol: Protocol::Tcp,
        published: 8080,
        target: 80,
        mode: PublishMode::Ingress,
        bind: bind.map(|bind| bind.parse().unwrap()),
    }
}

fn record(text: &str, port: PublishedPort, created_us: u64) -> ServiceRecord {
    ServiceRecord {
        vips: vec!["10.0.0.9".parse().unwrap()],
        ports: vec![port],
        created_us,
        ..ServiceRecord::new(name(text), NET, ServiceMode::Vip)
    }
}

fn services(bind: Option<&str>) -> Services {
    Services::new([(WEB, record("web", port(bind), 1))])
}

fn endpoint(number: u8) -> EndpointRecord {
    EndpointRecord {
        network: NetworkId([2; 16]),
        name: name("node"),
        aliases: vec![],
        addresses: vec![
            alloc::format!("10.255.0.{number}/24").parse().unwrap(),
            alloc::format!("fd00::{number}/64").parse().unwrap(),
        ],
        mac: Mac::random([number; 6]),
        sandbox: "host".into(),
        tunnels: vec![],
        moves: 0,
        mtu: 1450,
        backend: None,
    }
}

fn peer(endpoint: &EndpointRecord, weight: u32, state: OwnerState) -> Peer<'_> {
    let share = MeshRecord { v4: weight, v6: 0 };
    Peer { state, endpoint, shares: [(WEB, share)].into() }
}

struct Backends(Vec<(Backend, Vec<IpNet>)>);

impl Backends {
    fn new(addresses: &[&str]) -> Self {
        let one = |address: &&str| {
            (Backend::new(name("web"), name("web-1")), vec![address.parse().unwrap()])
        };
        Self(addresses.iter().map(one).collect())
    }

    fn own(&self) -> Vec<Own<'_>> {
        let own = self.0.iter();
        own.map(|(backend, at)| Own { network: NET, backend, reached: Ok(at) }).collect()
    }
}

/// Where a port leads to by IPv4, by who has it.
fn shown(mesh: &Mesh) -> Vec<(String, Vec<String>)> {
    let shown = mesh.published.iter().map(|(front, backs)| {
        let at = match &front.bind {
            Bind::Address(at) => at.to_string(),
            Bind::Link(_) | Bind::Any => "any".into(),
        };
        (at, backs.v4.iter().map(ToString::to_string).collect())
    });
    shown.collect()
}

/// Where a port leads that is bound to nothing.
fn anywhere(mesh: &Mesh) -> Vec<String> {
    let mut all = shown(mesh).into_iter();
    all.find(|(at, _)| at == "any").map(|(_, to)| to).unwrap_or_default()
}

#[test]
fn a_node_chooses_among_its_own_and_the_others_and_goes_no_further_with_what_others_chose() {
    let endpoints = [endpoint(1), endpoint(2), endpoint(3)];
    let states = [OwnerState::Alive; 3];
    let mut peers: BTreeMap<NodeId, Peer<'_>> = BTreeMap::new();
    for ((n, at), state) in (1..).zip(&endpoints).zip(states) {
        peers.insert(node(n), peer(at, u32::from(n) - 1, state));
    }
    let backends = Backends::new(&["172.18.0.2/16"]);
    let services = services(None);
    let mesh = settle(node(1), &services, &backends.own(), &peers, &BTreeSet::new());
    let to_own = "172.18.0.2:80".to_string();
    let others = ["10.255.0.2:8080", "10.255.0.3:8080", "10.255.0.3:8080"].map(ToString::to_string);
    let expected = [
        ("10.255.0.1".into(), vec![to_own.clone()]),
        ("fd00::1".into(), vec![]),
        ("any".into(), [&others[..], &[to_own]].concat()),
    ];
    assert_eq!(shown(&mesh), expected);
    assert_eq!(
        mesh.peers.values().copied().collect::<BTreeSet<u32>>(),
        [0xff_0002, 0xff_0003].into()
    );
    assert_eq!(shares(&services, &backends.own()), [(WEB, MeshRecord { v4: 1, v6: 0 })].into());
    // Somebody else has the port here: what others send is for the backends all the same.
    let closed = settle(node(1), &services, &backends.own(), &peers, &[port(None)].into());
    assert_eq!(shown(&closed), expected[..2]);
}

#[test]
fn suspected_nodes_take_what_is_new_when_nobody_else_does_and_failed_ones_nothing() {
    let endpoints = [endpoint(2), endpoint(3)];
    let to = |states: [OwnerState; 2], own: &Backends| {
        let peers = [
            (node(2), peer(&endpoints[0], 1, states[0])),
            (node(3), peer(&endpoints[1], 1, states[1])),
        ];
        let mesh = settle(node(1), &services(None), &own.own(), &peers.into(), &BTreeSet::new());
        anywhere(&mesh)
    };
    let (alive, suspect) = (OwnerState::Alive, OwnerState::Suspect);
    let (nobody, one) = (Backends::new(&[]), Backends::new(&["172.18.0.2/16"]));
    assert_eq!(to([alive, suspect], &nobody), ["10.255.0.2:8080"]);
    assert_eq!(to([suspect, suspect], &nobody).len(), 2);
    assert_eq!(to([suspect, suspect], &one), ["172.18.0.2:80"]);
    assert_eq!(to([OwnerState::Failed, suspect], &nobody), ["10.255.0.3:8080"]);
    assert!(to([OwnerState::Failed; 2], &nobody).is_empty());
}

#[test]
fn external_traffic_may_stay_on_its_node() {
    let mut record = record("web", port(None), 1);
    record.external = ExternalTraffic::Local;
    let services = Services::new([(WEB, record)]);
    let endpoint = endpoint(2);
    let peers = [(node(2), peer(&endpoint, 1, OwnerState::Alive))].into();
    let slots = |own: &Backends| {
        let mesh = settle(node(1), &services, &own.own(), &peers, &BTreeSet::new());
        anywhere(&mesh)
    };
    assert!(slots(&Backends::new(&[])).is_empty());
    assert_eq!(slots(&Backends::new(&["172.18.0.2/16"])), ["172.18.0.2:80"]);
}

#[test]
fn what_other_nodes_have_begun_goes_on_until_they_have_nobody_for_it() {
    let endpoints = [endpoint(2), endpoint(3), endpoint(4)];
    let mut peers: BTreeMap<NodeId, Peer<'_>> = BTreeMap::new();
    // One that drains, one that failed, and one without backends.
    peers.insert(node(2), peer(&endpoints[0], 0, OwnerState::Alive));
    peers.insert(node(3), peer(&endpoints[1], 1, OwnerState::Failed));
    let shares = BTreeMap::new();
    peers.insert(node(4), Peer { state: OwnerState::Alive, endpoint: &endpoints[2], shares });
    let mesh = settle(node(1), &services(None), &[], &peers, &BTreeSet::new());
    assert!(anywhere(&mesh).is_empty());
    let at = |text: &str| (Protocol::Tcp.number(), 8080, text.parse().unwrap());
    assert_eq!(mesh.leads, [at("10.255.0.2:8080"), at("[fd00::2]:8080")].into());
    assert_eq!((mesh.kept.len(), mesh.peers.len()), (6, 3));
}

#[test]
fn who_drains_says_so_and_who_is_disabled_says_nothing() {
    let services = services(None);
    let mut backends = Backends::new(&["172.18.0.2/16"]);
    let share = |backends: &Backends| shares(&services, &backends.own()).get(&WEB).copied();
    backends.0[0].0.weight = 7;
    assert_eq!(share(&backends), Some(MeshRecord { v4: 7, v6: 0 }));
    backends.0[0].0.state = BackendState::Draining;
    assert_eq!(share(&backends), Some(MeshRecord::default()));
    backends.0[0].0.state = BackendState::Disabled;
    assert_eq!(share(&backends), None);
}

#[test]
fn a_port_is_bound_as_it_was_said() {
    let backends = Backends::new(&["172.18.0.2/16"]);
    let fronts = |bind| {
        let services = services(Some(bind));
        let mesh = settle(node(1), &services, &backends.own(), &BTreeMap::new(), &BTreeSet::new());
        shown(&mesh)
    };
    assert_eq!(fronts("0.0.0.0"), [("any".into(), vec!["172.18.0.2:80".into()])]);
    assert_eq!(fronts("::"), []);
    assert_eq!(fronts("192.0.2.1"), [("192.0.2.1".into(), vec!["172.18.0.2:80".into()])]);
}

#[test]
fn ports_may_be_for_nodes_with_a_label() {
    let mut record = record("web", port(None), 1);
    let labels = |text: &[(&str, &str)]| -> BTreeMap<_, _> {
        text.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    let node = labels(&[("edge", ""), ("zone", "a")]);
    assert!(is_for(&record, &labels(&[])));
    for (wanted, opens) in
        [("edge", true), ("zone", true), ("zone=a", true), ("zone=b", false), ("core", false)]
    {
        record.publish_on = Some(wanted.into());
        assert_eq!(is_for(&record, &node), opens, "{wanted}");
    }
}

#[test]
fn of_two_services_that_claim_a_port_one_has_it() {
    let other = ServiceId([2; 16]);
    let all = [(WEB, record("web", port(None), 2)), (other, record("shop", port(None), 1))];
    let services = Services::new(all);
    let open: Vec<ServiceId> = open(&services).map(|(id, ..)| id).collect();
    assert_eq!(open, [other]);
}
