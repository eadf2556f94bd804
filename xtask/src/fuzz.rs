//! `cargo xtask fuzz [TARGET]...`: builds the fuzz targets, runs each for a while, and prints one table.
//!
//! What a target finds stays in the target directory and is tried first at its next run, until it is
//! mended. Must never call a target clean that was not run.

mod locks;
mod report;

use std::{
    fs::{self, File},
    iter, panic,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    sync::{Mutex, PoisonError},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{
    lanes::{Lane, Verdict, refuse_unknown},
    shell::{Shell, cargo, root, target_dir},
    tools,
};
use report::Row;

/// The lane of CI: it fails, and is not skipped, where nothing can be fuzzed.
pub(crate) const LANE: Lane = Lane {
    name: "fuzz",
    about: "hostile bytes: every fuzz target is linted, built and run for a moment",
    limit: Duration::from_mins(30),
    run: |shell| {
        // The same search each time where it is short: what chance finds is for the long run, and not
        // for whoever changes something else.
        let search = if shell.long() {
            Search { time: LONG, seed: None }
        } else {
            Search { time: SHORT, seed: Some(1) }
        };
        lint(shell)?;
        let rows = all(shell, &targets()?, &search)?;
        print!("{}", report::table(&rows));
        match rows.iter().filter(|row| !row.is_clean()).count() {
            0 => Ok(Verdict::Passed),
            found => bail!("{found} of {} targets failed", rows.len()),
        }
    },
};

/// Longer than any first build.
const BUILD_LIMIT: Duration = Duration::from_mins(40);
/// What a target may take to start and to end, beside its time.
const GRACE: Duration = Duration::from_mins(2);
/// The time of each target in CI, and unless told otherwise.
const SHORT: Duration = Duration::from_secs(5);
/// The same before a release.
const LONG: Duration = Duration::from_mins(5);

/// An input that takes longer is a finding.
const TIMEOUT_S: u32 = 20;
/// Memory beyond which an input is a finding: in all, and in one piece. The largest piece that a limit of
/// ours allows is one decode, 4 MiB; a corpus and libFuzzer's own tables need most of the rest.
const MEMORY_MIB: u32 = 2048;
const PIECE_MIB: u32 = 32;

/// As in `.cargo/config.toml`, which what cargo-fuzz sets replaces.
const RUSTFLAGS: &str = "--cfg poly1305_backend=\"soft\"";

const EXAMPLES: &str = "\
Examples:
  cargo xtask fuzz --list
  cargo xtask fuzz
  cargo xtask fuzz laws --minutes 30
  cargo xtask fuzz state --replay target/fuzz/found/state/crash-1234
  cargo xtask fuzz --json > fuzz.json";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Only these targets
    #[arg(value_name = "TARGET")]
    only: Vec<String>,
    /// How long each target is run; five seconds by default
    #[arg(long, value_name = "N", value_parser = minutes)]
    minutes: Option<Duration>,
    /// Search as another run with this seed did; by default each run searches its own way
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seed: Option<u32>,
    /// Run the target once, on this input
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Name the targets and what they try, and run nothing
    #[arg(long)]
    list: bool,
    /// Print the result as JSON; progress stays on standard error
    #[arg(long)]
    json: bool,
}

/// How to look.
struct Search {
    /// At each target.
    time: Duration,
    /// Of libFuzzer's choices; `None` for another one each time.
    seed: Option<u32>,
}

/// One file in `fuzz/targets`.
struct Target {
    name: String,
    about: String,
}

fn minutes(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number of minutes, a second at least".to_owned();
    let minutes: f64 = text.parse().map_err(|_| expected())?;
    let time = Duration::try_from_secs_f64(minutes * 60.0).map_err(|_| expected())?;
    if time < Duration::from_secs(1) { Err(expected()) } else { Ok(time) }
}

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let targets = chosen(targets()?, &options.only)?;
    if options.list {
        for Target { name, about } in &targets {
            println!("{name:<10} {about}");
        }
        return Ok(ExitCode::SUCCESS);
    }
    let time = options.minutes.unwrap_or(SHORT);
    let count = u32::try_from(targets.len())?;
    let shell = Shell::new(LANE.name, Instant::now() + BUILD_LIMIT + (time + GRACE) * count, false);
    let shell = if options.json { shell.aside() } else { shell };
    if let Some(input) = &options.replay {
        return replay(&shell, &targets, input);
    }
    let rows = all(&shell, &targets, &Search { time, seed: options.seed })?;
    print!("{}", if options.json { report::json(&rows)? } else { report::table(&rows) });
    let clean = rows.iter().all(Row::is_clean);
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The targets there are, with the first sentence of their documentation.
fn targets() -> Result<Vec<Target>> {
    let directory = root().join("fuzz/targets");
    let mut targets = Vec::new();
    for entry in fs::read_dir(&directory).context("reading fuzz/targets")? {
        let path = entry?.path();
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else { continue };
        let text = fs::read_to_string(&path)?;
        let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
        let about: String = lines.collect();
        let about = about.split_once(". ").map_or(about.as_str(), |(first, _)| first);
        let about = about.trim().trim_end_matches('.').to_owned();
        targets.push(Target { name: name.to_owned(), about });
    }
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(targets)
}

