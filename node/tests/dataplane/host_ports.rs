//! Ports of services in the mode host: on the hosts that a backend is on, and there alone.

use std::{io::ErrorKind, net::TcpListener};

use netnode_api::{
    endpoints::{AttachEndpoint, ChangeBackend, Endpoint, EndpointState},
    services::{CreateService, PublishedPort, ServiceState, TargetPort, UpdateService},
};

use crate::{
    daemon::{serving, until},
    lab::inside,
    talk::{Call, Flow, ask, ask_udp, is_shut, serve_as},
    ways::Site,
};

fn port(published: u16, protocol: &str) -> PublishedPort {
    let (protocol, mode) = (protocol.to_owned(), "host".to_owned());
    PublishedPort { published, target: 80, protocol, mode, bind: None }
}

fn plug(site: &Site, host: usize, name: &str) -> Endpoint {
    let wanted = serving("web", name, &site.sandbox(name));
    site.daemons[host].ask(site.daemons[host].client.attach_endpoint(&wanted)).unwrap()
}

fn shown(site: &Site, host: usize, name: &str) -> Endpoint {
    let all = site.daemons[host].ask(site.daemons[host].client.endpoints()).unwrap();
    all.into_iter().find(|endpoint| endpoint.name == name).unwrap()
}

fn is_ready(endpoint: &Endpoint) -> bool {
    endpoint.state == EndpointState::Ready
}

