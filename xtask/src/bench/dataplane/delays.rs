//! How soon an endpoint is reached from another host, and how soon nothing leads to it any more.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use netdb_tests::{
    endpoints::{addresses, plug},
    namespaces::inside,
    ping::first_answer,
};

use super::{
    super::lines::{Line, Unit},
    Ground, NETWORK,
};

/// Between two requests to an endpoint that may not be there yet.
const AGAIN: Duration = Duration::from_micros(500);
/// Lines that wait to be looked at; beyond that, the kernel's word waits in the pipe.
const MAX_LINES: usize = 1 << 12;
/// The kernel's word of a removal is waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// An endpoint comes to the first host and goes again, seen from the second; so many times.
pub(super) async fn measure(ground: &Ground, rounds: u16) -> Result<Vec<Line>> {
    let (from, _) = ground.sandbox(1)?;
    let folder = ground.node(1)?.state_dir().join("namespaces");
    let network = folder.join(&ground.sandbox(1)?.1.network);
    let monitor = Monitor::start(&network)?;
    let (mut attached, mut reached, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let name = format!("r{round}");
        let sandbox = ground.hosts.namespaces.make(&name)?;
        let began = Instant::now();
        let endpoint = plug(ground.node(0)?, NETWORK, &name, &sandbox).await?;
        let returned = Instant::now();
        let addresses = addresses(&endpoint)?;
        let answered = first_answer(from, *addresses.first().context("it has one")?, AGAIN)?;
        let ended = Instant::now();
        ground.node(0)?.client().detach_endpoint(NETWORK, &name).await?;
        let gone = monitor.removal_of(&endpoint.mac)?;
        ground.hosts.namespaces.remove(&sandbox)?;
        // The first finds cold caches.
        if round > 0 {
            attached.push(returned - began);
            reached.push(answered - returned);
            removed.push(gone.saturating_duration_since(ended));
        }
    }
    Ok(vec![
        Line::of("endpoint attach, until it returns", Unit::Microseconds, &attached),
        Line::of("attach has returned → pinged from another host", Unit::Microseconds, &reached)
            .beside(43_000.0, "swarm: name known → pingable, best of 43–358 ms")
            .aim(10_000.0),
        Line::of("detach is asked → entry gone on another host", Unit::Microseconds, &removed)
            .beside(113_000.0, "swarm: container stopped → name gone elsewhere")
            .aim(10_000.0),
    ])
}

/// What the kernel says of the entries of a network's bridge and tunnel.
struct Monitor {
    child: Child,
    said: Receiver<(Instant, String)>,
}

impl Monitor {
    fn start(network: &Path) -> Result<Self> {
        let mut command = Command::new("bridge");
        command.args(["monitor", "fdb"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = inside(network, || command.spawn())?.context("starting `bridge`")?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let (say, said) = sync_channel(MAX_LINES);
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if say.send((Instant::now(), line)).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, said })
    }

    /// When the tunnel's entry for a hardware address went.
    fn removal_of(&self, mac: &str) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let (when, line) = self.said.recv_timeout(left).context("the entry did not go")?;
            if line.starts_with("Deleted") && line.contains(mac) && line.contains(" dst ") {
                return Ok(when);
            }
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // Errors mean that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
