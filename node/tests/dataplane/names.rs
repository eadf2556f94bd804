//! Names, as a container's own tools find them: the daemon answers inside of each sandbox.

use std::{
    net::UdpSocket,
    path::{Path, PathBuf},
    process::Command,
};

use netdb_tests::skips;
use netnode_api::{
    endpoints::{AttachEndpoint, ChangeBackend, Endpoint, EndpointState},
    services::CreateService,
};

use crate::{
    daemon::{Daemon, addresses, cluster, until},
    lab::{Lab, by_hand, inside},
    resolvers::Dnsmasq,
};

/// A lab with a daemon on each host; `None`, and told, where the clients that ask are missing.
pub(crate) fn site(test: &str, hosts: u8) -> Option<(Lab, Vec<Daemon>)> {
    let lab = Lab::new(test, hosts)?;
    if Command::new("dig").arg("-v").output().is_err() {
        let package = "`dig` is missing: on Debian `apt-get install bind9-dnsutils` brings it";
        skips::left_out(test, package);
        return None;
    }
    let daemons = cluster(&lab, usize::from(hosts));
    Some((lab, daemons))
}

/// What `dig` prints with these words in a sandbox, its lines in order.
pub(crate) fn dig(sandbox: &Path, words: &str) -> Vec<String> {
    dig_at(sandbox, "127.0.0.11", words)
}

