//! The state of a node before its first start: of a new cluster, or of one that let the node in.
//!
//! Must never write before there is something whole to write, nor replace a state that is in use.

use std::net::SocketAddr;

use netdb_core::node::{DiskOp, Node, Setup, StartError, TokenInfo};
use netdb_gossip_core::identity::{ClusterId, Identity, Name};

use crate::{
    Settings,
    clock::{Clock, wall},
    config::{Config, ConfigError},
    db::NetDb,
    entropy, identity_file,
    state_dir::{StateDir, StateDirError},
    storage::{Storage, StorageError},
};

/// Why no cluster was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// A setting is wrong; nothing was done.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The directory holds a node of a cluster, which stays as it is.
    #[error(
        "{0} belongs to a cluster already: start the node, or choose another state directory for a \
         new cluster"
    )]
    AlreadyMember(String),
    /// The state directory can't be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The file of tables can't be written; the directory holds no cluster.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A fault of this program.
    #[error("the new cluster can't be read back: this is a fault of netdb ({0})")]
    Internal(String),
}

impl NetDb {
    /// Makes a new cluster whose first node is this one, and returns the token that lets others join.
    /// The node is not started: [`NetDb::open`] does that.
    pub async fn init(config: &Config) -> Result<TokenInfo, InitError> {
        let config = config.clone();
        let made = tokio::task::spawn_blocking(move || init(&config));
        made.await.unwrap_or_else(|error| Err(InitError::Internal(error.to_string())))
    }
}

fn init(config: &Config) -> Result<TokenInfo, InitError> {
    config.validate()?;
    let name = config.node_name()?;
    if let Some(dir) = StateDir::find(&config.state_dir)? {
        refuse_member(&dir, &name)?;
    }
    let dir = StateDir::create(&config.state_dir)?;
    let _lock = dir.lock()?;
    // Another process may have been here before the lock was ours.
    refuse_member(&dir, &name)?;
    let kept = identity_file::load(&dir)?;
    let identity = kept.clone().unwrap_or_else(|| Identity::generate(&mut entropy::system()));
    let mut entropy = entropy::system();
    let cluster = ClusterId::generate(&mut entropy);
    let ops = Node::found(cluster, &mut entropy, &identity.public(), &name, wall());
    let token = read_token(&identity, &name, &ops)?;
    if kept.is_none() {
        identity_file::save(&dir, &identity)?;
    }
    store(&dir, cluster, ops)?;
    Ok(token)
}

fn refuse_member(dir: &StateDir, name: &Name) -> Result<(), InitError> {
    if is_member(dir, name)? {
        return Err(InitError::AlreadyMember(dir.path().display().to_string()));
    }
    Ok(())
}

/// Whether the directory holds the state of a node that has not left its cluster. What can't be read is
/// an error: it must not be written over.
pub(crate) fn is_member(dir: &StateDir, name: &Name) -> Result<bool, Unfit> {
    if !dir.holds_store()? {
        return Ok(false);
    }
    let identity = identity_file::load(dir)?
        .ok_or_else(|| StateDirError::IdentityMissing { path: dir.identity() })?;
    let path = dir.store();
    let (_, contents) = Storage::open(&path)?;
    match Node::start(trial(identity, name.clone(), contents.pairs), Clock::start().now()) {
        Ok(_) => Ok(true),
        Err(StartError::NotAMember) => Ok(false),
        Err(error) => Err(StorageError::Damaged { path, detail: error.to_string() }.into()),
    }
}

/// A node that is only looked at and never runs.
fn trial(identity: Identity, name: Name, disk: Vec<(Vec<u8>, Vec<u8>)>) -> Setup {
    Setup {
        config: Settings::lan(),
        identity,
        name,
        addr: SocketAddr::from(([127, 0, 0, 1], 1)),
        seed: entropy::seed(),
        entropy: Box::new(entropy::system()),
        disk,
    }
}

/// Why it can't be said what a directory holds.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl From<Unfit> for InitError {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::StateDir(error) => error.into(),
            // Another process runs on it: so it belongs to a cluster.
            Unfit::Storage(StorageError::InUse(path)) => {
                Self::AlreadyMember(path.display().to_string())
            }
            Unfit::Storage(error) => error.into(),
        }
    }
}

/// Puts the first state of a node in its place, durably. The caller holds the lock.
pub(crate) fn store(dir: &StateDir, cluster: ClusterId, ops: Vec<DiskOp>) -> Result<(), Unfit> {
    Storage::create(&dir.store(), &dir.new_store(), cluster, ops)?;
    Ok(dir.sync()?)
}

/// The token of a cluster that was just made.
fn read_token(identity: &Identity, name: &Name, ops: &[DiskOp]) -> Result<TokenInfo, InitError> {
    let pairs = ops.iter().filter_map(|op| Some((op.key.clone(), op.value.clone()?)));
    let node =
        Node::start(trial(identity.clone(), name.clone(), pairs.collect()), Clock::start().now());
    let node = node.map_err(|error| InitError::Internal(error.to_string()))?;
    node.token().ok_or_else(|| InitError::Internal("it has no token".to_owned()))
}
