//! `cargo xtask COMMAND`: the commands that developers, the README and CI share.
//!
//! It starts other programs and reports on them. It must never hold product code: nothing that is
//! shipped may need it at run time.

mod advisories;
mod bench;
mod demo;
mod lanes;
mod shell;
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
    /// Run five real nodes on the loopback: join, converge, rotate keys, restart, fail, return
    Demo,
    /// Measure real nodes, beside what the simulator says of them
    Bench(bench::Options),
    /// Run every test lane
    Test(lanes::Options),
    /// Run what CI runs: format, lints, dependencies, documentation, then every test lane
    Ci(lanes::Options),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Demo => demo::run(),
        Command::Bench(options) => bench::run(&options),
        Command::Test(options) => lanes::run(lanes::suites::LANES, &options),
        Command::Ci(options) => {
            lanes::run(&[lanes::checks::LANES, lanes::suites::LANES].concat(), &options)
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
