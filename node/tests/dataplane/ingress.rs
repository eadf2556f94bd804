//! The routing mesh: a port of a service is open on every host, and its backends see who asks.

use std::{
    collections::BTreeSet,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::Duration,
};

use netnode_api::{
    endpoints::{ChangeBackend, EndpointState},
    networks::CreateNetwork,
    services::{CreateService, PublishedPort, ServiceState, UpdateService},
};

use crate::{
    daemon::{serving, until, until_known},
    lab::{by_hand, inside, links},
    talk::{Call, Flow, ask_udp, is_shut, serve_as},
    ways::Site,
};

/// Hosts with a netnode; the next one is outside.
const HOSTS: u8 = 3;

/// How long one waits for an answer.
const PATIENCE: Duration = Duration::from_secs(3);

fn port(protocol: &str) -> PublishedPort {
    let (protocol, mode) = (protocol.to_owned(), "ingress".to_owned());
    PublishedPort { published: 8080, target: 80, protocol, mode, bind: None }
}

/// Creates `api`, which hosts have at port 8080 of these protocols, with what more is said of it.
pub(crate) fn create(site: &Site, protocols: &[&str], more: CreateService) {
    let ports = protocols.iter().map(|protocol| port(protocol)).collect();
    let (name, network) = ("api".to_owned(), "web".to_owned());
    let wanted = CreateService { name, network, ports, ..more };
    site.daemons[0].ask(site.daemons[0].client.create_service(&wanted)).unwrap();
}

/// Each host leads to its own backends, and says at port 8081 whether it has some.
pub(crate) fn local() -> CreateService {
    let external_traffic = Some("local".into());
    CreateService { external_traffic, health_port: Some(8081), ..CreateService::default() }
}

/// A service with a backend on each of these hosts.
fn publish(site: &Site, on: &[usize]) {
    create(site, &["tcp", "udp"], CreateService::default());
    for host in on {
        plug(site, *host);
    }
    for host in 0..usize::from(HOSTS) {
        until("each host leads to each", || answering(site, &at(host)).len() == on.len());
    }
}

fn plug(site: &Site, host: usize) {
    let name = format!("api-{}", host + 1);
    let sandbox = site.lab.namespace(&name);
    serve_as(&sandbox, "[::]:80", &name);
    let daemon = &site.daemons[host];
    daemon.ask(daemon.client.attach_endpoint(&serving("web", &name, &sandbox))).unwrap();
}

/// The port on a host.
fn at(host: usize) -> [String; 2] {
    [format!("192.0.2.{}:8080", host + 1), format!("[2001:db8::{}]:8080", host + 1)]
}

/// Which backends answer there, of many questions.
fn answering(site: &Site, at: &[String; 2]) -> BTreeSet<String> {
    let asked = (0..24).filter_map(|n| {
        let to: SocketAddr = at[n % 2].parse().unwrap();
        Some(Call::to(site.outside(), to).ok()?.hello.split(' ').next()?.to_owned())
    });
    asked.collect()
}

#[test]
fn a_port_is_open_on_every_host_and_backends_see_who_asks() {
    let Some(site) = Site::new("a_port_is_open_on_every_host_and_backends_see_who_asks", HOSTS)
    else {
        return;
    };
    publish(&site, &[1, 2]);
    for host in 0..usize::from(HOSTS) {
        let [v4, v6] = at(host);
        for _ in 0..8 {
            let seen = |to: &str| Call::to(site.outside(), to.parse().unwrap()).unwrap().hello;
            assert!(seen(&v4).ends_with(" ::ffff:192.0.2.4"), "{}", seen(&v4));
            assert!(seen(&v6).ends_with(" 2001:db8::4"), "{}", seen(&v6));
            let seen = |to: &str| Flow::to(site.outside(), to.parse().unwrap()).ask().unwrap();
            assert!(seen(&v4).ends_with(" ::ffff:192.0.2.4"), "{}", seen(&v4));
            assert!(seen(&v6).ends_with(" 2001:db8::4"), "{}", seen(&v6));
        }
        // The host itself.
        for to in [&*v4, &*v6, "127.0.0.1:8080"] {
            let call = Call::to(site.host(host), to.parse().unwrap());
            assert!(call.is_ok(), "host {host} at {to}: {:?}", call.err());
            assert!(ask_udp(site.host(host), to).is_some(), "host {host} at {to}");
        }
    }
    // A container, by its own host and by another.
    let sandbox = site.sandbox("client");
    site.daemons[0].attach("web", "client", &sandbox);
    for to in at(0).iter().chain(&at(2)) {
        assert!(Call::to(&sandbox, to.parse().unwrap()).is_ok(), "{to}");
    }
}

