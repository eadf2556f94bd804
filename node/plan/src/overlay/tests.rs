//! What one node wants for an overlay network, from the rows of all.

use alloc::{collections::BTreeMap, string::ToString, vec, vec::Vec};

use netdb_gossip_core::identity::Name;
use proptest::prelude::*;

use super::*;
use crate::host::{Model, SeenLink, plan};
use crate::records::{Driver, Mac, NetworkOptions, Subnet};

const ME: NodeId = NodeId([1; 16]);
const OTHER: NodeId = NodeId([2; 16]);
const THIRD: NodeId = NodeId([3; 16]);

fn id(n: u8) -> EndpointId {
    EndpointId([n; 16])
}

fn endpoint(n: u8, tunnel: &str, moves: u32) -> EndpointRecord {
    EndpointRecord {
        network: NetworkId([9; 16]),
        name: Name::new(&alloc::format!("e{n}")).unwrap(),
        aliases: vec![],
        addresses: vec![
            alloc::format!("10.0.0.{n}/24").parse().unwrap(),
            alloc::format!("fd00::{n}/64").parse().unwrap(),
        ],
        mac: Mac([2, 0, 0, 0, 0, n]),
        sandbox: "x".into(),
        tunnels: vec![tunnel.parse().unwrap()],
        moves,
        mtu: 1450,
        backend: None,
    }
}

fn record() -> NetworkRecord {
    NetworkRecord {
        name: Name::new("web").unwrap(),
        driver: Driver::Overlay,
        subnets: ["10.0.0.0/24", "fd00::/64"].map(|s| Subnet::of(s.parse().unwrap())).into(),
        options: NetworkOptions { vni: Some(4097), ..NetworkOptions::default() },
        created_us: 1,
    }
}

fn network<'a>(
    record: &'a NetworkRecord,
    rows: &'a [(NodeId, u8, bool, EndpointRecord)],
) -> Network<'a> {
    let endpoints = rows.iter().map(|(owner, n, live, record)| {
        ((*owner, id(*n)), Row { owner: *owner, live: *live, record })
    });
    let attached = rows.iter().filter(|(owner, ..)| *owner == ME).map(|(_, n, ..)| {
        let sandbox = alloc::format!("/run/{n}");
        (
            id(*n),
            Attached { sandbox, interface: LinkName::new("eth0").unwrap(), default_route: false },
        )
    });
    Network {
        id: NetworkId([9; 16]),
        record,
        node: ME,
        local: "192.0.2.1".parse().unwrap(),
        port: DEFAULT_PORT,
        underlay_mtu: 1500,
        peers: vec![],
        endpoints: endpoints.collect(),
        attached: attached.collect(),
        heard: true,
    }
}

fn vxlan(outcome: &Outcome) -> &Link {
    &outcome.wanted.links[&Place::Network(NetworkId([9; 16]))][&LinkName::new(VXLAN).unwrap()]
}

#[test]
fn others_are_reached_by_tunnel_and_own_by_port() {
    let rows = [
        (ME, 1, true, endpoint(1, "192.0.2.1", 0)),
        (OTHER, 2, true, endpoint(2, "192.0.2.2", 0)),
        // A dead netnode is not a dead host.
        (THIRD, 3, false, endpoint(3, "192.0.2.3", 0)),
    ];
    let record = record();
    let outcome = desired(&network(&record, &rows));
    let tunnels: Vec<_> = vxlan(&outcome).tunnels.values().map(ToString::to_string).collect();
    assert_eq!(tunnels, ["192.0.2.2", "192.0.2.3"]);
    assert_eq!(vxlan(&outcome).neighbours.len(), 4);
    assert_eq!(vxlan(&outcome).mtu, 1450);
    let sandbox = &outcome.wanted.links[&Place::Sandbox("/run/1".into())];
    let end = &sandbox[&LinkName::new("eth0").unwrap()];
    assert_eq!((end.mac, end.mtu), (Some(Mac([2, 0, 0, 0, 0, 1])), 1450));
    assert_eq!(end.settings[&Setting::AcceptRa], 0);
    assert_eq!((outcome.clashes, outcome.faults), (vec![], vec![]));
}

