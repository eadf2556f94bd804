//! `bench dns`: what a lookup of a local name costs, beside unbound and dnsmasq serving the same names.
//!
//! The servers run on the loopback, one after the other under the same load, several times in turn: what else
//! the machine does then falls on all of them.
//!
//! And how soon a change is told elsewhere, on hosts that are network namespaces, with a real netnode on each.

mod changes;
mod load;
mod servers;
mod table;

use std::{
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use netdb_tests::address::Addresses;

use self::{
    changes::Told,
    load::{Load, Measured},
    servers::{Server, Work},
};
use super::room;
use crate::shell::{Shell, cargo, target_dir};

pub(super) const ABOUT: &str =
    "what a lookup of a local name costs, beside unbound and dnsmasq; how soon a change is told";

/// Longer than any first build.
const BUILD_LIMIT: Duration = Duration::from_mins(30);

#[derive(Args)]
pub(crate) struct Options {
    /// Names that are served and asked for
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    names: u32,
    /// Times that each server is measured; 0 leaves them out
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(..=100))]
    rounds: u16,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Endpoints that come and go; 0 leaves them out
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(..=2_000))]
    changes: u16,
    /// Print the result as JSON; progress stays on standard error
    #[arg(long)]
    json: bool,
    /// This is in namespaces of its own, and puts what it measures into
    #[arg(long, hide = true, value_name = "FILE")]
    apart: Option<PathBuf>,
}

/// What was measured of one server.
pub(super) struct Row {
    name: &'static str,
    rounds: Vec<Measured>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    if let Some(file) = &options.apart {
        return changes::apart(file, options.changes);
    }
    let missing = (options.rounds > 0).then(servers::missing).flatten();
    if let Some(why) = missing.or_else(|| (options.changes > 0).then(room::missing).flatten()) {
        eprintln!("SKIPPED: {why}");
        return Ok(ExitCode::FAILURE);
    }
    let shell = Shell::new("bench", Instant::now() + BUILD_LIMIT, false).aside();
    let rows = if options.rounds > 0 { rows(options, &shell)? } else { Vec::new() };
    let told = if options.changes > 0 { Some(changes::measure(&shell)?) } else { None };
    println!(
        "{}",
        if options.json { table::json(&rows, told.as_ref())? } else { text(&rows, told.as_ref()) }
    );
    let held = (rows.is_empty() || table::is_held(&rows)) && told.is_none_or(|told| told.held);
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(rows: &[Row], told: Option<&Told>) -> String {
    let rows = (!rows.is_empty()).then(|| table::table(rows));
    let told = told.map(|told| told.text.clone());
    rows.into_iter().chain(told).collect::<Vec<_>>().join("\n\n")
}

/// Measures each server several times.
fn rows(options: &Options, shell: &Shell) -> Result<Vec<Row>> {
    eprintln!("Building the example server (release).");
    let example = ["--package=netnode-dns", "--example=names"];
    shell.run(cargo(["build", "--release"]).args(example))?;
    let work = Work::new(&target_dir().join("bench-dns"), options.names)?;
    let load = Load { queries: work.queries.clone(), time: Duration::from_secs(options.seconds) };
    let mut addresses = Addresses::apart();
    let mut rows: Vec<Row> =
        servers::NAMES.map(|name| Row { name, rounds: Vec::new() }).into_iter().collect();
    for round in 1..=options.rounds {
        for row in &mut rows {
            eprintln!("{} of {}: {}", round, options.rounds, row.name);
            let server = Server::start(row.name, &work, addresses.free()?)
                .with_context(|| format!("starting {}", row.name))?;
            row.rounds.push(load.put_on(&server)?);
        }
    }
    Ok(rows)
}
