//! The `resolv.conf` of a sandbox: written when its names are answered, put back when its endpoint goes.
//!
//! It is written in place, for a container may have the file mounted: replaced by another, the container would
//! go on with the old one. What is at the path came from outside: nothing is followed or waited for, and what is
//! no plain, small file of text is left alone.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use netnode_plan::records::EndpointId;
use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};
use tokio::{task, time::timeout};

use super::{AttachError, Endpoint, Endpoints};

/// Bytes of what may be there already, and of what is written.
const MAX_BYTES: u64 = 64 * 1024;
/// By this one netnode finds its own resolvers (resolv.conf(5)).
const OF_HOST: &str = "/etc/resolv.conf";
/// Who reads a new one is often not root.
const MODE: u32 = 0o644;
/// How long a file system may take for one file.
const PATIENCE: Duration = Duration::from_secs(5);

/// What was done to a file, kept until it is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResolvConf {
    pub(crate) path: PathBuf,
    /// What was there; `None`: no file.
    before: Option<String>,
    /// What is there from now on.
    after: String,
}

/// Why a file is not written.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{path}: {fault}", path = path.display())]
pub(crate) struct ResolvConfError {
    path: PathBuf,
    fault: Fault,
}

#[derive(Clone, Debug, thiserror::Error)]
enum Fault {
    #[error("a path on netnode's host has to begin with /")]
    Relative,
    #[error("its folder is not there")]
    NoFolder,
    #[error("this is a directory: name the file in it")]
    Directory,
    #[error("this is no regular file, and a link is not followed")]
    NotPlain,
    #[error("this is the host's own, by which netnode finds its resolvers")]
    OfHost,
    #[error("it may not be written to: it is read-only")]
    ReadOnly,
    #[error("it is larger than {MAX_BYTES} bytes, which no resolv.conf is")]
    TooLarge,
    #[error("it is no text in UTF-8")]
    NotText,
    #[error("its file system does not answer")]
    Slow,
    #[error(transparent)]
    Io(Arc<io::Error>),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Self::NoFolder,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Io(Arc::new(error)),
        }
    }
}

impl Endpoints {
    /// Looks at the file that is to be written for an endpoint.
    pub(super) async fn prepare_file(
        &self,
        path: PathBuf,
        text: String,
    ) -> Result<ResolvConf, AttachError> {
        let file = ResolvConf::prepare(path, text).await?;
        Ok(file.beside(self.list().into_iter().filter_map(|other| other.local.resolv_conf)))
    }

    /// Writes the file by which a sandbox finds its names, if that was asked for. Else nothing stays attached.
    pub(crate) async fn write_file(&self, endpoint: &Endpoint) -> Result<(), AttachError> {
        let Some(file) = &endpoint.local.resolv_conf else { return Ok(()) };
        let Err(error) = file.write().await else { return Ok(()) };
        if let Err(left) = self.give_up(endpoint.local.network, endpoint.id).await {
            tracing::warn!(endpoint = %endpoint.id, "it is attached without its file: {left}");
        }
        Err(error.into())
    }

    /// Makes the file of an endpoint as it was, unless another endpoint has it as well.
    pub(super) async fn put_file_back(&self, id: EndpointId) {
        let Some(file) = self.get(id).and_then(|endpoint| endpoint.local.resolv_conf) else {
            return;
        };
        let mut others = self.list().into_iter().filter(|other| other.id != id);
        let is_shared =
            others.any(|o| o.local.resolv_conf.is_some_and(|other| other.path == file.path));
        if !is_shared && let Err(error) = file.put_back().await {
            tracing::warn!(endpoint = %id, "not put back: {error}");
        }
    }
}

impl ResolvConf {
    /// What is to be written where, and what is there. It writes nothing, but finds out whether it could.
    async fn prepare(path: PathBuf, after: String) -> Result<Self, ResolvConfError> {
        let at = path.clone();
        let before = soon(&path, move || look(&at)).await?;
        Ok(Self { path, before, after })
    }

