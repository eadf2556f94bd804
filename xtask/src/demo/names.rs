//! A service with backends on all three hosts, and what a container is told of its name while
//! backends come, drain and go, and a host dies.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use netdb_tests::{
    cluster::Cluster,
    dns::Asker,
    endpoints::{addresses, plug},
    hosts::Hosts,
    namespaces::by_hand,
    node::Node,
};
use netnode_api::{
    endpoints::{AttachEndpoint, ChangeBackend},
    services::CreateService,
};

use super::report::Report;
use crate::shell::works;

pub(super) const SERVICE: &str = "web";
/// The name of its backends.
const BACKENDS: &str = "tasks.web";
/// The container that asks, on the first host.
const CLIENT: &str = "client";
/// On which host each backend is: the first two change, and the last is on the host that dies.
pub(super) const PLACES: [usize; 4] = [1, 1, 0, 2];
const DETACHED: usize = 0;
const DRAINED: usize = 1;
const KILLED: usize = 3;
/// Times that a backend is detached, and one drained.
const ROUNDS: usize = 5;

/// What is left for the next stage: containers.
pub(super) struct Served {
    /// Who asks.
    pub(super) client: PathBuf,
    /// Who serves.
    pub(super) sandboxes: Vec<PathBuf>,
}

/// The service, and who asks for it.
struct Names<'a> {
    network: &'a str,
    cluster: &'a mut Cluster,
    client: PathBuf,
    asker: Asker,
    sandboxes: Vec<PathBuf>,
    backends: Vec<Ipv4Addr>,
    has_dig: bool,
}

pub(super) async fn show(
    hosts: &Hosts,
    cluster: &mut Cluster,
    network: &str,
    report: &mut Report,
) -> Result<Served> {
    report.begin("Names of containers");
    let has_dig = works(Command::new("dig").arg("-v"));
    let client = hosts.namespaces.make(CLIENT)?;
    plug(cluster.nodes.first().context("there is a node")?, network, CLIENT, &client).await?;
    let asker = Asker::within(&client)?;
    let mut sandboxes = Vec::new();
    for nth in 0..PLACES.len() {
        sandboxes.push(hosts.namespaces.make(&backend(nth))?);
    }
    let backends = Vec::new();
    let mut names = Names { network, cluster, client, asker, sandboxes, backends, has_dig };
    if has_dig {
        println!("   asked by `dig` in a container of {}", names.node(0)?.name());
    } else {
        println!("   asked by `netdbctl dns query`: there is no `dig`, which `apt-get install");
        println!("   bind9-dnsutils` brings on Debian");
    }
    names.begin(report).await?;
    names = names.detached(report).await?;
    names = names.drained(report).await?;
    names = names.host_killed(report).await?;
    let Names { client, sandboxes, .. } = names;
    Ok(Served { client, sandboxes })
}

pub(super) fn backend(nth: usize) -> String {
    format!("{SERVICE}.{}", nth + 1)
}

