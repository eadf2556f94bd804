//! Starting a node from its state directory.
//!
//! Must never leave anything running or locked when it fails.

use netdb_core::node::{Node, Output, Setup, StartError};
use netdb_gossip::{BindError, Limits, Transport};
use netdb_gossip_core::identity::Identity;
use tokio::sync::{broadcast, mpsc, watch};

use crate::{
    address::advertised,
    clock::Clock,
    command::COMMANDS,
    config::{Config, ConfigError},
    db::{NetDb, Shared},
    disk::{Disk, Settled},
    driver::{Driver, Parts},
    entropy,
    events::EVENTS,
    identity_file,
    state_dir::{StateDir, StateDirError, StateLock, check_file},
    storage::{Contents, Storage, StorageError},
};

/// Why the node was not started. Nothing runs, and nothing on disk was changed but for a lock file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There is no node in the state directory, or one that has left its cluster.
    #[error("{0} belongs to no cluster: make one with `init`, or enter one with `join`")]
    NotAMember(String),
    /// The state directory can't be used, or another node uses it.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The file of tables can't be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What is stored makes no sense.
    #[error("{path}: {error}")]
    Start {
        /// The file.
        path: String,
        /// What makes no sense.
        error: StartError,
    },
    /// The sockets can't be opened.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// The state of a node, read and locked.
struct State {
    lock: StateLock,
    identity: Identity,
    storage: Storage,
    contents: Contents,
}

impl NetDb {
    /// Starts the node whose state is in the state directory. Must be called within a tokio runtime, on
    /// which the node then runs.
    pub async fn open(config: Config) -> Result<Self, OpenError> {
        config.validate()?;
        let name = config.node_name()?;
        let state_dir = config.state_dir.clone();
        let State { lock, identity, storage, contents } = {
            let path = state_dir.clone();
            let read = tokio::task::spawn_blocking(move || read(&path));
            let store = state_dir.join("netdb.redb");
            // redb took the thread down: it found something that it thinks impossible.
            read.await.unwrap_or_else(|error| {
                Err(StorageError::Damaged { path: store, detail: error.to_string() }.into())
            })?
        };
        let clock = Clock::start();
        let transport = netdb_gossip::Config {
            listen: config.listen,
            identity: identity.clone(),
            cluster: contents.cluster,
            limits: Limits::default(),
        };
        let (transport, inbox) = Transport::bind(transport)?;
        let addr = advertised(&config, transport.local_addr(), &[])?;
        let id = identity.node_id();
        let setup = Setup {
            config: config.settings,
            identity,
            name,
            addr,
            seed: entropy::seed(),
            entropy: Box::new(entropy::system()),
            disk: contents.pairs,
        };
        let path = storage.path().display().to_string();
        let mut node = Node::start(setup, clock.now()).map_err(|error| match error {
            StartError::NotAMember => OpenError::NotAMember(state_dir.display().to_string()),
            error @ StartError::Damaged { .. } => OpenError::Start { path, error },
        })?;
        let mut disk = Disk::new(storage);
        commit_generation(&mut node, &mut disk, clock).await?;
        let (commands, receiver) = mpsc::channel(COMMANDS);
        let (ended_sender, ended) = watch::channel(());
        let shared = Shared {
            commands,
            ended,
            id,
            cluster: contents.cluster,
            listen: transport.local_addr(),
            state_dir,
        };
        let events = broadcast::Sender::new(EVENTS);
        let parts = Parts { node, transport, inbox, disk, clock, commands: receiver, events, lock };
        tokio::spawn(async move {
            Box::pin(Driver::new(parts).run()).await;
            drop(ended_sender);
        });
        Ok(Self::new(shared))
    }
}

fn read(path: &std::path::Path) -> Result<State, OpenError> {
    let shown = || path.display().to_string();
    let Some(dir) = StateDir::find(path)? else { return Err(OpenError::NotAMember(shown())) };
    let lock = dir.lock()?;
    let identity = identity_file::load(&dir)?;
    let store = dir.store();
    if !dir.holds_store()? {
        // Keys alone are what a join that was killed half-way leaves.
        return Err(OpenError::NotAMember(shown()));
    }
    let identity =
        identity.ok_or_else(|| StateDirError::IdentityMissing { path: dir.identity() })?;
    check_file(&store)?;
    let (storage, contents) = Storage::open(&store)?;
    Ok(State { lock, identity, storage, contents })
}

/// Makes the new generation durable: before that a node says nothing, and without it there is no use in
/// running.
async fn commit_generation(
    node: &mut Node,
    disk: &mut Disk,
    clock: Clock,
) -> Result<(), OpenError> {
    while let Some(output) = node.poll_output(clock.now()) {
        // Nothing else comes before this commit is handled.
        if let Output::Commit { id, ops } = output {
            disk.push(id, ops);
        }
    }
    while !disk.is_idle() {
        match disk.settled().await {
            Settled::Failed(error) => return Err(error.into()),
            Settled::Durable(ids) => {
                (ids.first..=ids.last).for_each(|id| node.handle_committed(clock.now(), id));
            }
        }
    }
    Ok(())
}
