//! Network namespaces: hosts and sandboxes on one machine, and work inside of them.
//!
//! They are files in a folder, as `ip netns` has them, in a mount namespace of the caller's own: whatever
//! happens, nothing of them is left when the last process in it ends.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, Result, anyhow, ensure};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
    unistd::geteuid,
};
use tempfile::TempDir;

/// Where a process finds the namespace that it is in.
const OWN: &str = "/proc/thread-self/ns/net";

/// A folder of namespaces.
#[derive(Debug)]
pub struct Namespaces {
    folder: TempDir,
}

/// Why there can be none here, if so. Else this thread has a mount and a network namespace of its own.
pub fn set_apart() -> Result<(), String> {
    if !geteuid().is_root() {
        return Err("network namespaces need root, or `unshare -Urnm` around it".to_owned());
    }
    let nothing = None::<&Path>;
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
        .and_then(|()| mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing))
        .map_err(|error| format!("no namespaces on this machine: {error}"))
}

impl Namespaces {
    /// None yet. The mount namespace must be the caller's own: see [`set_apart`].
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for namespaces")?;
        mount(Some("netdb"), folder.path(), Some("tmpfs"), MsFlags::empty(), None::<&Path>)?;
        Ok(Self { folder })
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A new one, as a container runtime makes it; the path that leads to it.
    pub fn make(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        File::create(&path)?;
        thread::scope(|scope| {
            let made = scope.spawn(|| -> Result<()> {
                unshare(CloneFlags::CLONE_NEWNET)?;
                let nothing = None::<&Path>;
                Ok(mount(Some(Path::new(OWN)), &path, nothing, MsFlags::MS_BIND, nothing)?)
            });
            made.join().map_err(|_| anyhow!("the thread that made {name} was lost"))?
        })?;
        Ok(path)
    }

    /// Removes one: whoever still is in it keeps it alive.
    pub fn remove(&self, namespace: &Path) -> Result<()> {
        umount2(namespace, MntFlags::MNT_DETACH)?;
        Ok(fs::remove_file(namespace)?)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        // What is mounted below would keep the folder from going.
        let _ = umount2(self.folder.path(), MntFlags::MNT_DETACH);
    }
}

/// Does something in a namespace, on a thread of its own.
pub fn inside<T: Send>(namespace: &Path, work: impl FnOnce() -> T + Send) -> Result<T> {
    let shown = namespace.display();
    let file = File::open(namespace).with_context(|| format!("entering {shown}"))?;
    thread::scope(|scope| {
        let done = scope.spawn(|| -> Result<T> {
            setns(&file, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        });
        done.join().map_err(|_| anyhow!("what was done in {shown} was lost"))?
    })
}

/// Runs a command of an administrator in a namespace, and returns what it says.
pub fn by_hand(namespace: &Path, command: &str) -> Result<String> {
    let mut words = command.split(' ');
    let mut program = Command::new(words.next().unwrap_or_default());
    program.args(words);
    let done = inside(namespace, || program.output())?.with_context(|| command.to_owned())?;
    ensure!(done.status.success(), "`{command}`: {done:?}");
    Ok(String::from_utf8(done.stdout)?)
}

/// The names of the links in a namespace.
pub fn links(namespace: &Path) -> Result<Vec<String>> {
    let text = inside(namespace, || fs::read_to_string("/proc/thread-self/net/dev"))??;
    let names = text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim()));
    Ok(names.map(str::to_owned).collect())
}
