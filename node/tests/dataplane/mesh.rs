//! The way to backends on other nodes: that it is as it should be, and comes back.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::sync_channel},
    time::Duration,
};

use netdb_tests::skips;
use netnode::{
    drivers::{keeper::keep, reconcile::reconcile},
    kernel::{EGRESS, has_v6, lacks},
};
use netnode_plan::{
    desired::Desired,
    firewall::{Family, Firewall, Mesh},
    host::{Action, Kind, Link, Mark, Place},
    policy::Policy,
    records::{Mac, NetworkId},
};
use tokio::sync::watch;

use crate::lab::{Lab, by_hand, link, settle_one};

const NETWORK: NetworkId = NetworkId([9; 16]);
/// How long a keeper may take to do something.
const PATIENCE: Duration = Duration::from_secs(10);

/// One host with a link of the mesh, whose other end is in a namespace.
struct Site {
    lab: Lab,
    wanted: Desired,
}

fn mesh(nodes: &[u8], masquerades: bool) -> Firewall {
    let nodes = nodes.iter().map(|n| (Mac([2, 0, 0, 0, 0, *n]), u32::from(*n)));
    let mesh = Mesh { link: link("mesh0"), nodes: nodes.collect(), masquerades };
    Firewall { mesh: Some(mesh), ..Firewall::default() }
}

/// Hosts that can have a mesh; `None`, and told, where that can't be.
pub(crate) fn lab(test: &str, hosts: u8) -> Option<Lab> {
    let lab = Lab::new(test, hosts)?;
    let lacks = lacks().unwrap().contains(&EGRESS);
    if lacks {
        skips::left_out(test, &EGRESS.to_string());
    }
    (!lacks).then_some(lab)
}

pub(crate) fn policy() -> Policy {
    let families: BTreeSet<Family> =
        [Some(Family::V4), has_v6().then_some(Family::V6)].into_iter().flatten().collect();
    Policy { link: link("mesh0"), families }
}

impl Site {
    /// `None`, and told, where that can't be.
    fn new(test: &str) -> Option<Self> {
        let lab = lab(test, 1)?;
        let end = Place::Sandbox(lab.namespace("end").to_str().unwrap().to_owned());
        let mark = Mark::network(NETWORK);
        let kind = Kind::Veth { peer_at: end.clone(), peer: link("end0") };
        let mut made = Link::new(mark, kind, 1450);
        made.addresses.insert("10.9.0.1/24".parse().unwrap());
        made.neighbours = policy().neighbours();
        let mut wanted = Desired::default();
        wanted.links.insert(Place::Host, [(link("mesh0"), made)].into());
        let other = Link::new(mark, Kind::VethEnd, 1450);
        wanted.links.insert(end, [(link("end0"), other)].into());
        wanted.firewalls.insert(Place::Host, mesh(&[1, 2], true));
        wanted.policy = Some(policy());
        Some(Self { lab, wanted })
    }

    fn host(&self) -> PathBuf {
        self.lab.hosts[0].namespace.clone()
    }

    fn settle(&mut self) -> usize {
        settle_one(&mut self.lab.hosts[0].kernel, &self.wanted).steps
    }
}

/// What `nft` shows of each family, whichever was made first.
fn rules(host: &Path) -> String {
    ["inet", "netdev"].map(|family| by_hand(host, &format!("nft list ruleset {family}"))).concat()
}

#[test]
fn what_others_break_of_the_mesh_is_mended() {
    let Some(mut site) = Site::new("what_others_break_of_the_mesh_is_mended") else { return };
    let host = site.host();
    // The link is made, then what only a link that is there can have.
    let report = reconcile(&mut site.lab.hosts[0].kernel, &site.wanted).unwrap();
    assert!(report.is_settled() && report.failures.is_empty(), "{report:?}");
    assert_eq!(site.settle(), 0, "a second look finds nothing to do");
    let ours = rules(&host);
    for part in [
        "iifname \"mesh0\" ct original zone set ether saddr map @mesh-zones",
        "iifname \"mesh0\" ct state new ct mark set ether saddr map @mesh-marks",
        "ct direction reply ct mark 0x4d000000/8 meta mark set ct mark",
        "iifname \"mesh0\" meta nfproto ipv4 ct direction original meta mark set 0x4e000000",
        "type route hook output priority mangle + 5",
        "oifname \"mesh0\" tcp flags syn tcp option maxseg size set rt mtu",
        "iifname \"\" oifname \"mesh0\" masquerade",
        "oifname \"mesh0\" ct status dnat masquerade",
        "hook egress device \"mesh0\" priority filter",
        "meta mark 0x4d000000/8 ether daddr set meta mark map @mesh-macs",
        "elements = { 0x4d000001 : 02:00:00:00:00:01",
        "02:00:00:00:00:02 : 0x4d000002",
        "02:00:00:00:00:02 : 0x00000002",
        "elements = { \"mesh0\" }",
    ] {
        assert!(ours.contains(part), "{part} is not in\n{ours}");
    }
    for harm in [
        "nft flush ruleset",
        "nft delete table netdev netnode",
        "nft delete table inet netnode",
        "nft flush chain netdev netnode mesh-back",
        "nft flush map netdev netnode mesh-macs",
        "nft add element inet netnode mesh-marks { 02:00:00:00:00:07 : 0x4d000007 }",
        "nft add chain netdev netnode more",
        "ip link delete mesh0",
    ] {
        by_hand(&host, harm);
        assert!(site.settle() > 0, "{harm}");
        assert_eq!(site.settle(), 0, "{harm}");
        assert_eq!(rules(&host), ours, "{harm}");
    }
    // A node more is one step, and what is not wanted goes.
    site.wanted.firewalls.insert(Place::Host, mesh(&[1, 2, 3], false));
    assert_eq!(site.settle(), 1);
    by_hand(&host, "nft add table netdev theirs");
    site.wanted.firewalls.insert(Place::Host, Firewall::default());
    site.settle();
    assert_eq!(rules(&host), "table netdev theirs {\n}\n");
}

