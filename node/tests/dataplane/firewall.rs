//! The packet filter: what it lets through, what it keeps out, and that it comes back.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, mpsc::sync_channel},
    time::{Duration, Instant},
};

use netdb_tests::skips;
use netnode::{drivers::keeper::keep, kernel::Kernel};
use netnode_plan::{
    desired::Desired,
    firewall::{Backs, Bind, Bridge, Firewall, Front, Protocol, WayOut},
    host::{Kind, Link, Mark, Place, Port, Route, Setting},
    records::{EndpointId, NetworkId},
};

use tokio::sync::watch;

use crate::{
    lab::{Host, Lab, UNDERLAY_MTU, by_hand, inside, link, settle_one},
    ping::{answers, is_silent},
    talk::{ask, ask_udp, is_shut, serve},
};

/// How long a keeper may take to do something.
const PATIENCE: Duration = Duration::from_secs(10);

/// Two bridges on the first host, an endpoint behind each, and a second host outside.
struct Site {
    lab: Lab,
    /// Endpoint n has the addresses `10.n.0.2` and `fdn::2`.
    boxes: [PathBuf; 2],
    wanted: Desired,
}

impl Site {
    /// `None`, and told, where that can't be.
    fn new(test: &str) -> Option<Self> {
        let mut lab = Lab::new(test, 2)?;
        if Command::new("nft").arg("--version").output().is_err() {
            skips::left_out(test, "nft is not installed");
            return None;
        }
        let boxes = ["one", "two"].map(|name| lab.namespace(name));
        inside(&lab.hosts[0].namespace, || {
            for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
                fs::write(format!("/proc/sys/net/{setting}"), "1").unwrap();
            }
        });
        let mut wanted = Desired::default();
        let mut firewall = Firewall::default();
        for (number, sandbox) in (1..).zip(&boxes) {
            plug(&mut wanted, number, sandbox);
            let subnets = [format!("10.{number}.0.0/24"), format!("fd0{number}::/64")];
            let subnets = subnets.iter().map(|subnet| subnet.parse().unwrap()).collect();
            let bridge = Bridge { subnets, way_out: WayOut::Masqueraded };
            firewall.bridges.insert(link(&format!("br{number}")), bridge);
            serve(sandbox, "[::]:80");
        }
        wanted.firewalls.insert(Place::Host, firewall);
        serve(&lab.hosts[1].namespace, "[::]:80");
        settle_one(&mut lab.hosts[0].kernel, &wanted);
        Some(Self { lab, boxes, wanted })
    }

    fn host(&self) -> &Path {
        &self.lab.hosts[0].namespace
    }

    fn outside(&self) -> &Path {
        &self.lab.hosts[1].namespace
    }

    fn firewall(&mut self) -> &mut Firewall {
        self.wanted.firewalls.get_mut(&Place::Host).unwrap()
    }

    fn publish(&mut self, bind: &Bind, port: u16, number: u8) {
        let back = Backs {
            v4: vec![format!("10.{number}.0.2:80").parse().unwrap()],
            v6: vec![format!("[fd0{number}::2]:80").parse().unwrap()],
        };
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let front = Front { bind: bind.clone(), protocol, port };
            self.firewall().published.insert(front, back.clone());
        }
    }

    fn settle(&mut self) -> usize {
        settle_one(&mut self.lab.hosts[0].kernel, &self.wanted).steps
    }

    fn rules(&self) -> String {
        shown(self.host(), "ruleset")
    }

    fn nft(&self, rule: &str) {
        by_hand(self.host(), &format!("nft {rule}"));
    }
}