#[test]
fn what_is_drained_gets_nothing_new_and_nobody_refuses_at_once() {
    let test = "what_is_drained_gets_nothing_new_and_nobody_refuses_at_once";
    let Some(site) = Site::new(test, HOSTS) else { return };
    publish(&site, &[1, 2]);
    let to_second = |at: &str| loop {
        let call = Call::to(site.outside(), at.parse().unwrap()).unwrap();
        if call.hello.starts_with("api-2 ") {
            break call;
        }
    };
    let mut calls: Vec<Call> =
        (0..usize::from(HOSTS)).flat_map(|host| at(host).map(|at| to_second(&at))).collect();
    let drain = ChangeBackend { state: Some("draining".into()), ..ChangeBackend::default() };
    site.daemons[1].ask(site.daemons[1].client.change_backend("api-2", &drain)).unwrap();
    for host in 0..usize::from(HOSTS) {
        until("one is left", || answering(&site, &at(host)) == ["api-3".to_owned()].into());
    }
    // What was there goes on.
    for call in &mut calls {
        call.goes_on().unwrap();
    }
    site.daemons[2].ask(site.daemons[2].client.detach_endpoint("web", "api-3")).unwrap();
    for host in 0..usize::from(HOSTS) {
        let [v4, v6] = at(host);
        until("nobody is there", || is_refused(&site, &v4) && is_refused(&site, &v6));
    }
    for call in &mut calls {
        call.goes_on().unwrap();
    }
    site.daemons[1].ask(site.daemons[1].client.detach_endpoint("web", "api-2")).unwrap();
    site.daemons[0].ask(site.daemons[0].client.remove_service("api")).unwrap();
    // Without ports nothing is left of the mesh.
    for host in 0..usize::from(HOSTS) {
        until("the link goes", || links(site.host(host)) == ["lo", "eth0"]);
    }
}

#[test]
fn a_client_that_never_stops_talking_turns_to_somebody_else() {
    let Some(mut site) =
        Site::new("a_client_that_never_stops_talking_turns_to_somebody_else", HOSTS)
    else {
        return;
    };
    publish(&site, &[1, 2]);
    let talking_to = |site: &Site, who: &str| loop {
        let flow = Flow::to(site.outside(), "192.0.2.1:8080".parse().unwrap());
        if flow.ask().is_ok_and(|by| by.starts_with(who)) {
            break flow;
        }
    };
    let turns = |flow: &Flow, to: &str| {
        until("it turns", || flow.ask().is_ok_and(|by| by.starts_with(to)));
    };
    // The backend is plugged out.
    let flow = talking_to(&site, "api-2 ");
    site.daemons[1].ask(site.daemons[1].client.detach_endpoint("web", "api-2")).unwrap();
    turns(&flow, "api-3 ");
    // Its host dies, wire and all.
    plug(&site, 0);
    until("it serves", || answering(&site, &at(0)).len() == 2);
    let flow = talking_to(&site, "api-3 ");
    by_hand(site.host(2), "ip link set eth0 down");
    site.daemons[2].kill();
    turns(&flow, "api-1 ");
}

/// Whether somebody says at once that nobody is there.
fn is_refused(site: &Site, at: &str) -> bool {
    let refused = inside(site.outside(), || TcpStream::connect(at));
    refused.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Connects from a port.
fn from_port(outside: &Path, from: &str, to: &str) -> TcpStream {
    inside(outside, || {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(to.parse().unwrap()),
            socket2::Type::STREAM,
            None,
        )
        .unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&from.parse::<SocketAddr>().unwrap().into()).unwrap();
        let to: SocketAddr = to.parse().unwrap();
        socket.connect_timeout(&to.into(), PATIENCE).unwrap();
        socket.into()
    })
}

