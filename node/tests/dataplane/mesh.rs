//! The way to backends on other nodes: that it is as it should be, and comes back.

use std::path::{Path, PathBuf};

use netnode::drivers::reconcile::reconcile;
use netnode_plan::{
    desired::Desired,
    firewall::{Firewall, Mesh},
    host::{Action, Kind, Link, Mark, Place},
    records::{Mac, NetworkId},
};

use crate::lab::{Lab, by_hand, link, settle_one};

const NETWORK: NetworkId = NetworkId([9; 16]);

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

impl Site {
    /// `None`, and told, where that can't be.
    fn new(test: &str) -> Option<Self> {
        let lab = Lab::new(test, 1)?;
        let end = Place::Sandbox(lab.namespace("end").to_str().unwrap().to_owned());
        let mark = Mark::network(NETWORK);
        let kind = Kind::Veth { peer_at: end.clone(), peer: link("end0") };
        let mut made = Link::new(mark, kind, 1450);
        made.addresses.insert("10.9.0.1/24".parse().unwrap());
        let mut wanted = Desired::default();
        wanted.links.insert(Place::Host, [(link("mesh0"), made)].into());
        let other = Link::new(mark, Kind::VethEnd, 1450);
        wanted.links.insert(end, [(link("end0"), other)].into());
        wanted.firewalls.insert(Place::Host, mesh(&[1, 2], true));
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