/// A bridge of the host, and an endpoint behind it.
pub(crate) fn plug(wanted: &mut Desired, number: u8, sandbox: &Path) {
    let network = NetworkId([number; 16]);
    let (name, place) = (format!("br{number}"), Place::Sandbox(sandbox.to_str().unwrap().into()));
    let mut bridge = Link::new(Mark::network(network), Kind::Bridge, UNDERLAY_MTU)
        .with(Setting::RouteLocalnet, 1);
    bridge.addresses = addresses(number, 1);
    let mark = Mark::endpoint(network, EndpointId([number; 16]));
    let kind = Kind::Veth { peer_at: place.clone(), peer: link("eth0") };
    let mut port = Link::new(mark, kind, UNDERLAY_MTU);
    port.port_of = Some((link(&name), Port { hairpin: true, ..Port::LEARNING }));
    let mut end = Link::new(mark, Kind::VethEnd, UNDERLAY_MTU);
    end.addresses = addresses(number, 2);
    // Of IPv6, the kernel takes no metric for 1024.
    for (to, via, metric) in
        [("0.0.0.0/0", format!("10.{number}.0.1"), 0), ("::/0", format!("fd0{number}::1"), 1024)]
    {
        let (to, via) = (to.parse().unwrap(), Some(via.parse().unwrap()));
        end.routes.insert(Route { to, via, metric });
    }
    let links = [(link(&name), bridge), (link(&format!("port{number}")), port)];
    wanted.links.entry(Place::Host).or_default().extend(links);
    wanted.links.insert(place, [(link("eth0"), end)].into());
}

fn addresses(number: u8, last: u8) -> std::collections::BTreeSet<ipnet::IpNet> {
    [format!("10.{number}.0.{last}/24"), format!("fd0{number}::{last}/64")]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect()
}

#[test]
fn endpoints_get_out_and_nobody_gets_in() {
    let Some(mut site) = Site::new("endpoints_get_out_and_nobody_gets_in") else { return };
    let outside = site.outside().to_owned();
    // Outside nobody knows the way back to their subnets: they come from the host.
    assert_eq!(ask(&site.boxes[0], "192.0.2.2:80"), Some("::ffff:192.0.2.1".into()));
    assert_eq!(ask(&site.boxes[0], "[2001:db8::2]:80"), Some("2001:db8::1".into()));
    // The host gets to them, and they to the host.
    assert!(answers(site.host(), "10.1.0.2".parse().unwrap(), 8));
    assert!(answers(&site.boxes[0], "10.1.0.1".parse().unwrap(), 8));
    // Other bridges don't, nor does somebody outside who knows the way.
    by_hand(&outside, "ip route add 10.1.0.0/24 via 192.0.2.1");
    by_hand(&outside, "ip route add fd01::/64 via 2001:db8::1");
    for from in [&site.boxes[1], &outside] {
        assert!(is_silent(from, "10.1.0.2".parse().unwrap()));
        assert!(is_silent(from, "fd01::2".parse().unwrap()));
        assert!(is_shut(from, "10.1.0.2:80"));
    }
    // An internal network has no way out, and keeps the host.
    site.firewall().bridges.get_mut(&link("br1")).unwrap().way_out = WayOut::Closed;
    site.settle();
    assert!(is_shut(&site.boxes[0], "192.0.2.2:80") && is_shut(&site.boxes[0], "[2001:db8::2]:80"));
    assert!(answers(&site.boxes[0], "10.1.0.1".parse().unwrap(), 8));
    assert!(ask(&site.boxes[1], "192.0.2.2:80").is_some());
}

#[test]
fn published_ports_lead_to_endpoints() {
    let Some(mut site) = Site::new("published_ports_lead_to_endpoints") else { return };
    site.publish(&Bind::Any, 8080, 1);
    site.publish(&Bind::Address("192.0.2.1".parse().unwrap()), 8081, 1);
    site.publish(&Bind::Address("127.0.0.1".parse().unwrap()), 8082, 1);
    site.publish(&Bind::Link(link("eth0")), 8083, 2);
    assert_eq!(site.settle(), 1, "ports alone are one transaction");
    let outside = site.outside();
    for (to, from) in [
        ("192.0.2.1:8080", "::ffff:192.0.2.2"),
        ("[2001:db8::1]:8080", "2001:db8::2"),
        ("192.0.2.1:8081", "::ffff:192.0.2.2"),
        ("192.0.2.1:8083", "::ffff:192.0.2.2"),
        ("[2001:db8::1]:8083", "2001:db8::2"),
    ] {
        // Endpoints see who asks.
        assert_eq!(ask(outside, to).as_deref(), Some(from), "{to}");
        assert_eq!(ask_udp(outside, to).as_deref(), Some(from), "{to}");
    }
    assert!(is_shut(outside, "[2001:db8::1]:8081"), "bound to another address");
    assert!(is_shut(outside, "192.0.2.1:8082"), "bound to another address");
    assert!(is_shut(&site.boxes[0], "192.0.2.1:8083"), "bound to a link");
    // The host itself, an endpoint of another bridge, one of the same, and the endpoint itself.
    for to in ["192.0.2.1:8080", "127.0.0.1:8080", "127.0.0.1:8082", "[2001:db8::1]:8080"] {
        assert!(ask(site.host(), to).is_some(), "{to}");
    }
    for from in &site.boxes {
        for to in ["192.0.2.1:8080", "[2001:db8::1]:8080"] {
            assert!(ask(from, to).is_some() && ask_udp(from, to).is_some(), "{from:?} to {to}");
        }
    }
    // A neighbour who knows how to get there.
    let outside = site.outside().to_owned();
    by_hand(&outside, "ip address del 127.0.0.1/8 dev lo");
    by_hand(&outside, "ip route add 127.0.0.1 via 192.0.2.1");
    inside(&outside, || {
        fs::write("/proc/sys/net/ipv4/conf/eth0/route_localnet", "1").unwrap();
    });
    assert!(is_shut(&outside, "127.0.0.1:8082"));
    site.nft("flush chain inet netnode guard");
    assert!(ask(&outside, "127.0.0.1:8082").is_some(), "but for the guard, it would be open");
    site.firewall().published.clear();
    site.settle();
    assert!(is_shut(site.outside(), "192.0.2.1:8080"));
}

