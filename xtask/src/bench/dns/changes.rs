//! How soon a name is told on another host once its endpoint is there, and no more once that goes.
//!
//! This program runs itself again in namespaces of its own: nothing of the machine is touched.

use std::{
    env, fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use netdb_tests::{dns::Asker, endpoints::plug};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::super::{
    dataplane::{Ground, NETWORK},
    lines::{self, Line, Unit},
    room,
};
use crate::shell::{Shell, cargo, target_dir};

/// Everything but the build.
const LIMIT: Duration = Duration::from_mins(10);
/// At most so many microseconds.
const AIM: f64 = 10_000.0;

/// What was measured.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) text: String,
    pub(super) lines: Value,
    pub(super) held: bool,
}

pub(super) fn measure(shell: &Shell) -> Result<Told> {
    eprintln!("Building netnode and netdbctl (release).");
    let packages = ["--package=netnode", "--package=netnode-cli"];
    shell.run(cargo(["build", "--release"]).args(packages))?;
    let file = target_dir().join("bench-dns-changes.json");
    let mut again = room::enter();
    again.arg(env::current_exe().context("finding this program")?);
    again.args(env::args_os().skip(1)).arg("--apart").arg(&file);
    Shell::new("bench", Instant::now() + LIMIT, false).aside().run(&mut again)?;
    let told = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    // What is left of it is of no use to anybody.
    let _ = fs::remove_file(&file);
    Ok(serde_json::from_slice(&told)?)
}

/// The measurement itself, in its own namespaces.
pub(super) fn apart(file: &Path, changes: u16) -> Result<ExitCode> {
    let runtime = Runtime::new().context("starting a runtime")?;
    runtime.block_on(async {
        let ground = Ground::make().await?;
        eprintln!("{changes} endpoints come and go");
        let measured = come_and_go(&ground, changes).await;
        if measured.is_err() {
            eprintln!("{}", ground.cluster.tails());
        }
        let lines = measured?;
        let told = Told {
            text: lines::table(&lines),
            lines: serde_json::to_value(&lines)?,
            held: lines.iter().all(Line::is_held),
        };
        fs::write(file, serde_json::to_vec(&told)?)
            .with_context(|| format!("writing {}", file.display()))?;
        Ok(ExitCode::SUCCESS)
    })
}

/// An endpoint comes to the first host and goes again, asked for in a sandbox of the second; so many times.
async fn come_and_go(ground: &Ground, changes: u16) -> Result<Vec<Line>> {
    let mut asker = Asker::within(&ground.sandbox(1)?.0)?;
    let (mut since_asked, mut since_returned, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for change in 0..=changes {
        let name = format!("c{change}");
        // Written out: what is not there is then ours to deny, and nobody else is asked.
        let full = format!("{name}.{NETWORK}.netnode.internal");
        let sandbox = ground.hosts.namespaces.make(&name)?;
        let attach = async {
            let began = Instant::now();
            plug(ground.node(0)?, NETWORK, &name, &sandbox).await?;
            anyhow::Ok([began, Instant::now()])
        };
        let there = |found: &[_]| !found.is_empty();
        let (back, known, attached) = asker.wait_during(&full, there, attach).await?;
        let [from_asked, from_returned] =
            attached?.map(|since| known.saturating_duration_since(since));
        let detach = async {
            let began = Instant::now();
            ground.node(0)?.client().detach_endpoint(NETWORK, &name).await?;
            anyhow::Ok(began)
        };
        let (back, denied, began) = back.wait_during(&full, <[_]>::is_empty, detach).await?;
        ground.hosts.namespaces.remove(&sandbox)?;
        asker = back;
        // The first finds cold caches.
        if change > 0 {
            since_asked.push(from_asked);
            since_returned.push(from_returned);
            gone.push(denied.saturating_duration_since(began?));
        }
    }
    Ok(vec![
        Line::of("attach is asked → answered on another host", Unit::Microseconds, &since_asked),
        // 0: it was known there before the sandbox was wired here.
        Line::of(
            "attach has returned → answered on another host",
            Unit::Microseconds,
            &since_returned,
        )
        .beside(95_000.0, "swarm: on the first → known on the others")
        .aim(AIM),
        Line::of("detach is asked → denied on another host", Unit::Microseconds, &gone)
            .beside(113_000.0, "swarm: container stopped → name gone elsewhere")
            .aim(AIM),
    ])
}
