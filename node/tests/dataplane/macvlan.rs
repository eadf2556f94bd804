//! Macvlan networks on the hosts' links and on VLANs of them.

use std::{collections::BTreeMap, path::Path, process::Command};

use netdb_gossip_core::identity::Name;
use netdb_tests::skips;
use netnode::kernel::{EGRESS, has_v6, lacks};
use netnode_api::networks::CreateNetwork;
use netnode_plan::{
    host::{Attached, Place, Wanted},
    macvlan::{Network, desired},
    records::{
        Driver, EndpointId, EndpointRecord, Mac, NetworkId, NetworkOptions, NetworkRecord, Parent,
        Subnet,
    },
};

use crate::{
    daemon::{addresses, members, until_known},
    lab::{Lab, UNDERLAY_MTU, by_hand, inside, link, links, settle_one},
    ping::{answers, is_silent},
};

const ID: NetworkId = NetworkId([41; 16]);

fn record(parent: &str) -> NetworkRecord {
    let subnets = ["192.168.0.0/16", "fd41::/64"].map(|text| Subnet::of(text.parse().unwrap()));
    let parent = Some(Parent::new(parent).unwrap());
    NetworkRecord {
        name: Name::new("macnet41").unwrap(),
        driver: Driver::Macvlan,
        subnets: subnets.into(),
        options: NetworkOptions { parent, ..NetworkOptions::default() },
        created_us: 1,
    }
}

fn wanted(record: &NetworkRecord, there: bool, boxes: &[(u8, &Path)]) -> Wanted {
    let endpoints = boxes.iter().map(|(n, _)| EndpointRecord {
        network: ID,
        name: Name::new("e").unwrap(),
        aliases: vec![],
        addresses: vec![
            format!("192.168.41.{n}/16").parse().unwrap(),
            format!("fd41::{n}/64").parse().unwrap(),
        ],
        mac: Mac([2, 0, 0, 41, 0, *n]),
        sandbox: "x".into(),
        tunnels: vec![],
        moves: 0,
        mtu: UNDERLAY_MTU,
        backend: None,
    });
    let endpoints: Vec<EndpointRecord> = endpoints.collect();
    let attached: BTreeMap<_, _> = boxes
        .iter()
        .zip(&endpoints)
        .map(|((n, path), record)| {
            let sandbox = path.to_str().unwrap().to_owned();
            let attached = Attached { sandbox, interface: link("eth0"), default_route: false };
            (EndpointId([*n; 16]), (attached, record))
        })
        .collect();
    let (parent_is_there, parent_mtu) = (there, UNDERLAY_MTU);
    desired(&Network { id: ID, record, parent_is_there, parent_mtu, attached }).unwrap()
}

/// Whether the kernel makes VLANs.
fn makes_vlans(lab: &Lab) -> bool {
    let attempt = "link add link eth0 name attempt type vlan id 7";
    let made = inside(&lab.hosts[0].namespace, || {
        let made = Command::new("ip").args(attempt.split(' ')).output().unwrap();
        made.status.success()
    });
    if made {
        by_hand(&lab.hosts[0].namespace, "ip link del dev attempt");
    }
    made
}

/// Whether the kernel lets the packet filter see frames that leave.
fn filters_frames(lab: &Lab) -> bool {
    let host = &lab.hosts[0].namespace;
    by_hand(host, "nft add table netdev attempt");
    let attempt =
        "add chain netdev attempt leaving { type filter hook egress device lo priority 0; }";
    let made = inside(host, || Command::new("nft").arg(attempt).output().unwrap());
    by_hand(host, "nft delete table netdev attempt");
    made.status.success()
}

/// Docker's own example, with this parent: who comes first gets the address that Docker says, and the other
/// host's endpoint another one of the range.
fn dockers_example(test: &str, parent: &str) {
    let Some(lab) = Lab::new(test, 2) else { return };
    if parent.contains('.') && !has_vlans(&lab, test) {
        return;
    }
    let daemons = members(&lab, 2);
    let example = CreateNetwork {
        name: "macnet41".into(),
        driver: "macvlan".into(),
        subnets: vec!["192.168.0.0/16".into()],
        ip_ranges: vec!["192.168.41.0/24".into()],
        gateways: vec!["192.168.41.1".into()],
        aux_addresses: [("favorite_ip_ever".into(), "192.168.41.2".into())].into(),
        options: [("parent".into(), parent.into())].into(),
        ..CreateNetwork::default()
    };
    daemons[0].ask(daemons[0].client.create_network(&example)).unwrap();
    until_known(&daemons, "macnet41");
    let (one, two) = (lab.namespace("one"), lab.namespace("two"));
    let first = daemons[0].attach_slowly("macnet41", "one", &one);
    assert_eq!(first.addresses, ["192.168.41.3/16"]);
    let second = daemons[1].attach_slowly("macnet41", "two", &two);
    assert!(second.addresses[0].starts_with("192.168.41."), "{second:?}");
    assert!(answers(&one, addresses(&second)[0], 1400));
    assert_eq!(links(&lab.hosts[0].namespace).len() == 3, parent.contains('.'));
    for (daemon, name) in daemons.iter().zip(["one", "two"]) {
        daemon.ask(daemon.client.detach_endpoint("macnet41", name)).unwrap();
    }
    for host in &lab.hosts {
        assert_eq!(links(&host.namespace), ["lo", "eth0"]);
    }
}

