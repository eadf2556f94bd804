//! Tells what a test had to leave out on this machine: the lane shows it, and never as passed.

use std::{env, fs::OpenOptions, io::Write};

/// Names the file that the lane reads.
const FILE: &str = "NETDB_SKIPS";

/// Set where nothing may be left out: what is, has failed.
const NOTHING: &str = "NETDB_SKIPS_NOTHING";

/// What begins a line about a test that runs in the lane `vm` in any case.
pub const LEFT_TO_VM: &str = "left to the lane vm: ";

/// Tells that `what` needs another kernel than this one, which the lane `vm` runs it on.
pub fn left_to_vm(what: &str, why: &str) {
    left_out(&format!("{LEFT_TO_VM}{what}"), why);
}

/// Tells that `what` was left out, and why. Without a lane around, standard error has to do.
///
/// # Panics
/// `$NETDB_SKIPS_NOTHING` says that nothing may be.
pub fn left_out(what: &str, why: &str) {
    assert!(env::var_os(NOTHING).is_none(), "nothing may be left out here, but {what}: {why}");
    let told = env::var_os(FILE).is_some_and(|path| {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.and_then(|mut file| writeln!(file, "{what}: {why}")).is_ok()
    });
    if !told {
        eprintln!("LEFT OUT: {what}: {why}");
    }
}