/// The same of who is asked at another address.
fn dig_at(sandbox: &Path, at: &str, words: &str) -> Vec<String> {
    let mut dig = Command::new("dig");
    dig.args([&*format!("@{at}"), "+time=2", "+tries=1"]).args(words.split(' '));
    let done = inside(sandbox, || dig.output().unwrap());
    let said = String::from_utf8([done.stdout, done.stderr].concat()).unwrap();
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What a name is, in order; nothing if nobody answers, which `dig` says where answers would be.
pub(crate) fn short(sandbox: &Path, name: &str) -> Vec<String> {
    let mut lines = dig(sandbox, &format!("+short {name}"));
    lines.retain(|line| !line.starts_with(';'));
    lines
}

/// How `dig` says it ended: NOERROR, NXDOMAIN and so on.
pub(crate) fn status(sandbox: &Path, words: &str) -> String {
    let all = dig(sandbox, words).join("\n");
    let after = all.split("status: ").nth(1).unwrap_or("no answer,");
    after.split(',').next().unwrap().to_owned()
}

#[test]
fn endpoints_are_found_by_name_from_everywhere_and_gone_at_once() {
    let test = "endpoints_are_found_by_name_from_everywhere_and_gone_at_once";
    let Some((lab, daemons)) = site(test, 2) else { return };
    let (here, there) = (lab.namespace("here"), lab.namespace("there"));
    daemons[0].attach("web", "client", &here);
    let wanted = AttachEndpoint {
        network: "web".to_owned(),
        name: "API-1".to_owned(),
        aliases: vec!["api".to_owned()],
        netns: there.to_str().unwrap().to_owned(),
        ..AttachEndpoint::default()
    };
    let other = daemons[1].ask(daemons[1].client.attach_endpoint(&wanted)).unwrap();
    assert_eq!(other.state, EndpointState::Ready);
    let [v4, v6] = <[_; 2]>::try_from(addresses(&other)).unwrap().map(|a| a.to_string());
    until("its row has come", || !short(&here, "api-1").is_empty());
    let (only_v4, only_v6) = ([v4.clone()], [v6.clone()]);
    for name in ["api-1", "Api-1.", "api", "api.web", "api-1.web.netnode.internal"] {
        assert_eq!(short(&here, &format!("{name} A")), only_v4, "{name}");
        assert_eq!(short(&here, &format!("{name} AAAA")), only_v6, "{name}");
        assert_eq!(short(&here, &format!("+tcp {name} A")), only_v4, "{name}");
    }
    for address in [&v4, &v6] {
        assert_eq!(short(&here, &format!("-x {address}")), ["api-1.web.netnode.internal."]);
    }
    // It knows itself, too.
    assert_eq!(short(&there, "api A"), [v4]);
    assert_eq!(status(&here, "nobody.netnode.internal A"), "NXDOMAIN");
    assert_eq!(status(&here, "api MX"), "NOERROR");
    daemons[1].ask(daemons[1].client.detach_endpoint("web", "API-1")).unwrap();
    until("it is gone", || short(&here, "api").is_empty());
    assert_eq!(status(&here, "api.netnode.internal A"), "NXDOMAIN");
}

#[test]
fn a_sandbox_sees_the_names_of_its_networks_and_of_no_others() {
    let test = "a_sandbox_sees_the_names_of_its_networks_and_of_no_others";
    let Some((lab, daemons)) = site(test, 1) else { return };
    let daemon = &daemons[0];
    for (driver, name) in [("overlay", "back"), ("bridge", "local")] {
        daemon.create(driver, name, false);
    }
    let boxes: Vec<PathBuf> = ["a", "b", "c", "both"].map(|name| lab.namespace(name)).into();
    let on_web = daemon.attach("web", "one", &boxes[0]);
    let on_back = daemon.attach("back", "two", &boxes[1]);
    let on_bridge = daemon.attach("local", "three", &boxes[2]);
    let v4 = |endpoint| addresses(endpoint)[0].to_string();
    daemon.attach("web", "both", &boxes[3]);
    daemon.attach("back", "both", &boxes[3]);
    assert_eq!(short(&boxes[3], "one A"), [v4(&on_web)]);
    assert_eq!(short(&boxes[3], "two A"), [v4(&on_back)]);
    assert_eq!(short(&boxes[3], "both A").len(), 2);
    assert_eq!(short(&boxes[2], "three A"), [v4(&on_bridge)]);
    assert_eq!(short(&boxes[0], "both A").len(), 1);
    for (sandbox, foreign) in [(0, "two"), (0, "three"), (1, "one"), (2, "one"), (3, "three")] {
        let asked = format!("{foreign}.netnode.internal A");
        assert_eq!(status(&boxes[sandbox], &asked), "NXDOMAIN", "{sandbox} {foreign}");
    }
}

#[test]
fn a_router_of_ours_is_asked_for_names_as_well() {
    let test = "a_router_of_ours_is_asked_for_names_as_well";
    let Some((lab, mut daemons)) = site(test, 1) else { return };
    let plain = lab.namespace("plain");
    daemons[0].attach("web", "two", &plain);
    assert_eq!(by_hand(&plain, "nft list ruleset"), "", "nothing is led unless it is said");
    daemons[0].kill();
    daemons[0].set("NETNODE_DNS_GATEWAYS", "on");
    daemons[0].start();
    daemons[0].create("bridge", "local", false);
    daemons[0].create("overlay", "inner", true);
    let routers = |daemon: &Daemon, network: &str| -> Vec<String> {
        let network = daemon.ask(daemon.client.network(network)).unwrap();
        let v4 = network.network.subnets.into_iter().filter(|subnet| !subnet.subnet.contains(':'));
        v4.map(|subnet| subnet.gateway.unwrap()).collect()
    };
    for network in ["web", "local", "inner"] {
        let sandbox = lab.namespace(network);
        let endpoint = daemons[0].attach(network, "one", &sandbox);
        let own = [addresses(&endpoint)[0].to_string()];
        let mut known = routers(&daemons[0], network);
        if network == "web" {
            // Its way out of the cluster.
            known.extend(routers(&daemons[0], "netnode_gwbridge"));
            // Both are asked before and after the daemon has come back to what it left.
            daemons[0].kill();
            daemons[0].start();
            daemons[0].until_ready(&endpoint);
            until("names are answered again", || short(&sandbox, "one A") == own);
        }
        for router in &known {
            for words in ["+short one A", "+short +tcp one A"] {
                until("the router leads to names", || dig_at(&sandbox, router, words) == own);
            }
        }
        assert!(by_hand(&sandbox, "nft list ruleset").contains("names-v4"), "{network}");
        daemons[0].ask(daemons[0].client.detach_endpoint(network, "one")).unwrap();
        assert_eq!(by_hand(&sandbox, "nft list ruleset"), "", "{network}");
    }
}

#[test]
fn names_outlive_a_killed_netnode_and_vanish_with_a_dead_host() {
    let test = "names_outlive_a_killed_netnode_and_vanish_with_a_dead_host";
    let Some((lab, mut daemons)) = site(test, 3) else { return };
    let boxes: Vec<PathBuf> = ["a", "b"].map(|name| lab.namespace(name)).into();
    let own = daemons[0].attach("web", "one", &boxes[0]);
    daemons[1].attach("web", "two", &boxes[1]);
    until("it is known", || !short(&boxes[0], "two A").is_empty());
    // Nobody answers while it is down; all is there again when it is back.
    daemons[0].kill();
    daemons[0].start();
    daemons[0].until_ready(&own);
    until("it answers again", || !short(&boxes[0], "two A").is_empty());
    assert_eq!(short(&boxes[0], "one A"), [addresses(&own)[0].to_string()]);
    daemons[1].kill();
    until("the dead host's name is empty", || short(&boxes[0], "two A").is_empty());
    // It is ours all the same: nobody outside is asked for it.
    assert_eq!(status(&boxes[0], "two A"), "NOERROR");
    daemons[1].start();
    until("it is back", || !short(&boxes[0], "two A").is_empty());
}

#[test]
fn a_sandbox_deleted_behind_our_back_leaves_nothing() {
    let test = "a_sandbox_deleted_behind_our_back_leaves_nothing";
    let Some((lab, daemons)) = site(test, 1) else { return };
    let sandbox = lab.namespace("short-lived");
    daemons[0].attach("web", "one", &sandbox);
    assert_eq!(short(&sandbox, "one A").len(), 1);
    let open = || std::fs::read_dir(format!("/proc/{}/fd", daemons[0].pid())).unwrap().count();
    let before = open();
    lab.remove_namespace(&sandbox);
    until("its sockets are closed", || open() + 2 <= before);
}

#[test]
fn who_has_the_address_already_is_named() {
    let test = "who_has_the_address_already_is_named";
    let Some((lab, daemons)) = site(test, 1) else { return };
    let sandbox = lab.namespace("taken");
    by_hand(&sandbox, "ip link set lo up");
    let other = inside(&sandbox, || UdpSocket::bind("127.0.0.11:53").unwrap());
    let endpoint = daemons[0].publish("web", "one", &sandbox, &[]).unwrap();
    let EndpointState::Error(why) = &endpoint.state else { panic!("{endpoint:?}") };
    assert!(why.contains("another process has 127.0.0.11:53"), "{why}");
    drop(other);
    daemons[0].until_ready(&endpoint);
    assert_eq!(short(&sandbox, "one A").len(), 1);
}

#[test]
fn an_answer_that_the_system_does_not_let_out_is_counted() {
    let test = "an_answer_that_the_system_does_not_let_out_is_counted";
    let Some((lab, daemons)) = site(test, 1) else { return };
    let sandbox = lab.namespace("shut");
    daemons[0].attach("web", "one", &sandbox);
    assert_eq!(short(&sandbox, "one A").len(), 1);
    assert_eq!(daemons[0].events("dropped_answers"), 0);
    by_hand(&sandbox, "nft add table ip other");
    by_hand(&sandbox, "nft add chain ip other out { type filter hook output priority 0 ; }");
    by_hand(&sandbox, "nft add rule ip other out udp sport 53 drop");
    assert_eq!(status(&sandbox, "one A"), "no answer");
    assert!(daemons[0].events("dropped_answers") > 0);
    by_hand(&sandbox, "nft delete table ip other");
    assert_eq!(short(&sandbox, "one A").len(), 1);
}

/// Plugs a sandbox in as a backend of the service `shop`.
fn serve(daemon: &Daemon, sandbox: &Path, name: &str) -> Endpoint {
    let wanted = AttachEndpoint {
        network: "web".to_owned(),
        name: name.to_owned(),
        service: Some("shop".to_owned()),
        netns: sandbox.to_str().unwrap().to_owned(),
        ..AttachEndpoint::default()
    };
    daemon.ask(daemon.client.attach_endpoint(&wanted)).unwrap()
}

#[test]
fn a_service_is_found_by_its_address_and_by_its_live_backends() {
    let test = "a_service_is_found_by_its_address_and_by_its_live_backends";
    let Some((lab, mut daemons)) = site(test, 3) else { return };
    let client = lab.namespace("client");
    daemons[0].attach("web", "client", &client);
    let names = ["shop.1", "shop.2", "shop.3"];
    let boxes: Vec<PathBuf> = names.map(|name| lab.namespace(name)).into();
    let backends: Vec<Endpoint> =
        (0..3).map(|nth| serve(&daemons[nth], &boxes[nth], names[nth])).collect();
    let v4 = |endpoint: &Endpoint| addresses(endpoint)[0].to_string();
    let mut all: Vec<String> = backends.iter().map(v4).collect();
    all.sort();
    // Without a row of its own it is its backends.
    until("all are known", || short(&client, "shop A") == all);
    let wanted = CreateService {
        name: "shop".to_owned(),
        network: "web".to_owned(),
        ..CreateService::default()
    };
    let service = daemons[1].ask(daemons[1].client.create_service(&wanted)).unwrap();
    let vip = service.vips.iter().find(|vip| !vip.contains(':')).unwrap().clone();
    until("its address is known", || short(&client, "shop A") == [vip.clone()]);
    assert_eq!(short(&client, "tasks.shop A"), all);
    assert_eq!(short(&client, "shop.2.shop A"), [v4(&backends[1])]);
    assert_eq!(short(&client, &format!("-x {vip}")), ["shop.web.netnode.internal."]);
    // Who drains, is not well, or is gone with its host is not told; each comes back.
    let without = |gone: usize| {
        let gone = v4(&backends[gone]);
        all.iter().filter(|address| **address != gone).cloned().collect::<Vec<_>>()
    };
    let change = |nth: usize, change: ChangeBackend| {
        let daemon: &Daemon = &daemons[nth];
        daemon.ask(daemon.client.change_backend(names[nth], &change)).unwrap();
    };
    let state = |state: &str| ChangeBackend { state: Some(state.to_owned()), ..Default::default() };
    change(1, state("draining"));
    until("it drains", || short(&client, "tasks.shop A") == without(1));
    assert_eq!(short(&client, "shop.2 A"), [v4(&backends[1])]);
    let told = daemons[0].ask(daemons[0].client.dns_query("client", "tasks.shop", "A")).unwrap();
    let parts = || told.parts.iter().filter(|part| part.kind == "endpoint");
    assert_eq!((told.status.as_str(), told.ours, parts().count()), ("NOERROR", true, 3));
    let draining: Vec<_> = parts().filter(|part| !part.told).map(|part| &*part.name).collect();
    assert_eq!(draining, ["shop.2"]);
    change(1, state("ready"));
    let health =
        |health: &str| ChangeBackend { health: Some(health.to_owned()), ..Default::default() };
    change(2, health("unhealthy"));
    until("it is not well", || short(&client, "tasks.shop A") == without(2));
    change(2, health("healthy"));
    until("all serve", || short(&client, "tasks.shop A") == all);
    daemons[2].kill();
    until("its host is gone", || short(&client, "tasks.shop A") == without(2));
    assert_eq!(short(&client, "shop A"), [vip]);
    daemons[2].start();
    until("its host is back", || short(&client, "tasks.shop A") == all);
}

#[test]
fn everything_else_is_asked_of_the_hosts_resolvers() {
    let test = "everything_else_is_asked_of_the_hosts_resolvers";
    let Some((lab, mut daemons)) = site(test, 1) else { return };
    if Command::new("dnsmasq").arg("--version").output().is_err() {
        skips::left_out(test, "`dnsmasq` is missing: `apt-get install dnsmasq-base` brings it");
        return;
    }
    let dnsmasq = Dnsmasq::on(&lab.hosts[0].namespace, &["--address=/example.org/198.51.100.7"]);
    daemons[0].kill();
    daemons[0].set("NETNODE_DNS_RESOLVERS", "192.0.2.1");
    daemons[0].start();
    let daemon = &daemons[0];
    daemon.create("overlay", "inner", true);
    let (open, shut) = (lab.namespace("open"), lab.namespace("shut"));
    daemon.attach("web", "open", &open);
    daemon.attach("inner", "shut", &shut);
    until("the upstream answers", || short(&open, "example.org A") == ["198.51.100.7"]);
    assert_eq!(status(&open, "nowhere.example A"), "NXDOMAIN");
    assert_eq!(status(&open, "nobody A"), "NXDOMAIN");
    // Nobody outside is asked for what is ours, and from inside an internal network nobody at all.
    assert_eq!(status(&open, "open MX"), "NOERROR");
    assert_ne!(status(&shut, "example.org A"), "NOERROR");
    assert_eq!(short(&shut, "shut A").len(), 1);
    drop(dnsmasq);
    // What was asked before is still known for a while.
    assert_eq!(short(&open, "example.org A"), ["198.51.100.7"]);
    assert_eq!(status(&open, "later.example A"), "SERVFAIL");
}