#[test]
fn what_others_break_is_mended_and_what_is_theirs_stays() {
    let test = "what_others_break_is_mended_and_what_is_theirs_stays";
    let Some(mut site) = Site::new(test) else { return };
    site.nft("add table ip netnode");
    site.nft("add table inet theirs");
    site.publish(&Bind::Any, 8080, 1);
    site.settle();
    assert_eq!(site.settle(), 0, "a second look finds nothing to do");
    let ours = shown(site.host(), "table inet netnode");
    for part in [
        "hook forward priority filter + 5; policy accept",
        "ip saddr 10.1.0.0/24 oifname != \"br1\" masquerade",
        "tcp . 8080 . 0x00000000 : 10.1.0.2 . 80",
        "fib daddr type local jump publish",
    ] {
        assert!(ours.contains(part), "{part} is not in\n{ours}");
    }
    for harm in [
        "flush ruleset",
        "delete table inet netnode",
        "flush chain inet netnode forward",
        "flush map inet netnode ports-v4",
        "insert rule inet netnode forward accept",
        "add rule inet netnode forward counter",
        "add chain inet netnode forward { policy drop; }",
        "add chain inet netnode more",
        "add element inet netnode bridges { eth0 }",
        "add table inet netnode { flags dormant; }",
    ] {
        site.nft(harm);
        assert!(site.settle() > 0, "{harm}");
        assert_eq!(site.settle(), 0, "{harm}");
        assert_eq!(shown(site.host(), "table inet netnode"), ours, "{harm}");
        assert!(ask(site.outside(), "192.0.2.1:8080").is_some());
    }
    // An administrator's own rules come first, and stay whatever else changes.
    site.nft("add rule inet netnode user meta l4proto tcp ct original proto-dst 8080 drop");
    assert_eq!(site.settle(), 0);
    assert!(is_shut(site.outside(), "192.0.2.1:8080"));
    site.nft("add chain inet netnode more");
    assert!(site.settle() > 0);
    assert!(is_shut(site.outside(), "192.0.2.1:8080"));
    site.nft("flush chain inet netnode user");
    assert!(ask(site.outside(), "192.0.2.1:8080").is_some());
    site.nft("add table inet theirs");
    site.nft("add table ip netnode");
    let theirs = "table inet theirs {\n}\ntable ip netnode {\n}\n";
    // Of nobody's want nothing of ours is left.
    site.wanted.firewalls.insert(Place::Host, Firewall::default());
    site.wanted.links = BTreeMap::new();
    site.settle();
    assert_eq!(site.rules(), theirs);
}

/// What `nft` shows; of one table, its parts in the order of their names, since they are shown in that in which they were
/// made.
fn shown(host: &Path, what: &str) -> String {
    let text = by_hand(host, &format!("nft list {what}"));
    let parts = text.split_once("{\n").and_then(|(name, rest)| {
        let mut parts: Vec<&str> = rest.strip_suffix("\n}\n")?.split("\n\n").collect();
        parts.sort_unstable();
        Some(format!("{name}{{\n{}\n}}\n", parts.join("\n\n")))
    });
    parts.filter(|_| text.contains("\n\n")).unwrap_or(text)
}

