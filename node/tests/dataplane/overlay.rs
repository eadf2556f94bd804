//! Overlay networks between hosts: everybody reaches everybody, and what breaks is mended.

use std::{
    fs,
    path::{Path, PathBuf},
};

use netnode::kernel::Kernel;
use netnode_plan::{
    host::{Action, Change, Place},
    records::{Mac, NetworkId},
};
use nix::mount::{MntFlags, umount2};

use crate::{
    lab::{Lab, Net, by_hand, link, links, settle, settle_one, wanted},
    ping::{HEADERS_V4, HEADERS_V6, answers, is_silent},
};

const DUAL: &[&str] = &["10.1.0.0/24", "fd01::/64"];

/// Two sandboxes on each host, plugged into one network.
fn dual(lab: &Lab, net: &mut Net) -> Vec<PathBuf> {
    let mut sandboxes = Vec::new();
    for nth in 1..=u8::try_from(lab.hosts.len() * 2).unwrap() {
        let [.., number] = net.id.0;
        let sandbox = lab.namespace(&format!("box{number}-{nth}"));
        net.attach(lab, usize::from(nth - 1) / 2, &sandbox, nth);
        sandboxes.push(sandbox);
    }
    sandboxes
}

fn all_reach_all(net: &Net) {
    let faults: Vec<String> = pairs(net)
        .into_iter()
        .filter(|(from, to)| !answers(from, to.parse().unwrap(), 56))
        .map(|(from, to)| format!("{} to {to}", from.display()))
        .collect();
    assert_eq!(faults, Vec::<String>::new());
}

fn pairs(net: &Net) -> Vec<(PathBuf, String)> {
    let mut pairs = Vec::new();
    for (id, (_, sandbox, ..)) in &net.endpoints {
        for (other, (.., record)) in &net.endpoints {
            if id != other {
                let addresses = record.addresses.iter().map(|net| net.addr().to_string());
                pairs.extend(addresses.map(|address| (sandbox.clone(), address)));
            }
        }
    }
    pairs
}

#[test]
fn all_pairs_ping_over_either_underlay() {
    for v6_underlay in [false, true] {
        let Some(mut lab) = Lab::new("all_pairs_ping_over_either_underlay", 3) else { return };
        let mut net = Net::new(1, DUAL);
        net.v6_underlay = v6_underlay;
        dual(&lab, &mut net);
        settle(&mut lab, &[&net]);
        all_reach_all(&net);
        // A second look, as after a restart, finds nothing to do.
        assert!(settle(&mut lab, &[&net]).iter().all(|report| report.steps == 0));
    }
}

#[test]
fn a_full_packet_passes_without_fragments() {
    let Some(mut lab) = Lab::new("a_full_packet_passes_without_fragments", 2) else { return };
    let mut net = Net::new(1, DUAL);
    let boxes = dual(&lab, &mut net);
    let mtu = usize::try_from(net.desired(&lab, 0).mtu).unwrap();
    settle(&mut lab, &[&net]);
    assert_eq!(mtu, 1450);
    assert!(answers(&boxes[0], "10.1.0.3".parse().unwrap(), mtu - HEADERS_V4));
    assert!(answers(&boxes[0], "fd01::3".parse().unwrap(), mtu - HEADERS_V6));
}

#[test]
fn subnets_of_two_networks_may_overlap() {
    let Some(mut lab) = Lab::new("subnets_of_two_networks_may_overlap", 2) else { return };
    let (mut one, mut two) = (Net::new(1, DUAL), Net::new(2, DUAL));
    dual(&lab, &mut one);
    dual(&lab, &mut two);
    // Only in the second network, so the first must not reach it.
    let lone = lab.namespace("lone");
    two.attach(&lab, 1, &lone, 9);
    settle(&mut lab, &[&one, &two]);
    all_reach_all(&one);
    all_reach_all(&two);
    let (_, first, ..) = one.endpoints.values().next().unwrap();
    assert!(is_silent(first, "10.1.0.9".parse().unwrap()));
}

#[test]
fn a_sandbox_may_be_on_two_networks() {
    let Some(mut lab) = Lab::new("a_sandbox_may_be_on_two_networks", 2) else { return };
    let (mut one, mut two) = (Net::new(1, DUAL), Net::new(2, &["10.2.0.0/24"]));
    let boxes = dual(&lab, &mut one);
    settle(&mut lab, &[&one]);
    two.attach(&lab, 0, &boxes[0], 1);
    two.attach(&lab, 1, &boxes[2], 3);
    settle(&mut lab, &[&one, &two]);
    assert_eq!(links(&boxes[0]), ["lo", "eth0", "eth1"]);
    all_reach_all(&one);
    all_reach_all(&two);
}

