//! A kernel that was started with `ipv6.disable=1`: networks of IPv4 work, and who wants IPv6 is told.

use netdb_tests::skips;
use netnode::kernel::has_v6;
use netnode_api::{endpoints::AttachEndpoint, networks::CreateNetwork};

use crate::{
    daemon::{Daemon, addresses, members, until_known},
    lab::{Lab, links},
    ping::answers,
};

fn create(daemon: &Daemon, driver: &str, name: &str, subnets: &[&str]) {
    let options = (driver == "macvlan").then(|| ("parent".to_owned(), "eth0".to_owned()));
    let wanted = CreateNetwork {
        name: name.into(),
        driver: driver.into(),
        subnets: subnets.iter().map(|subnet| (*subnet).to_owned()).collect(),
        options: options.into_iter().collect(),
        ..CreateNetwork::default()
    };
    daemon.ask(daemon.client.create_network(&wanted)).unwrap();
}

#[test]
fn networks_of_v4_work_and_v6_is_refused_plainly() {
    let test = "networks_of_v4_work_and_v6_is_refused_plainly";
    if has_v6() {
        return skips::left_to_vm(test, "this kernel has IPv6");
    }
    let Some(lab) = Lab::new(test, 2) else { return };
    let daemons = members(&lab, 2);
    create(&daemons[0], "overlay", "over", &[]);
    create(&daemons[0], "macvlan", "mac", &["10.99.0.0/24"]);
    create(&daemons[0], "overlay", "six", &["10.98.0.0/24", "fd98::/64"]);
    for network in ["over", "mac", "six"] {
        until_known(&daemons, network);
    }
    create(&daemons[0], "bridge", "br", &[]);
    let mut boxes = Vec::new();
    for (network, there) in [("over", 1), ("mac", 1), ("br", 0)] {
        let [here, other] = ["a", "b"].map(|end| lab.namespace(&format!("{network}-{end}")));
        daemons[0].attach_slowly(network, &format!("{network}-a"), &here);
        let far = daemons[there].attach_slowly(network, &format!("{network}-b"), &other);
        assert!(answers(&here, addresses(&far)[0], 1000), "{network}");
        boxes.push(here);
    }
    // Out of the overlay, by the gateway.
    assert!(answers(&boxes[0], "192.0.2.2".parse().unwrap(), 1000));
    let sandbox = lab.namespace("six");
    let wanted = AttachEndpoint {
        network: "six".into(),
        name: "six".into(),
        netns: sandbox.to_str().unwrap().into(),
        ..AttachEndpoint::default()
    };
    let refused = daemons[0].ask(daemons[0].client.attach_endpoint(&wanted)).unwrap_err();
    assert!(refused.to_string().contains("this host's kernel has no IPv6"), "{refused:?}");
    assert!(refused.hint().unwrap().contains("ipv6.disable"), "{refused:?}");
    assert_eq!(links(&sandbox), ["lo"]);
    let log = daemons[0].log();
    assert_eq!(log.matches("this kernel has no IPv6").count(), 1, "{log}");
}
