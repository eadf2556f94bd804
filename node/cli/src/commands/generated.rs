//! What is made from the description of the command line: shell completions and manual pages.

use std::{fs, path::Path};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::{Io, args::Args, failure::Failure};

/// What people type.
const NAME: &str = "netdbctl";

pub(super) fn completions(io: &mut Io<'_>, shell: Shell) -> Result<(), Failure> {
    // Into memory first: the generator panics if it can't write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), NAME, &mut script);
    Ok(io.out.write_all(&script)?)
}

/// One page for each command.
pub(super) fn man(io: &mut Io<'_>, dir: &Path) -> Result<(), Failure> {
    let failed = |error| {
        Failure::Failed(format!("the manual pages can't be written to {}: {error}", dir.display()))
    };
    fs::create_dir_all(dir).map_err(failed)?;
    let command = Args::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, dir).map_err(failed)?;
    Ok(writeln!(io.out, "wrote the manual pages to {}", dir.display())?)
}
