//! The byte map on disk, in one redb file: made whole or not at all, read once at start, changed in
//! durable transactions.
//!
//! Why redb: a node needs one ordered map in one file, read in full at its start and changed by small
//! grouped transactions, that is never corrupt whatever happens. redb is that and little more: ACID
//! by copy-on-write B-trees with checksums, a stable file format, pure Rust, no other dependency than
//! libc, maintained. `SQLite` and LMDB are as sound and are C; sled was never finished; an LSM store
//! (fjall, `RocksDB`) buys write throughput that a control plane does not have with background threads
//! and directories full of files. A log of our own would be redb's hard part written again.
//!
//! The map of the core is the table `core`; what the shell needs before a core exists is in `shell`.
//! Every open verifies the checksum of every page, so that a damaged file is found at the start, where
//! somebody looks. Must never delete or replace a file, and never trust one it can't vouch for.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use netdb_core::node::DiskOp;
use netdb_gossip_core::identity::ClusterId;
use redb::{
    Builder, Database, ReadableDatabase, ReadableTable, TableDefinition, backends::FileBackend,
};

use crate::state_dir::create_private;

const CORE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("core");
const SHELL: TableDefinition<&str, &[u8]> = TableDefinition::new("shell");

/// Keys of the shell's table.
const FORMAT: &str = "format";
const CLUSTER: &str = "cluster";

/// Which tables there are and what they mean. The core's records carry versions of their own.
const FORMAT_VERSION: u8 = 1;

/// Pages kept in memory. Everything is read once and then only written.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Changes to the byte map, the latest for each key.
pub(crate) type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Why the file could not be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// There is no room.
    #[error("no space is left for {}: free some", .0.display())]
    DiskFull(PathBuf),
    /// The file system is mounted read-only, perhaps because the disk fails.
    #[error("{} is on a read-only file system: mount it writable", .0.display())]
    ReadOnly(PathBuf),
    /// The file's permissions changed.
    #[error("permission to write {} is denied: give it back to this process's user", .0.display())]
    NotPermitted(PathBuf),
    /// It was changed by something else than this program, or the disk returns wrong bytes.
    #[error(
        "{} is damaged ({detail}): put back a copy of the state directory, or move the file away and \
         join again; nothing was deleted",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        detail: String,
    },
    /// Another process has it open.
    #[error("{} is open in another process: stop that first", .0.display())]
    InUse(PathBuf),
    /// A later version of this program wrote it.
    #[error("{} was written by a later version (format {version}): use that version", path.display())]
    Later {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: u8,
    },
    /// It answers too slowly: as many writes wait for it as may.
    #[error("{waiting} writes wait for {} already: its disk is too slow or hangs", path.display())]
    Behind {
        /// The file.
        path: PathBuf,
        /// How many wait.
        waiting: usize,
    },
    /// Anything else that the system said.
    #[error("cannot use {}: {detail}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
}

/// What a store holds at its opening.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) cluster: ClusterId,
    pub(crate) pairs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The open store.
#[derive(Debug)]
pub(crate) struct Storage {
    path: PathBuf,
    /// `None` after a failure: redb takes no more from a handle that failed once, so the next
    /// transaction opens the file again.
    database: Option<Database>,
}

impl Storage {
    /// Writes a new store beside its place and moves it there once it is whole. The caller holds the
    /// directory's lock, and has made sure that what `path` may hold is to be replaced.
    pub(crate) fn create(
        path: &Path,
        part: &Path,
        cluster: ClusterId,
        ops: Vec<DiskOp>,
    ) -> Result<(), StorageError> {
        let fail = |error: &io::Error| explain_io(path, error);
        // What a process that was killed in this place left; it never was a store.
        match fs::remove_file(part) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(fail(&error)),
            _ => {}
        }
        let explain = |error| explain(path, error);
        let file = create_private(part).map_err(|error| fail(&error))?;
        let backend = FileBackend::new(file).map_err(|error| explain(error.into()))?;
        let database = Builder::new()
            .set_cache_size(CACHE_BYTES)
            .create_with_backend(backend)
            .map_err(|error| explain(error.into()))?;
        let batch = ops.into_iter().map(|op| (op.key, op.value)).collect();
        let shell: [(&str, &[u8]); 2] = [(FORMAT, &[FORMAT_VERSION]), (CLUSTER, &cluster.0)];
        write(&database, &batch, &shell).map_err(explain)?;
        database.close().map_err(|error| explain(error.into()))?;
        fs::rename(part, path).map_err(|error| fail(&error))
    }

    /// Opens a store, verifies all of it and reads it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Contents), StorageError> {
        let database = open(path)?;
        let contents = read(path, &database)?;
        Ok((Self { path: path.to_owned(), database: Some(database) }, contents))
    }

    /// A store that is opened by its first transaction.
    #[cfg(test)]
    pub(crate) fn closed(path: &Path) -> Self {
        Self { path: path.to_owned(), database: None }
    }

    /// Makes all changes durable, or none.
    pub(crate) fn apply(&mut self, batch: &Batch) -> Result<(), StorageError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open(&self.path)?,
        };
        write(&database, batch, &[]).map_err(|error| explain(&self.path, error))?;
        self.database = Some(database);
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What to say when redb took the thread down.
    pub(crate) fn beyond_repair(&self) -> StorageError {
        let detail = "the storage engine gave up on it".to_owned();
        StorageError::Damaged { path: self.path.clone(), detail }
    }
}

