//! `run`: one scenario, one seed.

use std::{io, process::ExitCode, time::Instant};

use clap::Args;
use netdb_sim::report;

use super::{Network, named, out, unknown};

#[derive(Args)]
pub(super) struct Options {
    /// Which scenario; see `list`
    #[arg(long, default_value = "create")]
    scenario: String,
    /// Hosts [default: the scenario's own]
    #[arg(long, value_name = "N")]
    nodes: Option<usize>,
    /// Decides everything that happens
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    network: Network,
    /// Print every event to standard output
    #[arg(long)]
    trace: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn main(options: &Options) -> ExitCode {
    let Some(scenario) = named(&options.scenario).and_then(|mut all| all.pop()) else {
        return unknown(&options.scenario);
    };
    let nodes = options.nodes.unwrap_or(scenario.nodes).max(scenario.fewest());
    let settings = options.network.options(options.seed, nodes);
    let sink = options.trace.then(|| Box::new(io::BufWriter::new(io::stdout())) as Box<_>);
    let replay = options.network.replay(&scenario, nodes, options.seed);
    let started = Instant::now();
    let report = report::run(&scenario, settings, sink, replay);
    if options.json {
        let text = serde_json::to_string_pretty(&report).unwrap_or_default();
        out::line(format_args!("{text}"));
    } else {
        out::report(&report, started.elapsed());
    }
    if report.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