#[test]
fn a_link_that_is_somebody_elses_gets_no_chain() {
    let Some(mut site) = Site::new("a_link_that_is_somebody_elses_gets_no_chain") else { return };
    let host = site.host();
    by_hand(&host, "ip link add mesh0 type bridge");
    let kernel = &mut site.lab.hosts[0].kernel;
    let report = reconcile(kernel, &site.wanted).unwrap();
    assert_eq!(report.obstacles.len(), 1);
    let filters = |action: &Action| matches!(action, Action::Filter { .. });
    assert!(!report.pending.iter().any(filters), "{report:?}");
    assert!(rules(&host).contains("mesh-zones") && !rules(&host).contains("netdev"));
    by_hand(&host, "ip link delete mesh0");
    site.settle();
    assert!(rules(&host).contains("hook egress device \"mesh0\""));
}

/// What `ip` shows of rules and of our table of routes, of both versions of IP.
fn routing(host: &Path) -> String {
    let shown = ["-4 rule", "-6 rule", "-4 route show table 28270", "-6 route show table 28270"];
    shown.map(|what| by_hand(host, &format!("ip {what}"))).concat()
}

#[test]
fn what_others_break_of_its_routing_is_mended() {
    let Some(mut site) = Site::new("what_others_break_of_its_routing_is_mended") else { return };
    let host = site.host();
    by_hand(&host, "ip rule add pref 99 fwmark 1 lookup 28270");
    by_hand(&host, "ip route add 192.0.2.77 dev eth0 table 28270");
    site.settle();
    assert_eq!(site.settle(), 0, "a second look finds nothing to do");
    let ours = routing(&host);
    for part in [
        "30077:\tfrom all fwmark 0x4d000000/0xff000000 lookup 28270 proto 110",
        "30078:\tfrom all fwmark 0x4e000000/0xff000000 iif mesh0 lookup main proto 110",
        "30079:\tfrom all fwmark 0x4e000000/0xff000000 lookup 28270 proto 110",
        "default via 169.254.77.1 dev mesh0 proto 110 onlink",
    ] {
        assert!(ours.contains(part), "{part} is not in\n{ours}");
    }
    if has_v6() {
        let part = "default via fe80::4d:1 dev mesh0 proto 110 metric 1024 onlink";
        assert!(ours.contains(part), "{part} is not in\n{ours}");
    }
    for harm in [
        "ip rule del fwmark 0x4d000000/0xff000000",
        "ip rule del pref 30078",
        "ip rule del pref 30079",
        "ip rule add pref 7 fwmark 0x4d000000/0xff000000 lookup 7 protocol 110",
        "ip route del default table 28270",
        "ip route add 10.8.0.0/16 dev mesh0 table 28270 protocol 110",
        "ip link set mesh0 down",
        "ip link delete mesh0",
    ] {
        by_hand(&host, harm);
        assert!(site.settle() > 0, "{harm}");
        assert_eq!(site.settle(), 0, "{harm}");
        assert_eq!(routing(&host), ours, "{harm}");
    }
    site.wanted.policy = None;
    site.settle();
    let left = routing(&host);
    assert!(left.contains("99:\tfrom all fwmark 0x1 lookup 28270"), "{left}");
    assert!(left.contains("192.0.2.77 dev eth0"), "{left}");
    assert!(!left.contains("110"), "{left}");
}

#[test]
fn a_rule_that_is_deleted_is_back_at_once() {
    let Some(mut site) = Site::new("a_rule_that_is_deleted_is_back_at_once") else { return };
    site.settle();
    let host = site.host();
    let before = routing(&host);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (wants, receiver) = watch::channel(Arc::new(site.wanted.clone()));
    let (tell, told) = sync_channel(64);
    // The timer would come too late for this test.
    let kept =
        keep(site.lab.hosts.remove(0).kernel, receiver, Duration::from_hours(1), move |told| {
            tell.send(told.report.unwrap().steps).unwrap();
        });
    let kept = runtime.spawn(kept);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(0));
    for family in ["-4", "-6"].into_iter().take(if has_v6() { 2 } else { 1 }) {
        by_hand(&host, &format!("ip {family} rule del fwmark 0x4d000000/0xff000000"));
        assert_eq!(told.recv_timeout(PATIENCE), Ok(1));
        assert_eq!(routing(&host), before);
    }
    // Neither what is done for it nor what others do elsewhere makes it look again.
    by_hand(&host, "ip rule add fwmark 7 lookup main");
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
    drop(wants);
    runtime.block_on(kept).unwrap();
}
