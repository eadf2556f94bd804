//! What is wanted for a macvlan network.

use alloc::{string::ToString, vec, vec::Vec};

use netdb_gossip_core::identity::Name;

use super::*;
use crate::records::{Driver, LinkName, Mac, MacvlanMode, NetworkOptions, Subnet};

fn record(parent: Option<&str>) -> NetworkRecord {
    let mut subnet = Subnet::of("192.168.0.0/16".parse().unwrap());
    subnet.gateway = Some("192.168.41.1".parse().unwrap());
    let parent = parent.map(|parent| Parent::new(parent).unwrap());
    let mode = MacvlanMode::Private;
    let options = NetworkOptions { parent, mode, mtu: Some(9000), ..NetworkOptions::default() };
    let name = Name::new("macnet41").unwrap();
    NetworkRecord { name, driver: Driver::Macvlan, subnets: vec![subnet], options, created_us: 1 }
}

fn endpoint() -> EndpointRecord {
    EndpointRecord {
        network: NetworkId([4; 16]),
        name: Name::new("e").unwrap(),
        aliases: vec![],
        addresses: vec!["192.168.41.3/16".parse().unwrap()],
        mac: Mac([2, 0, 0, 0, 0, 3]),
        sandbox: "x".into(),
        tunnels: vec![],
        moves: 0,
        mtu: 1500,
        backend: None,
    }
}

fn wanted(record: &NetworkRecord, parent_is_there: bool, endpoints: u8) -> Result<Wanted, Fault> {
    let endpoint = endpoint();
    let interface = LinkName::new("eth0").unwrap();
    let attached = (0..endpoints).map(|n| {
        let (sandbox, interface) = (alloc::format!("/run/{n}"), interface.clone());
        (EndpointId([n; 16]), (Attached { sandbox, interface, default_route: n == 0 }, &endpoint))
    });
    let (id, attached) = (NetworkId([4; 16]), attached.collect());
    desired(&Network { id, record, parent_is_there, parent_mtu: 1500, attached })
}

#[test]
fn the_vlan_is_made_unless_it_is_there() {
    let record = record(Some("eth0.41"));
    let made = wanted(&record, false, 2).unwrap();
    let vlan = &made[&Place::Host][&LinkName::new("eth0.41").unwrap()];
    assert_eq!(vlan.kind, Kind::Vlan { parent: LinkName::new("eth0").unwrap(), id: 41 });
    assert!(!wanted(&record, true, 2).unwrap().contains_key(&Place::Host));
    assert!(!wanted(&self::record(Some("eth0")), true, 2).unwrap().contains_key(&Place::Host));
    assert_eq!(wanted(&record, false, 0), Ok(Wanted::new()));
    assert_eq!(wanted(&self::record(None), false, 1), Err(Fault::NoParent));
}

#[test]
fn an_endpoint_is_a_link_on_the_parent() {
    let wanted = wanted(&record(Some("eth0.41")), false, 2).unwrap();
    let link = |n: u8| &wanted[&Place::Sandbox(alloc::format!("/run/{n}"))];
    let link = |n| &link(n)[&LinkName::new("eth0").unwrap()];
    let parent = LinkName::new("eth0.41").unwrap();
    assert_eq!(link(0).kind, Kind::Macvlan { parent, mode: MacvlanMode::Private });
    assert_eq!(link(0).mtu, 1500, "no more than its parent's");
    let via: Vec<_> = link(0).routes.iter().map(|way| way.via.unwrap().to_string()).collect();
    assert_eq!(via, ["192.168.41.1"]);
    assert!(link(1).routes.is_empty());
}
