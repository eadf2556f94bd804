//! Last stage: the whole picture of Docker 1.12's swarm mode, without a manager. Web servers behind one virtual address
//! and one port of every host, while a backend drains and a host dies.

use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use netdb_tests::{
    cluster::Cluster,
    hosts::Hosts,
    namespaces::by_hand,
    wait,
    web::{Asked, Load, curl, serve},
};
use netnode_api::{
    endpoints::ChangeBackend,
    services::{PublishedPort, UpdateService},
};
use tokio::time::sleep;

use super::{
    names::{PLACES, SERVICE, Served, backend},
    report::Report,
};
use crate::shell::works;

/// The port of every host.
const PORT: u16 = 8080;
/// Where web servers listen.
const TARGET: u16 = 80;
/// Requests to the virtual address.
const INSIDE: usize = 1000;
/// Requests to each host from outside.
const OUTSIDE: usize = 250;
/// A backend of the second host, and of the one that dies.
const DRAINED: usize = 1;
const KILLED: usize = 3;
/// How long requests go on before and after something happens.
const WHILE: Duration = Duration::from_secs(1);
/// Until everybody has heard of it: a dead host is suspected on all within 2.5 s (docs/convergence.md).
const CONVERGED: Duration = Duration::from_secs(3);

pub(super) async fn show(
    hosts: &Hosts,
    cluster: &mut Cluster,
    served: &Served,
    report: &mut Report,
) -> Result<()> {
    report.begin("Load balancing and the routing mesh");
    if !works(Command::new("curl").arg("--version")) {
        println!("   SKIPPED: there is no `curl`, which `apt-get install curl` brings on Debian");
        return Ok(());
    }
    for (nth, sandbox) in served.sandboxes.iter().enumerate() {
        serve(sandbox, TARGET, &backend(nth))?;
    }
    let outside = hosts.hosts.last().context("there is a host outside")?;
    inside(cluster, served, report).await?;
    published(hosts, cluster, &outside.namespace, outside.address.into(), report).await?;
    drained(hosts, cluster, &outside.namespace, report).await?;
    killed(hosts, cluster, &outside.namespace, report).await
}

/// By the virtual address, from a container.
async fn inside(cluster: &Cluster, served: &Served, report: &mut Report) -> Result<()> {
    let node = cluster.nodes.first().context("there is a node")?;
    let service = node.client().service(SERVICE).await?.service;
    let mut vips = service.vips.iter().filter_map(|vip| vip.parse::<IpAddr>().ok());
    let vip = vips.find(IpAddr::is_ipv4).context("it has an IPv4 address")?;
    let answers = curl(&served.client, SERVICE, SocketAddr::new(vip, TARGET), INSIDE)?;
    let what = format!("`curl http://{SERVICE}` {INSIDE} times in a container, by {vip}");
    report.check(
        &what,
        answers.count() == INSIDE && answers.by.len() == PLACES.len(),
        &answers.spread(),
    );
    Ok(())
}

/// By a port of each host, from outside.
async fn published(
    hosts: &Hosts,
    cluster: &Cluster,
    outside: &Path,
    client: IpAddr,
    report: &mut Report,
) -> Result<()> {
    let node = cluster.nodes.first().context("there is a node")?;
    let (protocol, mode) = ("tcp".to_owned(), "ingress".to_owned());
    let port = PublishedPort { protocol, published: PORT, target: TARGET, mode, bind: None };
    let change = UpdateService { publish: vec![port], ..UpdateService::default() };
    let began = Instant::now();
    node.client().update_service(SERVICE, &change).await?;
    for host in hosts.hosts.iter().take(cluster.nodes.len()) {
        // The first port makes the network on which hosts lead to each other.
        let at = SocketAddr::new(host.address.into(), PORT);
        wait::until("it leads to each backend", async || {
            let answers = curl(outside, SERVICE, at, PLACES.len() * 8)?;
            ensure!(answers.by.len() == PLACES.len(), "{}", answers.spread());
            Ok(())
        })
        .await?;
    }
    report.took(
        &format!("port {PORT} is published: each host leads to each backend"),
        began.elapsed(),
    );
    for (node, host) in cluster.nodes.iter().zip(&hosts.hosts) {
        let at = SocketAddr::new(host.address.into(), PORT);
        let answers = curl(outside, SERVICE, at, OUTSIDE)?;
        let what =
            format!("{OUTSIDE} times from outside by {}, all backends see {client}", node.name());
        let held = answers.seen == [(client, OUTSIDE)].into() && answers.by.len() == PLACES.len();
        report.check(&what, held, &answers.spread());
    }
    Ok(())
}

/// Requests by the first host go on while a backend drains.
async fn drained(
    hosts: &Hosts,
    cluster: &Cluster,
    outside: &Path,
    report: &mut Report,
) -> Result<()> {
    let place = PLACES.get(DRAINED).context("there is this backend")?;
    let node = cluster.nodes.get(*place).context("there is this node")?;
    let load = load(hosts, outside)?;
    sleep(WHILE).await;
    let began = Instant::now();
    let state =
        |state: &str| ChangeBackend { state: Some(state.into()), ..ChangeBackend::default() };
    node.client().change_backend(&backend(DRAINED), &state("draining")).await?;
    sleep(WHILE).await;
    let asked = load.end()?;
    node.client().change_backend(&backend(DRAINED), &state("ready")).await?;
    let name = backend(DRAINED);
    let by_it = |asked: &&Asked| asked.answer.as_ref() == Ok(&name);
    let last = asked.iter().filter(by_it).map(|asked| asked.at).max();
    let last = last.map(|at| at.saturating_duration_since(began)).unwrap_or_default();
    report.took(&format!("{name} drains: the last request that it gets"), last);
    let failed = asked.iter().filter(|asked| asked.answer.is_err()).count();
    let found = format!("{failed} of {}", asked.len());
    report.check("requests that failed meanwhile", failed == 0, &found);
    Ok(())
}

/// The same while a host dies, wire and all.
async fn killed(
    hosts: &Hosts,
    cluster: &mut Cluster,
    outside: &Path,
    report: &mut Report,
) -> Result<()> {
    let place = PLACES.get(KILLED).copied().context("there is this backend")?;
    let host = hosts.hosts.get(place).context("there is this host")?;
    let node = cluster.nodes.get_mut(place).context("there is this node")?;
    let load = load(hosts, outside)?;
    sleep(WHILE).await;
    let began = Instant::now();
    by_hand(&host.namespace, "ip link set eth0 down")?;
    node.kill()?;
    sleep(CONVERGED + WHILE).await;
    let asked = load.end()?;
    let failed: Vec<&Asked> = asked.iter().filter(|asked| asked.answer.is_err()).collect();
    let last = failed.iter().map(|asked| asked.at.saturating_duration_since(began)).max();
    let what = format!("{} dies: the last request that fails, of {}", node.name(), failed.len());
    report.took(&what, last.unwrap_or_default());
    let later: Vec<&Asked> = asked.iter().filter(|asked| asked.at > began + CONVERGED).collect();
    let late = later.iter().filter(|asked| asked.answer.is_err()).count();
    let found = format!("{late} of {}", later.len());
    report.check("requests that failed after convergence", late == 0 && !later.is_empty(), &found);
    by_hand(&host.namespace, "ip link set eth0 up")?;
    node.start().await?;
    Ok(())
}

fn load(hosts: &Hosts, outside: &Path) -> Result<Load> {
    let first = hosts.hosts.first().context("there is a host")?;
    Ok(Load::start(outside, SocketAddr::new(first.address.into(), PORT)))
}
