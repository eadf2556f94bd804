//! `bench services`: what load balancing costs: rules for many services in one sandbox, connections and streams by a
//! virtual address beside direct ones, and how soon a new backend is given connections on another host.
//!
//! This program runs itself again in namespaces of its own: nothing of the machine is touched.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, ExitCode},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use netdb_tests::namespaces::inside;
use netnode_api::{endpoints::AttachEndpoint, services::CreateService};
use serde::Deserialize;
use tokio::runtime::Runtime;

use super::{
    dataplane::{Ground, NETWORK, wire},
    lines::{self, Line, Unit},
    room,
};
use crate::shell::{Shell, cargo, target_dir};

pub(super) const ABOUT: &str = "load balancing: rules of many services, connections by a virtual address, how soon a backend is used";

/// Longer than any first build.
const BUILD_LIMIT: Duration = Duration::from_mins(30);
/// Everything but the build.
const LIMIT: Duration = Duration::from_mins(10);
/// At most so many microseconds for one backend more or less, for 10,000 services at once, and until a new backend is
/// used elsewhere.
const CHANGE: f64 = 1_000.0;
const LOAD: f64 = 150_000.0;
const USED: f64 = 10_000.0;
/// Pairs of streams, one direct and one by the virtual address each.
const PAIRS: u32 = 15;
const SERVICE: &str = "served";
/// How long a new backend may take to be used.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Options {
    /// Backends that come and go
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: u16,
    /// Seconds of TCP streams by the virtual address, and as many without
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Print the result as JSON; progress stays on standard error
    #[arg(long)]
    json: bool,
    /// This is in namespaces of its own
    #[arg(long, hide = true)]
    apart: bool,
}

/// What was measured with one number of services.
#[derive(Deserialize)]
struct Rules {
    load_us: Vec<f64>,
    change_us: Vec<f64>,
    memory_bytes: f64,
    direct_us: Vec<f64>,
    balanced_us: Vec<f64>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    if options.apart {
        return apart(options);
    }
    if let Some(why) = room::missing() {
        eprintln!("SKIPPED: {why}");
        return Ok(ExitCode::FAILURE);
    }
    eprintln!("Building netnode, netdbctl and the example that loads rules (release).");
    let shell = Shell::new("bench", Instant::now() + BUILD_LIMIT, false).aside();
    let packages = ["--package=netnode", "--package=netnode-cli", "--bins"];
    shell.run(cargo(["build", "--release"]).args(packages))?;
    let example = ["--package=netnode", "--example=balance"];
    shell.run(cargo(["build", "--release"]).args(example))?;
    room::again(LIMIT)
}

fn apart(options: &Options) -> Result<ExitCode> {
    eprintln!("rules for many services");
    let mut lines = rules()?;
    let runtime = Runtime::new().context("starting a runtime")?;
    runtime.block_on(async {
        let ground = Ground::make().await?;
        let measured = on_hosts(&ground, options).await;
        if measured.is_err() {
            eprintln!("{}", ground.cluster.tails());
        }
        lines.extend(measured?);
        println!("{}", if options.json { lines::json(&lines)? } else { lines::table(&lines) });
        Ok(ExitCode::SUCCESS)
    })
}

fn rules() -> Result<Vec<Line>> {
    let done = Command::new(target_dir().join("release/examples/balance")).output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let mut all: BTreeMap<String, Rules> = serde_json::from_slice(&done.stdout)?;
    let mut take = |count: &str| all.remove(count).with_context(|| format!("no {count} services"));
    let (few, some, many) = (take("100")?, take("1000")?, take("10000")?);
    let line = |what, samples: &[f64]| Line::new(what, Unit::Microseconds, samples);
    let share: Vec<f64> =
        many.balanced_us.iter().zip(&many.direct_us).map(|(by, direct)| by / direct).collect();
    Ok(vec![
        line("100 services × 10: all loaded and compared", &few.load_us),
        line("1,000 services × 10: all loaded and compared", &some.load_us),
        line("10,000 services × 10: all loaded and compared", &many.load_us).aim(LOAD),
        line("100 services: one backend more or less", &few.change_us).aim(CHANGE),
        line("1,000 services: one backend more or less", &some.change_us).aim(CHANGE),
        line("10,000 services: one backend more or less", &many.change_us).aim(CHANGE),
        Line::new("10,000 services × 10: bytes in the kernel", Unit::Bytes, &[many.memory_bytes]),
        line("connection, direct", &many.direct_us),
        line("connection by one of 10,000 virtual addresses", &many.balanced_us),
        Line::new("connection, by virtual address over direct", Unit::Share, &share),
    ])
}

