//! `sweep`: scenarios × sizes × seeds on all cores.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    process::ExitCode,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use netdb_sim::{
    figures::Figures,
    report::{self, Report},
    scenario::Scenario,
};

use super::{Network, named, out, unknown};

#[derive(Args)]
pub(super) struct Options {
    /// Which scenario, or `all`
    #[arg(long, default_value = "churn")]
    scenario: String,
    /// How many seeds
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Sizes, with commas [default: the scenario's own]
    #[arg(long, value_name = "N,N", value_delimiter = ',')]
    nodes: Vec<usize>,
    /// Runs at a time [default: one per core]
    #[arg(long)]
    jobs: Option<usize>,
    /// Run each seed twice and compare the traces
    #[arg(long)]
    twice: bool,
    #[command(flatten)]
    network: Network,
    /// Print one report per run as a line of JSON
    #[arg(long)]
    json: bool,
}

struct Job {
    scenario: Scenario,
    nodes: usize,
    seed: u64,
}

pub(super) fn main(options: &Options) -> ExitCode {
    let Some(scenarios) = named(&options.scenario) else { return unknown(&options.scenario) };
    let jobs = jobs(options, &scenarios);
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = options.jobs.unwrap_or(cores).clamp(1, jobs.len().max(1));
    let started = Instant::now();
    let mut totals: BTreeMap<(&str, usize), (usize, Figures)> = BTreeMap::new();
    let mut failed = Vec::new();
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, reports) = mpsc::sync_channel(workers);
        for _ in 0..workers {
            let (sender, jobs, next) = (sender.clone(), &jobs, &next);
            scope.spawn(move || {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if sender.send(one(job, options)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for (done, report) in (1..).zip(reports) {
            let entry = totals.entry((report.scenario, report.nodes)).or_default();
            entry.0 += 1;
            entry.1.merge(&report.figures);
            show(options, &report, done, jobs.len(), failed.len(), started);
            if !report.ok {
                failed.push(report);
            }
        }
    });
    finish(options, &totals, &failed, started)
}

fn jobs(options: &Options, scenarios: &[Scenario]) -> Vec<Job> {
    let mut jobs = Vec::new();
    for scenario in scenarios {
        let own = [scenario.nodes];
        let sizes = if options.nodes.is_empty() { &own[..] } else { &options.nodes };
        for nodes in sizes.iter().map(|nodes| (*nodes).max(scenario.fewest())) {
            let seeds = options.first..options.first.saturating_add(options.seeds);
            jobs.extend(seeds.map(|seed| Job { scenario: *scenario, nodes, seed }));
        }
    }
    jobs
}

fn one(job: &Job, options: &Options) -> Report {
    let run = || {
        let settings = options.network.options(job.seed, job.nodes);
        let replay = options.network.replay(&job.scenario, job.nodes, job.seed);
        report::run(&job.scenario, settings, None, replay)
    };
    let mut report = run();
    if options.twice {
        let again = run();
        if again.trace != report.trace && report.ok {
            report.ok = false;
            report.broken = Some(format!("determinism broken: then the trace is {}", again.trace));
        }
    }
    report
}

fn show(
    options: &Options,
    report: &Report,
    done: usize,
    all: usize,
    failed: usize,
    started: Instant,
) {
    if options.json {
        let text = serde_json::to_string(report).unwrap_or_default();
        out::line(format_args!("{text}"));
    }
    let took = started.elapsed();
    let times = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let left = took / times(done).max(1) * times(all - done);
    let failed = failed + usize::from(!report.ok);
    out::progress(format_args!(
        "{done} of {all}, {failed} failed, {} left · {} n{} seed {}",
        span(left),
        report.scenario,
        report.nodes,
        report.seed
    ));
    if let Some(what) = &report.broken {
        out::progress(format_args!(""));
        out::error(format_args!("BROKEN: {what}\nreplay: {}", report.replay));
    }
}

fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn finish(
    options: &Options,
    totals: &BTreeMap<(&str, usize), (usize, Figures)>,
    failed: &[Report],
    started: Instant,
) -> ExitCode {
    out::progress(format_args!(""));
    if !options.json {
        for ((name, nodes), (runs, figures)) in totals {
            let broke = failed.iter().filter(|r| r.scenario == *name && r.nodes == *nodes).count();
            out::line(format_args!("{name} · {nodes} nodes · {runs} runs · {broke} failed"));
            out::figures(&figures.summaries(), figures.numbers());
        }
    }
    let runs: usize = totals.values().map(|(runs, _)| runs).sum();
    out::error(format_args!("{runs} runs in {}, {} failed", span(started.elapsed()), failed.len()));
    for report in failed {
        out::error(format_args!("  {}", report.replay));
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
