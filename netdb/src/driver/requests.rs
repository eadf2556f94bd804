//! What callers ask for that takes more than a look at the node.
//!
//! Must never answer that something is done which a killed process would have forgotten.

use netdb_core::{
    entry::Lifetime,
    node::{Node, Receipt, Write, WriteError as Refused},
    view::{Event, Filter},
};
use netdb_gossip_core::{identity::Name, time::Now};
use tokio::sync::mpsc;

use super::Driver;
use crate::{
    command::Reply, info::Queues, network::SyncError, storage::StorageError, table::WriteError,
};

/// Writes held while the node takes a new generation, which lasts one commit; more are refused.
const MAX_HELD: usize = 1024;

/// Where the answer to a write goes.
pub(crate) type WriteReply = Reply<Result<Receipt, WriteError>>;

impl Driver {
    /// Makes a write, and answers once it is as safe as its lifetime promises.
    pub(crate) fn write(&mut self, write: Write, reply: WriteReply) {
        if write.lifetime == Lifetime::Cluster
            && let Some(error) = self.disk_trouble()
        {
            let _ = reply.send(Err(WriteError::Storage(error)));
            return;
        }
        match self.node.write(self.now(), &write) {
            Err(Refused::Starting)
                if self.disk.failure().is_none() && self.held.len() < MAX_HELD =>
            {
                self.held.push((write, reply));
            }
            Err(refused) => {
                let _ = reply.send(Err(WriteError::Refused(refused)));
            }
            Ok(receipt) => match receipt.commit {
                None => {
                    let _ = reply.send(Ok(receipt));
                }
                Some(id) => self.acks.add(id, move |durable| {
                    let answer = durable
                        .map(|()| receipt)
                        .map_err(|error| WriteError::NotDurable { receipt, error });
                    let _ = reply.send(answer);
                }),
            },
        }
    }

    /// The disk has answered: tries again what came while the node had no generation to write under.
    pub(super) fn write_held(&mut self) {
        for (write, reply) in std::mem::take(&mut self.held) {
            self.write(write, reply);
        }
    }

    /// Makes a change, and answers once what it left for the disk is there.
    pub(crate) fn durably<T, E>(
        &mut self,
        reply: Reply<Result<T, E>>,
        change: impl FnOnce(&mut Node, Now) -> Result<T, E>,
        not_durable: impl FnOnce(StorageError) -> E + Send + 'static,
    ) where
        T: Send + 'static,
        E: Send + 'static,
    {
        // What waits already is not this change's.
        self.flush();
        let before = self.disk.last_id();
        let result = change(&mut self.node, self.clock.now());
        self.flush();
        let commit = self.disk.last_id();
        match result {
            Ok(value) if commit > before => self.acks.add(commit, move |durable| {
                let _ = reply.send(durable.map(|()| value).map_err(not_durable));
            }),
            settled => {
                let _ = reply.send(settled);
            }
        }
    }

    /// Why a caller must not be made to wait for the disk, if so.
    fn disk_trouble(&self) -> Option<StorageError> {
        if let Some(error) = self.disk.failure() {
            return Some(error.clone());
        }
        (!self.acks.has_room()).then(|| self.disk.behind(super::MAX_UNSETTLED))
    }

    /// Opens a watch; `None` if there are too many.
    pub(crate) fn watch(&mut self, filter: Filter) -> Option<mpsc::Receiver<Event>> {
        let now = self.now();
        self.watches.add(&mut self.node, now, filter)
    }

    pub(crate) fn open_watches(&self) -> usize {
        self.watches.len()
    }

    pub(crate) fn watch_events(&self) -> u64 {
        self.watches.handed()
    }

    pub(crate) fn queues(&self) -> Queues {
        let gossip = self.node.gossip();
        Queues {
            calls: self.commands.len(),
            callers: self.acks.len() + self.held.len(),
            records: self.disk.unsaved(),
            link_bytes: gossip.members().map(|(member, _)| gossip.queued(member.id)).sum(),
            watches: self.watches.behind(),
            watch_lag: self.watches.lag(),
        }
    }

    pub(crate) fn is_attached(&self, network: &Name) -> bool {
        self.node.networks().iter().any(|info| info.name == *network)
    }

    /// Answers once the network's tables are in sync.
    pub(crate) fn wait_synced(&mut self, network: Name, reply: Reply<Result<(), SyncError>>) {
        if !self.is_attached(&network) {
            let _ = reply.send(Err(SyncError::NotAttached(network)));
        } else if self.node.is_synced(&network) {
            let _ = reply.send(Ok(()));
        } else {
            self.synced.add(network, reply);
        }
    }

    pub(crate) fn was_detached(&mut self, network: &Name) {
        self.synced.detached(network);
    }
}
