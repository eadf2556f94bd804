//! `cargo xtask api`: everything public in the libraries, line by line, as `docs/api.txt` keeps it.
//!
//! It reads what rustdoc writes as JSON, which takes the nightly compiler. Must never write a file: that
//! the list has changed is for somebody to see and to say.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    lanes::{Lane, Verdict},
    shell::{Shell, root, target_dir},
    tools,
};

/// The lane of CI.
pub(crate) const LANE: Lane = Lane {
    name: "api",
    about: "what is public in the libraries is what docs/api.txt lists",
    limit: LIMIT,
    run: |shell| check(shell).map(|()| Verdict::Passed),
};

/// What programs are written against: `netdb`, and what it shows of the crates below it.
const LIBRARIES: [&str; 4] = ["netdb", "netdb-core", "netdb-gossip", "netdb-gossip-core"];
const LIST: &str = "docs/api.txt";
const HEAD: &str = "\
Everything public in the libraries. Written by `cargo xtask api > docs/api.txt`, checked by CI: a line that
goes or changes breaks somebody's program. Left out is what derives and blanket implementations add.
";
const LIMIT: Duration = Duration::from_mins(20);

/// Prints the list.
pub(crate) fn run() -> Result<ExitCode> {
    let shell = Shell::new(LANE.name, Instant::now() + LIMIT, false).aside();
    print!("{}", list(&shell)?);
    Ok(ExitCode::SUCCESS)
}

fn check(shell: &Shell) -> Result<()> {
    let kept = fs::read_to_string(root().join(LIST)).with_context(|| format!("reading {LIST}"))?;
    let is = list(shell)?;
    if kept == is {
        return Ok(());
    }
    print!("{}", changes(&kept, &is));
    bail!("{LIST} lists something else: if that is meant, `cargo xtask api > {LIST}`")
}

fn list(shell: &Shell) -> Result<String> {
    tools::nightly_host()?;
    let mut list = HEAD.to_owned();
    for library in LIBRARIES {
        let items = items(shell, library)?;
        write!(list, "\n# {library}\n\n{items}")?;
    }
    Ok(list)
}

/// Everything public in a library.
fn items(shell: &Shell, library: &str) -> Result<String> {
    // By itself: another compiler would have all that lies in the usual place built anew.
    let directory = target_dir().join("api");
    let mut rustdoc = tools::nightly(&["cargo", "rustdoc", "--locked", "--lib", "--package"]);
    rustdoc.arg(library).arg("--target-dir").arg(&directory);
    shell.run(rustdoc.args(["--", "-Z", "unstable-options", "--output-format", "json"]))?;
    let json = directory.join("doc").join(library.replace('-', "_")).with_extension("json");
    read(&json).with_context(|| format!("reading what rustdoc says of {library}"))
}

fn read(json: &Path) -> Result<String> {
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()?;
    Ok(api.to_string())
}

/// The lines that went and those that came, each with its sign.
fn changes(before: &str, now: &str) -> String {
    let [before, now]: [BTreeSet<&str>; 2] = [before, now].map(|text| text.lines().collect());
    let gone = before.difference(&now).map(|line| format!("-{line}\n"));
    gone.chain(now.difference(&before).map(|line| format!("+{line}\n"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_what_went_and_what_came() {
        assert_eq!(changes("one\ntwo\nthree\n", "one\nthree\nfour\n"), "-two\n+four\n");
    }
}
