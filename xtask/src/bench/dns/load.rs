//! The load: dnsperf, which asks as fast as it is answered, and beside it one client that times single queries.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use super::servers::{Probe, Server, tool};
use crate::process;

/// Queries of dnsperf that wait for their answers at any time.
const OUTSTANDING: &str = "100";
/// Clients that dnsperf acts as.
const CLIENTS: &str = "4";
/// Between two timed queries.
const PAUSE: Duration = Duration::from_millis(1);

pub(super) struct Load {
    pub(super) queries: PathBuf,
    pub(super) time: Duration,
}

/// What was seen of one server under load.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Measured {
    /// CPU time, user and system, of the server for one query.
    pub(super) cpu_us: f64,
    pub(super) queries_per_second: f64,
    /// Queries without an answer.
    pub(super) lost: u64,
    /// From a single query to its answer, the 99th of a hundred.
    pub(super) p99_us: f64,
    pub(super) resident_mib: f64,
}

impl Load {
    pub(super) fn put_on(&self, server: &Server) -> Result<Measured> {
        let probe = Probe::new(server.address)?;
        let before = process::scheduled(server.pid())?;
        let over = AtomicBool::new(false);
        let (told, timed) = thread::scope(|scope| {
            let timing = scope.spawn(|| timed(&probe, &over));
            let told = self.dnsperf(server);
            over.store(true, Ordering::Relaxed);
            (told, timing.join())
        });
        let (told, Ok((mut timed, unanswered))) = (told?, timed) else { bail!("timing failed") };
        let after = process::scheduled(server.pid())?;
        let answered = number(&told, "Queries completed:")?;
        ensure!(answered > 0.0, "nothing was answered: {told}");
        timed.sort_unstable();
        let rank = (timed.len() * 99).div_ceil(100).saturating_sub(1);
        let p99 = timed.get(rank).context("no single query was answered")?;
        let all = answered + exact(timed.len() as u64);
        Ok(Measured {
            cpu_us: after.ran.saturating_sub(before.ran).as_secs_f64() * 1e6 / all,
            queries_per_second: number(&told, "Queries per second:")?,
            lost: whole(number(&told, "Queries lost:")?) + unanswered,
            p99_us: p99.as_secs_f64() * 1e6,
            resident_mib: exact(process::resident(server.pid())?) / f64::from(1 << 20),
        })
    }

    fn dnsperf(&self, server: &Server) -> Result<String> {
        let mut command = tool("dnsperf");
        command.args(["-q", OUTSTANDING, "-c", CLIENTS, "-T", "1"]);
        command.arg("-s").arg(server.address.ip().to_string());
        command.arg("-p").arg(server.address.port().to_string());
        command.arg("-l").arg(self.time.as_secs().to_string()).arg("-d").arg(&self.queries);
        let output = command.stderr(Stdio::inherit()).output().context("running dnsperf")?;
        ensure!(output.status.success(), "dnsperf: {}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Single queries until it is over: how long each took, and how many had no answer.
fn timed(probe: &Probe, over: &AtomicBool) -> (Vec<Duration>, u64) {
    let (mut timed, mut unanswered, mut id) = (Vec::new(), 0, 0_u16);
    while !over.load(Ordering::Relaxed) {
        id = id.wrapping_add(1);
        match probe.round_trip(id) {
            Some(took) => timed.push(took),
            None => unanswered += 1,
        }
        thread::sleep(PAUSE);
    }
    (timed, unanswered)
}

/// The number behind a word in what dnsperf prints.
fn number(told: &str, word: &str) -> Result<f64> {
    let line = told.lines().find_map(|line| line.trim().strip_prefix(word));
    let digits = line.and_then(|rest| rest.split_whitespace().next());
    digits.and_then(|digits| digits.parse().ok()).with_context(|| format!("no {word} in: {told}"))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn exact(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dnsperf_prints_is_read() {
        let told = "Statistics:\n\n  Queries sent:         900\n  Queries completed:    897 (99.67%)\n  \
                    Queries lost:         3 (0.33%)\n\n  Queries per second:   448.500000\n";
        assert!((number(told, "Queries completed:").unwrap() - 897.0).abs() < 1e-9);
        assert_eq!(whole(number(told, "Queries lost:").unwrap()), 3);
        assert!((number(told, "Queries per second:").unwrap() - 448.5).abs() < 1e-9);
        assert!(number(told, "Average Latency (s):").is_err());
    }
}
