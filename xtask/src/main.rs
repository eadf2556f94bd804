//! `cargo xtask COMMAND`: the commands that developers, the README and CI share.
//!
//! It starts other programs and reports on them. It must never hold product code: nothing that is
//! shipped may need it at run time.

mod advisories;
mod api;
mod bench;
mod demo;
mod fuzz;
mod interrupt;
mod lanes;
mod process;
mod shell;
mod soak;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "Shows, tests and checks this tree"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run real nodes: five that join, converge, rotate keys, fail and return; three with containers
    Demo(demo::Options),
    /// Measure real nodes, beside what the simulator says of them
    Bench(bench::Options),
    /// Let a cluster of real nodes live through writes, kills, restarts, pauses and key rotations
    Soak(soak::Options),
    /// Run every test lane
    Test(lanes::Options),
    /// Try every way in with hostile bytes; needs the nightly compiler
    Fuzz(fuzz::Options),
    /// List everything public in the libraries, as docs/api.txt does; needs the nightly compiler
    Api,
    /// Run what CI runs: format, lints, dependencies, documentation, every test lane, then what needs nightly
    Ci(lanes::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Api => api::run(),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Soak(options) => soak::run(&options),
        Command::Test(options) => lanes::run(lanes::suites::LANES, &options, false),
        Command::Ci(options) => {
            let lanes = [lanes::checks::LANES, lanes::suites::LANES, &[api::LANE, fuzz::LANE]];
            lanes::run(&lanes.concat(), &options, true)
        }
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