fn conflict(endpoint: &Endpoint) -> &str {
    match &endpoint.state {
        EndpointState::Conflict(with) => with,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_service_is_at_a_port_of_the_hosts_that_it_is_on() {
    let Some(site) = Site::new("a_service_is_at_a_port_of_the_hosts_that_it_is_on", 2) else {
        return;
    };
    let ports = vec![port(8080, "tcp"), port(8080, "udp")];
    let (name, network) = ("api".to_owned(), "web".to_owned());
    let wanted = CreateService { name, network, ports, ..CreateService::default() };
    site.daemons[0].ask(site.daemons[0].client.create_service(&wanted)).unwrap();
    until("both know it", || site.daemons[1].ask(site.daemons[1].client.service("api")).is_ok());
    let first = plug(&site, 0, "api-1");
    assert!(is_ready(&first), "{first:?}");
    assert_eq!(first.published, ["8080:80/tcp", "8080:80/udp"]);
    // It sees who asks.
    assert_eq!(ask(site.outside(), "192.0.2.1:8080"), Some("::ffff:192.0.2.3".into()));
    assert_eq!(ask(site.outside(), "[2001:db8::1]:8080"), Some("2001:db8::3".into()));
    assert_eq!(ask_udp(site.outside(), "192.0.2.1:8080"), Some("::ffff:192.0.2.3".into()));
    assert!(is_shut(site.outside(), "192.0.2.2:8080"));
    // A host has a port once, and it goes over when who has it takes nothing new.
    let second = plug(&site, 0, "api-2");
    assert!(conflict(&second).contains("leads to endpoint api-1 of this host"), "{second:?}");
    // The service shows it as well, on the node that knows it.
    let detail = site.daemons[0].ask(site.daemons[0].client.service("api")).unwrap();
    let [hindered] = &detail.service.hindered[..] else { panic!("{detail:?}") };
    assert_eq!((&*hindered.endpoint, &hindered.state), ("api-2", &second.state));
    let ServiceState::Conflict(why) = &detail.service.state else { panic!("{detail:?}") };
    assert!(why.starts_with("endpoint api-2: 8080:80/tcp of service api leads to"), "{why}");
    let netns = site.sandbox("other").to_str().unwrap().to_owned();
    let (network, published) = ("web".to_owned(), vec!["192.0.2.1:8080:80".to_owned()]);
    let own = AttachEndpoint {
        network,
        name: "other".into(),
        netns,
        published,
        ..AttachEndpoint::default()
    };
    let refused = site.daemons[0].ask(site.daemons[0].client.attach_endpoint(&own)).unwrap_err();
    assert!(refused.to_string().contains("leads to endpoint api-1 already"), "{refused}");
    let drain = ChangeBackend { state: Some("draining".into()), ..ChangeBackend::default() };
    site.daemons[0].ask(site.daemons[0].client.change_backend("api-1", &drain)).unwrap();
    until("the other has it", || is_ready(&shown(&site, 0, "api-2")));
    assert_eq!(shown(&site, 0, "api-1").published, [""; 0]);
    assert!(ask(site.outside(), "192.0.2.1:8080").is_some());
    // What listens on a host keeps its port there.
    let held = inside(site.host(1), || TcpListener::bind("0.0.0.0:8080").unwrap());
    let third = plug(&site, 1, "api-3");
    assert!(conflict(&third).contains("8080:80/tcp can't be published on this host"), "{third:?}");
    drop(held);
    until("it is free", || is_ready(&shown(&site, 1, "api-3")));
    assert!(ask(site.outside(), "192.0.2.2:8080").is_some());
    let unpublish = vec![TargetPort { target: 80, protocol: "tcp".into() }];
    let change = UpdateService { unpublish, ..UpdateService::default() };
    site.daemons[1].ask(site.daemons[1].client.update_service("api", &change)).unwrap();
    until("only UDP is left", || {
        [(0, "api-2"), (1, "api-3")]
            .into_iter()
            .all(|(host, name)| shown(&site, host, name).published == ["8080:80/udp"])
    });
    until("nobody answers there", || is_shut(site.outside(), "192.0.2.2:8080"));
    assert!(ask_udp(site.outside(), "192.0.2.2:8080").is_some());
}

#[test]
fn who_talks_to_an_endpoint_that_went_is_with_the_next_at_once() {
    let test = "who_talks_to_an_endpoint_that_went_is_with_the_next_at_once";
    let Some(site) = Site::new(test, 2) else { return };
    let plug = |host: usize, name: &str| {
        let sandbox = site.lab.namespace(name);
        let ports = ["8080:80", "8080:80/udp"];
        site.daemons[host].publish("web", name, &sandbox, &ports).unwrap();
        serve_as(&sandbox, "[::]:80", name);
    };
    plug(0, "one");
    let fronts = ["192.0.2.1:8080", "[2001:db8::1]:8080"].map(|front| front.parse().unwrap());
    let flows = fronts.map(|front| Flow::to(site.outside(), front));
    let mut call = Call::to(site.outside(), fronts[0]).unwrap();
    for flow in &flows {
        until("it answers", || flow.ask().is_ok_and(|said| said.starts_with("one ")));
    }
    assert!(call.hello.starts_with("one ") && call.goes_on().is_ok());
    site.daemons[0].ask(site.daemons[0].client.detach_endpoint("web", "one")).unwrap();
    // Nobody has the port: its clients hear that, and don't wait.
    let refused =
        |flow: &Flow| flow.ask().is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
    until("its clients hear of it", || flows.iter().all(refused));
    assert_eq!(call.goes_on().unwrap_err().kind(), ErrorKind::ConnectionReset);
    plug(0, "two");
    for flow in &flows {
        until("the next answers", || flow.ask().is_ok_and(|said| said.starts_with("two ")));
    }
    // One that goes on elsewhere has the port there.
    let sandbox = site.lab.namespace("two-there");
    let wanted = AttachEndpoint {
        network: "web".into(),
        name: "two".into(),
        netns: sandbox.to_str().unwrap().into(),
        move_here: true,
        ..AttachEndpoint::default()
    };
    site.daemons[1].ask(site.daemons[1].client.attach_endpoint(&wanted)).unwrap();
    until("its clients hear of that, too", || flows.iter().all(refused));
}

#[test]
fn what_a_draining_backend_began_by_a_port_goes_on_until_it_is_disabled() {
    let test = "what_a_draining_backend_began_by_a_port_goes_on_until_it_is_disabled";
    let Some(site) = Site::new(test, 1) else { return };
    let daemon = &site.daemons[0];
    let ports = vec![port(8080, "tcp"), port(8080, "udp")];
    let (name, network) = ("api".to_owned(), "web".to_owned());
    let wanted = CreateService { name, network, ports, ..CreateService::default() };
    daemon.ask(daemon.client.create_service(&wanted)).unwrap();
    for name in ["api-1", "api-2"] {
        let sandbox = site.lab.namespace(name);
        daemon.ask(daemon.client.attach_endpoint(&serving("web", name, &sandbox))).unwrap();
        serve_as(&sandbox, "[::]:80", name);
    }
    let front = "192.0.2.1:8080".parse().unwrap();
    let flow = Flow::to(site.outside(), front);
    let mut call = Call::to(site.outside(), front).unwrap();
    let is_with = |name: &str| flow.ask().is_ok_and(|said| said.starts_with(name));
    assert!(is_with("api-1 ") && call.hello.starts_with("api-1 "));
    let change = |state: &str| {
        let change = ChangeBackend { state: Some(state.to_owned()), ..Default::default() };
        daemon.ask(daemon.client.change_backend("api-1", &change)).unwrap();
    };
    change("draining");
    let next = || Call::to(site.outside(), front).is_ok_and(|c| c.hello.starts_with("api-2 "));
    until("what is new goes to the next", next);
    assert!(is_with("api-1 ") && call.goes_on().is_ok());
    change("disabled");
    until("what went on ends", || is_with("api-2 "));
    assert_eq!(call.goes_on().unwrap_err().kind(), ErrorKind::ConnectionReset);
}
