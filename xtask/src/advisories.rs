//! The advisory database for `cargo deny`: fetched where the network allows, else from a local copy.
//!
//! It must never let the check pass without a database: no source, no pass.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::shell::{Shell, cargo, root};

/// `db-path` of deny.toml, and below it the name that cargo-deny 0.20 derives from the upstream address.
const DATABASE: &str = "target/advisory-dbs/advisory-db-3157b0e258782691";
/// Only recorded as the origin of a local copy: cargo-deny compares it.
const UPSTREAM: &str = "https://github.com/RustSec/advisory-db";
/// Names a directory with `RustSec`'s data (`crates/`, `rust/`), for machines without a network.
const COPY: &str = "NETDB_ADVISORY_DB";
/// Where a copy lies beside the clone, if nothing is named.
const COPY_BESIDE: &str = "../shared/advisory-db";

/// Runs `cargo deny check` against the newest database there is.
pub(crate) fn check(shell: &Shell) -> Result<()> {
    if shell.run(&mut cargo(["deny", "fetch", "db"])).is_ok() {
        return shell.run(&mut cargo(["deny", "check"]));
    }
    let Some(copy) = local_copy() else {
        bail!(
            "the advisory database can't be fetched, and there is no copy at {COPY_BESIDE} or \
             where ${COPY} points: advisories were NOT checked"
        );
    };
    println!("not fetched: using the copy of the advisory database at {}", copy.display());
    install(shell, &copy).context("making a database of the local copy")?;
    // The check asks cargo for every package, also of platforms that nothing was built for yet.
    shell.run(&mut cargo(["fetch", "--locked"]))?;
    shell.run(&mut cargo(["deny", "--offline", "check"]))
}

fn local_copy() -> Option<PathBuf> {
    let named = env::var_os(COPY).map_or_else(|| root().join(COPY_BESIDE), PathBuf::from);
    named.join("crates").is_dir().then_some(named)
}

/// cargo-deny wants a git repository with a known origin and the time of a last fetch.
fn install(shell: &Shell, copy: &Path) -> Result<()> {
    let database = root().join(DATABASE);
    if database.exists() {
        fs::remove_dir_all(&database)?;
    }
    fs::create_dir_all(&database)?;
    shell.run(Command::new("cp").arg("-R").arg(copy.join(".")).arg(&database))?;
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=xtask", "-c", "user.email=xtask@localhost"];
        let mut git = Command::new("git");
        // Set when a git hook runs us, and stronger than -C: they name the repository around us.
        git.env_remove("GIT_DIR").env_remove("GIT_WORK_TREE").env_remove("GIT_INDEX_FILE");
        shell.run(git.arg("-C").arg(&database).args(identity).args(args))
    };
    git(&["init", "--quiet"])?;
    git(&["remote", "add", "origin", UPSTREAM])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--no-gpg-sign", "--message", "Local copy"])?;
    fs::write(database.join(".git/FETCH_HEAD"), "")?;
    Ok(())
}
