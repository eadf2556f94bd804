//! What one node's work costs, by criterion, beside what it may cost.

use std::{
    fmt::Write as _,
    fs::{self, File},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::shell::{Shell, cargo, target_dir};

pub(super) const ABOUT: &str = "what one node's work costs: writes, packets, commits, memory";

/// With the build of everything it needs.
const LIMIT: Duration = Duration::from_mins(40);
/// Rows of which the memory is measured.
const ROWS: [&str; 2] = ["100000", "1000000"];

#[derive(Args)]
pub(crate) struct Options {
    /// Measure for a tenth of the time: the figures are rougher
    #[arg(long)]
    quick: bool,
    /// Print the result as JSON; progress stays on standard error
    #[arg(long)]
    json: bool,
}

/// One of criterion's benchmarks.
struct Timed {
    /// Group and name.
    id: &'static str,
    words: &'static str,
    /// How many of what the words say one round does.
    each: f64,
    aim: Aim,
}

/// What a figure is held against.
#[derive(Clone, Copy)]
enum Aim {
    None,
    /// Nanoseconds, at most.
    Nanos(f64),
    /// At most so many times another benchmark.
    Times(f64, &'static str),
}

const fn timed(id: &'static str, words: &'static str, each: f64, aim: Aim) -> Timed {
    Timed { id, words, each, aim }
}

const BARE: &str = "packet/bare-cipher";

const TIMED: &[Timed] = &[
    timed("write/create", "create a row, no watches", 1.0, Aim::Nanos(1_500.0)),
    timed("write/update", "update a row, no watches", 1.0, Aim::Nanos(1_500.0)),
    timed("write/get", "look one of 10,000 rows up", 1.0, Aim::None),
    timed("received/merged", "merge a received row", 1.0, Aim::Nanos(2_000.0)),
    timed("received/taken", "take a message of 10 in, per row", 10.0, Aim::Nanos(2_000.0)),
    timed("watched/1", "update told to 1 watch", 1.0, Aim::None),
    timed("watched/10", "update told to 10 watches", 1.0, Aim::None),
    timed("watched/100", "update told to 100 watches", 1.0, Aim::None),
    timed("packet/seal-open", "seal and open 1,400 bytes", 1.0, Aim::Times(1.2, BARE)),
    timed(BARE, "the same with the bare cipher", 1.0, Aim::None),
    timed("message/encode", "encode a message of 10 rows", 1.0, Aim::None),
    timed("message/decode", "decode it", 1.0, Aim::None),
    timed("commit/one-writer", "acknowledged Cluster write, alone", 1.0, Aim::None),
    timed("commit/64-writers", "the same, 64 callers at once", 1.0, Aim::None),
];

/// Bytes that a row may cost beyond its key and value.
const BEYOND: u64 = 250;

/// One line of the table.
#[derive(Serialize)]
struct Figure {
    what: String,
    measured: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<f64>,
}

/// What criterion writes down of a benchmark.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

/// What the memory benchmark prints.
#[derive(Deserialize)]
struct Memory {
    beyond_key_and_value: u64,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    let shell = Shell::new("bench", Instant::now() + LIMIT, false).aside();
    let mut bench = cargo(["bench", "--package", "netdb", "--bench", "core", "--", "--noplot"]);
    if options.quick {
        bench.args(["--warm-up-time", "0.3", "--measurement-time", "0.5"]);
    }
    shell.run(to_error(&mut bench)?)?;
    let mut figures = Vec::new();
    for timed in TIMED {
        figures.push(figure(timed)?);
    }
    for rows in ROWS {
        figures.push(memory(&shell, rows)?);
    }
    let missed = figures.iter().any(|figure| !figure.is_held());
    if options.json {
        println!("{}", serde_json::to_string_pretty(&figures)?);
    } else {
        println!("{}", table(&figures));
    }
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn figure(timed: &Timed) -> Result<Figure> {
    let measured = median(timed.id)? / timed.each;
    let aim = match timed.aim {
        Aim::None => None,
        Aim::Nanos(nanos) => Some(nanos),
        Aim::Times(most, other) => Some(most * median(other)?),
    };
    Ok(Figure { what: timed.words.to_owned(), measured, unit: "ns", aim })
}

/// Nanoseconds of one round.
fn median(id: &str) -> Result<f64> {
    let path = target_dir().join("criterion").join(id).join("new/estimates.json");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let estimates: Estimates = serde_json::from_str(&text).context("reading an estimate")?;
    Ok(estimates.median.point_estimate)
}

fn memory(shell: &Shell, rows: &str) -> Result<Figure> {
    let told = target_dir().join("bench-memory.json");
    let output = File::create(&told).with_context(|| format!("creating {}", told.display()))?;
    let mut bench = cargo(["bench", "--quiet", "--package", "netdb", "--bench", "memory", "--"]);
    shell.run(bench.arg(rows).stdout(output))?;
    let memory: Memory = serde_json::from_str(&fs::read_to_string(&told)?)
        .context("reading what the memory benchmark printed")?;
    Ok(Figure {
        what: format!("memory of a row beyond key and value, {rows} rows"),
        measured: exact(memory.beyond_key_and_value),
        unit: "bytes",
        aim: Some(exact(BEYOND)),
    })
}

/// Standard output is for the result alone.
fn to_error(command: &mut Command) -> Result<&mut Command> {
    use std::os::fd::AsFd;
    let error = std::io::stderr().as_fd().try_clone_to_owned()?;
    Ok(command.stdout(error))
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
fn exact(bytes: u64) -> f64 {
    bytes as f64
}

impl Figure {
    fn is_held(&self) -> bool {
        self.aim.is_none_or(|aim| self.measured <= aim)
    }
}

fn table(figures: &[Figure]) -> String {
    let mut text = format!("{:<56}{:>12}{:>12}  ratio\n", "what", "measured", "aim");
    for figure in figures {
        let Figure { what, measured, unit, aim } = figure;
        let aimed = aim.map_or_else(String::new, |aim| shown(aim, unit));
        let held = if figure.is_held() { "" } else { "  MISSED" };
        let ratio = aim.map_or_else(String::new, |aim| format!("{:.2}{held}", measured / aim));
        // Writing to a String can't fail.
        let _ = writeln!(text, "{what:<56}{:>12}{aimed:>12}  {ratio}", shown(*measured, unit));
    }
    text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

fn shown(figure: f64, unit: &str) -> String {
    match unit {
        "ns" if figure >= 1e6 => format!("{:.2} ms", figure / 1e6),
        "ns" if figure >= 1e3 => format!("{:.2} us", figure / 1e3),
        _ => format!("{figure:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_aim_shows() {
        let figure = |measured, aim| Figure { what: "x".into(), measured, unit: "ns", aim };
        let figures = [figure(1_000.0, Some(500.0)), figure(1.0, Some(2.0)), figure(2e6, None)];
        assert_eq!(figures.each_ref().map(Figure::is_held), [false, true, true]);
        let text = table(&figures);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].ends_with("1.00 us      500 ns  2.00  MISSED"), "{text}");
        assert!(lines[2].ends_with("0.50") && lines[3].ends_with("2.00 ms"), "{text}");
    }

    #[test]
    fn what_is_held_against_another_is_there() {
        for timed in TIMED {
            if let Aim::Times(_, other) = timed.aim {
                assert!(TIMED.iter().any(|timed| timed.id == other), "{other}");
            }
        }
    }
}
