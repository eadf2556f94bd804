//! A network that the node is attached to.

use netdb_core::{
    entry::Lifetime,
    node::{AttachError as Refused, CLUSTER_NETWORK},
    rendezvous,
};
use netdb_gossip_core::identity::{Name, NameError, NodeId};

use crate::{
    db::{ChangeError, NetDb, Stopped},
    storage::StorageError,
    table::Table,
};

/// Why attaching, detaching or marking complete did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachError {
    /// It can't be a network's name; nothing changed.
    #[error("not a network name: {0}")]
    Name(#[from] NameError),
    /// The node refused; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Done, but a crash would undo it until the disk takes it; the node goes on trying.
    #[error("done, but not on disk yet: {0}")]
    NotDurable(StorageError),
    /// Nothing changed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl From<ChangeError<Refused>> for AttachError {
    fn from(error: ChangeError<Refused>) -> Self {
        match error {
            ChangeError::Refused(refused) => Self::Refused(refused),
            ChangeError::NotDurable(error) => Self::NotDurable(error),
            ChangeError::Stopped(stopped) => Self::Stopped(stopped),
        }
    }
}

/// Why waiting for a network ended early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SyncError {
    /// The node is not attached, or was detached meanwhile.
    #[error("this node is not attached to network {0}")]
    NotAttached(Name),
    /// The node was stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A network that the node was attached to when this handle was made.
#[derive(Clone, Debug)]
pub struct Network {
    db: NetDb,
    name: Name,
}

impl Network {
    pub(crate) fn new(db: NetDb, name: Name) -> Self {
        Self { db, name }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Whether it is the built-in network that every node is attached to.
    pub fn is_cluster(&self) -> bool {
        self.name.as_str() == CLUSTER_NETWORK
    }

    /// A table of this network. Tables need not be made; the two lifetimes of one name are different
    /// tables.
    pub fn table(&self, name: &str, lifetime: Lifetime) -> Result<Table, NameError> {
        Ok(Table::new(self.db.clone(), self.name.clone(), Name::new(name)?, lifetime))
    }

    /// The live nodes that are attached to it, this one among them.
    pub async fn peers(&self) -> Result<Vec<NodeId>, Stopped> {
        let name = self.name.clone();
        self.db.call(move |driver| driver.node.peers(&name)).await
    }

    /// Which of the [`peers`](Self::peers) decides about `key`, if one is to: the highest by rendezvous hash.
    /// A hint and no lock: nodes that do not see the same peers at the moment may name different ones.
    pub async fn leader_hint(&self, key: impl AsRef<[u8]>) -> Result<Option<NodeId>, Stopped> {
        Ok(rendezvous::winner(key.as_ref(), self.peers().await?))
    }

    /// Waits until this node holds what its peers hold, or finds that it is alone. Until then the
    /// tables can be used, and may lack rows.
    pub async fn wait_synced(&self) -> Result<(), SyncError> {
        let name = self.name.clone();
        self.db.call_later(move |driver, reply| driver.wait_synced(name, reply)).await?
    }

    /// Says that after a restart all `Owner` rows of this node in this network are written again: of
    /// those from before the restart, the others go now. Without it they go after
    /// [`Settings::replace_after`](crate::Settings::replace_after).
    pub async fn mark_complete(&self) -> Result<(), AttachError> {
        let name = self.name.clone();
        let result = self.db.call(move |driver| {
            let now = driver.now();
            driver.node.mark_complete(now, &name)
        });
        Ok(result.await??)
    }

    /// Leaves the network: this node's `Owner` rows go, and it drops the tables.
    pub async fn detach(self) -> Result<(), AttachError> {
        let name = self.name;
        let detached = self.db.call_later(move |driver, reply| {
            let change = |node: &mut netdb_core::node::Node, now| {
                node.detach(now, &name).map_err(AttachError::Refused)
            };
            driver.durably(reply, change, AttachError::NotDurable);
            if !driver.is_attached(&name) {
                driver.was_detached(&name);
            }
        });
        detached.await?
    }
}