#[test]
fn dockers_example_works_on_a_link() {
    dockers_example("dockers_example_works_on_a_link", "eth0");
}

#[test]
fn dockers_example_works_on_a_vlan() {
    dockers_example("dockers_example_works_on_a_vlan", "eth0.41");
}

/// Whether the kernel has VLANs; tells if not.
fn has_vlans(lab: &Lab, test: &str) -> bool {
    let has = makes_vlans(lab);
    if !has {
        skips::left_to_vm(test, "this kernel has no 802.1Q VLANs (CONFIG_VLAN_8021Q)");
    }
    has
}

/// Endpoints of two hosts reach each other over a parent, and leave nothing.
fn come_reach_and_go(mut lab: Lab, record: &NetworkRecord, there: bool) {
    let boxes = [1, 2, 3].map(|n| lab.namespace(&format!("mac{n}")));
    let here = wanted(record, there, &[(3, &boxes[0]), (4, &boxes[1])]);
    settle_one(&mut lab.hosts[0].kernel, &here);
    settle_one(&mut lab.hosts[1].kernel, &wanted(record, there, &[(5, &boxes[2])]));
    for to in ["192.168.41.4", "192.168.41.5", "fd41::4", "fd41::5"] {
        assert!(answers(&boxes[0], to.parse().unwrap(), 1400), "{to}");
    }
    assert!(is_silent(&boxes[0], "192.168.41.77".parse().unwrap()));
    assert_eq!(settle_one(&mut lab.hosts[0].kernel, &here).steps, 0);
    by_hand(&boxes[0], "ip link del dev eth0");
    settle_one(&mut lab.hosts[0].kernel, &here);
    assert!(answers(&boxes[0], "192.168.41.5".parse().unwrap(), 8));
    let left = boxes[..2].iter().map(|path| Place::Sandbox(path.to_str().unwrap().into()));
    let left: Wanted = left.map(|place| (place, BTreeMap::new())).collect();
    settle_one(&mut lab.hosts[0].kernel, &left);
    assert_eq!(links(&lab.hosts[0].namespace), ["lo", "eth0"]);
    assert_eq!(links(&boxes[0]), ["lo"]);
}

#[test]
fn what_the_kernel_lacks_is_found_out_by_trying() {
    let Some(lab) = Lab::new("what_the_kernel_lacks_is_found_out_by_trying", 1) else { return };
    let told: Vec<&str> = lacks().unwrap().iter().map(|lack| lack.option).collect();
    // Where these tests run, nothing else may be missing.
    let may_miss = [
        (makes_vlans(&lab), "CONFIG_VLAN_8021Q"),
        (filters_frames(&lab), EGRESS.option),
        (has_v6(), "CONFIG_IPV6"),
    ];
    let missing = may_miss.into_iter().filter(|(has, _)| !has).map(|(_, option)| option);
    assert_eq!(told, missing.collect::<Vec<_>>());
    assert_eq!(links(&lab.hosts[0].namespace), ["lo", "eth0"]);
}

#[test]
fn endpoints_reach_each_other_and_leave_nothing() {
    let Some(lab) = Lab::new("endpoints_reach_each_other_and_leave_nothing", 2) else { return };
    come_reach_and_go(lab, &record("eth0"), true);
}

#[test]
fn a_vlan_is_made_and_goes_with_the_last_endpoint() {
    let test = "a_vlan_is_made_and_goes_with_the_last_endpoint";
    let Some(lab) = Lab::new(test, 2) else { return };
    if has_vlans(&lab, test) {
        come_reach_and_go(lab, &record("eth0.41"), false);
    }
}

#[test]
fn a_vlan_of_somebody_elses_is_used_and_stays() {
    let test = "a_vlan_of_somebody_elses_is_used_and_stays";
    let Some(mut lab) = Lab::new(test, 1) else { return };
    if !has_vlans(&lab, test) {
        return;
    }
    let namespace = lab.hosts[0].namespace.clone();
    by_hand(&namespace, "ip link add link eth0 name eth0.41 type vlan id 41");
    by_hand(&namespace, "ip link set dev eth0.41 up");
    let record = record("eth0.41");
    let boxes = [1, 2].map(|n| lab.namespace(&format!("mac{n}")));
    let here = wanted(&record, true, &[(3, &boxes[0]), (4, &boxes[1])]);
    settle_one(&mut lab.hosts[0].kernel, &here);
    assert!(answers(&boxes[0], "192.168.41.4".parse().unwrap(), 8));
    let left = boxes.iter().map(|path| Place::Sandbox(path.to_str().unwrap().into()));
    let left: Wanted = left.map(|place| (place, BTreeMap::new())).collect();
    settle_one(&mut lab.hosts[0].kernel, &left);
    assert_eq!(links(&namespace).len(), 3, "its VLAN stays");
}
