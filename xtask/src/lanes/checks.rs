//! The lanes that read the tree without running it: format, lints, dependencies, documentation.

use std::time::Duration;

use super::{Lane, Verdict};
use crate::{advisories, shell::cargo, tools};

/// In the order of what is soonest known.
pub(crate) const LANES: &[Lane] = &[
    Lane {
        name: "format",
        about: "rustfmt agrees with every file",
        limit: Duration::from_mins(5),
        run: |shell| {
            tools::component(shell, "rustfmt", "fmt")?;
            shell.run(&mut cargo(["fmt", "--all", "--check"]))?;
            shell.run(&mut cargo(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"]))?;
            Ok(Verdict::Passed)
        },
    },
    Lane {
        name: "deny",
        about: "licences, advisories, duplicate versions and sources of dependencies",
        limit: Duration::from_mins(20),
        run: |shell| {
            tools::cargo_deny(shell)?;
            advisories::check(shell)?;
            Ok(Verdict::Passed)
        },
    },
    Lane {
        name: "clippy",
        about: "no lint speaks up, warnings included",
        limit: Duration::from_mins(20),
        run: |shell| {
            tools::component(shell, "clippy", "clippy")?;
            let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
            shell.run(&mut cargo(clippy))?;
            Ok(Verdict::Passed)
        },
    },
    Lane {
        name: "docs",
        about: "the documentation builds without a warning",
        limit: Duration::from_mins(15),
        run: |shell| {
            let mut doc = cargo(["doc", "--no-deps", "--workspace"]);
            shell.run(doc.env("RUSTDOCFLAGS", "-D warnings"))?;
            Ok(Verdict::Passed)
        },
    },
];
