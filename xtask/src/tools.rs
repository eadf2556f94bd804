//! Tools that the lanes need and a fresh machine lacks: installed once, by cargo or rustup alone.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::shell::{Shell, cargo, root, works};

/// The version that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

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
    if version_of_deny().is_some_and(|version| version == CARGO_DENY) {
        return Ok(());
    }
    shell.run(&mut cargo(["install", "--locked", &format!("cargo-deny@{CARGO_DENY}")]))
}

fn version_of_deny() -> Option<String> {
    let mut version = cargo(["deny", "--version"]);
    let output = version.current_dir(root()).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().rsplit(' ').next()?.to_owned())
}
