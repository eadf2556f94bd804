//! `netdb-sim`: runs clusters under virtual time; see `netdb-sim --help`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
