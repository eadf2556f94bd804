//! The daemon's ways out of a network and into it: masquerading, published ports, and what stays shut.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use netdb_tests::skips;
use netnode_api::{
    endpoints::{AttachEndpoint, Endpoint, EndpointState},
    networks::CreateNetwork,
};

use crate::{
    daemon::{Daemon, addresses, cluster, until},
    lab::{Lab, by_hand, inside, links},
    ping::{answers, is_silent, lost_during},
    talk::{ask, ask_udp, is_shut, serve},
};

/// The first hosts run a netnode, the last one is outside of the cluster and knows no way into its networks.
pub(crate) struct Site {
    pub(crate) lab: Lab,
    pub(crate) daemons: Vec<Daemon>,
}

impl Site {
    /// `None`, and told, where that can't be.
    pub(crate) fn new(test: &str, hosts: u8) -> Option<Self> {
        let lab = Lab::new(test, hosts + 1)?;
        for host in &lab.hosts {
            // What the machine is set to is inherited.
            inside(&host.namespace, || fs::write("/proc/sys/net/ipv4/ip_forward", "0").unwrap());
        }
        serve(&lab.hosts[usize::from(hosts)].namespace, "[::]:80");
        let daemons = cluster(&lab, usize::from(hosts));
        Some(Self { lab, daemons })
    }

    pub(crate) fn host(&self, number: usize) -> &Path {
        &self.lab.hosts[number].namespace
    }

    pub(crate) fn outside(&self) -> &Path {
        &self.lab.hosts.last().unwrap().namespace
    }

    /// A sandbox that answers on port 80.
    pub(crate) fn sandbox(&self, name: &str) -> PathBuf {
        let sandbox = self.lab.namespace(name);
        serve(&sandbox, "[::]:80");
        sandbox
    }

    /// One on a network of the first host, with ports of that.
    fn plug(&self, network: &str, name: &str, ports: &[&str]) -> (PathBuf, Endpoint) {
        let sandbox = self.sandbox(name);
        let endpoint = self.daemons[0].publish(network, name, &sandbox, ports).unwrap();
        assert_eq!(endpoint.state, EndpointState::Ready, "{endpoint:?}");
        (sandbox, endpoint)
    }
}

fn setting(namespace: &Path, name: &str) -> String {
    inside(namespace, || fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap())
}

#[test]
fn a_bridge_leads_out_and_nobody_gets_in() {
    let Some(site) = Site::new("a_bridge_leads_out_and_nobody_gets_in", 1) else { return };
    for name in ["one", "two"] {
        site.daemons[0].create("bridge", name, false);
    }
    site.daemons[0].create("bridge", "shut", true);
    let (one, first) = site.plug("one", "one", &[]);
    let (mate, _) = site.plug("one", "mate", &[]);
    let (two, _) = site.plug("two", "two", &[]);
    let (shut, inner) = site.plug("shut", "shut", &[]);
    assert_eq!(ask(&one, "192.0.2.2:80"), Some("::ffff:192.0.2.1".into()));
    assert_eq!(ask(&one, "[2001:db8::2]:80"), Some("2001:db8::1".into()));
    for to in addresses(&first) {
        assert!(answers(&mate, to, 56) && answers(site.host(0), to, 56), "{to}");
        assert!(is_silent(&two, to) && is_silent(&shut, to), "{to}");
    }
    assert!(is_shut(&shut, "192.0.2.2:80") && is_shut(&shut, "[2001:db8::2]:80"));
    assert!(answers(site.host(0), addresses(&inner)[0], 56));
    // The host's own link forwards since it has to, and the others are as they were.
    assert_eq!(setting(site.host(0), "ipv4/conf/eth0/forwarding"), "1\n");
    assert_eq!(setting(site.host(0), "ipv4/conf/all/forwarding"), "0\n");
    for name in ["one", "mate", "two", "shut"] {
        let network = if name == "mate" { "one" } else { name };
        site.daemons[0].ask(site.daemons[0].client.detach_endpoint(network, name)).unwrap();
    }
    assert_eq!(links(site.host(0)), ["lo", "eth0"]);
    for network in ["one", "two", "shut"] {
        site.daemons[0].ask(site.daemons[0].client.remove_network(network)).unwrap();
    }
    let plain = CreateNetwork { name: "host".into(), driver: "host".into(), ..Default::default() };
    site.daemons[0].ask(site.daemons[0].client.create_network(&plain)).unwrap();
    let refused = site.daemons[0].publish("host", "one", &one, &[]).unwrap_err().to_string();
    assert!(refused.contains("run the process there"), "{refused}");
}