#[test]
fn one_address_and_port_through_every_host_at_once() {
    let Some(site) = Site::new("one_address_and_port_through_every_host_at_once", HOSTS) else {
        return;
    };
    publish(&site, &[2]);
    let mut calls = Vec::new();
    for host in 0..usize::from(HOSTS) {
        let [v4, v6] = at(host);
        calls.push(from_port(site.outside(), "192.0.2.4:5000", &v4));
        calls.push(from_port(site.outside(), "[2001:db8::4]:5000", &v6));
    }
    for call in &mut calls {
        call.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut hello = [0; 6];
        call.read_exact(&mut hello).unwrap();
        assert_eq!(&hello, b"api-3 ");
        call.write_all(b"?").unwrap();
    }
}

#[test]
fn a_firewall_that_was_there_before_is_told_and_with_its_rules_all_is_well() {
    let test = "a_firewall_that_was_there_before_is_told_and_with_its_rules_all_is_well";
    let Some(site) = Site::new(test, HOSTS) else { return };
    for host in 0..usize::from(HOSTS) {
        let nft = |words: &str| by_hand(site.host(host), &format!("nft {words}"));
        nft("add table inet wall");
        for hook in ["input", "forward"] {
            let chain = format!("add chain inet wall {hook}");
            nft(&format!("{chain} {{ type filter hook {hook} priority 0 ; policy drop ; }}"));
            nft(&format!("add rule inet wall {hook} ct state established,related accept"));
        }
        // What an administrator opens for netnode: its own port, tunnels, and neighbours of IPv6.
        nft("add rule inet wall input iifname lo accept");
        nft("add rule inet wall input udp dport 7117 accept");
        nft("add rule inet wall input tcp dport 7117 accept");
        nft("add rule inet wall input udp dport 4789 accept");
        nft("add rule inet wall input meta l4proto ipv6-icmp accept");
    }
    create(&site, &["tcp"], CreateService::default());
    let sandbox = site.sandbox("api-2");
    let daemon = &site.daemons[1];
    daemon.ask(daemon.client.attach_endpoint(&serving("web", "api-2", &sandbox))).unwrap();
    let mut told = BTreeSet::new();
    until("each host leads to it", || {
        // Each endpoint says what would let it be, until all is open.
        for (host, daemon) in site.daemons.iter().enumerate() {
            for endpoint in daemon.ask(daemon.client.endpoints()).unwrap() {
                let EndpointState::Error(why) = endpoint.state else { continue };
                let (blocked, rule) = why.split_once("; to let it pass: ").unwrap();
                assert_eq!(blocked, "blocked by inet wall/forward");
                if told.insert((host, rule.to_owned())) {
                    by_hand(site.host(host), rule);
                }
            }
        }
        let all = (0..usize::from(HOSTS)).flat_map(at);
        all.filter(|at| is_shut(site.outside(), at)).count() == 0
    });
    assert!(told.len() > 3, "{told:?}");
}

#[test]
fn ports_may_be_for_hosts_with_a_label() {
    let Some(mut site) = Site::new("ports_may_be_for_hosts_with_a_label", HOSTS) else { return };
    site.daemons[0].kill();
    site.daemons[0].set("NETNODE_LABELS", "edge,zone=a");
    site.daemons[0].start();
    let publish_on = Some("zone=a".into());
    create(&site, &["tcp"], CreateService { publish_on, ..CreateService::default() });
    plug(&site, 1);
    until("the host with the label leads to it", || answering(&site, &at(0)).len() == 1);
    let [v4, v6] = at(1);
    assert!(is_refused(&site, &v4) && is_refused(&site, &v6));
    let change = UpdateService { publish_on: Some(String::new()), ..UpdateService::default() };
    site.daemons[2].ask(site.daemons[2].client.update_service("api", &change)).unwrap();
    until("each leads to it", || (0..3).all(|host| answering(&site, &at(host)).len() == 1));
}

