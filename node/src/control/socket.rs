//! The control socket as a file: made with its mode and group before anybody can find it, replaced when
//! stale, never taken from a process that answers on it.

use std::{
    fs, io,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::{SocketAddr, UnixListener as StdListener},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use nix::unistd::{Gid, Group, chown};
use tokio::{
    net::{UnixListener, UnixStream},
    time::timeout,
};

/// Owner and group may read and write.
const MODE: u32 = 0o660;

/// How long a process that holds the socket may take to accept. One that does not is there all the same.
const PROBE: Duration = Duration::from_secs(2);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// Another process answers on it.
    #[error(
        "{} is the control socket of {} already: stop it, or choose another socket (--socket)",
        path.display(), holder(*pid)
    )]
    InUse { path: PathBuf, pid: Option<i32> },
    /// Something else has this name.
    #[error("{} exists and is no socket: remove it, or choose another socket (--socket)", .0.display())]
    NotASocket(PathBuf),
    /// There is nowhere to put it.
    #[error("the directory {} does not exist: create it, or choose another socket (--socket)", .0.display())]
    NoDirectory(PathBuf),
    /// The system's limit of about 100 bytes.
    #[error("the path {} is too long for a socket: choose a shorter one (--socket)", .0.display())]
    TooLong(PathBuf),
    /// No such group.
    #[error("there is no group {0}: create it, or choose another (--socket-group)")]
    UnknownGroup(String),
    /// The group can't be given.
    #[error("{} can't be given to group {group}: {error}", path.display())]
    Group { path: PathBuf, group: String, error: nix::Error },
    /// The system refused.
    #[error("the control socket {} can't be {doing}: {error}", path.display())]
    Io { doing: &'static str, path: PathBuf, error: io::Error },
}

fn holder(pid: Option<i32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

/// A socket that listens; dropping it removes its file.
#[derive(Debug)]
pub(crate) struct ControlSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode: after a replacement by another process the file is not ours to remove.
    file: (u64, u64),
}

impl ControlSocket {
    /// Listens at `path`.
    pub(crate) async fn bind(path: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        let gid = group.map(find_group).transpose()?;
        make_way(path).await?;
        // Under another name first: whoever finds the socket finds it with its mode and group.
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{}", std::process::id()));
        let unfinished = PathBuf::from(name);
        if SocketAddr::from_pathname(&unfinished).is_err() {
            return Err(SocketError::TooLong(path.to_owned()));
        }
        // Left by a process of the same number that was killed in the middle of this.
        let _ = fs::remove_file(&unfinished);
        let bound = Self::bind_as(&unfinished, path, gid);
        if bound.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        bound
    }

    fn bind_as(
        unfinished: &Path,
        path: &Path,
        group: Option<(String, Gid)>,
    ) -> Result<Self, SocketError> {
        let io = |doing| move |error| SocketError::Io { doing, path: path.to_owned(), error };
        let listener = StdListener::bind(unfinished).map_err(io("made"))?;
        let mode = fs::Permissions::from_mode(MODE);
        fs::set_permissions(unfinished, mode).map_err(io("given its mode"))?;
        if let Some((group, gid)) = group {
            let refused =
                |error| SocketError::Group { path: path.to_owned(), group: group.clone(), error };
            chown(unfinished, None, Some(gid)).map_err(refused)?;
        }
        listener.set_nonblocking(true).map_err(io("used"))?;
        let listener = UnixListener::from_std(listener).map_err(io("used"))?;
        let file = fs::symlink_metadata(unfinished).map_err(io("made"))?;
        fs::rename(unfinished, path).map_err(io("put in its place"))?;
        Ok(Self { listener, path: path.to_owned(), file: (file.dev(), file.ino()) })
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            // If it can't be removed it is stale, and the next start replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A group by name or number.
fn find_group(text: &str) -> Result<(String, Gid), SocketError> {
    let named = Group::from_name(text).ok().flatten().map(|group| group.gid);
    let numbered = || text.parse().ok().map(Gid::from_raw);
    let gid = named.or_else(numbered).ok_or_else(|| SocketError::UnknownGroup(text.to_owned()))?;
    Ok((text.to_owned(), gid))
}

/// Looks whether the name is free, or held by nobody who lives.
async fn make_way(path: &Path) -> Result<(), SocketError> {
    let io = |doing| move |error| SocketError::Io { doing, path: path.to_owned(), error };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent.filter(|parent| !parent.exists()) {
        return Err(SocketError::NoDirectory(parent.to_owned()));
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io("looked at")(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    match timeout(PROBE, UnixStream::connect(path)).await {
        // Nobody listens: it is replaced when the new one takes its name.
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        // It was removed meanwhile.
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(Err(error)) => Err(io("tried")(error)),
        Ok(Ok(stream)) => {
            let pid = stream.peer_cred().ok().and_then(|peer| peer.pid());
            Err(SocketError::InUse { path: path.to_owned(), pid })
        }
        Err(_) => Err(SocketError::InUse { path: path.to_owned(), pid: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(path: &Path, group: Option<&str>) -> String {
        ControlSocket::bind(path, group).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn the_file_has_its_mode_and_goes_with_the_listener() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let gid = Gid::current().to_string();
        let socket = ControlSocket::bind(&path, Some(&gid)).await.unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
        drop(socket);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_stale_file_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        // Dropping a listener of the standard library leaves its file.
        drop(StdListener::bind(&path).unwrap());
        let socket = ControlSocket::bind(&path, None).await.unwrap();
        let error = refused(&path, None).await;
        let expected = format!(
            "{} is the control socket of process {} already",
            path.display(),
            std::process::id()
        );
        assert!(error.starts_with(&expected), "{error}");
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(socket);
    }

    #[tokio::test]
    async fn a_file_of_another_process_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let socket = ControlSocket::bind(&path, None).await.unwrap();
        fs::remove_file(&path).unwrap();
        let other = StdListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
        drop(other);
    }

    #[tokio::test]
    async fn what_is_in_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(refused(&file, None).await.contains("is no socket"));
        assert_eq!(fs::read(&file).unwrap(), b"x");
        let missing = dir.path().join("none/s");
        assert!(refused(&missing, None).await.contains("none does not exist"));
        let long = dir.path().join("x".repeat(120));
        assert!(refused(&long, None).await.contains("too long"));
        let error = refused(&dir.path().join("s"), Some("no-such-group")).await;
        assert!(error.contains("there is no group no-such-group"), "{error}");
    }
}
