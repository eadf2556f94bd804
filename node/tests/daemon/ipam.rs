//! Numbers without a quorum: how full it is, and whose they are when nodes leave, are lost or come anew.

use netnode_cli::{Io, terminal::Terminal};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Host, run_ctl, text, until};

/// How full a space is, as a host tells it.
fn space(host: &Host, name: &str) -> Value {
    let usage: Value = serde_json::from_str(&host.ok("ipam usage --json")).unwrap();
    let spaces = usage["spaces"].as_array().unwrap();
    spaces.iter().find(|space| space["space"] == name).unwrap().clone()
}

/// Who holds some of the VNIs.
fn holders(host: &Host) -> Vec<String> {
    let nodes = space(host, "VNI")["nodes"].as_array().unwrap().clone();
    let holders = nodes.iter().filter(|node| node["holds"] != "0");
    holders.map(|node| node["node"]["name"].as_str().unwrap_or("?").to_owned()).collect()
}

pub(crate) fn state(host: &Host, name: &str) -> String {
    let members: Value = serde_json::from_str(&host.ok("members --json")).unwrap();
    let members = members.as_array().unwrap();
    let found = members.iter().find(|member| member["name"] == name);
    found.map_or_else(String::new, |member| member["state"].as_str().unwrap().to_owned())
}

/// Hosts that know each other.
pub(crate) fn cluster(names: &[&str]) -> Vec<Host> {
    let mut hosts = vec![Host::running(names[0])];
    for name in &names[1..] {
        hosts.push(Host::joined(name, &hosts[0]));
    }
    until("all know all", || {
        hosts.iter().all(|host| host.ok("members").matches("\talive\t").count() == names.len())
    });
    hosts
}

#[test]
fn what_a_network_was_created_with_survives_a_kill_at_once() {
    let mut host = Host::running("one");
    for round in 1..=10 {
        let subnets = [format!("10.9.{round}.0/29"), format!("fd09:{round}::/125")];
        let [v4, v6] = &subnets;
        host.ok(&format!("network create --subnet {v4} --subnet {v6} web{round}"));
        host.signal(Signal::SIGKILL);
        host.ended();
        host.start(&[]);
        for subnet in &subnets {
            until("its addresses are here", || {
                let usage: Value = serde_json::from_str(&host.ok("ipam usage --json")).unwrap();
                let spaces = usage["spaces"].as_array().unwrap();
                spaces.iter().any(|space| space["space"] == **subnet && space["free"] != "0")
            });
        }
    }
}

#[test]
fn usage_is_what_all_nodes_say() {
    let hosts = cluster(&["one", "two"]);
    hosts[0].ok("network create --subnet 10.9.0.0/29 web");
    until("two has it", || hosts[1].ctl("network inspect web").code == 0);
    // One, which holds it, is asked.
    until("its addresses can be given", || space(&hosts[1], "10.9.0.0/29")["free"] == "5");
    let web = space(&hosts[1], "10.9.0.0/29");
    assert_eq!(
        (&web["size"], &web["used"], &web["percent"]),
        (&"5".into(), &"0".into(), &0.into())
    );
    assert_eq!(web["network"], "web");
    let vni = space(&hosts[1], "VNI");
    assert_eq!((&vni["used"], &vni["ranges"]), (&"1".into(), &1.into()));
    let pool = space(&hosts[1], "10.0.0.0/8 in /20");
    assert_eq!((&pool["size"], &pool["used"]), (&"4096".into(), &"1".into()));
    let table = hosts[1].ok("ipam usage web --nodes");
    assert_eq!(table.lines().nth(1).unwrap(), "web\t10.9.0.0/29\tone\t0\t8\t5\t1");
    assert_eq!(hosts[0].ctl("ipam usage mail").code, 3);
}

#[test]
fn who_leaves_hands_its_numbers_over() {
    let mut hosts = cluster(&["one", "two", "three"]);
    hosts[0].ok("network create web");
    let mut one = hosts.remove(0);
    let left: Value = serde_json::from_str(&one.ok("leave --yes --json")).unwrap();
    assert!(one.ended().success(), "{}", one.log());
    assert_eq!((&left["ranges_left"], &left["warnings"]), (&0.into(), &Value::Array(vec![])));
    assert!(left["ranges_handed_over"].as_u64().unwrap() >= 4, "{left}");
    until("others hold all of it", || {
        let all = space(&hosts[0], "VNI");
        let holders = holders(&hosts[0]);
        all["ranges"] != 0 && !holders.is_empty() && !holders.contains(&"one".to_owned())
    });
    let log = one.log();
    assert!(!log.contains("no other node took"), "{log}");
}

#[test]
fn the_last_node_leaves_without_waiting_for_anybody() {
    let mut host = Host::running("one");
    let left = host.ctl("leave --yes");
    assert_eq!((left.code, &*left.err), (0, ""));
    assert!(host.ended().success());
}