#[test]
fn a_mesh_that_masquerades_needs_no_way_back() {
    let Some(site) = Site::new("a_mesh_that_masquerades_needs_no_way_back", HOSTS) else { return };
    let ingress = CreateNetwork {
        name: "ingress".into(),
        driver: "overlay".into(),
        subnets: vec!["10.200.0.0/24".into()],
        options: [("masquerade".into(), "true".into())].into(),
        ..CreateNetwork::default()
    };
    site.daemons[0].ask(site.daemons[0].client.create_network(&ingress)).unwrap();
    until_known(&site.daemons, "ingress");
    create(&site, &["tcp"], CreateService::default());
    plug(&site, 1);
    let [elsewhere, _] = at(0);
    let hello = || Call::to(site.outside(), elsewhere.parse().unwrap()).map(|call| call.hello);
    until("it is led to", || {
        hello().is_ok_and(|hello| hello.starts_with("api-2 ::ffff:10.200.0."))
    });
    assert!(!by_hand(site.host(1), "ip rule").contains("0x4d000000"));
    // Nobody else gets onto that network.
    let sandbox = site.lab.namespace("other");
    let refused = site.daemons[0].publish("ingress", "other", &sandbox, &[]).unwrap_err();
    assert!(refused.to_string().contains("for what nodes hand each other"), "{refused}");
}

/// What a host says of the service by HTTP.
fn health(site: &Site, host: usize) -> String {
    let to = format!("192.0.2.{}:8081", host + 1);
    let answer = inside(site.outside(), || {
        let mut stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: api\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<String, io::Error>(answer)
    });
    answer.unwrap_or_else(|error| error.to_string())
}

#[test]
fn external_traffic_stays_on_its_host_and_a_balancer_is_told_where() {
    let test = "external_traffic_stays_on_its_host_and_a_balancer_is_told_where";
    let Some(site) = Site::new(test, HOSTS) else { return };
    create(&site, &["tcp"], local());
    plug(&site, 1);
    until("its host leads to it", || answering(&site, &at(1)) == ["api-2".to_owned()].into());
    let [elsewhere, _] = at(0);
    assert!(is_refused(&site, &elsewhere));
    let says = |host, status: &str, body: &str| {
        let told = health(&site, host);
        told.starts_with(status) && told.ends_with(body)
    };
    let (serves, none) =
        (r#"{"serves":true,"service":"api"}"#, r#"{"serves":false,"service":"api"}"#);
    until("it says so", || says(1, "HTTP/1.1 200 ", serves));
    until("the others, too", || says(0, "HTTP/1.1 503 ", none) && says(2, "HTTP/1.1 503 ", none));
    let drain = ChangeBackend { state: Some("draining".into()), ..ChangeBackend::default() };
    site.daemons[1].ask(site.daemons[1].client.change_backend("api-2", &drain)).unwrap();
    until("it says so", || says(1, "HTTP/1.1 503 ", none));
    let change = UpdateService { health_port: Some(0), ..UpdateService::default() };
    site.daemons[2].ask(site.daemons[2].client.update_service("api", &change)).unwrap();
    until("nobody says anything", || (0..3).all(|host| health(&site, host).contains("refused")));
}

#[test]
fn a_host_that_can_not_have_the_port_says_so_and_serves_by_the_others() {
    let test = "a_host_that_can_not_have_the_port_says_so_and_serves_by_the_others";
    let Some(site) = Site::new(test, HOSTS) else { return };
    let held = inside(site.host(1), || TcpListener::bind("0.0.0.0:8080").unwrap());
    create(&site, &["tcp"], CreateService::default());
    plug(&site, 1);
    for host in [0, 2] {
        until("the others lead to it", || answering(&site, &at(host)).len() == 1);
    }
    let state = || site.daemons[1].ask(site.daemons[1].client.service("api")).unwrap().service;
    let told = format!("{:?}", state().state);
    assert!(told.contains("port 8080:80/tcp is not open on this node: it can't be had"), "{told}");
    drop(held);
    until("it is free", || answering(&site, &at(1)).len() == 1);
    assert_eq!((state().state, state().closed), (ServiceState::Ready, vec![]));
}
