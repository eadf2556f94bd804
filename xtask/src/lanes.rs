//! Lanes: named groups of commands that are run one after another and reported in one table.
//!
//! A failing lane never stops the ones after it, and a lane that could not run is never shown as
//! one that passed.

pub(crate) mod checks;
pub(crate) mod suites;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;
use netdb_tests::skips::LEFT_TO_VM;

use crate::shell::Shell;

/// What a lane is allowed to take for each minute of its limit when `--long` is given.
const LONG_FACTOR: u32 = 8;

/// Results of a lane that did not pass.
const FAILED: &str = "FAILED";
const SKIPPED: &str = "SKIPPED";

#[derive(Args)]
pub(crate) struct Options {
    /// Run only this lane (may be given several times)
    #[arg(long = "lane", value_name = "NAME")]
    only: Vec<String>,
    /// More cases, seeds and nodes: the run before a release
    #[arg(long)]
    long: bool,
    /// Name the lanes and what they do, and run nothing
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy)]
pub(crate) struct Lane {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// A lane still running after this long has failed: something in it hangs.
    pub(crate) limit: Duration,
    /// Runs the lane's commands; an error is a failure.
    pub(crate) run: fn(&Shell) -> Result<Verdict>,
}

/// How a lane that did not fail ended.
pub(crate) enum Verdict {
    Passed,
    /// This machine lacks something, which is named.
    Skipped(String),
}

struct Row {
    lane: &'static str,
    result: &'static str,
    took: Duration,
    notes: Vec<String>,
}

/// Runs the chosen lanes and prints the table.
///
/// Where a lane `must` run, one that can't has failed.
pub(crate) fn run(lanes: &[Lane], options: &Options, must: bool) -> Result<ExitCode> {
    if options.list {
        for lane in lanes {
            println!("{:<8} {}", lane.name, lane.about);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = chosen(lanes, &options.only)?;
    let rows: Vec<Row> = chosen.into_iter().map(|lane| one(lane, options.long)).collect();
    table(&rows);
    let failed = rows.iter().any(|row| is_failure(row, must));
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn is_failure(row: &Row, must: bool) -> bool {
    row.result == FAILED || must && row.result == SKIPPED
}

fn chosen<'a>(lanes: &'a [Lane], only: &[String]) -> Result<Vec<&'a Lane>> {
    refuse_unknown("lane", lanes.iter().map(|lane| lane.name), only)?;
    Ok(lanes
        .iter()
        .filter(|lane| only.is_empty() || only.iter().any(|name| name == lane.name))
        .collect())
}

/// Says which there are, if one is asked for that there is not.
pub(crate) fn refuse_unknown<'a>(
    what: &str,
    known: impl Iterator<Item = &'a str>,
    asked: &[String],
) -> Result<()> {
    let known: Vec<&str> = known.collect();
    if let Some(unknown) = asked.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("there is no {what} `{unknown}`; there are: {}", known.join(", "));
    }
    Ok(())
}

fn one(lane: &Lane, long: bool) -> Row {
    println!("\n=== {}: {} ===", lane.name, lane.about);
    let started = Instant::now();
    let limit = if long { lane.limit * LONG_FACTOR } else { lane.limit };
    let shell = Shell::new(lane.name, started + limit, long);
    let verdict = (lane.run)(&shell);
    let took = started.elapsed();
    let mut notes: Vec<String> = shell.skips().into_iter().map(note).collect();
    let result = match verdict {
        Ok(Verdict::Passed) => "passed",
        Ok(Verdict::Skipped(why)) => {
            notes.push(why);
            SKIPPED
        }
        Err(error) => {
            notes.push(format!("{error:#}"));
            FAILED
        }
    };
    println!("=== {}: {result} after {:.1} s ===", lane.name, took.as_secs_f64());
    for note in &notes {
        println!("    {note}");
    }
    Row { lane: lane.name, result, took, notes }
}

/// What is said of something that tests left out.
fn note(skip: String) -> String {
    if skip.starts_with(LEFT_TO_VM) { skip } else { format!("SKIPPED in it: {skip}") }
}

fn table(rows: &[Row]) {
    println!("\n{:<10} {:<8} {:>9}  note", "lane", "result", "seconds");
    for row in rows {
        println!(
            "{:<10} {:<8} {:>9.1}  {}",
            row.lane,
            row.result,
            row.took.as_secs_f64(),
            row.notes.join("; ")
        );
    }
    let count = |result| rows.iter().filter(|row| row.result == result).count();
    println!(
        "\nlanes: {} passed, {} failed, {} skipped",
        count("passed"),
        count(FAILED),
        count(SKIPPED)
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn lane(name: &'static str, run: fn(&Shell) -> Result<Verdict>) -> Lane {
        Lane { name, about: "", limit: Duration::from_mins(1), run }
    }

    const LANES: &[Lane] = &[
        lane("fails", |_| bail!("broken")),
        lane("lacks", |_| Ok(Verdict::Skipped("no such machine".into()))),
        lane("leaves", |shell| {
            let mut leaves = std::process::Command::new("sh");
            shell.run(leaves.args(["-c", "echo 'disk: no room' >> $NETDB_SKIPS"]))?;
            Ok(Verdict::Passed)
        }),
    ];

    fn names(only: &[&str]) -> Result<Vec<&'static str>> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        Ok(chosen(LANES, &only)?.into_iter().map(|lane| lane.name).collect())
    }

    #[test]
    fn all_run_unless_some_are_named() {
        assert_eq!(names(&[]).unwrap(), ["fails", "lacks", "leaves"]);
        assert_eq!(names(&["leaves", "fails"]).unwrap(), ["fails", "leaves"]);
        let error = names(&["leaves", "nope"]).unwrap_err().to_string();
        assert!(error.contains("`nope`") && error.contains("fails, lacks, leaves"), "{error}");
    }

    #[test]
    fn what_was_left_out_is_told() {
        let rows: Vec<Row> = LANES.iter().map(|lane| one(lane, false)).collect();
        let told: Vec<_> = rows.iter().map(|row| (row.result, row.notes.join(";"))).collect();
        let expected = [
            ("FAILED", "broken".to_owned()),
            ("SKIPPED", "no such machine".to_owned()),
            ("passed", "SKIPPED in it: disk: no room".to_owned()),
        ];
        assert_eq!(told, expected);
        // Where all must run, what could not has failed.
        let failed = |must| rows.iter().map(|row| is_failure(row, must)).collect::<Vec<_>>();
        assert_eq!(failed(false), [true, false, false]);
        assert_eq!(failed(true), [true, true, false]);
    }

    #[test]
    fn what_another_lane_runs_is_not_called_skipped() {
        let told = note(format!("{LEFT_TO_VM}a test: no VLANs"));
        assert_eq!(told, "left to the lane vm: a test: no VLANs");
    }
}
