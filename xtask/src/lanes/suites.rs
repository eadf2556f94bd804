//! The test lanes: what the tree does when it is run.

use std::{collections::BTreeSet, fs, process::Command, time::Duration};

use anyhow::{Context, Result};

use super::{Lane, Verdict};
use crate::{
    shell::{Shell, cargo, root},
    soak, tools,
};

/// The package of the end-to-end tests, and the one of its test files that is a lane of its own.
const END_TO_END: &str = "netdb-tests";
const TIDY: &str = "tidy";
/// Cases of each property test in a long run; proptest's own default is 256.
const LONG_PROPERTY_CASES: &str = "4096";
/// The largest clusters of which a long run measures the figures; larger ones take hours. The first suite
/// leaves those to it that take long themselves.
const LONG_LARGEST: [&str; 2] = ["50", "100"];

/// In the order of what is soonest known.
pub(crate) const LANES: &[Lane] = &[
    Lane {
        name: TIDY,
        about: "the laws of the tree: sizes, words, links, directions of dependencies",
        limit: Duration::from_mins(5),
        run: |shell| {
            shell.run(&mut cargo(["test", "--package", END_TO_END, "--test", TIDY]))?;
            Ok(Verdict::Passed)
        },
    },
    Lane {
        name: "unit",
        about: "unit and property tests of every crate",
        limit: Duration::from_mins(20),
        run: unit,
    },
    Lane {
        name: "doctest",
        about: "the examples in the documentation",
        limit: Duration::from_mins(10),
        run: |shell| {
            let doctests = ["test", "--workspace", "--exclude", END_TO_END, "--doc"];
            shell.run(&mut cargo(doctests))?;
            Ok(Verdict::Passed)
        },
    },
    Lane {
        name: "sim",
        about: "whole clusters in virtual time: churn and every scenario, then the figures to reach",
        limit: Duration::from_mins(15),
        run: simulator,
    },
    Lane {
        name: "e2e",
        about: "real netnode processes on the loopback, driven by netdbctl",
        limit: Duration::from_mins(15),
        run: end_to_end,
    },
    soak::LANE,
];

fn unit(shell: &Shell) -> Result<Verdict> {
    tools::clients(shell);
    // A test runs the examples as programs; `cargo test` would only build them as test harnesses.
    shell.run(&mut cargo(["build", "--workspace", "--exclude", END_TO_END, "--examples"]))?;
    let mut test = cargo(["test", "--workspace", "--exclude", END_TO_END]);
    test.args(["--no-fail-fast", "--lib", "--bins", "--tests"]);
    shell.run(longer(shell, &mut test))?;
    Ok(Verdict::Passed)
}

fn simulator(shell: &Shell) -> Result<Verdict> {
    // Hundreds of runs are worth an optimised build.
    let sweep = |suite: &str, more: &[&str]| {
        let run = ["run", "--quiet", "--release", "--package", "netdb-sim", "--"];
        let bounds: &[&str] = if shell.long() { more } else { &["--quick"] };
        shell.run(cargo(run).args(["sweep", "--suite", suite]).args(bounds))
    };
    let [scenarios, figures] = LONG_LARGEST;
    sweep("standard", &["--largest", scenarios])?;
    sweep("anchors", &["--largest", figures])?;
    Ok(Verdict::Passed)
}

fn end_to_end(shell: &Shell) -> Result<Verdict> {
    if !cfg!(target_os = "linux") {
        return Ok(Verdict::Skipped("netnode runs on Linux only".into()));
    }
    // Cargo builds the binaries of a test's own package only.
    shell.build_nodes()?;
    let mut test = cargo(["test", "--package", END_TO_END, "--no-fail-fast", "--lib"]);
    for name in end_to_end_files()? {
        test.args(["--test", &name]);
    }
    shell.run(longer(shell, &mut test))?;
    Ok(Verdict::Passed)
}

/// The test targets beside the tidy test, as cargo finds them: files, and directories with a `main.rs`.
fn end_to_end_files() -> Result<BTreeSet<String>> {
    let directory = root().join("tests/tests");
    let entries = fs::read_dir(&directory).context("reading tests/tests")?;
    Ok(entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let is_target = path.join("main.rs").is_file()
                || path.extension().is_some_and(|extension| extension == "rs");
            is_target.then(|| path.file_stem()?.to_str().map(str::to_owned))?
        })
        .filter(|name| name != TIDY)
        .collect())
}

/// In a long run: more cases, told to proptest and to whoever asks for `$NETDB_LONG`.
fn longer<'a>(shell: &Shell, command: &'a mut Command) -> &'a mut Command {
    if shell.long() {
        command.env("PROPTEST_CASES", LONG_PROPERTY_CASES).env("NETDB_LONG", "1");
    }
    command
}