    /// Writes it. After an error, what was there is there again, if that can be.
    async fn write(&self) -> Result<(), ResolvConfError> {
        let own = self.clone();
        soon(&self.path, move || {
            let mut file = open(&own.path)?;
            fill(&mut file, &own.after).inspect_err(|_| {
                // The first error is the one to tell.
                let _ = own.restore();
            })
        })
        .await
    }

    /// Makes it as it was, unless somebody has changed it meanwhile.
    async fn put_back(&self) -> Result<(), ResolvConfError> {
        let own = self.clone();
        soon(&self.path, move || match look(&own.path) {
            Ok(Some(is)) if is == own.after => own.restore(),
            Err(fault @ (Fault::Io(_) | Fault::ReadOnly)) => Err(fault),
            // It became something else, or went with its container.
            _ => Ok(()),
        })
        .await
    }

    /// The same file for one more endpoint: of two that wrote it, the first knows what was there.
    fn beside(mut self, others: impl Iterator<Item = ResolvConf>) -> Self {
        let mut same = others.filter(|other| other.path == self.path);
        if let Some(first) = same.find(|other| self.before.as_ref() == Some(&other.after)) {
            self.before = first.before;
        }
        self
    }

    fn restore(&self) -> Result<(), Fault> {
        match &self.before {
            Some(before) => fill(&mut open(&self.path)?, before),
            None => Ok(fs::remove_file(&self.path)?),
        }
    }
}

/// Does something with a file on a thread that may block, and waits no longer than a while.
async fn soon<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, ResolvConfError> {
    let done = match timeout(PATIENCE, task::spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(lost)) => Err(io::Error::other(lost).into()),
        Err(_) => Err(Fault::Slow),
    };
    done.map_err(|fault| ResolvConfError { path: path.to_owned(), fault })
}

/// What is there, if it could be written to; `None` where there is nothing yet.
fn look(path: &Path) -> Result<Option<String>, Fault> {
    if !path.is_absolute() {
        return Err(Fault::Relative);
    }
    // Opening a pipe or a device may have effects.
    match fs::symlink_metadata(path) {
        Ok(is) if is.is_dir() => return Err(Fault::Directory),
        Ok(is) if !is.is_file() => return Err(Fault::NotPlain),
        // Root may write all the same; whoever made it so did not mean that.
        Ok(is) if is.permissions().readonly() => return Err(Fault::ReadOnly),
        Ok(is) if is.len() > MAX_BYTES => return Err(Fault::TooLarge),
        Ok(is) if is_of_host(is.dev(), is.ino()) => return Err(Fault::OfHost),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let folder = path.parent().ok_or(Fault::Directory)?;
            return if folder.is_dir() { Ok(None) } else { Err(Fault::NoFolder) };
        }
        Err(error) => return Err(error.into()),
    }
    let mut text = Vec::new();
    plain(OpenOptions::new().read(true).write(true), path)?
        .take(MAX_BYTES + 1)
        .read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Fault::TooLarge);
    }
    String::from_utf8(text).map(Some).map_err(|_| Fault::NotText)
}

fn is_of_host(device: u64, inode: u64) -> bool {
    fs::metadata(OF_HOST).is_ok_and(|own| (own.dev(), own.ino()) == (device, inode))
}

/// Opens what is a regular file; it may have become something else since it was looked at.
fn plain(how: &mut OpenOptions, path: &Path) -> Result<File, Fault> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = how.custom_flags(flags.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(Fault::NotPlain) }
}

/// Opens it to be written, and makes it if it is not there.
fn open(path: &Path) -> Result<File, Fault> {
    let new = fs::symlink_metadata(path).is_err();
    let file = plain(OpenOptions::new().write(true).create(true).truncate(false), path)?;
    if new {
        file.set_permissions(Permissions::from_mode(MODE))?;
    }
    Ok(file)
}

/// Makes a text what is in a file. It is never empty in between: somebody may read it just now.
fn fill(file: &mut File, text: &str) -> Result<(), Fault> {
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)?;
    Ok(file.sync_all()?)
}

#[cfg(test)]
mod tests;
