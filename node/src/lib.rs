//! `netnode`: runs a node of the cluster on this host, and lets people and programs at it through a
//! control API on a Unix socket.
//!
//! | module | what it owns |
//! | --- | --- |
//! | [`settings`] | what can be set, by whom, and what is wrong with it |
//! | `args` | the command line |
//! | `logging` | where logs go and what is in them |
//! | `setup` | `init`, `join` and `config`: commands that end at once |
//! | `generated` | completions and manual pages |
//! | `dns` | the names that sandboxes ask for, answered inside of them |
//! | `endpoints` | the endpoints of this host, and what the kernel should be like for them |
//! | `networks` | the networks of the cluster and of this host: creating, finding and removing them |
//! | `state_file` | a small file of what this host alone knows, replaced as a whole |
//! | `ipam` | numbers for this host, given without a quorum |
//! | `daemon` | the running node: signals, reload, the order of starting and stopping |
//! | `service` | what the service manager is told and asked |
//! | `metrics` | the node's figures in Prometheus' form |
//! | `control` | the API, its socket and its connections |
//! | [`drivers`] | from rows to what the kernel should be like, and making it so |
//! | [`kernel`] | the only code that touches the host: namespaces, links, their entries and settings |
//!
//! A library, so that tests reach its parts. The node itself is `netdb`; nothing here may know more of
//! it than its handle shows.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod args;
mod control;
mod daemon;
mod dns;
pub mod drivers;
mod endpoints;
mod generated;
mod ipam;
pub mod kernel;
mod logging;
mod metrics;
mod name_keeper;
mod networks;
mod service;
mod services;
pub mod settings;
mod setup;
mod state_file;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
};

use args::{Action, CommandLine};

/// The exit code of a wrong command line or wrong settings.
pub const EXIT_USAGE: u8 = 2;

/// Why netnode ends with an error, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    pub(crate) code: u8,
}

impl Failure {
    pub(crate) fn new(error: impl std::fmt::Display) -> Self {
        Self { message: error.to_string(), hint: None, code: 1 }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<settings::SettingsError> for Failure {
    fn from(error: settings::SettingsError) -> Self {
        Self { code: EXIT_USAGE, ..Self::new(error) }
    }
}

/// Runs a command line.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Nothing that this process makes is for others, unless its mode is set on purpose.
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let command_line = match args::parse(args) {
        Ok(command_line) => command_line,
        Err(error) => {
            let code = if error.use_stderr() { EXIT_USAGE } else { 0 };
            // A closed pipe is no reason to fail.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match run(command_line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { message, hint, code }) => {
            let mut to = io::stderr().lock();
            // If standard error is gone, the exit code still tells.
            let _ = writeln!(to, "netnode: error: {message}");
            if let Some(hint) = hint {
                let _ = writeln!(to, "  hint: {hint}");
            }
            ExitCode::from(code)
        }
    }
}

fn run(command_line: CommandLine) -> Result<(), Failure> {
    let CommandLine { action, sources } = command_line;
    let resolved = sources.resolve()?;
    let out = &mut io::stdout().lock();
    match action {
        Action::ConfigCheck => setup::config_check(&resolved, out),
        Action::ConfigShow { json } => setup::config_show(&resolved, json, out),
        Action::Metrics => Ok(out.write_all(metrics::page().as_bytes())?),
        Action::Openapi => Ok(out.write_all(control::openapi().as_bytes())?),
        Action::Completions(shell) => generated::completions(shell, out),
        Action::Man(dir) => generated::man(&dir, out),
        Action::Init => block_on(setup::init(&resolved, out)),
        Action::Join { token, peers, replaces } => {
            block_on(setup::join(&resolved, &token, &peers, replaces.as_deref(), out))
        }
        Action::Run => {
            let logging = logging::start(&resolved.settings);
            block_on(daemon::run(sources, resolved, logging))
        }
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::new(format!("the runtime can't start: {error}")))?;
    runtime.block_on(work)
}
