//! Where the programs under test lie. They are built by `cargo xtask`, not by the tests' own build.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

/// Names another directory with the programs: a release build, an installed one.
const DIRECTORY: &str = "NETDB_BINARIES";

/// The programs under test.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The daemon.
    pub netnode: PathBuf,
    /// Its command line.
    pub netdbctl: PathBuf,
}

impl Binaries {
    /// Those of the build that the running test is of, or those that `$NETDB_BINARIES` names.
    pub fn find() -> Result<Self> {
        if let Some(named) = env::var_os(DIRECTORY) {
            return Self::within(Path::new(&named));
        }
        // target/PROFILE/deps/TEST
        let test = env::current_exe().context("finding this program")?;
        let profile =
            test.parent().and_then(Path::parent).context("finding the build directory")?;
        Self::within(profile)
    }

    /// Those in a directory.
    pub fn within(directory: &Path) -> Result<Self> {
        let program = |name: &str| {
            let path = directory.join(name);
            ensure!(
                path.is_file(),
                "{} is missing: `cargo build --package netnode --package netnode-cli`, or run \
                 `cargo xtask test --lane e2e`, which does that first",
                path.display()
            );
            Ok(path)
        };
        Ok(Self { netnode: program("netnode")?, netdbctl: program("netdbctl")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_way_out() {
        let empty = tempfile::tempdir().unwrap();
        let error = Binaries::within(empty.path()).unwrap_err().to_string();
        assert!(error.contains("netnode is missing") && error.contains("cargo build"), "{error}");
    }
}
