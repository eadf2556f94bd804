//! The same by `netdb-sim`: its scenarios for the same size and loss.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::{figure::Figure, samples::Summary};
use crate::shell::Shell;

/// One-way delay in milliseconds: what the loopback takes, or a little more.
pub(crate) const DELAY_MS: &str = "0.05";
/// Runs of each scenario.
const SEEDS: &str = "3";

#[derive(Deserialize)]
struct Report {
    scenario: String,
    ok: bool,
    broken: Option<String>,
    times: BTreeMap<String, Times>,
    numbers: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Deserialize)]
struct Times {
    count: usize,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
}

/// What the simulator says under one loss: of several runs the median of the medians and the worst of the
/// rest.
#[derive(Debug, Default)]
pub(crate) struct Simulations {
    pub(crate) figures: BTreeMap<Figure, Summary>,
    pub(crate) failed: Vec<String>,
}

/// Runs every scenario that one of these figures is of.
pub(crate) fn simulate(
    shell: &Shell,
    directory: &Path,
    figures: impl Iterator<Item = Figure>,
    nodes: usize,
    loss: u8,
) -> Simulations {
    let scenarios: BTreeSet<&str> =
        figures.filter_map(|figure| Some(figure.simulated()?.scenario)).collect();
    let mut reports = Vec::new();
    let mut failed = Vec::new();
    for scenario in scenarios {
        match sweep(shell, directory, scenario, nodes, loss) {
            Ok(found) => reports.extend(found),
            Err(error) => failed.push(format!("simulated {scenario}: {error:#}")),
        }
    }
    let mut simulations = read(&reports);
    simulations.failed.extend(failed);
    simulations
}

fn sweep(
    shell: &Shell,
    directory: &Path,
    scenario: &str,
    nodes: usize,
    loss: u8,
) -> Result<Vec<Report>> {
    let told = directory.join("bench-simulated.json");
    let output = File::create(&told).with_context(|| format!("creating {}", told.display()))?;
    let mut command = Command::new(directory.join("netdb-sim"));
    let (nodes, loss) = (nodes.to_string(), loss.to_string());
    command.args(["sweep", "--json", "--scenario", scenario, "--seeds", SEEDS]);
    command.args(["--nodes", &nodes, "--loss", &loss, "--delay", DELAY_MS]).stdout(output);
    let ended = shell.run(&mut command);
    let text = fs::read_to_string(&told)?;
    let lines = text.lines().filter(|line| line.starts_with('{'));
    let reports: Vec<Report> =
        lines.map(serde_json::from_str).collect::<Result<_, _>>().context("reading its report")?;
    // What broke is in the reports.
    ended.or_else(|error| if reports.is_empty() { Err(error) } else { Ok(()) })?;
    ensure!(!reports.is_empty(), "it reported nothing");
    Ok(reports)
}

fn read(reports: &[Report]) -> Simulations {
    let broken = reports.iter().filter(|report| !report.ok);
    let failed = broken
        .map(|report| format!("simulated {}: {:?}", report.scenario, report.broken))
        .collect();
    let summed = |figure: Figure| {
        let wanted = figure.simulated()?;
        let of = reports.iter().filter(|report| report.ok && report.scenario == wanted.scenario);
        let found: Vec<Times> = of.filter_map(|report| report.get(wanted.name)).collect();
        let medians: Vec<u64> = found.iter().map(|times| times.p50_us).collect();
        let count = found.iter().map(|times| times.count).sum();
        Some(Summary {
            count,
            median: Summary::of(&medians)?.median,
            p99: found.iter().map(|times| times.p99_us).max().filter(|_| count >= 100),
            max: found.iter().map(|times| times.max_us).max()?,
        })
    };
    let figures = Figure::ALL.into_iter().filter_map(|figure| Some((figure, summed(figure)?)));
    Simulations { figures: figures.collect(), failed }
}

impl Report {
    /// A time or a number.
    fn get(&self, name: &str) -> Option<Times> {
        let number = |n: &u64| Times { count: 1, p50_us: *n, p99_us: *n, max_us: *n };
        self.times.get(name).copied().or_else(|| self.numbers.get(name).map(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KILL: &str = r#"{"scenario":"kill","ok":true,"broken":null,"seed":1,"times":{
        "killed, hidden on all":{"count":3,"p50_us":20,"p90_us":30,"p99_us":30,"max_us":30}},
        "numbers":{}}"#;
    const IDLE: &str = r#"{"scenario":"idle","ok":true,"broken":null,"times":{},
        "numbers":{"idle bytes per second and node":310}}"#;

    fn reports(texts: &[String]) -> Vec<Report> {
        texts.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    #[test]
    fn runs_are_summed_up() {
        let slow = KILL.replace("\"p50_us\":20", "\"p50_us\":40").replace("30", "50");
        let other = KILL.replace("\"p50_us\":20", "\"p50_us\":25");
        let read = read(&reports(&[KILL.to_owned(), slow, other, IDLE.to_owned()]));
        let hidden = read.figures[&Figure::Hidden];
        assert_eq!((hidden.count, hidden.median, hidden.p99, hidden.max), (9, 25, None, 50));
        assert_eq!(read.figures[&Figure::IdleBytes].median, 310);
        assert!(!read.figures.contains_key(&Figure::Create) && read.failed.is_empty());
    }

    #[test]
    fn a_broken_run_is_told_and_not_counted() {
        let broken = KILL.replace("\"ok\":true,\"broken\":null", "\"ok\":false,\"broken\":\"x\"");
        let read = read(&reports(&[broken]));
        assert!(read.figures.is_empty());
        assert_eq!(read.failed.len(), 1);
    }
}
