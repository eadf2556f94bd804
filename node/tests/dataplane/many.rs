//! Ten thousand endpoints of other hosts, or published ports. Says how long it took; what must hold is only
//! that it is right.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::Instant,
};

use netnode::{drivers::reconcile::Comparer, kernel::Kernel};
use netnode_plan::{
    desired::Desired,
    firewall::{Backs, Bind, Bridge, Firewall, Front, Protocol, WayOut},
    host::Place,
    records::Mac,
};

use crate::lab::{Lab, Net, link, settle, settle_one, wanted};

const MANY: u32 = 10_000;

#[test]
fn ten_thousand_endpoints_elsewhere() {
    let Some(mut lab) = Lab::new("ten_thousand_endpoints_elsewhere", 1) else { return };
    let mut net = Net::new(1, &["10.1.0.0/16"]);
    let sandbox = lab.namespace("box");
    net.attach(&lab, 0, &sandbox, 1);
    settle(&mut lab, &[&net]);
    let mut wanted = wanted(&lab, 0, &[&net], &[]);
    let links = wanted.get_mut(&Place::Network(net.id)).unwrap();
    let vxlan = links.get_mut(&link("vxlan0")).unwrap();
    for number in 0..MANY {
        let [_, _, high, low] = number.to_be_bytes();
        let mac = Mac([2, 0, 1, 0, high, low]);
        vxlan.tunnels.insert(mac, Ipv4Addr::new(192, 0, 2, 2).into());
        vxlan.stations.insert(mac);
        vxlan.neighbours.insert(Ipv4Addr::from(0x0a01_0100 + number).into(), mac);
    }
    let kernel = &mut lab.hosts[0].kernel;
    let seen = kernel.look(&[sandbox.to_str().unwrap().to_owned()].into()).unwrap();
    let started = Instant::now();
    let plan = netnode_plan::host::plan(&wanted, &seen);
    let planned = started.elapsed();
    assert_eq!(plan.actions.len(), 3 * usize::try_from(MANY).unwrap());
    let started = Instant::now();
    let failures = kernel.act(&plan.actions);
    let acted = started.elapsed();
    assert!(failures.is_empty(), "{:?}", failures.first());
    let mut wanted: Desired = wanted.into();
    let mut comparer = Comparer::default();
    let started = Instant::now();
    assert_eq!(comparer.compare(kernel, &wanted).unwrap().steps, 0);
    let looked = started.elapsed();
    let links = wanted.links.get_mut(&Place::Network(net.id)).unwrap();
    let vxlan = links.get_mut(&link("vxlan0")).unwrap();
    let (address, _) = vxlan.neighbours.pop_last().unwrap();
    let started = Instant::now();
    assert_eq!(comparer.follow(kernel, &wanted).unwrap().steps, 1);
    let changed = started.elapsed();
    assert_eq!(comparer.compare(kernel, &wanted).unwrap().steps, 0, "{address} is gone");
    eprintln!(
        "{MANY} tunnels, stations and neighbours: planned in {planned:?}, put in {acted:?}, looked at \
         and compared in {looked:?}, one taken out in {changed:?}"
    );
}

#[test]
fn ten_thousand_published_ports() {
    let Some(mut lab) = Lab::new("ten_thousand_published_ports", 1) else { return };
    let kernel = &mut lab.hosts[0].kernel;
    let subnets = ["10.1.0.0/16".parse().unwrap()].into();
    let bridge = Bridge { subnets, way_out: WayOut::Masqueraded };
    let mut firewall = Firewall { bridges: [(link("br1"), bridge)].into(), ..Firewall::default() };
    for number in 0..MANY {
        let [_, _, high, low] = number.to_be_bytes();
        let to = SocketAddrV4::new(Ipv4Addr::new(10, 1, high, low), 80);
        let port = u16::try_from(number + 1).unwrap();
        let front = Front { bind: Bind::Any, protocol: Protocol::Tcp, port };
        firewall.published.insert(front, Backs { v4: vec![to], v6: vec![] });
    }
    let mut settle = |firewall: &Firewall| {
        let firewalls = [(Place::Host, firewall.clone())].into();
        let desired = Desired { firewalls, ..Desired::default() };
        let started = Instant::now();
        let steps = settle_one(kernel, &desired).steps;
        (steps, started.elapsed())
    };
    let (_, all) = settle(&firewall);
    firewall.published.pop_last();
    let (one, changed) = settle(&firewall);
    let (nothing, looked) = settle(&firewall);
    assert_eq!((one, nothing), (1, 0));
    eprintln!(
        "{MANY} published ports: all put in and looked at twice in {all:?}, one taken out and looked at in \
         {changed:?}, looked at in {looked:?}"
    );
}