#[test]
fn a_flush_is_mended_at_once() {
    let Some(mut site) = Site::new("a_flush_is_mended_at_once") else { return };
    site.publish(&Bind::Any, 8080, 1);
    site.settle();
    let before = site.rules();
    let Host { kernel, namespace: host, .. } = site.lab.hosts.remove(0);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (wants, receiver) = watch::channel(Arc::new(site.wanted.clone()));
    let (tell, told) = sync_channel(64);
    // The timer would come too late for this test.
    let kept = keep(kernel, receiver, Duration::from_hours(1), move |told| {
        tell.send(told.report.unwrap().steps).unwrap();
    });
    let kept = runtime.spawn(kept);
    assert_eq!(told.recv_timeout(PATIENCE), Ok(0));
    for harm in ["flush ruleset", "delete table inet netnode", "flush chain inet netnode forward"] {
        let started = Instant::now();
        by_hand(&host, &format!("nft {harm}"));
        assert!(told.recv_timeout(PATIENCE).unwrap() > 0, "{harm}");
        eprintln!("{harm}: mended after {:?}", started.elapsed());
        assert_eq!(shown(&host, "ruleset"), before);
    }
    // Neither what is done for it nor what others do elsewhere makes it look again.
    by_hand(&host, "nft add table inet theirs");
    assert!(told.recv_timeout(Duration::from_millis(300)).is_err());
    drop(wants);
    runtime.block_on(kept).unwrap();
}

#[test]
fn what_changed_in_between_is_looked_at_again() {
    let Some(mut site) = Site::new("what_changed_in_between_is_looked_at_again") else { return };
    site.publish(&Bind::Any, 8080, 1);
    let seen = site.lab.hosts[0].kernel.firewall(&Place::Host).unwrap();
    let seen = [(Place::Host, seen)].into();
    let links = [(Place::Host, BTreeMap::new())].into();
    let actions = netnode_plan::firewall::plan(&site.wanted.firewalls, &seen, &links);
    site.nft("add table inet theirs");
    let failures = site.lab.hosts[0].kernel.act(&actions);
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(!site.rules().contains("8080"));
    site.settle();
    assert!(site.rules().contains("8080"));
}

#[test]
fn who_drops_what_endpoints_need_is_told() {
    let Some(mut site) = Site::new("who_drops_what_endpoints_need_is_told") else { return };
    site.publish(&Bind::Any, 8080, 1);
    let told = |site: &mut Site| -> Vec<String> {
        let report = settle_one(&mut site.lab.hosts[0].kernel, &site.wanted);
        report.blocked.iter().map(ToString::to_string).collect()
    };
    assert_eq!(told(&mut site), [""; 0]);
    site.nft("add table inet theirs");
    site.nft("add chain inet theirs guard { type filter hook forward priority 0; policy drop; }");
    site.nft("add rule inet theirs guard ct state vmap { established : accept, related : accept }");
    site.nft("add rule inet theirs guard iifname { lan0, lan1 } accept");
    site.nft("add rule inet theirs guard iifname lan2 ct state { new, established } accept");
    assert!(is_shut(&site.boxes[0], "192.0.2.2:80") && is_shut(site.outside(), "192.0.2.1:8080"));
    let blocked = told(&mut site);
    let first = "blocked by inet theirs/guard; to let it pass: nft insert rule inet theirs guard \
                 iifname \"br1\" accept";
    assert_eq!(blocked.first().map(String::as_str), Some(first));
    assert_eq!(blocked.len(), 3, "{blocked:?}");
    // Each rule is what is missing.
    for line in &blocked {
        let (_, rule) = line.split_once("nft ").unwrap();
        site.nft(&rule.replace('"', ""));
    }
    assert_eq!(told(&mut site), [""; 0]);
    assert!(ask(&site.boxes[0], "192.0.2.2:80").is_some());
    assert!(ask(&site.boxes[1], "[2001:db8::2]:80").is_some());
    assert!(ask(site.outside(), "192.0.2.1:8080").is_some());
    // Nothing of theirs was touched.
    assert_eq!(by_hand(site.host(), "nft list table inet theirs").matches("accept").count(), 7);
}
