//! Ports of services in the mode host: on the hosts that a backend is on, and there alone.

use std::net::TcpListener;

use netnode_api::{
    endpoints::{AttachEndpoint, ChangeBackend, Endpoint, EndpointState},
    services::{CreateService, PublishedPort, TargetPort, UpdateService},
};

use crate::{
    daemon::{serving, until},
    lab::inside,
    talk::{ask, ask_udp, is_shut},
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
