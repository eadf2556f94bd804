//! What one host wants for a bridge network.

use alloc::{string::ToString, vec};

use netdb_gossip_core::identity::Name;

use super::*;
use crate::{
    host::{Model, SeenLink, plan},
    records::{Driver, NetworkOptions, Subnet},
};

const ID: NetworkId = NetworkId([0xab; 16]);

fn record(prefixes: &[(&str, &str)], internal: bool) -> NetworkRecord {
    let subnet = |(prefix, gateway): &(&str, &str)| Subnet {
        gateway: Some(gateway.parse().unwrap()),
        ..Subnet::of(prefix.parse().unwrap())
    };
    NetworkRecord {
        name: Name::new("web").unwrap(),
        driver: Driver::Bridge,
        subnets: prefixes.iter().map(subnet).collect(),
        options: NetworkOptions { internal, ..NetworkOptions::default() },
        created_us: 1,
    }
}

/// Endpoints whose addresses end in these numbers.
fn wanted(record: &NetworkRecord, numbers: &[u8]) -> Desired {
    let endpoint = |n: &u8| {
        let interface = LinkName::new("eth0").unwrap();
        let sandbox = alloc::format!("/run/{n}");
        let endpoint = Endpoint {
            attached: Attached { sandbox, interface, default_route: true },
            mac: Mac([2, 0, 0, 0, 0, *n]),
            addresses: vec![alloc::format!("172.18.0.{n}/20").parse().unwrap()],
            published: vec![alloc::format!("80{n}:80").parse().unwrap()],
            shares_ports: false,
            kept: Some(Kept::All),
        };
        (EndpointId([*n; 16]), endpoint)
    };
    let endpoints = numbers.iter().map(endpoint).collect();
    desired(&Network { id: ID, record, uplink_mtu: 1460, endpoints })
}

#[test]
fn the_bridge_is_the_gateway_and_every_station_is_told() {
    let record = record(&[("172.18.0.0/20", "172.18.0.1"), ("fd00::/64", "fd00::1")], false);
    let Desired { links: wanted, firewalls, .. } = wanted(&record, &[2, 3]);
    let host = &wanted[&Place::Host];
    let name = bridge_name(ID).unwrap();
    assert_eq!((name.as_str(), host.len()), ("br-abababababab", 3));
    let addresses: Vec<_> = host[&name].addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["172.18.0.1/20", "fd00::1/64"]);
    assert_eq!(host[&name].settings[&Setting::Forwarding], 1);
    assert_eq!(host[&name].settings[&Setting::ForwardingV6], 1);
    let firewall = &firewalls[&Place::Host];
    assert_eq!(firewall.bridges[&name].way_out, WayOut::Masqueraded);
    assert_eq!(firewall.published.len(), 2);
    let port = &host[&port_name(EndpointId([3; 16])).unwrap()];
    // What it sends to itself through its published port comes back.
    assert_eq!(port.port_of, Some((name, Port { hairpin: true, ..Port::TOLD })));
    assert!(port.stations.contains(&Mac([2, 0, 0, 0, 0, 3])));
    let end = &wanted[&Place::Sandbox("/run/2".into())][&LinkName::new("eth0").unwrap()];
    let routes: Vec<_> = end.routes.iter().map(|route| route.via.unwrap().to_string()).collect();
    // It has no address of IPv6, so no way there either.
    assert_eq!((routes, end.mtu), (vec!["172.18.0.1".to_string()], 1460));
}

#[test]
fn an_internal_network_leads_nowhere() {
    let record = record(&[("172.18.0.0/20", "172.18.0.1")], true);
    let Desired { links: wanted, firewalls, .. } = wanted(&record, &[2]);
    let name = bridge_name(ID).unwrap();
    assert_eq!(firewalls[&Place::Host].bridges[&name].way_out, WayOut::Closed);
    let end = &wanted[&Place::Sandbox("/run/2".into())][&LinkName::new("eth0").unwrap()];
    assert!(end.routes.is_empty());
    let bridge = &wanted[&Place::Host][&name];
    assert_eq!(bridge.settings[&Setting::Forwarding], 0);
    assert_eq!(bridge.settings[&Setting::DisableV6], 1);
}

#[test]
fn sandboxes_do_not_meet_on_the_gateway() {
    let mut record = record(&[("172.18.0.0/20", "172.18.0.1")], false);
    record.name = Name::new(GATEWAY).unwrap();
    let wanted = wanted(&record, &[2]).links;
    let port = &wanted[&Place::Host][&port_name(EndpointId([2; 16])).unwrap()];
    assert!(port.port_of.as_ref().unwrap().1.isolated);
}

#[test]
fn it_comes_with_the_first_endpoint_and_goes_with_the_last() {
    let record = record(&[("172.18.0.0/20", "172.18.0.1")], false);
    let mut model = Model::default();
    for place in [Place::Host, Place::Sandbox("/run/2".into())] {
        let lo = (LinkName::new("lo").unwrap(), SeenLink::default());
        model.seen.insert(place, [lo].into());
    }
    let mut settle = |wanted: &Desired| {
        let wanted = &wanted.links;
        for action in plan(wanted, &model.seen).actions {
            model.apply(&action).unwrap();
        }
        assert_eq!(plan(wanted, &model.seen).actions, []);
        model.seen[&Place::Host].len()
    };
    assert_eq!(settle(&wanted(&record, &[2])), 3);
    assert_eq!(settle(&wanted(&record, &[])), 1, "the loopback");
}
