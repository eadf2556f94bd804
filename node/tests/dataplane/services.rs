//! Services with real endpoints: what is said of a backend, and virtual addresses beside those of endpoints.

use std::{net::IpAddr, path::Path};

use netnode_api::{
    endpoints::{AttachEndpoint, ChangeBackend},
    rows::RowState,
    services::{Backend, CreateService, ServiceDetail},
};

use crate::{
    daemon::{self, Daemon, addresses, cluster, create_small, until},
    lab::Lab,
    ping::answers,
};

fn create(daemon: &Daemon, network: &str, name: &str) -> IpAddr {
    let (name, network) = (name.to_owned(), network.to_owned());
    let wanted = CreateService { name, network, ..CreateService::default() };
    let created = daemon.ask(daemon.client.create_service(&wanted)).unwrap();
    created.vips[0].parse().unwrap()
}

fn serving(daemon: &Daemon, network: &str, name: &str, at: &Path) -> AttachEndpoint {
    let wanted = AttachEndpoint { weight: Some(2), ..daemon::serving(network, name, at) };
    daemon.ask(daemon.client.attach_endpoint(&wanted)).unwrap();
    wanted
}

/// How a backend's node is, how it is itself, and what is wanted of it, as a node sees it.
fn seen(by: &Daemon, task: &str) -> Option<(RowState, String)> {
    let ServiceDetail { backends, .. } = by.ask(by.client.service("api")).ok()?;
    let Backend { node_state, health, state, .. } =
        backends?.into_iter().find(|backend| backend.task == task)?;
    Some((node_state, format!("{health} {state}")))
}

fn is_seen(by: &Daemon, task: &str, node: RowState, how: &str) -> bool {
    seen(by, task).is_some_and(|(state, is)| state == node && is == how)
}

fn change(daemon: &Daemon, endpoint: &str, health: Option<&str>, state: Option<&str>) {
    let (health, state) = (health.map(str::to_owned), state.map(str::to_owned));
    let wanted = ChangeBackend { health, state, ..ChangeBackend::default() };
    daemon.ask(daemon.client.change_backend(endpoint, &wanted)).unwrap();
}

#[test]
fn what_is_said_of_a_backend_is_everywhere_and_survives_a_restart() {
    let test = "what_is_said_of_a_backend_is_everywhere_and_survives_a_restart";
    let Some(lab) = Lab::new(test, 2) else { return };
    let mut daemons = cluster(&lab, lab.hosts.len());
    let (here, there) = (lab.namespace("here"), lab.namespace("there"));
    // The service may come after those that serve it.
    serving(&daemons[0], "web", "api-1", &here);
    serving(&daemons[1], "web", "api-2", &there);
    let vip = create(&daemons[0], "web", "api");
    let endpoints = daemons.iter().flat_map(|d| d.ask(d.client.endpoints()).unwrap());
    assert!(endpoints.flat_map(|endpoint| addresses(&endpoint)).all(|address| address != vip));
    let serves = |by: &Daemon, task| is_seen(by, task, RowState::Alive, "healthy ready");
    for daemon in &daemons {
        until("both serve", || serves(daemon, "api-1") && serves(daemon, "api-2"));
    }
    change(&daemons[0], "api-1", None, Some("draining"));
    change(&daemons[0], "api-1", Some("unhealthy"), None);
    let drained = |by: &Daemon| is_seen(by, "api-1", RowState::Alive, "unhealthy draining");
    until("the other hears of it", || drained(&daemons[1]));
    // Only its host says what it is.
    let elsewhere = ChangeBackend::default();
    assert!(daemons[1].ask(daemons[1].client.change_backend("api-1", &elsewhere)).is_err());
    daemons[0].kill();
    until("its node is down", || {
        is_seen(&daemons[1], "api-1", RowState::Failed, "unhealthy draining")
    });
    let count = daemons[1].ask(daemons[1].client.service("api")).unwrap().service.backends;
    assert_eq!(count.map(|count| (count.ready, count.all)), Some((1, 2)));
    daemons[0].start();
    for daemon in &daemons {
        until("it is as it was", || drained(daemon));
    }
    change(&daemons[0], "api-1", Some("healthy"), Some("ready"));
    until("it serves again", || serves(&daemons[1], "api-1"));
    let other = daemons[1].ask(daemons[1].client.endpoints()).unwrap();
    assert!(answers(&here, addresses(&other[0])[0], 56));
    daemons[0].ask(daemons[0].client.detach_endpoint("web", "api-1")).unwrap();
    until("it is gone", || seen(&daemons[1], "api-1").is_none());
}

#[test]
fn a_backend_that_moves_goes_on_serving() {
    let Some(lab) = Lab::new("a_backend_that_moves_goes_on_serving", 2) else { return };
    let daemons = cluster(&lab, lab.hosts.len());
    let (old, new) = (lab.namespace("old"), lab.namespace("new"));
    create(&daemons[0], "web", "api");
    let wanted = serving(&daemons[0], "web", "api-1", &old);
    change(&daemons[0], "api-1", None, Some("draining"));
    let (netns, move_here) = (new.to_str().unwrap().to_owned(), true);
    let moved = AttachEndpoint { netns, move_here, service: None, weight: None, ..wanted.clone() };
    let moved = daemons[1].ask(daemons[1].client.attach_endpoint(&moved)).unwrap();
    let backend = moved.backend.unwrap();
    assert_eq!((&*backend.service, backend.weight, &*backend.state), ("api", 2, "draining"));
    until("it is one", || {
        let count = daemons[1].ask(daemons[1].client.service("api")).unwrap().service.backends;
        count.map(|count| (count.ready, count.all)) == Some((0, 1))
    });
    // Who serves is on the service's network.
    daemons[0].create("overlay", "db", false);
    let other = AttachEndpoint { network: "db".to_owned(), name: "x".to_owned(), ..wanted };
    let refused = daemons[0].ask(daemons[0].client.attach_endpoint(&other)).unwrap_err();
    assert!(refused.to_string().contains("service api is on network web"), "{refused}");
}

#[test]
fn a_virtual_address_is_no_endpoints() {
    let Some(lab) = Lab::new("a_virtual_address_is_no_endpoints", 2) else { return };
    let mut daemons = cluster(&lab, lab.hosts.len());
    create_small(&daemons);
    let vip = create(&daemons[1], "small", "api");
    until("both know it", || daemons[0].ask(daemons[0].client.service("api")).is_ok());
    for daemon in &mut daemons {
        daemon.kill();
        daemon.start();
    }
    // Five addresses, of which the service has one.
    let mut given = Vec::new();
    for nth in 0..4 {
        let name = format!("e{nth}");
        given.extend(addresses(&daemons[nth % 2].attach("small", &name, &lab.namespace(&name))));
    }
    given.sort_unstable();
    given.dedup();
    assert!(given.len() == 4 && !given.contains(&vip), "{vip} and {given:?}");
    let netns = lab.namespace("e4").to_str().unwrap().to_owned();
    let (network, name) = ("small".to_owned(), "e4".to_owned());
    let fifth = AttachEndpoint { network, name, netns, ..AttachEndpoint::default() };
    let refused = daemons[0].ask(daemons[0].client.attach_endpoint(&fifth)).unwrap_err();
    assert!(refused.to_string().contains("all of it is given: 5 of 5 in use"), "{refused}");
}