fn open(path: &Path) -> Result<Database, StorageError> {
    // An empty file is a new database to redb; here it is a store that something cut to nothing.
    let length = fs::metadata(path).map_err(|error| explain_io(path, &error))?.len();
    if length == 0 {
        let detail = "it is empty".to_owned();
        return Err(StorageError::Damaged { path: path.to_owned(), detail });
    }
    Builder::new()
        .set_cache_size(CACHE_BYTES)
        .set_check_integrity_on_open(true)
        .open(path)
        .map_err(|error| explain(path, error.into()))
}

fn write(database: &Database, batch: &Batch, shell: &[(&str, &[u8])]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(CORE)?;
        for (key, value) in batch {
            match value {
                Some(value) => table.insert(key.as_slice(), value.as_slice())?,
                None => table.remove(key.as_slice())?,
            };
        }
        let mut table = transaction.open_table(SHELL)?;
        for (key, value) in shell {
            table.insert(*key, *value)?;
        }
    }
    Ok(transaction.commit()?)
}

fn read(path: &Path, database: &Database) -> Result<Contents, StorageError> {
    let damaged =
        |detail: &str| StorageError::Damaged { path: path.to_owned(), detail: detail.to_owned() };
    let (shell, pairs) = read_tables(database).map_err(|error| explain(path, error))?;
    match shell.get(FORMAT).map(Vec::as_slice) {
        Some([FORMAT_VERSION]) => {}
        Some([version]) => {
            return Err(StorageError::Later { path: path.to_owned(), version: *version });
        }
        _ => return Err(damaged("it does not say what format it has")),
    }
    let cluster = shell.get(CLUSTER).and_then(|bytes| bytes.as_slice().try_into().ok());
    let cluster = ClusterId(cluster.ok_or_else(|| damaged("it names no cluster"))?);
    Ok(Contents { cluster, pairs })
}

type Tables = (BTreeMap<String, Vec<u8>>, Vec<(Vec<u8>, Vec<u8>)>);

fn read_tables(database: &Database) -> Result<Tables, redb::Error> {
    let transaction = database.begin_read()?;
    let mut shell = BTreeMap::new();
    for pair in transaction.open_table(SHELL)?.iter()? {
        let (key, value) = pair?;
        shell.insert(key.value().to_owned(), value.value().to_vec());
    }
    let mut pairs = Vec::new();
    for pair in transaction.open_table(CORE)?.iter()? {
        let (key, value) = pair?;
        pairs.push((key.value().to_vec(), value.value().to_vec()));
    }
    Ok((shell, pairs))
}

fn explain(path: &Path, error: redb::Error) -> StorageError {
    let damaged = |detail: String| StorageError::Damaged { path: path.to_owned(), detail };
    match error {
        redb::Error::Io(error) => explain_io(path, &error),
        redb::Error::Corrupted(detail) => damaged(detail),
        redb::Error::DatabaseAlreadyOpen => StorageError::InUse(path.to_owned()),
        error @ (redb::Error::TableDoesNotExist(_)
        | redb::Error::TableTypeMismatch { .. }
        | redb::Error::TypeDefinitionChanged { .. }
        | redb::Error::TableIsMultimap(_)
        | redb::Error::UpgradeRequired(_)
        | redb::Error::RepairAborted) => damaged(error.to_string()),
        other => StorageError::Io { path: path.to_owned(), detail: other.to_string() },
    }
}

fn explain_io(path: &Path, error: &io::Error) -> StorageError {
    let path = path.to_owned();
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StorageError::DiskFull(path)
        }
        ErrorKind::ReadOnlyFilesystem => StorageError::ReadOnly(path),
        ErrorKind::PermissionDenied => StorageError::NotPermitted(path),
        // Not a database, or one that ends too soon.
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            StorageError::Damaged { path, detail: error.to_string() }
        }
        _ => StorageError::Io { path, detail: error.to_string() },
    }
}

#[cfg(test)]
mod tests;
