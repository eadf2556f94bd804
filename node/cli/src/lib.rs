//! `netdbctl`: shows and changes a running netnode through its control API.
//!
//! A library, so that tests run whole command lines without a process for each. It talks to the
//! daemon through `netnode-api` only, and must never touch a state directory or a socket of a node.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod args;
mod commands;
mod failure;
mod help;
mod layout;
pub mod terminal;
mod text;

use std::{
    ffi::OsString,
    io::{self, BufRead, Write},
    time::Duration,
};

use clap::Parser;
use netnode_api::client::Client;

use args::Args;
use failure::Failure;
pub use failure::exit;
use terminal::Terminal;

/// Where a command line reads and writes.
pub struct Io<'a> {
    /// Results.
    pub out: &'a mut dyn Write,
    /// Errors, hints and progress.
    pub err: &'a mut dyn Write,
    /// For values and rows from standard input.
    pub input: &'a mut dyn BufRead,
    /// What is known of the terminal.
    pub terminal: Terminal,
}

/// Runs one command line and returns its exit code.
pub async fn run(args: impl IntoIterator<Item = OsString>, io: &mut Io<'_>) -> u8 {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => return refuse(&error, io),
    };
    io.terminal = io.terminal.with_color(args.color);
    let client = Client::new(&args.socket).with_timeout(Duration::from_secs(args.timeout));
    let done = commands::run(args.command, &client, io).await;
    let done = done.and_then(|()| io.out.flush().map_err(Failure::from));
    match done {
        Ok(()) => exit::OK,
        Err(failure) => {
            // If standard error is gone, the exit code still tells.
            let _ = failure.tell(io.err, io.terminal);
            failure.code()
        }
    }
}

/// Help and version go out as asked; everything else is a mistake on the command line.
fn refuse(error: &clap::Error, io: &mut Io<'_>) -> u8 {
    let styled = error.render();
    let (to, color): (&mut dyn Write, bool) = if error.use_stderr() {
        (io.err, io.terminal.err_color)
    } else {
        (io.out, io.terminal.color)
    };
    let written = if color { write!(to, "{}", styled.ansi()) } else { write!(to, "{styled}") };
    match written {
        Err(lost) if lost.kind() != io::ErrorKind::BrokenPipe => exit::FAILED,
        _ if error.use_stderr() => exit::USAGE,
        _ => exit::OK,
    }
}

#[cfg(test)]
mod tests;
