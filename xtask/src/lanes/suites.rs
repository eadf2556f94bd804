//! The test lanes: what the tree does when it is run.

use std::{
    collections::BTreeSet,
    fs,
    num::NonZero,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

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
/// How long a virtual machine may take, and what runs in it: the tests that say elsewhere that it does, and what
/// the same kernel may do otherwise than others.
const VM_LIMIT: &str = "-t 300";
const VM_TESTS: &[&str] = &["macvlan::", "legacy::"];
const VM_TESTS_WITHOUT_V6: &[&str] = &["without_v6::", "macvlan::what_the_kernel_lacks"];
/// The same in a long run.
const VM_LONG_LIMIT: &str = "-t 3000";
const VM_LONG_TESTS: &[&str] = &["bridge::", "overlay::", "firewall::"];

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
    Lane {
        name: "vm",
        about: "the data plane on Debian's stock kernel, in a virtual machine: VLANs, and no IPv6",
        limit: Duration::from_mins(15),
        run: machine,
    },
    soak::LANE,
];

fn unit(shell: &Shell) -> Result<Verdict> {
    tools::clients(shell);
    // A test runs the examples as programs; `cargo test` would only build them as test harnesses.
    shell.run(&mut cargo(["build", "--workspace", "--exclude", END_TO_END, "--examples"]))?;
    let mut test = cargo(["test", "--workspace", "--exclude", END_TO_END]);
    test.args(["--no-fail-fast", "--lib", "--bins", "--tests"]);
    // Those of the daemon and of the data plane wait most of the time.
    let threads = thread::available_parallelism().map_or(2, NonZero::get).saturating_mul(2);
    test.env("RUST_TEST_THREADS", threads.to_string());
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

/// What many kernels, this machine's perhaps among them, can't do.
fn machine(shell: &Shell) -> Result<Verdict> {
    tools::clients(shell);
    tools::machine(shell);
    let run = root().join("tests/vm/run");
    if let Err(why) = said_by(Command::new(&run).arg("-p")) {
        return Ok(Verdict::Skipped(why));
    }
    let boot = |options: &str, tests: &[&str]| {
        let run = run.display();
        let runner = format!("target.'cfg(unix)'.runner = '{run} {options} --'");
        let mut test = cargo(["test", "--package", "netnode", "--test", "dataplane", "--config"]);
        // Processors are emulated: what waits for something would wait too long beside others.
        test.arg(runner).arg("--").args(tests).arg("--test-threads=1");
        // It is left out elsewhere because it runs here.
        shell.run(test.env("NETDB_SKIPS_NOTHING", "1"))
    };
    boot(VM_LIMIT, VM_TESTS)?;
    boot(&format!("{VM_LIMIT} -k ipv6.disable=1"), VM_TESTS_WITHOUT_V6)?;
    if shell.long() {
        boot(VM_LONG_LIMIT, VM_LONG_TESTS)?;
    }
    Ok(Verdict::Passed)
}

/// The last line of what a command complains of, if it fails.
fn said_by(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    let told = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(told.lines().last().unwrap_or("?").into()) }
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