#[test]
fn published_ports_lead_in_and_each_is_one_endpoints() {
    let test = "published_ports_lead_in_and_each_is_one_endpoints";
    let Some(site) = Site::new(test, 1) else { return };
    site.daemons[0].create("bridge", "one", false);
    let ports = ["8080:80", "8080:80/udp", "127.0.0.1:81:80", "eth0:82:80"];
    let (one, endpoint) = site.plug("one", "one", &ports);
    assert_eq!(endpoint.published[0], "8080:80/tcp");
    let (host, outside) = (site.host(0), site.outside());
    // Endpoints see who asks.
    assert_eq!(ask(outside, "192.0.2.1:8080"), Some("::ffff:192.0.2.2".into()));
    assert_eq!(ask_udp(outside, "[2001:db8::1]:8080"), Some("2001:db8::2".into()));
    assert!(ask(outside, "192.0.2.1:82").is_some() && is_shut(outside, "192.0.2.1:81"));
    for to in ["192.0.2.1:8080", "127.0.0.1:8080", "127.0.0.1:81", "[2001:db8::1]:8080"] {
        assert!(ask(host, to).is_some(), "{to}");
    }
    assert!(ask_udp(host, "192.0.2.1:8080").is_some());
    // The endpoint itself, by the host.
    assert!(ask(&one, "192.0.2.1:8080").is_some());
    let refused = |ports: &[&str]| {
        let sandbox = site.lab.namespace(&ports.concat().replace('/', "-"));
        let refused = site.daemons[0].publish("one", "other", &sandbox, ports).unwrap_err();
        assert_eq!(links(&sandbox), ["lo"]);
        refused.to_string()
    };
    let told = refused(&["192.0.2.1:8080:9"]);
    assert!(told.contains("192.0.2.1:8080:9/tcp of this host leads to endpoint one"), "{told}");
    let told = refused(&["7117:80/udp"]);
    assert!(told.contains("7117:80/udp can't be published on this host"), "netnode's own: {told}");
    let told = refused(&["80"]);
    assert!(told.contains("HOSTPORT:PORT"), "{told}");
    site.daemons[0].ask(site.daemons[0].client.detach_endpoint("one", "one")).unwrap();
    assert!(is_shut(outside, "192.0.2.1:8080"));
    site.plug("one", "again", &["8080:80"]);
    assert!(ask(outside, "192.0.2.1:8080").is_some());
}

#[test]
fn a_bridge_works_on_while_netnode_is_killed_and_restarted() {
    let test = "a_bridge_works_on_while_netnode_is_killed_and_restarted";
    let Some(mut site) = Site::new(test, 1) else { return };
    site.daemons[0].create("bridge", "one", false);
    let (one, endpoint) = site.plug("one", "one", &["8080:80"]);
    let outside = site.outside().to_owned();
    assert!(ask(&one, "192.0.2.2:80").is_some());
    let (lost, sent) = lost_during(&one, "192.0.2.2".parse().unwrap(), || {
        for _ in 0..2 {
            site.daemons[0].kill();
            thread::sleep(Duration::from_millis(300));
            assert!(ask(&outside, "192.0.2.1:8080").is_some());
            site.daemons[0].start();
            site.daemons[0].until_ready(&endpoint);
        }
    });
    assert_eq!(lost, 0, "of {sent}");
    // Its address is not given again, nor is its port.
    let (_, other) = site.plug("one", "other", &[]);
    assert!(addresses(&other).iter().all(|address| !addresses(&endpoint).contains(address)));
    let sandbox = site.lab.namespace("third");
    assert!(site.daemons[0].publish("one", "third", &sandbox, &["8080:80"]).is_err());
}

#[test]
fn an_endpoint_shows_who_drops_its_packets() {
    let test = "an_endpoint_shows_who_drops_its_packets";
    let Some(site) = Site::new(test, 1) else { return };
    if Command::new("nft").arg("--version").output().is_err() {
        return skips::left_out(test, "nft is not installed");
    }
    site.daemons[0].create("bridge", "one", false);
    site.plug("one", "one", &[]);
    by_hand(site.host(0), "nft add table inet wall");
    let drops = "{ type filter hook forward priority 0 ; policy drop ; }";
    by_hand(site.host(0), &format!("nft add chain inet wall shut {drops}"));
    until("it is told", || {
        let all = site.daemons[0].ask(site.daemons[0].client.endpoints()).unwrap();
        matches!(&all[0].state, EndpointState::Error(why) if why.contains("blocked by inet wall/shut"))
    });
    by_hand(site.host(0), "nft delete table inet wall");
    until("it is over", || {
        let all = site.daemons[0].ask(site.daemons[0].client.endpoints()).unwrap();
        all[0].state == EndpointState::Ready
    });
}