impl Names<'_> {
    fn node(&self, place: usize) -> Result<&Node> {
        self.cluster.nodes.get(place).context("the cluster has this node")
    }

    /// The host of a backend.
    fn host(&self, nth: usize) -> Result<&Node> {
        self.node(PLACES.get(nth).copied().context("there is this backend")?)
    }

    async fn begin(&mut self, report: &mut Report) -> Result<()> {
        let began = Instant::now();
        let wanted = CreateService {
            name: SERVICE.to_owned(),
            network: self.network.to_owned(),
            ..CreateService::default()
        };
        let service = self.node(0)?.client().create_service(&wanted).await?;
        for nth in 0..PLACES.len() {
            let address = self.serve(nth).await?;
            self.backends.push(address);
        }
        let all = self.but(None);
        self.asker.wait(BACKENDS, move |found| found == all)?;
        let what = format!("the service {SERVICE} and {} backends on three hosts", PLACES.len());
        report.took(&what, began.elapsed());
        let vips: Vec<IpAddr> = service.vips.iter().filter_map(|vip| vip.parse().ok()).collect();
        let vip = vips.into_iter().find(IpAddr::is_ipv4).context("it has an IPv4 address")?;
        let found = self.look_up(SERVICE).await?;
        let what = format!("{SERVICE} is its virtual address {vip}");
        report.check(&what, found == [vip], &words(&found));
        self.all_but(None, "all backends", report).await
    }

    /// Plugs a backend in; its address.
    async fn serve(&self, nth: usize) -> Result<Ipv4Addr> {
        let sandbox = self.sandboxes.get(nth).context("it has a sandbox")?;
        let wanted = AttachEndpoint {
            network: self.network.to_owned(),
            name: backend(nth),
            netns: sandbox.display().to_string(),
            service: Some(SERVICE.to_owned()),
            ..AttachEndpoint::default()
        };
        let endpoint = self.host(nth)?.client().attach_endpoint(&wanted).await?;
        let v4 = addresses(&endpoint)?.into_iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        });
        v4.context("it has an IPv4 address")
    }

    /// The addresses of all backends but one, in order.
    fn but(&self, gone: Option<usize>) -> Vec<Ipv4Addr> {
        let left = self.backends.iter().enumerate().filter(|(nth, _)| Some(*nth) != gone);
        let mut left: Vec<_> = left.map(|(_, address)| *address).collect();
        left.sort_unstable();
        left
    }

    /// What the client's own tool says, in order.
    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>> {
        let said = if self.has_dig {
            dig(&self.client, name)?
        } else {
            let words = ["dns", "query", "--as", CLIENT, name];
            self.node(0)?.netdbctl(&words).await?.succeeded()?.stdout
        };
        // The address is the last word of a record.
        let last = said.lines().filter_map(|line| line.split_whitespace().last()?.parse().ok());
        let mut found: Vec<IpAddr> = last.collect();
        found.sort_unstable();
        Ok(found)
    }

    /// Looks that exactly these are named.
    async fn all_but(&self, gone: Option<usize>, who: &str, report: &mut Report) -> Result<()> {
        let found = self.look_up(BACKENDS).await?;
        let expected: Vec<IpAddr> = self.but(gone).into_iter().map(IpAddr::V4).collect();
        report.check(&format!("{BACKENDS} is {who}"), found == expected, &words(&found));
        Ok(())
    }

    async fn detached(mut self, report: &mut Report) -> Result<Self> {
        let mut times = Vec::new();
        for round in 1..=ROUNDS {
            let left = self.but(Some(DETACHED));
            let client = self.host(DETACHED)?.client().clone();
            let (network, name) = (self.network.to_owned(), backend(DETACHED));
            let work = async move {
                let began = Instant::now();
                client.detach_endpoint(&network, &name).await.map(|()| began)
            };
            times.push(self.until(left, work).await?);
            if round == ROUNDS {
                self.all_but(Some(DETACHED), "those that are left", report).await?;
            }
            let address = self.serve(DETACHED).await?;
            self.backends.insert(DETACHED, address);
            self.backends.remove(DETACHED + 1);
            let all = self.but(None);
            self.asker.wait(BACKENDS, move |found| found == all)?;
        }
        report.took(&lost("a backend is detached", self.host(DETACHED)?), median(times));
        Ok(self)
    }

    async fn drained(mut self, report: &mut Report) -> Result<Self> {
        let mut times = Vec::new();
        for round in 1..=ROUNDS {
            let left = self.but(Some(DRAINED));
            times.push(self.turn(DRAINED, "draining", left).await?);
            if round == ROUNDS {
                self.all_but(Some(DRAINED), "those that don't drain", report).await?;
            }
            let all = self.but(None);
            self.turn(DRAINED, "ready", all).await?;
        }
        report.took(&lost("a backend drains", self.host(DRAINED)?), median(times));
        Ok(self)
    }

    /// Has a backend change its state, and waits until these are named.
    async fn turn(&mut self, nth: usize, state: &str, named: Vec<Ipv4Addr>) -> Result<Duration> {
        let wanted = ChangeBackend { state: Some(state.to_owned()), ..ChangeBackend::default() };
        let (client, name) = (self.host(nth)?.client().clone(), backend(nth));
        let work = async move {
            let began = Instant::now();
            client.change_backend(&name, &wanted).await.map(|_| began)
        };
        self.until(named, work).await
    }

    /// How long after the beginning of something exactly these are named.
    async fn until<E: Into<anyhow::Error>>(
        &mut self,
        named: Vec<Ipv4Addr>,
        work: impl Future<Output = Result<Instant, E>>,
    ) -> Result<Duration> {
        let asker = Asker::within(&self.client)?;
        let (_, seen, began) =
            asker.wait_during(BACKENDS, move |found| found == named, work).await?;
        Ok(seen.saturating_duration_since(began.map_err(Into::into)?))
    }

    async fn host_killed(mut self, report: &mut Report) -> Result<Self> {
        let place = PLACES.get(KILLED).copied().context("there is this backend")?;
        let (left, all) = (self.but(Some(KILLED)), self.but(None));
        let node = self.cluster.nodes.get_mut(place).context("there is this node")?;
        let name = node.name().to_owned();
        let began = Instant::now();
        node.kill()?;
        let gone = self.asker.wait(BACKENDS, move |found| found == left)?;
        report
            .took(&format!("kill -9 of {name}'s netnode: its backend is not named"), gone - began);
        self.all_but(Some(KILLED), "those of the hosts that live", report).await?;
        let asker = self.asker;
        let node = self.cluster.nodes.get_mut(place).context("there is this node")?;
        let began = Instant::now();
        let start = node.start();
        let (asker, back, started) =
            asker.wait_during(BACKENDS, move |found| found == all, start).await?;
        started?;
        report.took(&format!("{name} is started: its backend is named again"), back - began);
        self.asker = asker;
        self.all_but(None, "all backends again", report).await?;
        Ok(self)
    }
}

fn dig(sandbox: &Path, name: &str) -> Result<String> {
    let said = by_hand(sandbox, &format!("dig @127.0.0.11 +short +time=2 +tries=1 {name} A"))?;
    ensure!(!said.contains(";;"), "dig: {said}");
    Ok(said)
}

fn lost(what: &str, host: &Node) -> String {
    format!("{what} on {}: not named on another, median of {ROUNDS}", host.name())
}

fn words(found: &[IpAddr]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
