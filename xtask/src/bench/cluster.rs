//! `bench cluster`: real processes first, one loss after the other, then the simulator, then the table.
//!
//! For each loss this program runs itself again in a network namespace of its own.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use netdb_tests::binaries::Binaries;
use nix::sys::{prctl::set_pdeathsig, signal::Signal};

use super::{
    ground::{Ground, Measured, tell},
    room::{self, Wire},
    simulated::{Simulations, simulate},
    stages::{self, Stage},
    table,
};
use crate::{
    interrupt::unless_interrupted,
    process,
    shell::{Shell, cargo, target_dir},
};

pub(super) const ABOUT: &str =
    "real netnode processes on the loopback beside the simulator, without and with lost packets";

/// Longer than any first build.
const BUILD_LIMIT: Duration = Duration::from_mins(30);
/// Everything but the build: the real clusters, then the simulations.
const LIMIT: Duration = Duration::from_mins(10);
/// What is left of it for the simulations.
const SIMULATIONS: Duration = Duration::from_secs(80);
/// From the end of the last stage to the end of the process.
const CLOSING: Duration = Duration::from_secs(10);
/// Said to the process that is in a namespace of its own.
const APART: &str = "apart";
/// Without loss there is more to measure.
const LOSSLESS_SHARE: u32 = 3;
const LOSSY_SHARE: u32 = 2;

#[derive(Args)]
pub(crate) struct Options {
    /// Processes
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(2..=100))]
    nodes: u16,
    /// Packets that the kernel loses, in percent; one cluster for each
    #[arg(
        long,
        value_name = "P,P",
        value_delimiter = ',',
        default_values_t = [0, 5, 20],
        value_parser = clap::value_parser!(u8).range(0..=90)
    )]
    loss: Vec<u8>,
    /// Measure only this; several with commas [default: all, idle only without loss]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<Stage>,
    /// Print the result as JSON; progress stays on standard error
    #[arg(long)]
    json: bool,
    /// Where the result of this one cluster goes, the seconds that there are for it, and whether this is
    /// in a namespace of its own
    #[arg(long, hide = true, num_args = 3, value_names = ["FILE", "SECONDS", "PLACE"])]
    inside: Vec<String>,
}