#[test]
fn an_overlay_leads_out_by_the_host_of_each_endpoint() {
    let test = "an_overlay_leads_out_by_the_host_of_each_endpoint";
    let Some(site) = Site::new(test, 2) else { return };
    site.daemons[0].create("overlay", "shut", true);
    let (here, _) = site.plug("web", "here", &["8080:80"]);
    let (mate, _) = site.plug("web", "mate", &[]);
    let there = site.sandbox("there");
    let other = site.daemons[1].attach("web", "there", &there);
    assert!(links(&here).contains(&"gw0".to_owned()));
    assert_eq!(ask(&here, "192.0.2.3:80"), Some("::ffff:192.0.2.1".into()));
    assert_eq!(ask(&here, "[2001:db8::3]:80"), Some("2001:db8::1".into()));
    assert_eq!(ask(&there, "192.0.2.3:80"), Some("::ffff:192.0.2.2".into()));
    for to in addresses(&other) {
        assert!(answers(&here, to, 56), "{to}");
    }
    assert!(ask(site.outside(), "192.0.2.1:8080").is_some());
    // Sandboxes of the same host don't meet on their way out.
    let gateway = site.daemons[0].ask(site.daemons[0].client.network("netnode_gwbridge")).unwrap();
    let subnet = &gateway.network.subnets[0].subnet;
    let second = subnet.split_once("0/").unwrap().0.to_owned() + "2";
    assert!(answers(&here, second.parse().unwrap(), 8), "its own");
    assert!(is_silent(&mate, second.parse().unwrap()));
    let (shut, _) = site.plug("shut", "shut", &[]);
    assert_eq!(links(&shut), ["lo", "eth0"]);
    assert!(is_shut(&shut, "192.0.2.3:80"));
    // The way out goes over to the next of a sandbox's endpoints.
    site.daemons[0].create("overlay", "more", false);
    site.daemons[0].attach("more", "here", &here);
    site.daemons[0].ask(site.daemons[0].client.detach_endpoint("web", "here")).unwrap();
    assert_eq!(ask(&here, "192.0.2.3:80"), Some("::ffff:192.0.2.1".into()));
    // One of a higher priority takes it over, one of the same does not.
    let plug = |network: &str, gw_priority| {
        let (network, netns) = (network.to_owned(), here.to_str().unwrap().to_owned());
        let name = "second".to_owned();
        let wanted = AttachEndpoint { network, name, netns, gw_priority, ..Default::default() };
        site.daemons[0].ask(site.daemons[0].client.attach_endpoint(&wanted)).unwrap()
    };
    let leads = |network: &str, name: &str| {
        let all = site.daemons[0].ask(site.daemons[0].client.endpoints()).unwrap();
        let is = |e: &&Endpoint| e.network_name.as_deref() == Some(network) && e.name == name;
        all.iter().find(is).unwrap().default_route
    };
    site.daemons[0].create("bridge", "side", false);
    assert!(!plug("web", 0).default_route);
    assert!(plug("side", 7).default_route && !leads("more", "here"));
    assert!(!links(&here).contains(&"gw0".to_owned()));
    assert_eq!(ask(&here, "192.0.2.3:80"), Some("::ffff:192.0.2.1".into()));
    site.daemons[0].ask(site.daemons[0].client.detach_endpoint("side", "second")).unwrap();
    // Of equals, the one with the first interface.
    assert!(leads("web", "second") && !leads("more", "here"));
    assert_eq!(ask(&here, "192.0.2.3:80"), Some("::ffff:192.0.2.1".into()));
    site.daemons[0].ask(site.daemons[0].client.detach_endpoint("web", "second")).unwrap();
    assert!(leads("more", "here"));
    site.daemons[0].ask(site.daemons[0].client.remove_network("side")).unwrap();
    let gateway = site.daemons[0].client.remove_network("netnode_gwbridge");
    assert!(site.daemons[0].ask(gateway).is_err(), "in use");
    for (network, name) in [("more", "here"), ("web", "mate"), ("shut", "shut")] {
        site.daemons[0].ask(site.daemons[0].client.detach_endpoint(network, name)).unwrap();
    }
    assert_eq!(links(site.host(0)), ["lo", "eth0"]);
    assert_eq!(links(&here), ["lo"]);
}
