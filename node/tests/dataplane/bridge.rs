//! Bridge networks of one host: endpoints reach each other and their gateway, and leave nothing.

use std::{collections::BTreeMap, path::Path};

use netdb_gossip_core::identity::Name;
use netnode_plan::{
    bridge::{Endpoint, Network, bridge_name, desired},
    desired::Desired,
    firewall::Firewall,
    host::{Attached, Place, Wanted},
    lb::Kept,
    records::{Driver, EndpointId, Mac, NetworkId, NetworkOptions, NetworkRecord, Subnet},
};

use crate::{
    lab::{Lab, UNDERLAY_MTU, by_hand, link, links, settle_one},
    ping::{answers, is_silent},
};

/// A bridge network and what is plugged into it.
pub(crate) struct Bridge {
    pub(crate) id: NetworkId,
    pub(crate) record: NetworkRecord,
    pub(crate) endpoints: Vec<Endpoint>,
}

impl Bridge {
    /// Has the subnets `10.N.0.0/24` and `fdNN::/64`, with the first address of each as the gateway.
    pub(crate) fn new(number: u8) -> Self {
        let subnet = |prefix: String, gateway: String| Subnet {
            gateway: Some(gateway.parse().unwrap()),
            ..Subnet::of(prefix.parse().unwrap())
        };
        let record = NetworkRecord {
            name: Name::new(&format!("bridge{number}")).unwrap(),
            driver: Driver::Bridge,
            subnets: vec![
                subnet(format!("10.{number}.0.0/24"), format!("10.{number}.0.1")),
                subnet(format!("fd{number:02}::/64"), format!("fd{number:02}::1")),
            ],
            options: NetworkOptions::default(),
            created_us: 1,
        };
        Self { id: NetworkId([number; 16]), record, endpoints: Vec::new() }
    }

    /// Plugs a sandbox in; its addresses end in `nth`.
    pub(crate) fn plug(&mut self, sandbox: &Path, nth: u8) {
        let [number, ..] = self.id.0;
        let sandbox = sandbox.to_str().unwrap().to_owned();
        self.endpoints.push(Endpoint {
            attached: Attached { sandbox, interface: link("eth0"), default_route: true },
            mac: Mac([2, 0, 0, 0, number, nth]),
            addresses: vec![
                format!("10.{number}.0.{nth}/24").parse().unwrap(),
                format!("fd{number:02}::{nth}/64").parse().unwrap(),
            ],
            published: vec![],
            shares_ports: false,
            kept: Some(Kept::All),
        });
    }

    pub(crate) fn wanted(&self) -> Desired {
        let [number, ..] = self.id.0;
        let id = |nth: u8| EndpointId([number ^ (nth << 4); 16]);
        let endpoints = (1..).map(id).zip(self.endpoints.iter().cloned()).collect();
        let (record, uplink_mtu) = (&self.record, UNDERLAY_MTU);
        desired(&Network { id: self.id, record, uplink_mtu, endpoints })
    }
}

fn left(boxes: &[&Path]) -> Desired {
    let place = |path: &&Path| Place::Sandbox(path.to_str().unwrap().into());
    let links: Wanted = boxes.iter().map(|path| (place(path), BTreeMap::new())).collect();
    let firewalls = [(Place::Host, Firewall::default())].into();
    Desired { links, firewalls, ..Desired::default() }
}
#[test]
fn endpoints_reach_each_other_and_the_host_and_leave_nothing() {
    let test = "endpoints_reach_each_other_and_the_host_and_leave_nothing";
    let Some(mut lab) = Lab::new(test, 1) else { return };
    let boxes = [lab.namespace("one"), lab.namespace("two")];
    let mut net = Bridge::new(7);
    net.plug(&boxes[0], 2);
    net.plug(&boxes[1], 3);
    settle_one(&mut lab.hosts[0].kernel, &net.wanted());
    for to in ["10.7.0.3", "10.7.0.1", "fd07::3", "fd07::1"] {
        assert!(answers(&boxes[0], to.parse().unwrap(), 1400), "{to}");
    }
    assert!(answers(&lab.hosts[0].namespace, "10.7.0.2".parse().unwrap(), 56));
    assert!(is_silent(&boxes[0], "10.7.0.77".parse().unwrap()));
    // A second look, as after a restart, finds nothing to do.
    assert_eq!(settle_one(&mut lab.hosts[0].kernel, &net.wanted()).steps, 0);
    let all = left(&[&boxes[0], &boxes[1]]);
    settle_one(&mut lab.hosts[0].kernel, &all);
    assert_eq!(links(&lab.hosts[0].namespace), ["lo", "eth0"]);
    assert_eq!((links(&boxes[0]), links(&boxes[1])), (vec!["lo".into()], vec!["lo".into()]));
}

#[test]
fn a_bridge_that_is_broken_is_mended_and_somebody_elses_is_not_touched() {
    let test = "a_bridge_that_is_broken_is_mended_and_somebody_elses_is_not_touched";
    let Some(mut lab) = Lab::new(test, 1) else { return };
    let boxes = [lab.namespace("one"), lab.namespace("two")];
    let mut net = Bridge::new(7);
    net.plug(&boxes[0], 2);
    net.plug(&boxes[1], 3);
    let host = lab.hosts[0].namespace.clone();
    by_hand(&host, "ip link add docker0 type bridge");
    let bridge = bridge_name(net.id).unwrap();
    settle_one(&mut lab.hosts[0].kernel, &net.wanted());
    for break_ in [
        format!("ip link del dev {bridge}"),
        format!("ip addr flush dev {bridge}"),
        format!("ip link set dev {bridge} down"),
    ] {
        by_hand(&host, &break_);
        settle_one(&mut lab.hosts[0].kernel, &net.wanted());
        for to in ["10.7.0.3", "10.7.0.1", "fd07::3", "fd07::1"] {
            assert!(answers(&boxes[0], to.parse().unwrap(), 56), "{to} after {break_}");
        }
    }
    settle_one(&mut lab.hosts[0].kernel, &left(&[&boxes[0], &boxes[1]]));
    assert_eq!(links(&host), ["lo", "eth0", "docker0"]);
}