#[test]
fn a_moved_endpoint_is_reached_at_once() {
    let Some(mut lab) = Lab::new("a_moved_endpoint_is_reached_at_once", 3) else { return };
    let mut net = Net::new(1, DUAL);
    let boxes = dual(&lab, &mut net);
    settle(&mut lab, &[&net]);
    all_reach_all(&net);
    let (id, mut moved) = net.endpoints.pop_first().unwrap();
    let new = lab.namespace("moved");
    (moved.0, moved.1) = (2, new.clone());
    moved.3.moves += 1;
    moved.3.tunnels = vec![lab.hosts[2].v4.parse().unwrap()];
    net.endpoints.insert(id, moved);
    // Each node only hears of the new row.
    let left = boxes[0].as_path();
    for host in 0..3 {
        let behind: &[&Path] = if host == 0 { &[left] } else { &[] };
        let wanted = wanted(&lab, host, &[&net], behind);
        settle_one(&mut lab.hosts[host].kernel, &wanted);
    }
    assert_eq!(links(left), ["lo"]);
    all_reach_all(&net);
}

#[test]
fn what_is_broken_behind_our_back_is_mended() {
    let Some(mut lab) = Lab::new("what_is_broken_behind_our_back_is_mended", 2) else { return };
    let mut net = Net::new(1, DUAL);
    let boxes = dual(&lab, &mut net);
    settle(&mut lab, &[&net]);
    let place = Place::Network(net.id);
    let sandbox = Place::Sandbox(boxes[0].to_str().unwrap().into());
    let gone = |at: &Place, name: &str| Action::RemoveLink { at: at.clone(), name: link(name) };
    for break_ in [gone(&place, "vxlan0"), gone(&place, "br0"), gone(&sandbox, "eth0")] {
        assert!(lab.hosts[0].kernel.act(&[break_]).is_empty());
        settle(&mut lab, &[&net]);
        all_reach_all(&net);
    }
    // The namespace: its name goes, and with it all that was in it.
    let namespace = lab.network_namespace(0, net.id);
    umount2(&namespace, MntFlags::MNT_DETACH).unwrap();
    fs::remove_file(&namespace).unwrap();
    settle(&mut lab, &[&net]);
    all_reach_all(&net);
}

#[test]
fn entries_of_others_are_left_alone() {
    let Some(mut lab) = Lab::new("entries_of_others_are_left_alone", 2) else { return };
    let mut net = Net::new(1, DUAL);
    dual(&lab, &mut net);
    settle(&mut lab, &[&net]);
    let namespace = lab.network_namespace(0, net.id);
    let by_hand = |command: &str| by_hand(&namespace, command);
    by_hand("bridge fdb add 02:99:99:99:99:99 dev vxlan0 dst 192.0.2.99 self permanent");
    by_hand("ip neigh add 10.1.0.99 lladdr 02:99:99:99:99:99 dev vxlan0 nud permanent");
    by_hand("ip link add theirs type bridge");
    assert!(settle(&mut lab, &[&net]).iter().all(|report| report.steps == 0));
    // Also when ours are stale.
    net.endpoints.pop_last();
    settle(&mut lab, &[&net]);
    assert!(by_hand("bridge fdb show dev vxlan0").contains("02:99:99:99:99:99"));
    assert!(by_hand("ip neigh show dev vxlan0").contains("10.1.0.99"));
    assert!(links(&namespace).contains(&"theirs".to_owned()));
}

#[test]
fn a_wrong_entry_is_put_right() {
    let Some(mut lab) = Lab::new("a_wrong_entry_is_put_right", 2) else { return };
    let mut net = Net::new(1, DUAL);
    dual(&lab, &mut net);
    settle(&mut lab, &[&net]);
    let (at, name) = (Place::Network(net.id), link("vxlan0"));
    let wrong = Change::PutTunnel(Mac([2, 0, 0, 0, 1, 3]), "192.0.2.77".parse().unwrap());
    let also = Change::PutNeighbour("10.1.0.4".parse().unwrap(), Mac([2; 6]));
    let actions = [wrong, also].map(|change| {
        let (at, name) = (at.clone(), name.clone());
        Action::Change { at, name, change }
    });
    assert!(lab.hosts[0].kernel.act(&actions).is_empty());
    let steps: Vec<usize> = settle(&mut lab, &[&net]).iter().map(|report| report.steps).collect();
    assert_eq!(steps, [2, 0]);
    all_reach_all(&net);
}

#[test]
fn coming_and_going_leaves_nothing() {
    let Some(mut lab) = Lab::new("coming_and_going_leaves_nothing", 2) else { return };
    let rounds = if std::env::var_os("NETDB_LONG").is_some() { 1000 } else { 50 };
    let boxes = [lab.namespace("box1"), lab.namespace("box2")];
    let before =
        |lab: &Lab| lab.hosts.iter().map(|host| links(&host.namespace)).collect::<Vec<_>>();
    let hosts = before(&lab);
    for round in 0..rounds {
        let mut net = Net::new(1, DUAL);
        net.attach(&lab, 0, &boxes[0], 1);
        net.attach(&lab, 1, &boxes[1], 2);
        settle(&mut lab, &[&net]);
        if round % 10 == 0 {
            all_reach_all(&net);
        }
        for (host, sandbox) in boxes.iter().enumerate() {
            let wanted = wanted(&lab, host, &[], &[sandbox]);
            settle_one(&mut lab.hosts[host].kernel, &wanted);
            assert_eq!(links(sandbox), ["lo"]);
            assert!(!lab.network_namespace(host, NetworkId([1; 16])).exists());
        }
    }
    assert_eq!(before(&lab), hosts);
}
