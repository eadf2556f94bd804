//! The state directory: whose it is, who may read it, and that only one node uses it at a time.
//!
//! It holds `identity`, `netdb.redb` and `lock`, all readable by their owner only. Must never delete or
//! overwrite anything: what is not understood is an error that names the file and the way out.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::unistd::{AccessFlags, access, geteuid};

const IDENTITY: &str = "identity";
const STORE: &str = "netdb.redb";
/// A store that is being made; it becomes [`STORE`] once it is whole and on disk.
const STORE_NEW: &str = "netdb.redb.new";
const LOCK: &str = "lock";

const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Everything that group and others may be allowed.
const OTHERS: u32 = 0o077;

/// What is wrong with the state directory or a file in it. Nothing in it was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateDirError {
    /// There is something else of that name.
    #[error("{} is not a directory: choose another state directory", .0.display())]
    NotADirectory(PathBuf),
    /// It belongs to somebody else, who could read the keys.
    #[error(
        "{} belongs to user {owner}, and this process runs as user {us}: run as its owner, or `chown` it",
        path.display()
    )]
    NotOwner {
        /// The directory or file.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
        /// Our user id.
        us: u32,
    },
    /// Others may read or write it, and it holds secret keys.
    #[error(
        "{} is open to other users (mode {mode:04o}), and it holds secret keys: run `chmod {wanted:o} {}`",
        path.display(), path.display()
    )]
    Permissions {
        /// The directory or file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode it must not exceed.
        wanted: u32,
    },
    /// Another node runs on it.
    #[error(
        "{} is in use by {}: stop that node first, or choose another state directory",
        path.display(), holder(*pid)
    )]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The other process, if it said who it is.
        pid: Option<u32>,
    },
    /// The file of the node's keys is not one, or not whole.
    #[error(
        "the identity file {} is damaged ({detail}): put back a copy of it, or move {} away and join \
         again as a new node",
        path.display(), parent(path)
    )]
    IdentityDamaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        detail: &'static str,
    },
    /// There are tables of a node whose keys are gone.
    #[error(
        "the identity file {} is missing, though {} is there: put back a copy of it, or move {} away \
         and join again as a new node",
        path.display(), STORE, parent(path)
    )]
    IdentityMissing {
        /// The file.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot {doing} {}: {detail}", path.display())]
    Io {
        /// What was tried, a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What kind of refusal.
        kind: ErrorKind,
        /// The system's words.
        detail: String,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn parent(path: &Path) -> String {
    path.parent().unwrap_or(path).display().to_string()
}

impl StateDirError {
    pub(crate) fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        let (kind, detail) = (error.kind(), error.to_string());
        Self::Io { doing, path: path.to_owned(), kind, detail }
    }
}

/// A directory that was found fit to hold a node's state.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
}

/// Held while a node uses the directory; dropped, another may.
#[derive(Debug)]
pub(crate) struct StateLock {
    /// The lock lasts as long as the file is open.
    _file: File,
}

impl StateDir {
    /// The directory, checked, or `None` if there is none yet.
    pub(crate) fn find(path: &Path) -> Result<Option<Self>, StateDirError> {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StateDirError::io("look at", path, &error)),
        };
        if !found.is_dir() {
            return Err(StateDirError::NotADirectory(path.to_owned()));
        }
        check_private(path, &found, DIR_MODE)?;
        Ok(Some(Self { path: path.to_owned() }))
    }

    /// The directory, made if there is none.
    pub(crate) fn create(path: &Path) -> Result<Self, StateDirError> {
        if let Some(found) = Self::find(path)? {
            return Ok(found);
        }
        DirBuilder::new()
            .recursive(true)
            .mode(DIR_MODE)
            .create(path)
            .map_err(|error| StateDirError::io("create", path, &error))?;
        Self::find(path)?
            .ok_or_else(|| StateDirError::io("create", path, &io::Error::from(ErrorKind::NotFound)))
    }

    /// Whether [`StateDir::create`] and writing into it look possible, without changing anything.
    pub(crate) fn check_writable(path: &Path) -> Result<(), StateDirError> {
        let mut existing = path;
        while !existing.exists() {
            match existing.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => existing = parent,
                _ => existing = Path::new("."),
            }
        }
        access(existing, AccessFlags::W_OK | AccessFlags::X_OK)
            .map_err(|errno| StateDirError::io("write to", existing, &errno.into()))
    }

    /// Takes the directory for this process alone.
    pub(crate) fn lock(&self) -> Result<StateLock, StateDirError> {
        let path = self.path.join(LOCK);
        let fail = |doing, error: &io::Error| StateDirError::io(doing, &path, error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(|error| fail("write to", &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Only for the message: without it the error is as true.
                let _ = file.read_to_string(&mut text);
                let pid = text.trim().parse().ok();
                return Err(StateDirError::Locked { path: self.path.clone(), pid });
            }
            Err(TryLockError::Error(error)) => return Err(fail("lock", &error)),
        }
        // Who holds it is a courtesy to whoever is refused; a full disk must not keep a node from starting.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        Ok(StateLock { _file: file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn identity(&self) -> PathBuf {
        self.path.join(IDENTITY)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.path.join(STORE)
    }

    pub(crate) fn new_store(&self) -> PathBuf {
        self.path.join(STORE_NEW)
    }

    /// Whether there are tables of a node here.
    pub(crate) fn holds_store(&self) -> Result<bool, StateDirError> {
        let path = self.store();
        path.try_exists().map_err(|error| StateDirError::io("look at", &path, &error))
    }

    /// Makes the names in the directory durable.
    pub(crate) fn sync(&self) -> Result<(), StateDirError> {
        File::open(&self.path)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| StateDirError::io("sync", &self.path, &error))
    }
}

/// Checks that a file is ours and closed to others.
pub(crate) fn check_file(path: &Path) -> Result<(), StateDirError> {
    let found = fs::metadata(path).map_err(|error| StateDirError::io("look at", path, &error))?;
    check_private(path, &found, FILE_MODE)
}

/// Opens a new file that only its owner may read; fails if there is one.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)
}

fn check_private(path: &Path, found: &Metadata, wanted: u32) -> Result<(), StateDirError> {
    let (owner, us) = (found.uid(), geteuid().as_raw());
    if owner != us {
        return Err(StateDirError::NotOwner { path: path.to_owned(), owner, us });
    }
    let mode = found.mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(StateDirError::Permissions { path: path.to_owned(), mode, wanted });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_is_made_private_and_refused_when_open_to_others() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        assert!(StateDir::find(&path).unwrap().is_none());
        StateDir::check_writable(&path).unwrap();
        assert!(!path.exists(), "a check changes nothing");
        StateDir::create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, DIR_MODE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
        let error = StateDir::find(&path).unwrap_err();
        assert!(matches!(error, StateDirError::Permissions { mode: 0o750, wanted: 0o700, .. }));
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }

    #[test]
    fn a_file_in_its_place_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        fs::write(&path, b"").unwrap();
        assert_eq!(StateDir::find(&path).unwrap_err(), StateDirError::NotADirectory(path));
    }

    #[test]
    fn the_second_lock_is_refused_and_names_the_first() {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&parent.path().join("state")).unwrap();
        let lock = dir.lock().unwrap();
        let refused = dir.lock().unwrap_err();
        let pid = Some(std::process::id());
        assert_eq!(refused, StateDirError::Locked { path: dir.path().to_owned(), pid });
        drop(lock);
        dir.lock().unwrap();
        assert_eq!(fs::metadata(dir.path().join(LOCK)).unwrap().mode() & 0o777, FILE_MODE);
    }
}
