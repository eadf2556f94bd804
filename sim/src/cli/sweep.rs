//! `sweep`: scenarios × sizes × seeds, or a suite, on all cores.

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use clap::{Args, ValueEnum};
use netdb_sim::{
    figures::Figures,
    scenario::Scenario,
    suite::standard::{self, Run},
};

use super::{
    Network, anchors, named,
    out::{self, To},
    pool::{self, Done, Job},
    progress::Progress,
    unknown,
};

/// Seeds of a sweep unless told otherwise.
const SEEDS: u64 = 100;

#[derive(Args)]
pub(super) struct Options {
    /// Which scenario, or `all`
    #[arg(long, default_value = "churn", conflicts_with = "suite")]
    scenario: String,
    /// A fixed set of runs
    #[arg(long)]
    suite: Option<Suite>,
    /// How many seeds [default: 100; 1,000 for the standard suite; for the anchors at most so many]
    #[arg(long)]
    pub(super) seeds: Option<u64>,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    pub(super) first: u64,
    /// Sizes, with commas [default: the scenario's own]
    #[arg(long, value_name = "N,N", value_delimiter = ',', conflicts_with = "suite")]
    nodes: Vec<usize>,
    /// Runs at a time [default: one per core]
    #[arg(long)]
    pub(super) jobs: Option<usize>,
    /// Run each seed twice and compare the traces
    #[arg(long)]
    pub(super) twice: bool,
    #[command(flatten)]
    network: Network,
    /// Print one report per run (anchors: one row) as a line of JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) of_suites: OfSuites,
}

/// What only suites know.
#[derive(Args)]
pub(super) struct OfSuites {
    /// A bounded part of a suite: about a minute on two cores
    #[arg(long, requires = "suite")]
    pub(super) quick: bool,
    /// Anchors: only rows with this in their section, label or scenario; several with commas
    #[arg(long, value_name = "TEXT,TEXT", value_delimiter = ',', requires = "suite")]
    pub(super) rows: Vec<String>,
    /// Only rows and scenarios with at most so many nodes
    #[arg(long, value_name = "N", requires = "suite")]
    pub(super) largest: Option<usize>,
    /// Anchors: write the table into this page; rows that are left out keep what they have
    #[arg(long, value_name = "PAGE", requires = "suite", conflicts_with = "quick")]
    pub(super) markdown: Option<std::path::PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Suite {
    /// The figures to reach, beside those of others; fails where an aim is missed
    Anchors,
    /// Churn over sizes and losses, and each other scenario once
    Standard,
}

pub(super) fn main(options: &Options) -> ExitCode {
    match options.suite {
        Some(Suite::Anchors) => anchors::main(options),
        Some(Suite::Standard) => {
            let (seeds, largest) = if options.of_suites.quick {
                (standard::QUICK_SEEDS, standard::QUICK_NODES)
            } else {
                (standard::SEEDS, usize::MAX)
            };
            let seeds = options.seeds.unwrap_or(seeds);
            let largest = options.of_suites.largest.unwrap_or(largest);
            let runs = standard::runs(options.first, seeds, largest);
            sweep(options, &runs.iter().map(|run| of_suite(options, run)).collect::<Vec<_>>())
        }
        None => {
            let Some(scenarios) = named(&options.scenario) else {
                return unknown(&options.scenario);
            };
            sweep(options, &jobs(options, &scenarios))
        }
    }
}

fn of_suite(options: &Options, run: &Run) -> Job {
    let network = Network { loss: run.loss.into(), ..options.network.clone() };
    let (scenario, nodes, seed) = (run.scenario, run.nodes, run.seed);
    Job { scenario, nodes, seed, network, twice: options.twice }
}

fn jobs(options: &Options, scenarios: &[Scenario]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for scenario in scenarios {
        let own = [scenario.nodes];
        let sizes = if options.nodes.is_empty() { &own[..] } else { &options.nodes };
        for nodes in sizes.iter().map(|nodes| (*nodes).max(scenario.fewest())) {
            let seeds = options.seeds.unwrap_or(SEEDS);
            let (network, twice) = (&options.network, options.twice);
            jobs.extend((options.first..options.first.saturating_add(seeds)).map(|seed| Job {
                scenario: *scenario,
                nodes,
                seed,
                network: network.clone(),
                twice,
            }));
        }
    }
    jobs
}

/// What the runs of one scenario, size and loss showed.
#[derive(Default)]
struct Total {
    runs: usize,
    failed: usize,
    figures: Figures,
    /// Nodes times virtual time, in seconds, and what that took of a core.
    node_seconds: f64,
    took: Duration,
}

impl Total {
    fn add(&mut self, Done { report, took, .. }: &Done) {
        self.runs += 1;
        self.failed += usize::from(!report.ok);
        self.figures.merge(&report.figures);
        let nodes = u32::try_from(report.nodes).unwrap_or(u32::MAX);
        let span = Duration::from_micros(report.virtual_us);
        self.node_seconds += f64::from(nodes) * span.as_secs_f64();
        self.took += *took;
    }

    /// Of one core, per node and virtual second.
    fn cost(&self) -> Duration {
        Duration::try_from_secs_f64(self.took.as_secs_f64() / self.node_seconds).unwrap_or_default()
    }
}

fn sweep(options: &Options, jobs: &[Job]) -> ExitCode {
    let mut totals: BTreeMap<(&str, usize, String), Total> = BTreeMap::new();
    let mut progress = Progress::of(jobs.len());
    pool::run(jobs, options.jobs, |done| {
        let report = &done.report;
        let network = jobs.get(done.index).map(|job| job.network.arguments()).unwrap_or_default();
        totals.entry((report.scenario, report.nodes, network)).or_default().add(&done);
        if options.json {
            let text = serde_json::to_string(report).unwrap_or_default();
            out::line(format_args!("{text}"));
        }
        progress.done(report);
    });
    progress.clear();
    if !options.json {
        for ((name, nodes, network), total) in &totals {
            let (runs, failed) = (total.runs, total.failed);
            out::line(format_args!(
                "{name} · {nodes} nodes{network} · {runs} runs · {failed} failed"
            ));
            out::figures(To::Output, &total.figures.summaries(), total.figures.numbers());
            let cost = total.cost().as_micros();
            let what = "of a core, per node and virtual second";
            out::line(format_args!("  {what:<46} {cost} µs"));
        }
    }
    progress.finish();
    if progress.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
