//! Tools that the lanes need and a fresh machine lacks: installed once, by cargo or rustup alone.

use std::{
    env,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::shell::{Shell, cargo, root, works};

/// The version that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";
/// The version whose way of building `fuzz` counts on.
const CARGO_FUZZ: &str = "0.13.2";

/// Makes a component of the toolchain (`clippy`, `rustfmt`) available as `cargo COMMAND`.
pub(crate) fn component(shell: &Shell, name: &str, command: &str) -> Result<()> {
    if works(&mut cargo([command, "--version"])) {
        return Ok(());
    }
    shell
        .run(Command::new("rustup").args(["component", "add", name]))
        .with_context(|| format!("`cargo {command}` is missing: install the component {name}"))
}

/// Makes `cargo deny` available in the version that the configuration is written for.
pub(crate) fn cargo_deny(shell: &Shell) -> Result<()> {
    subcommand(shell, "deny", CARGO_DENY)
}

/// Makes `cargo fuzz` available.
pub(crate) fn cargo_fuzz(shell: &Shell) -> Result<()> {
    subcommand(shell, "fuzz", CARGO_FUZZ)
}

fn subcommand(shell: &Shell, name: &str, version: &str) -> Result<()> {
    let installed = said(&mut cargo([name, "--version"]));
    if installed.and_then(|text| Some(text.trim().rsplit(' ').next()? == version)) == Some(true) {
        return Ok(());
    }
    shell.run(&mut cargo(["install", "--locked", &format!("cargo-{name}@{version}")]))
}

/// A command of the nightly toolchain, whichever one cargo runs us with.
pub(crate) fn nightly(words: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", "nightly"]).args(words);
    for ours in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(ours);
    }
    command
}

/// What the nightly compiler builds for by itself. A whole toolchain is for its user to install.
pub(crate) fn nightly_host() -> Result<String> {
    let text = said(&mut nightly(&["rustc", "--version", "--verbose"])).unwrap_or_default();
    match text.lines().find_map(|line| line.strip_prefix("host: ")) {
        Some(host) => Ok(host.to_owned()),
        None => bail!(
            "this needs the nightly compiler, and rustup has none: \
             `rustup toolchain install nightly --profile minimal`"
        ),
    }
}

/// libFuzzer is built from its source.
pub(crate) fn cpp() -> Result<()> {
    let compiler = env::var_os("CXX").unwrap_or_else(|| "c++".into());
    if works(Command::new(&compiler).arg("--version")) {
        return Ok(());
    }
    bail!(
        "fuzzing needs a C++ compiler, for libFuzzer, and {} does not run: install g++ or clang++, or \
         name yours in $CXX",
        compiler.display()
    )
}

/// What a command prints, if it succeeds.
fn said(command: &mut Command) -> Option<String> {
    let output = command.current_dir(root()).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).ok())?
}