async fn on_hosts(ground: &Ground, options: &Options) -> Result<Vec<Line>> {
    let wanted = CreateService {
        name: SERVICE.to_owned(),
        network: NETWORK.to_owned(),
        ..CreateService::default()
    };
    let service = ground.node(0)?.client().create_service(&wanted).await?;
    let vip: IpAddr = service.vips.first().context("it has an address")?.parse()?;
    eprintln!("{} backends come and go", options.rounds);
    let mut used = Vec::new();
    for round in 0..=options.rounds {
        let took = come_and_go(ground, vip, &format!("b{round}")).await?;
        // The first finds cold caches.
        used.extend((round > 0).then_some(took));
    }
    eprintln!("TCP streams by the virtual address, beside direct ones");
    let client = &ground.sandbox(0)?.0;
    let sandbox = ground.hosts.namespaces.make("stays")?;
    let backend = attach(ground, "stays", &sandbox).await?;
    first_answer(client, SocketAddr::new(vip, backend.port()), &sandbox, backend)?;
    let (mut direct, mut balanced, mut share) = (Vec::new(), Vec::new(), Vec::new());
    let time = Duration::from_secs(options.seconds) / PAIRS;
    for _ in 0..PAIRS {
        let plain = wire::stream(client, &sandbox, backend.ip(), backend.ip(), time)?;
        let through = wire::stream(client, &sandbox, backend.ip(), vip, time)?;
        direct.push(plain);
        balanced.push(through);
        share.push(through / plain);
    }
    Ok(vec![
        Line::of("attach has returned → used from another host", Unit::Microseconds, &used)
            .aim(USED),
        Line::new("TCP, direct", Unit::Gigabits, &direct),
        Line::new("TCP by the virtual address", Unit::Gigabits, &balanced),
        Line::new("TCP, by virtual address over direct", Unit::Share, &share),
    ])
}

/// An endpoint of the second host that serves; its address, and a port that nobody has yet.
async fn attach(ground: &Ground, name: &str, sandbox: &Path) -> Result<SocketAddr> {
    let wanted = AttachEndpoint {
        network: NETWORK.to_owned(),
        name: name.to_owned(),
        netns: sandbox.display().to_string(),
        service: Some(SERVICE.to_owned()),
        ..AttachEndpoint::default()
    };
    let endpoint = ground.node(1)?.client().attach_endpoint(&wanted).await?;
    let address = *netdb_tests::endpoints::addresses(&endpoint)?.first().context("an address")?;
    Ok(SocketAddr::new(address, PORT))
}

const PORT: u16 = 80;

/// How long after its attach has returned a backend is given a connection from another host.
async fn come_and_go(ground: &Ground, vip: IpAddr, name: &str) -> Result<Duration> {
    let sandbox = ground.hosts.namespaces.make(name)?;
    let client = ground.sandbox(0)?.0.clone();
    let listener = inside(&sandbox, || TcpListener::bind(("0.0.0.0", PORT)))??;
    let dial = thread::spawn(move || connected(&client, SocketAddr::new(vip, PORT)));
    attach(ground, name, &sandbox).await?;
    let returned = Instant::now();
    let met = tokio::task::spawn_blocking(move || dial.join()).await?;
    let met = met.map_err(|_| anyhow!("who connects was lost"))??;
    drop(listener);
    ground.node(1)?.client().detach_endpoint(NETWORK, name).await?;
    ground.hosts.namespaces.remove(&sandbox)?;
    Ok(met.saturating_duration_since(returned))
}

/// Tries until a connection is there; when that was.
fn connected(from: &Path, to: SocketAddr) -> Result<Instant> {
    inside(from, || {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect_timeout(&to, PATIENCE) {
                Ok(_) => return Ok(Instant::now()),
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => thread::sleep(Duration::from_micros(200)),
            }
        }
    })?
}

/// Waits until the backend that stays is used.
fn first_answer(client: &Path, vip: SocketAddr, at: &Path, backend: SocketAddr) -> Result<Instant> {
    let _listener = inside(at, || TcpListener::bind(backend))??;
    connected(client, vip)
}