#[test]
fn what_a_lost_host_held_is_taken_over_by_those_that_are_there() {
    let mut hosts = cluster(&["one", "two", "three"]);
    hosts[0].ok("network create web");
    let refused = hosts[1].ctl("ipam reclaim --yes one");
    assert_eq!(refused.code, 5, "{refused:?}");
    assert!(refused.err.contains("node one is alive"), "{}", refused.err);
    for host in [0, 2] {
        hosts[host].signal(Signal::SIGKILL);
        hosts[host].ended();
    }
    until("both are down", || {
        state(&hosts[1], "one") == "failed" && state(&hosts[1], "three") == "failed"
    });
    let refused = hosts[1].ctl("ipam reclaim --yes one");
    assert!(refused.err.contains("not called down for good: three"), "{}", refused.err);
    hosts[2].start(&[]);
    until("three is back", || state(&hosts[1], "three") == "alive");
    // Who can't be asked has to say it.
    let unasked = hosts[1].ctl("ipam reclaim one");
    assert_eq!(unasked.code, 2, "{unasked:?}");
    assert!(unasked.err.contains("--yes"), "{}", unasked.err);
    // Who can be is told what is assumed, and may think again.
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let terminal = Terminal { interactive: true, ..Terminal::default() };
    let mut io = Io { out: &mut out, err: &mut err, input: &mut "n\n".as_bytes(), terminal };
    assert_eq!(run_ctl(&hosts[1].socket(), "ipam reclaim one", &mut io), 1);
    let asked = text(&err);
    for part in ["assumes that one is down for good", "VNI\tone", "[y/N]", "nothing was done"] {
        assert!(asked.contains(part), "{part} in {asked}");
    }
    assert!(holders(&hosts[1]).contains(&"one".to_owned()));
    let done = hosts[1].ctl("ipam reclaim --yes one");
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.err.contains("waiting until all others") && done.err.ends_with("taken over\n"));
    assert!(done.out.contains("-\tVNI\tone\t") && done.out.contains("web\t10.0.0.0/20\tone\t"));
    assert!(!holders(&hosts[1]).contains(&"one".to_owned()));
    until("all take it for gone", || (1..3).all(|host| state(&hosts[host], "one") == "left"));
    // Nobody waits for it when another is lost.
    hosts[2].signal(Signal::SIGKILL);
    hosts[2].ended();
    until("three is down", || state(&hosts[1], "three") == "failed");
    let done = hosts[1].ctl("ipam reclaim --yes three");
    assert_eq!(done.code, 0, "{done:?}");
    hosts[2].start(&[]);
    until("three is back", || state(&hosts[1], "three") == "alive");
    // Should it come back all the same, it is a member as any, holds nothing, and asks for a share.
    hosts[0].start(&[]);
    until("all know all", || {
        hosts.iter().all(|host| host.ok("members").matches("\talive\t").count() == 3)
    });
    until("it has seen what is not its own any more", || {
        !holders(&hosts[0]).contains(&"one".to_owned())
    });
    // When it fails another time, that is a failure again.
    until("it is not called lost any more", || {
        !hosts[1].ok("table dump --network _cluster").lines().any(|row| row.contains("\tlost\t"))
    });
    hosts[0].signal(Signal::SIGKILL);
    hosts[0].ended();
    until("it is down", || state(&hosts[1], "one") == "failed");
}

#[test]
fn who_held_nothing_is_called_lost_as_well() {
    let mut hosts = cluster(&["one", "two"]);
    hosts[1].signal(Signal::SIGKILL);
    hosts[1].ended();
    until("it is down", || state(&hosts[0], "two") == "failed");
    let done = hosts[0].ctl("ipam reclaim --yes two");
    assert_eq!(done.code, 0, "{done:?}");
    until("it is gone", || state(&hosts[0], "two") == "left");
    hosts[0].signal(Signal::SIGKILL);
    hosts[0].ended();
    hosts[0].start(&[]);
    // What it was called nobody told who has just started.
    until("that is known after a start as well", || {
        state(&hosts[0], "one") == "alive" && !hosts[0].ok("members").contains("failed")
    });
}

#[test]
fn a_host_installed_anew_takes_over_its_own() {
    let mut hosts = cluster(&["one", "two"]);
    hosts[0].signal(Signal::SIGKILL);
    hosts[0].ended();
    let mut anew = Host::bare("one");
    let line = hosts[1].ok("join");
    let mut words: Vec<&str> = line.split_whitespace().skip(1).collect();
    words.extend(["--replace", "one"]);
    let joined = anew.netnode(&words);
    assert!(joined.status.success(), "{joined:?}");
    anew.start(&[]);
    let status: Value = serde_json::from_str(&anew.ok("status --json")).unwrap();
    until("it holds what its old node held", || {
        let vni = space(&anew, "VNI");
        let nodes = vni["nodes"].as_array().unwrap();
        nodes.len() == 1 && nodes[0]["node"]["id"] == status["node"]
    });
    until("it is over", || !anew.path("state").join("replaces").exists());
    assert!(anew.log().contains("has what its old one held"), "{}", anew.log());
    until("its old node is gone", || {
        [&anew, &hosts[1]].iter().all(|host| {
            let members: Value = serde_json::from_str(&host.ok("members --json")).unwrap();
            let all = members.as_array().unwrap().iter();
            all.filter(|member| member["state"] == "left").count() == 1
        })
    });
}

#[test]
fn who_makes_the_cluster_says_where_subnets_come_from() {
    let mut one = Host::bare("one");
    let wrong = one.netnode(&["init", "--subnet-pool", "10.0.0.0/8"]);
    let told = text(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(2), "{told}");
    assert!(told.contains("--subnet-pool") && told.contains("as in 10.0.0.0/8/20"), "{told}");
    let made = one.netnode(&["init", "--subnet-pool", "172.20.0.0/14/24"]);
    assert!(made.status.success(), "{made:?}");
    // What is said later changes nothing, and is told to.
    one.start(&["--subnet-pool", "10.0.0.0/8/20"]);
    let told = "subnet_pool = 10.0.0.0/8/20 has no effect: it was 172.20.0.0/14/24";
    assert!(one.log().contains(told), "{}", one.log());
    let two = Host::joined("two", &one);
    assert_eq!(space(&one, "172.20.0.0/14 in /24")["size"], "1024");
    until("two has heard", || two.ok("ipam usage").contains("172.20.0.0/14 in /24"));
    until("two is given one", || two.ctl("network create web").code == 0);
    assert!(two.ok("network inspect web").contains("subnet       172.2"));
}