#[test]
fn a_moved_endpoint_is_where_it_moved_to() {
    let old = (OTHER, 2, true, endpoint(2, "192.0.2.2", 4));
    let new = (THIRD, 2, true, endpoint(2, "192.0.2.3", 5));
    let mine = (ME, 1, true, endpoint(1, "192.0.2.1", 0));
    let record = record();
    for live in [true, false] {
        let rows = [mine.clone(), old.clone(), (new.0, new.1, live, new.3.clone())];
        let outcome = desired(&network(&record, &rows));
        let tunnels: Vec<_> = vxlan(&outcome).tunnels.values().collect();
        // Also if its new node fails before the old one has taken its row back.
        assert_eq!(tunnels, [&"192.0.2.3".parse::<IpAddr>().unwrap()]);
        assert_eq!(outcome.clashes, []);
    }
    let same = [mine, old, (THIRD, 2, true, endpoint(2, "192.0.2.3", 4))];
    let outcome = desired(&network(&record, &same));
    assert_eq!(outcome.clashes, [Clash::Endpoint { endpoint: id(2), winner: THIRD, loser: OTHER }]);
}

#[test]
fn what_moved_away_is_known_by_its_counter() {
    let rows = [
        ((ME, id(1)), endpoint(1, "192.0.2.1", 0)),
        ((OTHER, id(1)), endpoint(1, "192.0.2.2", 1)),
        ((THIRD, id(1)), endpoint(1, "192.0.2.3", 2)),
        // Of the same age: a clash, and not a move.
        ((OTHER, id(2)), endpoint(2, "192.0.2.2", 0)),
        ((OTHER, id(3)), endpoint(3, "192.0.2.2", 9)),
    ];
    let own = [(id(1), 0), (id(2), 0)].into();
    let moved = moved_away(rows.iter().map(|(holder, record)| (holder, record)), ME, &own);
    assert_eq!(moved, [(id(1), THIRD)].into());
}

#[test]
fn a_live_endpoint_wins_an_address_over_a_remembered_one() {
    let mut given_again = endpoint(3, "192.0.2.3", 0);
    given_again.addresses = endpoint(2, "192.0.2.2", 0).addresses;
    let mine = (ME, 1, true, endpoint(1, "192.0.2.1", 0));
    let record = record();
    for (live, clashes) in [(false, 0), (true, 2)] {
        let first = (OTHER, 2, live, endpoint(2, "192.0.2.2", 0));
        let rows = [mine.clone(), first, (THIRD, 3, true, given_again.clone())];
        let outcome = desired(&network(&record, &rows));
        assert!(vxlan(&outcome).neighbours.values().all(|mac| *mac == given_again.mac));
        assert_eq!(outcome.clashes.len(), clashes, "one for each family, if both are alive");
    }
}

#[test]
fn the_least_mtu_of_all_is_everybodys() {
    let rows = [(ME, 1, true, endpoint(1, "192.0.2.1", 0))];
    let mut record = record();
    let small = PeerRecord { tunnels: vec![], mtu: 1400 };
    let tiny = PeerRecord { tunnels: vec![], mtu: 100 };
    let row = |record| Row { owner: OTHER, live: true, record };
    let mtu = |record: &NetworkRecord, peers: Vec<Row<'_, PeerRecord>>| {
        desired(&Network { peers, ..network(record, &rows) }).mtu
    };
    assert_eq!(mtu(&record, vec![]), 1450);
    assert_eq!(mtu(&record, vec![row(&small)]), 1400);
    assert_eq!(mtu(&record, vec![row(&tiny)]), MIN_MTU_V6);
    record.options.mtu = Some(1300);
    assert_eq!(mtu(&record, vec![row(&small)]), 1300);
    assert_eq!(mtu_over("2001:db8::1".parse().unwrap(), 1500), 1430);
}