fn chosen(targets: Vec<Target>, only: &[String]) -> Result<Vec<Target>> {
    refuse_unknown("target", targets.iter().map(|target| target.name.as_str()), only)?;
    let wanted = |target: &Target| only.is_empty() || only.contains(&target.name);
    Ok(targets.into_iter().filter(wanted).collect())
}

/// The fuzz targets are no members of the workspace, so that the other lints don't see them.
fn lint(shell: &Shell) -> Result<()> {
    tools::cpp()?;
    tools::component(shell, "clippy", "clippy")?;
    let clippy = ["clippy", "--locked", "--manifest-path", "fuzz/Cargo.toml", "--lib", "--bins"];
    shell.run(cargo(clippy).args(["--", "-D", "warnings"]))
}

/// Builds the targets and runs them, each on a core of its own.
fn all(shell: &Shell, targets: &[Target], search: &Search) -> Result<Vec<Row>> {
    let built = build(shell, targets)?;
    let waiting = Mutex::new(targets.iter());
    let next = || waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || iter::from_fn(next).map(|target| one(shell, &built, target, search)).collect();
    let rows: Result<Vec<Vec<Row>>> = thread::scope(|scope| {
        let workers: Vec<_> =
            (0..thread::available_parallelism()?.get()).map(|_| scope.spawn(work)).collect();
        let done = |worker: ScopedJoinHandle<'_, Result<Vec<Row>>>| {
            worker.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
        };
        workers.into_iter().map(done).collect()
    });
    let mut rows: Vec<Row> = rows?.into_iter().flatten().collect();
    rows.sort_by(|one, other| one.target.cmp(&other.target));
    Ok(rows)
}

/// Returns where the programs are.
fn build(shell: &Shell, targets: &[Target]) -> Result<PathBuf> {
    let host = tools::nightly_host()?;
    tools::cpp()?;
    tools::cargo_fuzz(shell)?;
    // cargo-fuzz would mend a lock file that does not fit, unseen.
    shell.run(&mut cargo(["fetch", "--locked", "--manifest-path", "fuzz/Cargo.toml"]))?;
    let directory = target_dir().join("fuzz");
    let mut build = tools::nightly(&["cargo", "fuzz", "build", "--fuzz-dir", "fuzz"]);
    build.arg("--target-dir").arg(&directory).env("RUSTFLAGS", RUSTFLAGS);
    if let [target] = targets {
        build.arg(&target.name);
    }
    shell.run(&mut build)?;
    Ok(directory.join(host).join("release"))
}

fn one(shell: &Shell, built: &Path, target: &Target, search: &Search) -> Result<Row> {
    let name = &target.name;
    let place = |what: &str| target_dir().join("fuzz").join(what).join(name);
    let (found, log) = (place("found"), place("log"));
    for fresh in [place("seeds"), place("scratch"), log.clone()] {
        // Left over from the run before. Most often there is none.
        let _ = fs::remove_dir_all(fresh);
    }
    for directory in [&place("corpus"), &place("seeds"), &place("scratch"), &found, &log] {
        fs::create_dir_all(directory)?;
    }
    let log = log.join("output");
    let mut fuzz = Command::new(built.join(name));
    fuzz.arg(format!("-max_total_time={}", search.time.as_secs()))
        // To libFuzzer, 0 means another one each time.
        .arg(format!("-seed={}", search.seed.unwrap_or(0)))
        .arg(format!("-timeout={TIMEOUT_S}"))
        .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
        .arg(format!("-malloc_limit_mb={PIECE_MIB}"))
        .args(["-print_final_stats=1", "-dict=fuzz/extremes.dict"])
        .arg(format!("-artifact_prefix={}/", found.display()))
        .args([place("corpus"), place("seeds"), found.clone()])
        .env("NETDB_FUZZ_SEEDS", place("seeds"))
        .env("TMPDIR", place("scratch"))
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    let ended = shell.run(&mut fuzz);
    let said = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    Ok(Row::read(name, &said, ended.err().map(|error| format!("{error:#}")), &found, &log))
}

fn replay(shell: &Shell, targets: &[Target], input: &Path) -> Result<ExitCode> {
    let [target] = targets else { bail!("name the one target that the input is for") };
    let input = input.canonicalize().with_context(|| format!("there is no {}", input.display()))?;
    let built = build(shell, targets)?;
    let mut once = Command::new(built.join(&target.name));
    once.arg(format!("-timeout={TIMEOUT_S}"))
        .arg(format!("-malloc_limit_mb={PIECE_MIB}"))
        .arg(input);
    shell.run(&mut once)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_built_and_says_what_it_tries() {
        let manifest = fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
        let targets = targets().unwrap();
        for Target { name, about } in &targets {
            assert!(manifest.contains(&format!("path = \"targets/{name}.rs\"")), "{name}");
            assert!(!about.is_empty(), "{name}");
        }
        assert_eq!(manifest.matches("[[bin]]").count(), targets.len());
    }

    #[test]
    fn minutes_may_be_parts_of_one() {
        assert_eq!(minutes("0.25"), Ok(Duration::from_secs(15)));
        for wrong in ["", "x", "0", "-1", "NaN", "1e40"] {
            assert!(minutes(wrong).is_err(), "{wrong}");
        }
    }
}
