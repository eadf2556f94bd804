//! Networks: what `docker network` users know, on every node of the cluster.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Host, until};

fn network(host: &Host, name: &str) -> Value {
    let detail = host.ok(&format!("network inspect {name} --json"));
    serde_json::from_str::<Value>(&detail).unwrap()
}

#[test]
fn a_network_is_everywhere_and_its_name_is_given_once() {
    let one = Host::running("one");
    let two = Host::joined("two", &one);
    until("two knows one", || two.ok("members").matches("\talive\t").count() == 2);
    let web = one.ok("network create web").trim().to_owned();
    until("the other has it", || two.ctl("network inspect web").code == 0);
    let refused = two.ctl("network create web");
    assert_eq!(refused.code, one.ctl("network create web").code);
    assert!(refused.err.contains(&format!("exists already: {web}")), "{}", refused.err);
    // The second node gives from its own share of subnets and VNIs.
    two.ok("network create --ipv6 db");
    until("the first has it", || one.ctl("network inspect db").code == 0);
    let (web, db) = (network(&one, "web"), network(&one, "db"));
    let subnets = |of: &Value| of["network"]["subnets"].as_array().unwrap().len();
    assert_eq!((subnets(&web), subnets(&db)), (1, 2));
    let subnet = |of: &Value| of["network"]["subnets"][0]["subnet"].clone();
    let vni = |of: &Value| of["network"]["options"]["vni"].clone();
    assert_ne!(subnet(&web), subnet(&db));
    assert_ne!(vni(&web), vni(&db));
    assert_eq!(two.ok("network rm web db"), "web\ndb\n");
    until("both are gone", || one.ok("network ls --jsonl").is_empty());
}

#[test]
fn a_network_can_be_made_the_moment_that_the_node_answers() {
    let mut one = Host::running("one");
    one.ok("network create web");
    // Its numbers are on disk with it: the next one, after a crash, gets others.
    one.signal(Signal::SIGKILL);
    one.ended();
    one.start(&[]);
    one.ok("network create db");
    let (web, db) = (network(&one, "web"), network(&one, "db"));
    for what in ["/network/subnets/0/subnet", "/network/options/vni"] {
        assert!(web.pointer(what).is_some());
        assert_ne!(web.pointer(what), db.pointer(what), "{what}");
    }
    // Who has just joined hears first where subnets come from.
    let two = Host::joined("two", &one);
    two.ok("network create api");
    until("the first has it", || one.ctl("network inspect api").code == 0);
}

#[test]
fn dockers_own_macvlan_example_works_as_it_stands() {
    let host = Host::running("a");
    host.ok(
        "network create -d macvlan --subnet=192.168.0.0/16 --ip-range=192.168.41.0/24 \
         --aux-address=favorite_ip_ever=192.168.41.2 --gateway=192.168.41.1 -o parent=eth0.41 macnet41",
    );
    let shown = host.ok("network inspect macnet41");
    for line in
        ["driver       macvlan", "option       parent=eth0.41", "  aux        favorite_ip_ever"]
    {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    assert!(shown.contains("  in use     0 of 253, 0 %"), "{shown}");
}

#[test]
fn what_can_not_be_is_told_and_takes_nothing() {
    let one = Host::running("one");
    let two = Host::joined("two", &one);
    for host in [&one, &two] {
        let refused = host.ctl("network create --subnet 10.1.0.0/16 --gateway 10.2.0.1 web");
        assert!(
            refused.err.contains("--gateway 10.2.0.1 is in none of the subnets"),
            "{refused:?}"
        );
        let refused = host.ctl("network create -o parnet=eth0 web");
        assert!(refused.err.contains("no driver has the option parnet"), "{refused:?}");
        let refused = host.ctl("network create -d bridge --scope cluster web");
        assert!(refused.err.contains("can't have the scope cluster"), "{refused:?}");
    }
    assert_eq!(two.ctl("network inspect web").code, one.ctl("network rm web").code);
    one.ok("network create web");
}

#[test]
fn networks_survive_the_restart_of_all_their_nodes() {
    let mut host = Host::running("a");
    host.ok("network create web");
    until("its addresses can be given", || network(&host, "web")["usage"][0]["free"] != "0");
    let before = network(&host, "web");
    host.stop();
    host.start(&[]);
    until("it is there again", || host.ctl("network inspect web").code == 0);
    until("with its addresses", || network(&host, "web") == before);
    host.ok("network create db");
    assert_ne!(network(&host, "db")["network"]["subnets"], before["network"]["subnets"]);
}

#[test]
fn a_hosts_own_network_is_nobody_elses_and_survives_a_restart() {
    let mut one = Host::running("one");
    let two = Host::joined("two", &one);
    until("two knows one", || two.ok("members").matches("\talive\t").count() == 2);
    one.ok("network create web");
    until("the other has it", || two.ctl("network inspect web").code == 0);
    let refused = two.ctl("network create -d bridge web");
    assert!(refused.err.contains("exists already"), "{refused:?}");
    let own = one.ok("network create -d bridge --ipv6 box").trim().to_owned();
    one.ok("network create -d macvlan --scope local --subnet 10.7.0.0/24 -o parent=eth0 wire");
    // Both have one of that name, and it is not the same.
    assert_ne!(two.ok("network create -d bridge box").trim(), own);
    assert_eq!(two.ctl("network inspect wire").code, two.ctl("network inspect nothing").code);
    let before = network(&one, "box");
    let (scope, usage) = (&before["network"]["scope"], &before["usage"]);
    assert_eq!((scope.as_str(), usage.as_array().unwrap().len()), (Some("local"), 2));
    let taken = before["network"]["subnets"][0]["subnet"].as_str().unwrap();
    let refused = one.ctl(&format!("network create -d bridge --subnet {taken} other"));
    assert!(refused.err.contains(&format!("overlaps {taken} of network box")), "{refused:?}");
    // Nobody else is hindered by a name that one host has for itself.
    two.ok("network create wire");
    let taken = one.ctl("network create box");
    assert!(taken.err.contains(&format!("exists already: {own}")), "{taken:?}");
    until("the cluster's goes before", || {
        network(&one, "wire")["network"]["driver"].as_str() == Some("overlay")
    });
    one.stop();
    one.start(&[]);
    assert_eq!(network(&one, "box")["network"], before["network"]);
    one.ok("network rm box");
    assert_ne!(one.ctl("network inspect box").code, 0);
}