#[test]
fn without_a_vni_or_a_tunnel_the_fault_is_told() {
    let mut record = record();
    let rows = [
        (ME, 1, true, endpoint(1, "192.0.2.1", 0)),
        (OTHER, 2, true, endpoint(2, "2001:db8::2", 0)),
    ];
    let outcome = desired(&network(&record, &rows));
    assert!(outcome.faults[0].to_string().contains("endpoint e2 can't be reached"));
    assert!(vxlan(&outcome).tunnels.is_empty());
    record.options.vni = None;
    assert_eq!(desired(&network(&record, &rows)).faults, [Fault::NoVni]);
}

#[test]
fn what_is_to_be_encrypted_is_not_sent_in_clear() {
    let mut record = record();
    record.options.encrypted = true;
    let rows = [(ME, 1, true, endpoint(1, "192.0.2.1", 0))];
    let outcome = desired(&network(&record, &rows));
    assert_eq!((outcome.wanted, outcome.faults), (Desired::default(), vec![Fault::Encrypted]));
}

#[test]
fn nothing_is_left_after_the_last_endpoint() {
    let record = record();
    let rows = [(OTHER, 2, true, endpoint(2, "192.0.2.2", 0))];
    assert_eq!(desired(&network(&record, &rows)).wanted, Desired::default());
}

/// A node that starts while it is cut off knows no rows but its own, and its traffic goes on.
#[test]
fn until_the_others_were_heard_the_ways_to_them_stay() {
    let record = record();
    let all =
        [(ME, 1, true, endpoint(1, "192.0.2.1", 0)), (OTHER, 2, true, endpoint(2, "192.0.2.2", 0))];
    let mut model = Model::default();
    model.seen.insert(Place::Host, BTreeMap::new());
    let loopback = [(LinkName::new("lo").unwrap(), SeenLink::default())];
    model.seen.insert(Place::Sandbox("/run/1".into()), loopback.into());
    let mut settle = |network: Network<'_>| {
        for action in plan(&desired(&network).wanted.links, &model.seen).actions {
            model.apply(&action).unwrap();
        }
        let links = &model.seen[&Place::Network(NetworkId([9; 16]))];
        let vxlan = &links[&LinkName::new(VXLAN).unwrap()];
        (vxlan.tunnels.len(), vxlan.stations.len(), vxlan.neighbours.len())
    };
    assert_eq!(settle(network(&record, &all)), (1, 1, 2));
    let own = &all[..1];
    assert_eq!(settle(Network { heard: false, ..network(&record, own) }), (1, 1, 2));
    assert_eq!(settle(network(&record, own)), (0, 0, 0));
}

proptest! {
    /// Every node that has the same rows sends packets for an address to the same place.
    #[test]
    fn all_nodes_agree(rows in prop::collection::vec((1u8..5, 1u8..6, 1u8..6, 0u32..3, any::<bool>()), 0..20)) {
        let mut map = BTreeMap::new();
        let records: Vec<_> = rows.iter().map(|(node, n, address, moves, live)| {
            let mut record = endpoint(*n, "192.0.2.9", *moves);
            record.addresses = endpoint(*address, "192.0.2.9", 0).addresses;
            ((NodeId([*node; 16]), id(*n)), *live, record)
        }).collect();
        for (place, live, record) in &records {
            map.insert(*place, Row { owner: place.0, live: *live, record });
        }
        let settled = settle(&map);
        for (address, holder) in &settled.addresses {
            let held = map[holder].record.addresses.iter().any(|net| net.addr() == *address);
            prop_assert!(held);
        }
        // Nobody loses an address to nobody: each one that a row names has a holder, or the endpoint moved.
        for (place, row) in &map {
            for net in &row.record.addresses {
                let moved = map.iter().any(|((_, other), there)| {
                    *other == place.1 && there.record.moves >= row.record.moves
                });
                prop_assert!(settled.addresses.contains_key(&net.addr()) || moved);
            }
        }
    }
}
