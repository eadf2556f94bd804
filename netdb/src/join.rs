//! Joining a cluster: asks its members one after the other, and writes the node's state once one of them
//! has let it in.
//!
//! Must never write anything of a join that failed.

use std::{fmt, net::SocketAddr, time::Duration};

use netdb_core::node::{Adopted, JoinRejected, Node};
use netdb_gossip_core::{
    identity::{ClusterId, Identity, Name, NodeId},
    token::{ParseTokenError, Token},
};

use crate::{
    address::advertised,
    clock::wall,
    config::{Config, ConfigError},
    db::NetDb,
    entropy, identity_file,
    init::{Unfit, is_member, store},
    state_dir::{StateDir, StateDirError},
    storage::StorageError,
};

/// How long one member may take.
const JOIN_TIMEOUT: Duration = Duration::from_secs(15);

/// The node is a member now, and can be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The node.
    pub node: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// How far this host's clock is ahead of the cluster's, in microseconds, if it is off by more than a
    /// minute. Nothing breaks by it, but someone should set it.
    pub clock_off: Option<i64>,
    /// Another live node has this node's name. Both keep working, and the clash is shown everywhere.
    pub name_taken: bool,
}

/// Why the node is not a member. But for [`JoinError::NotWritten`], nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The text is not a token.
    #[error(transparent)]
    Token(#[from] ParseTokenError),
    /// There is nobody to ask.
    #[error("give the address of at least one member of the cluster")]
    NoPeers,
    /// The directory holds a node of a cluster, which stays as it is.
    #[error(
        "{0} belongs to a cluster already: leave that first, or choose another state directory"
    )]
    AlreadyMember(String),
    /// The state directory can't be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// The file of tables can't be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// No member let the node in.
    #[error("{0}")]
    NotAdmitted(Attempts),
    /// A member let the node in, and its answer makes no sense.
    #[error(transparent)]
    Rejected(#[from] JoinRejected),
    /// The cluster let the node in, but its state could not be written. Join again when that is mended.
    #[error("admitted, but the state could not be written; mend that and join again: {0}")]
    NotWritten(String),
}

/// What each member that was asked said, in the order of asking; never empty.
#[derive(Debug)]
pub struct Attempts(pub Vec<(SocketAddr, netdb_gossip::JoinError)>);

impl Attempts {
    /// The error that says most: of a member that answered, or else the first.
    pub fn telling(&self) -> Option<&netdb_gossip::JoinError> {
        let answered = self.0.iter().find(|(_, error)| is_answer(error));
        answered.or_else(|| self.0.first()).map(|(_, error)| error)
    }
}

impl fmt::Display for Attempts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(_, only)] = self.0.as_slice() {
            return write!(f, "{only}");
        }
        f.write_str("no member let this node in:")?;
        self.0.iter().try_for_each(|(addr, error)| write!(f, "\n  {addr}: {error}"))
    }
}

/// Whether a member of the cluster said no, rather than that none was reached.
fn is_answer(error: &netdb_gossip::JoinError) -> bool {
    use netdb_gossip::JoinError as E;
    matches!(
        error,
        E::TokenUnknown | E::TokenExpired | E::ClusterFull | E::OtherCluster(_) | E::Refused(_)
    )
}

impl From<Unfit> for JoinError {
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

impl NetDb {
    /// Joins the cluster that `token` is of, through one of its nodes at `peers`. The node is not
    /// started: [`NetDb::open`] does that.
    pub async fn join(
        config: &Config,
        token: &str,
        peers: &[SocketAddr],
    ) -> Result<Joined, JoinError> {
        config.validate()?;
        let name = config.node_name()?;
        let token: Token = token.trim().parse()?;
        let identity = {
            let (config, name) = (config.clone(), name.clone());
            blocking(move || prepare(&config, &name)).await?
        };
        let local = SocketAddr::new(config.listen.ip(), config.listen.port());
        let addr = advertised(config, local, peers)?;
        let request = || Node::join_request(&name, addr, wall());
        let mut attempts = Attempts(Vec::new());
        let mut welcome = None;
        for peer in peers {
            match netdb_gossip::join(*peer, &token, &identity, request(), JOIN_TIMEOUT).await {
                Ok(answer) => {
                    welcome = Some(answer);
                    break;
                }
                Err(error) => attempts.0.push((*peer, error)),
            }
        }
        let Some(welcome) = welcome else {
            return Err(if peers.is_empty() {
                JoinError::NoPeers
            } else {
                JoinError::NotAdmitted(attempts)
            });
        };
        let adopted = Node::adopt(&welcome, wall())?;
        let joined = Joined {
            node: identity.node_id(),
            cluster: adopted.cluster,
            clock_off: adopted.clock_off,
            name_taken: adopted.name_taken,
        };
        let config = config.clone();
        blocking(move || write(&config, &name, &identity, adopted)).await?;
        Ok(joined)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JoinError> + Send + 'static,
) -> Result<T, JoinError> {
    let done = tokio::task::spawn_blocking(work);
    done.await.unwrap_or_else(|error| Err(JoinError::NotWritten(error.to_string())))
}

/// Looks whether the node may join, and who it is; changes nothing.
fn prepare(config: &Config, name: &Name) -> Result<Identity, JoinError> {
    let generate = || Identity::generate(&mut entropy::system());
    StateDir::check_writable(&config.state_dir)?;
    let Some(dir) = StateDir::find(&config.state_dir)? else { return Ok(generate()) };
    if is_member(&dir, name)? {
        return Err(JoinError::AlreadyMember(dir.path().display().to_string()));
    }
    // Kept from a join that was killed half-way: the cluster knows the node by it.
    Ok(identity_file::load(&dir)?.unwrap_or_else(generate))
}

fn write(
    config: &Config,
    name: &Name,
    identity: &Identity,
    adopted: Adopted,
) -> Result<(), JoinError> {
    let not_written = |error: &dyn fmt::Display| JoinError::NotWritten(error.to_string());
    let dir = StateDir::create(&config.state_dir).map_err(|error| not_written(&error))?;
    let _lock = dir.lock().map_err(|error| not_written(&error))?;
    // Another process may have joined meanwhile.
    if is_member(&dir, name)? {
        return Err(JoinError::AlreadyMember(dir.path().display().to_string()));
    }
    match identity_file::load(&dir)? {
        None => identity_file::save(&dir, identity).map_err(|error| not_written(&error))?,
        Some(kept) if kept.public() == identity.public() => {}
        Some(_) => return Err(not_written(&"another node's keys appeared in the state directory")),
    }
    store(&dir, adopted.cluster, adopted.ops).map_err(|error| not_written(&error))
}
