//! A program that ends by itself, and what it said.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

use crate::wait::in_time;

/// What a program left behind.
#[derive(Clone, Debug)]
pub struct Ended {
    /// What was run, for messages.
    pub line: String,
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ended {
    /// Itself if it succeeded, else an error with all that it said.
    pub fn succeeded(self) -> Result<Self> {
        ensure!(self.code == Some(0), "{}", self.told());
        Ok(self)
    }

    /// Itself if it failed with this code.
    pub fn failed_with(self, code: i32) -> Result<Self> {
        ensure!(self.code == Some(code), "exit code {code} was expected of {}", self.told());
        Ok(self)
    }

    /// Everything about it, for messages.
    pub fn told(&self) -> String {
        let Self { line, code, stdout, stderr } = self;
        format!("`{line}` ended with {code:?}\nstdout: {stdout}\nstderr: {stderr}")
    }
}

/// Runs a program to its end, without input.
pub async fn run(command: &mut Command) -> Result<Ended> {
    let line = shown(command.as_std());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = in_time(&format!("`{line}` ended"), command.output()).await?;
    let output = output.with_context(|| format!("starting `{line}`"))?;
    Ok(Ended {
        line,
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn shown(command: &std::process::Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