/// What is known of one loss.
pub(crate) struct Run {
    pub(crate) loss: u8,
    pub(crate) measured: Measured,
    pub(crate) simulations: Simulations,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    if let [file, seconds, place] = options.inside.as_slice() {
        let budget = Duration::from_secs(seconds.parse().context("seconds")?);
        return inside(options, Path::new(file), budget, place == APART);
    }
    eprintln!("Building netnode, netdbctl and netdb-sim (release).");
    let shell = Shell::new("bench", Instant::now() + BUILD_LIMIT, false).aside();
    let packages = ["--package=netnode", "--package=netnode-cli", "--package=netdb-sim"];
    shell.run(cargo(["build", "--release"]).args(packages))?;
    let began = Instant::now();
    let missing = room::missing();
    let mut runs = Vec::new();
    for loss in &options.loss {
        let left = LIMIT.saturating_sub(SIMULATIONS).saturating_sub(began.elapsed());
        let measured = match &missing {
            Some(why) if *loss > 0 => Measured { failed: vec![why.clone()], ..Measured::default() },
            _ => real(options, *loss, share(options, runs.len(), left), missing.as_deref()),
        };
        runs.push(Run { loss: *loss, measured, simulations: Simulations::default() });
    }
    let shell = Shell::new("bench", began + LIMIT, false).aside();
    for run in &mut runs {
        let figures = run.measured.samples.keys().copied();
        let nodes = usize::from(options.nodes);
        run.simulations = simulate(&shell, &release(), figures, nodes, run.loss);
    }
    let text = if options.json {
        table::json(usize::from(options.nodes), &runs)?
    } else {
        table::table(usize::from(options.nodes), &runs)
    };
    println!("{text}");
    eprintln!("{:.0?} in all, without the build", began.elapsed());
    let failed = runs
        .iter()
        .any(|run| !run.measured.failed.is_empty() || !run.simulations.failed.is_empty());
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn release() -> PathBuf {
    target_dir().join("release")
}

/// The part of what is left that the next of the losses may take.
fn share(options: &Options, done: usize, left: Duration) -> Duration {
    let weight = |loss: &u8| if *loss == 0 { LOSSLESS_SHARE } else { LOSSY_SHARE };
    let ahead = options.loss.get(done..).unwrap_or_default();
    let all: u32 = ahead.iter().map(weight).sum();
    left * ahead.first().map_or(0, weight) / all.max(1)
}

/// Measures one loss in a process of its own, in a namespace if there can be one.
fn real(options: &Options, loss: u8, budget: Duration, missing: Option<&str>) -> Measured {
    eprintln!("\n{} nodes, {loss} % loss, at most {budget:.0?}", options.nodes);
    let file = target_dir().join("bench-real.json");
    let load = process::load();
    let measured = again(options, loss, budget, missing.is_none(), &file);
    let mut measured = measured.unwrap_or_else(|error| Measured {
        failed: vec![format!("{error:#}")],
        ..Measured::default()
    });
    if let (Some(before), Some(after)) = (load, process::load()) {
        let note = format!("load average of the machine {before} before, {after} after");
        measured.notes.push(note);
    }
    if let Some(why) = missing {
        measured.notes.push(format!("not in a namespace of its own: {why}"));
    }
    measured
}

fn again(
    options: &Options,
    loss: u8,
    budget: Duration,
    apart: bool,
    file: &Path,
) -> Result<Measured> {
    // Of the run before. Most often there is none.
    let _ = fs::remove_file(file);
    let program = env::current_exe().context("finding this program")?;
    let mut command = Command::new(&program);
    if apart {
        command = room::enter();
        command.arg(program);
    }
    let (nodes, loss) = (options.nodes.to_string(), loss.to_string());
    let seconds = budget.saturating_sub(CLOSING).as_secs().to_string();
    command.args(["bench", "cluster", "--nodes", &nodes, "--loss", &loss]);
    let place = if apart { APART } else { "here" };
    command.args(options.only.iter().flat_map(|stage| ["--only".to_owned(), stage.name()]));
    command.arg("--inside").arg(file).args([&seconds, place]);
    Shell::new("bench", Instant::now() + budget, false).aside().run(&mut command)?;
    let text = fs::read_to_string(file).context("reading what was measured")?;
    serde_json::from_str(&text).context("reading what was measured")
}

/// In the namespace: the cluster lives and ends here.
fn inside(options: &Options, file: &Path, budget: Duration, apart: bool) -> Result<ExitCode> {
    let end = Instant::now() + budget;
    // Should whoever started this be killed, nodes must not be left behind.
    set_pdeathsig(Signal::SIGTERM).context("asking to be told of the end of the parent")?;
    let loss = options.loss.first().copied().unwrap_or_default();
    let work = async {
        let measured = measure(options, loss, apart, end).await?;
        fs::write(file, serde_json::to_string(&measured)?)
            .with_context(|| format!("writing {}", file.display()))?;
        Ok(ExitCode::SUCCESS)
    };
    unless_interrupted(work, || tell("interrupted: every process was ended"))
}

async fn measure(options: &Options, loss: u8, apart: bool, end: Instant) -> Result<Measured> {
    let wire = if apart { Some(Wire::up().await?) } else { None };
    let binaries = Binaries::within(&release())?;
    let ground = Ground::start(usize::from(options.nodes), binaries, wire).await?;
    stages::run(ground, &stages::chosen(&options.only, loss), loss, end).await
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn parsed(words: &[&str]) -> Result<Options, clap::Error> {
        Line::try_parse_from([&["bench"], words].concat()).map(|line| line.options)
    }

    #[test]
    fn a_line_is_understood() {
        let plain = parsed(&[]).unwrap();
        assert_eq!((plain.nodes, plain.loss.as_slice()), (25, [0, 5, 20].as_slice()));
        let other = parsed(&["--nodes", "5", "--loss", "0,1", "--only", "kill,heal"]).unwrap();
        assert_eq!((other.nodes, other.loss.as_slice()), (5, [0, 1].as_slice()));
        assert_eq!(other.only, [Stage::Kill, Stage::Heal]);
        for wrong in [["--nodes", "1"], ["--loss", "91"], ["--only", "x"]] {
            assert!(parsed(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_time_is_shared_out_to_the_last() {
        let options = parsed(&["--loss", "0,5,20"]).unwrap();
        let left = Duration::from_secs(700);
        assert_eq!(share(&options, 0, left), Duration::from_mins(5));
        assert_eq!(share(&options, 1, left), Duration::from_secs(350));
        assert_eq!(share(&options, 2, left), left);
    }
}
