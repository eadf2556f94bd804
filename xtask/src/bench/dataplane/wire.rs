//! What the overlay costs: round trips and TCP streams through it, beside those of the plain underlay.

use std::{
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::mpsc::sync_channel,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use netdb_tests::{endpoints::addresses, namespaces::inside, ping::round_trips};

use super::{
    super::lines::{Line, Unit},
    Ground,
};

const PINGS: u16 = 2_000;
/// Pairs of streams, one outside and one through the overlay each: what else the machine does changes from second
/// to second, and hits both of a pair alike.
const PAIRS: u32 = 15;
/// Bytes that are written and read at once.
const CHUNK: usize = 128 << 10;

/// Between the first two hosts, and between their sandboxes. `time` is for all streams of either kind.
pub(super) fn measure(ground: &Ground, time: Duration) -> Result<Vec<Line>> {
    let host = |place: usize| ground.hosts.hosts.get(place).context("there is this host");
    let (first, second) = (host(0)?, host(1)?);
    let ((inner_first, _), (inner_second, endpoint)) = (ground.sandbox(0)?, ground.sandbox(1)?);
    let inner = *addresses(endpoint)?.first().context("it has an address")?;
    let outer = IpAddr::V4(second.address);
    let plain = round_trips(&first.namespace, outer, PINGS)?;
    let tunnelled = round_trips(inner_first, inner, PINGS)?;
    let (mut plain_rate, mut rate, mut share) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let plain = stream(&first.namespace, &second.namespace, outer, outer, time / PAIRS)?;
        let through = stream(inner_first, inner_second, inner, inner, time / PAIRS)?;
        plain_rate.push(plain);
        rate.push(through);
        share.push(through / plain);
    }
    let plain = Line::of("round trip, plain underlay", Unit::Microseconds, &plain);
    let tunnelled = Line::of("round trip through the overlay", Unit::Microseconds, &tunnelled);
    let added = tunnelled.median - plain.median;
    let plain_rate = Line::new("TCP, plain underlay", Unit::Gigabits, &plain_rate);
    let rate = Line::new("TCP through the overlay", Unit::Gigabits, &rate);
    Ok(vec![
        plain.beside(54.0, "swarm's underlay"),
        tunnelled.beside(97.0, "swarm's overlay"),
        Line::new("round trip, what the overlay adds", Unit::Microseconds, &[added])
            .beside(43.0, "swarm")
            .aim(43.0),
        plain_rate.beside(11.1, "swarm's underlay"),
        rate.beside(9.8, "swarm's overlay"),
        Line::new("TCP, overlay over underlay", Unit::Share, &share)
            .beside(0.88, "swarm")
            .at_least(0.88),
    ])
}

/// One TCP stream to an address, asked for `by` another or the same; how many gigabits arrived in a second.
pub(in super::super) fn stream(
    from: &Path,
    to: &Path,
    address: IpAddr,
    by: IpAddr,
    time: Duration,
) -> Result<f64> {
    let (tell, told) = sync_channel(1);
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            inside(to, move || -> Result<f64> {
                let listener = TcpListener::bind((address, 0))?;
                tell.send(listener.local_addr()?)?;
                receive(&listener)
            })?
        });
        let server_at: SocketAddr = told.recv().context("nobody listens")?;
        inside(from, || send(SocketAddr::new(by, server_at.port()), time))??;
        server.join().map_err(|_| anyhow!("the server was lost"))?
    })
}

fn receive(listener: &TcpListener) -> Result<f64> {
    let (mut stream, _) = listener.accept()?;
    let mut buffer = vec![0; CHUNK];
    let (began, mut bytes) = (Instant::now(), 0.0);
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            #[expect(clippy::cast_precision_loss, reason = "at most CHUNK")]
            read => bytes += read as f64,
        }
    }
    Ok(bytes * 8.0 / 1e9 / began.elapsed().as_secs_f64())
}

fn send(to: SocketAddr, time: Duration) -> Result<()> {
    let mut stream = TcpStream::connect(to)?;
    let chunk = vec![0; CHUNK];
    let deadline = Instant::now() + time;
    while Instant::now() < deadline {
        stream.write_all(&chunk)?;
    }
    Ok(())
}
