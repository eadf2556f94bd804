//! `bench dns`: what a lookup of a local name costs, beside unbound and dnsmasq serving the same names.
//!
//! The servers run on the loopback, one after the other under the same load, several times in turn: what else
//! the machine does then falls on all of them.

mod load;
mod servers;
mod table;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use clap::Args;
use netdb_tests::address::Addresses;

use self::{
    load::{Load, Measured},
    servers::{Server, Work},
};
use crate::shell::{Shell, cargo, target_dir};

pub(super) const ABOUT: &str = "what a lookup of a local name costs, beside unbound and dnsmasq";

/// Longer than any first build.
const BUILD_LIMIT: Duration = Duration::from_mins(30);

#[derive(Args)]
pub(crate) struct Options {
    /// Names that are served and asked for
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    names: u32,
    /// Times that each server is measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Print the result as JSON; progress stays on standard error
    #[arg(long)]
    json: bool,
}

/// What was measured of one server.
pub(super) struct Row {
    name: &'static str,
    rounds: Vec<Measured>,
}

pub(super) fn run(options: &Options) -> Result<ExitCode> {
    if let Some(why) = servers::missing() {
        eprintln!("SKIPPED: {why}");
        return Ok(ExitCode::FAILURE);
    }
    eprintln!("Building the example server (release).");
    let shell = Shell::new("bench", Instant::now() + BUILD_LIMIT, false).aside();
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
    println!("{}", if options.json { table::json(&rows)? } else { table::table(&rows) });
    Ok(if table::is_held(&rows) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
