//! Seed corpora: made of real encodings when a target starts, so that a change of format makes them anew.
//!
//! Must never write anywhere but where it was told to.

use std::{env, fs, path::PathBuf};

/// Names the directory that the seeds go to. Without it there are none.
const DIRECTORY: &str = "NETDB_FUZZ_SEEDS";

/// Writes the seeds of a target, before the fuzzer reads its corpus.
///
/// # Panics
/// If they can't be written: a run without them would look like one with them.
pub fn plant(seeds: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(directory) = env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    fs::create_dir_all(&directory).expect("the directory of the seeds");
    for (number, seed) in seeds().into_iter().enumerate() {
        fs::write(directory.join(format!("seed-{number:02}")), seed).expect("a seed");
    }
}
