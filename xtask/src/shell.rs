//! Runs commands for lanes: shown before they start, without input, ended when the lane's time is up.
//!
//! Whatever a command started ends with it: a hanging test must not leave daemons behind.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{RecvTimeoutError, sync_channel},
    thread,
    time::Instant,
};

use anyhow::{Context, Result, bail};
use netdb_tests::binaries::Binaries;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

pub(crate) struct Shell {
    deadline: Instant,
    long: bool,
    aside: bool,
    skips: PathBuf,
}

impl Shell {
    /// A shell for one lane, whose commands are ended at the deadline.
    pub(crate) fn new(lane: &str, deadline: Instant, long: bool) -> Self {
        let skips = target_dir().join(format!("skips-{lane}.txt"));
        // Left over from the run before. Most often there is none.
        let _ = fs::remove_file(&skips);
        Self { deadline, long, aside: false, skips }
    }

    /// The same, but commands are shown on standard error: standard output is for the result alone.
    pub(crate) fn aside(self) -> Self {
        Self { aside: true, ..self }
    }

    /// What tests of this lane left out, a line `what: why` each, written by them to `$NETDB_SKIPS`.
    pub(crate) fn skips(&self) -> Vec<String> {
        fs::read_to_string(&self.skips).unwrap_or_default().lines().map(str::to_owned).collect()
    }

    /// Whether this is the run before a release, which may take its time.
    pub(crate) fn long(&self) -> bool {
        self.long
    }

    /// Runs a command from the root of the tree; anything but success is an error.
    pub(crate) fn run(&self, command: &mut Command) -> Result<()> {
        let line = shown(command);
        if self.aside {
            eprintln!("$ {line}");
        } else {
            println!("$ {line}");
        }
        let mut child = command
            .current_dir(root())
            .env("NETDB_SKIPS", &self.skips)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("`{line}` could not be started"))?;
        let pid = child.id();
        let (done, ended) = sync_channel(1);
        thread::spawn(move || done.send(child.wait()));
        let left = self.deadline.saturating_duration_since(Instant::now());
        let status: ExitStatus = match ended.recv_timeout(left) {
            Ok(status) => status.with_context(|| format!("`{line}` was lost"))?,
            Err(RecvTimeoutError::Timeout) => {
                end_with_descendants(pid);
                bail!("`{line}` was still running when the lane's time was up");
            }
            Err(RecvTimeoutError::Disconnected) => bail!("`{line}` was lost"),
        };
        if status.success() { Ok(()) } else { bail!("`{line}`: {status}") }
    }

    /// Builds the programs that real clusters are made of.
    pub(crate) fn build_nodes(&self) -> Result<Binaries> {
        self.run(&mut cargo(["build", "--package", "netnode", "--package", "netnode-cli"]))?;
        Binaries::within(&target_dir().join("debug"))
    }
}

/// The cargo that runs us, so that a toolchain chosen with `+name` stays chosen.
pub(crate) fn cargo<const N: usize>(args: [&str; N]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args);
    command
}

/// Whether a command can be run and succeeds; its output is of no interest.
pub(crate) fn works(command: &mut Command) -> bool {
    command
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// The root of the tree that this binary was built from.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// Cargo's target directory: generated things go there and nowhere else in the tree.
pub(crate) fn target_dir() -> PathBuf {
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words: Vec<_> = [program]
        .into_iter()
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    words.join(" ")
}

fn end_with_descendants(pid: u32) {
    for pid in with_descendants(pid, &parents()) {
        if let Ok(pid) = i32::try_from(pid) {
            // It may have ended by itself meanwhile.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// `pid` and everything below it, parents first.
fn with_descendants(pid: u32, parents: &BTreeMap<u32, u32>) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(child, _)| *child));
        next += 1;
    }
    family
}

/// The parent of every process there is, from /proc.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(processes) = fs::read_dir("/proc") else { return BTreeMap::new() };
    processes
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Some((pid, parent_in(&stat)?))
        })
        .collect()
}

/// The fourth field of `proc_pid_stat(5)`; the second, the name, may hold blanks and parentheses.
fn parent_in(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_parent_is_found_behind_an_awkward_name() {
        assert_eq!(parent_in("17 (a) b (c)) S 4 17 17 0 -1"), Some(4));
        assert_eq!(parent_in("17"), None);
    }

    #[test]
    fn a_family_is_complete_and_holds_nobody_else() {
        let parents = BTreeMap::from([(2, 1), (3, 2), (4, 2), (5, 3), (9, 1)]);
        assert_eq!(with_descendants(2, &parents), [2, 3, 4, 5]);
    }

    #[test]
    fn what_hangs_is_ended_with_its_children() {
        let shell = Shell::new("hang", Instant::now() + Duration::from_millis(300), false);
        let mut hangs = Command::new("sh");
        hangs.args(["-c", "sleep 7654.25 & wait"]);
        let error = shell.run(&mut hangs).unwrap_err().to_string();
        assert!(error.contains("time was up"), "{error}");
        let limit = Instant::now() + Duration::from_secs(10);
        while sleeper_runs() {
            assert!(Instant::now() < limit, "the child outlived its parent");
            thread::yield_now();
        }
    }

    fn sleeper_runs() -> bool {
        parents().into_keys().any(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|line| line.starts_with(b"sleep\x007654.25"))
        })
    }
}
