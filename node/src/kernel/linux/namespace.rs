//! Network namespaces: ours are files in a folder that a namespace is bound to, as `ip netns` does it.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt,
    panic,
    path::{Path, PathBuf},
    thread,
};

use netnode_plan::{host::Place, records::NetworkId};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, setns, unshare},
};

/// Where the namespaces are.
#[derive(Debug)]
pub(super) struct Namespaces {
    host: File,
    folder: PathBuf,
}

impl Namespaces {
    /// The folder is made with the first namespace.
    pub(super) fn new(host: File, folder: PathBuf) -> Self {
        Self { host, folder }
    }

    /// Those of ours that are there.
    pub(super) fn list(&self) -> io::Result<Vec<NetworkId>> {
        let device = self.host.metadata()?.dev();
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry?;
            let network: Option<NetworkId> =
                entry.file_name().to_str().and_then(|name| name.parse().ok());
            // A file that a namespace was bound to, until somebody took it away, is an empty one.
            let bound = fs::metadata(entry.path()).is_ok_and(|file| file.dev() == device);
            found.extend(network.filter(|_| bound));
        }
        found.sort();
        Ok(found)
    }

    pub(super) fn open(&self, place: &Place) -> io::Result<File> {
        match place {
            Place::Host => self.host.try_clone(),
            Place::Network(network) => self.open_bound(&self.path(*network)),
            Place::Sandbox(path) => self.open_bound(Path::new(path)),
        }
    }

    /// Opens what is a namespace, and nothing else: an ordinary file would be told only much later.
    fn open_bound(&self, path: &Path) -> io::Result<File> {
        let file = File::open(path)?;
        let bound = file.metadata()?.dev() == self.host.metadata()?.dev();
        if bound { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    pub(super) fn add(&self, network: NetworkId) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let path = self.path(network);
        File::create(&path)?;
        let made = thread::scope(|scope| {
            let made = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                let nothing = None::<&Path>;
                let own = Path::new("/proc/thread-self/ns/net");
                mount(Some(own), &path, nothing, MsFlags::MS_BIND, nothing)
            });
            made.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
        });
        made.inspect_err(|_| drop(fs::remove_file(&path))).map_err(io::Error::from)
    }

    /// Whoever still holds it keeps it alive, without a name.
    pub(super) fn remove(&self, network: NetworkId) -> io::Result<()> {
        let path = self.path(network);
        umount2(&path, MntFlags::MNT_DETACH)?;
        fs::remove_file(&path)
    }

    fn path(&self, network: NetworkId) -> PathBuf {
        self.folder.join(network.to_string())
    }
}

/// Does something on a thread of its own that is in this namespace.
pub(super) fn inside<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let done = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            Ok(work())
        });
        done.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    })
}
