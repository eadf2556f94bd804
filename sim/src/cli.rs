//! The command line: what to run, and how it is printed. Decides nothing inside a world.

mod anchors;
mod out;
mod page;
mod pages;
mod pool;
mod progress;
mod run;
mod sweep;

use std::fmt::Write as _;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use netdb_sim::{
    scenario::{self, Scenario},
    world::{self, Options},
};

const EXAMPLES: &str = "\
Examples:
  netdb-sim list
  netdb-sim run --scenario create --nodes 25
  netdb-sim run --scenario churn --nodes 100 --seed 7 --loss 5
  netdb-sim run --scenario create --nodes 25 --links wan
  netdb-sim replay --scenario kill --seed 3 --only n4 --from 60 --until 65 > kill.trace
  netdb-sim sweep --scenario churn --seeds 100 --nodes 5,10,25
  netdb-sim sweep --scenario all --seeds 10 --json
  netdb-sim sweep --suite anchors --quick
  netdb-sim sweep --suite standard
  netdb-sim report --scenario kill --out report.html";

/// Deterministic clusters: the cores of gossip and netdb under virtual time
#[derive(Parser)]
#[command(name = "netdb-sim", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one scenario with one seed; the same command always gives the same trace hash
    #[command(after_help = EXAMPLES)]
    Run(run::Run),
    /// The same with its whole trace on standard output, a line per event; the report is on standard error
    #[command(after_help = EXAMPLES)]
    Replay(run::Replay),
    /// Run scenarios over many seeds and sizes, or a suite, on all cores
    #[command(after_help = EXAMPLES)]
    Sweep(sweep::Options),
    /// Write a page with plots: convergence, spread, traffic, the timeline of a run
    #[command(after_help = EXAMPLES)]
    Report(page::Options),
    /// Name the scenarios, a line each
    List,
}

/// What changes the network of a run.
#[derive(Args, Clone, Debug)]
struct Network {
    /// Datagrams lost, in percent
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    loss: f64,
    /// One-way delay in milliseconds, a fifth of it jitter; between hosts of one zone or region only, if
    /// there are several [default: that of the links, 1 in a LAN]
    #[arg(long, value_name = "MS")]
    delay: Option<f64>,
    /// What lies between the hosts
    #[arg(long, default_value = "lan")]
    links: Links,
}

/// Where the hosts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Links {
    /// One room: 1 ms one way, 1 Gbit/s
    #[default]
    Lan,
    /// Three zones of a region: 0.25 ms within one, 1 to 2 ms between them
    Zones,
    /// Five regions, up to 130 ms apart, 100 Mbit/s, with the settings for a WAN
    Wan,
}

impl Links {
    /// The settings of a run.
    fn options(self, seed: u64, nodes: usize) -> Options {
        match self {
            Self::Lan => Options::lan(seed, nodes),
            Self::Zones => Options::multi_zone(seed, nodes),
            Self::Wan => Options::wan(seed, nodes),
        }
    }

    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl Default for Network {
    /// A LAN on which nothing goes wrong.
    fn default() -> Self {
        Self { loss: 0.0, delay: None, links: Links::Lan }
    }
}

/// The most nodes of which every one's view is watched: nobody else is seen by a stopwatch.
const WATCHED: usize = 2_000;

impl Network {
    /// The settings of a run.
    fn options(&self, seed: u64, nodes: usize) -> Options {
        let mut options = self.links.options(seed, nodes);
        options.watched = options.watched.max(nodes.min(WATCHED));
        if let Some(delay) = self.delay {
            let delay = std::time::Duration::from_secs_f64(delay.clamp(0.0, 60_000.0) / 1000.0);
            options.link = world::link::Link::with_delay(delay);
        }
        let loss = std::time::Duration::from_secs_f64(self.loss.clamp(0.0, 100.0) / 100.0);
        options.link.loss = u32::try_from(loss.as_micros()).unwrap_or(0);
        options
    }

    /// As it is given on the command line.
    fn arguments(&self) -> String {
        let mut text = String::new();
        if self.loss > 0.0 {
            let _ = write!(text, " --loss {}", self.loss);
        }
        if let Some(delay) = self.delay {
            let _ = write!(text, " --delay {delay}");
        }
        if self.links != Links::default() {
            let _ = write!(text, " --links {}", self.links.name());
        }
        text
    }

    fn replay(&self, scenario: &Scenario, nodes: usize, seed: u64) -> String {
        let name = scenario.name;
        format!(
            "cargo run --release -p netdb-sim -- replay --scenario {name} --nodes {nodes} --seed {seed}{}",
            self.arguments()
        )
    }
}

/// Runs the command line; 0 if every invariant held, 1 if one broke, 2 if the command makes no sense.
pub(crate) fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Replay(options) => run::replay(&options),
        Command::Sweep(options) => sweep::main(&options),
        Command::Report(options) => page::main(&options),
        Command::List => list(),
    }
}

fn list() -> ExitCode {
    for scenario in scenario::all() {
        out::line(format_args!("{:<16} {}", scenario.name, scenario.about));
    }
    ExitCode::SUCCESS
}

/// Scenarios by name; `all` is every one.
fn named(name: &str) -> Option<Vec<Scenario>> {
    if name == "all" { Some(scenario::all()) } else { Some(vec![scenario::named(name)?]) }
}

fn unknown(name: &str) -> ExitCode {
    let known: Vec<&str> = scenario::all().iter().map(|scenario| scenario.name).collect();
    out::error(format_args!("there is no scenario {name:?}; there are: {}", known.join(", ")));
    ExitCode::from(2)
}
