//! Groups commits into transactions, one at a time, on a blocking thread; tries again after a failure.
//!
//! While a transaction runs, what comes meanwhile is merged into the next: the latest change to each
//! record, so that what waits never outgrows what is stored, however long the disk is gone.
//! Must never report a commit as durable before its transaction is, nor give up on one.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    time::Duration,
};

use netdb_core::{node::DiskOp, times::Times};
use netdb_gossip_core::time::Wall;
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until},
};

use crate::{
    clock::wall,
    storage::{Batch, Storage, StorageError},
};

/// The rest after a first failure; it doubles with each further one.
const RETRY_MIN: Duration = Duration::from_millis(100);
/// The longest rest, and so how soon the disk's recovery is noticed.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// Whether what must survive the process is on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageState {
    /// Commits become durable as they come.
    Healthy,
    /// They don't; the node works from memory and tries again by itself.
    Failing {
        /// Why.
        error: StorageError,
        /// Since when.
        since: Wall,
        /// Changed records that are not on disk yet.
        unsaved: usize,
    },
}

/// What has been counted since the node was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageStats {
    /// Commits asked for.
    pub commits: u64,
    /// Transactions that made them durable; fewer, because commits are grouped.
    pub transactions: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// How long the ones that succeeded took.
    pub times: Times,
}

/// The ids of consecutive commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) first: u64,
    pub(crate) last: u64,
}

/// How a transaction ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    Durable(Ids),
    /// Nothing of it is on disk; it is tried again.
    Failed(StorageError),
}

/// Changes that go to disk together, and the commits that they are of.
#[derive(Debug)]
struct Group {
    batch: Batch,
    ids: Ids,
}

/// A transaction that is over.
#[derive(Debug)]
struct Work {
    storage: Storage,
    group: Group,
    result: Result<(), StorageError>,
    took: Duration,
}

/// The store and all that is on its way to it.
#[derive(Debug)]
pub(crate) struct Disk {
    path: PathBuf,
    /// `None` while a transaction has it.
    storage: Option<Storage>,
    running: Option<JoinHandle<Work>>,
    waiting: Option<Group>,
    failure: Option<(StorageError, Wall)>,
    rest: Duration,
    retry_at: Option<Instant>,
    last_id: u64,
    stats: StorageStats,
}

impl Group {
    /// Adds what came after all that is here.
    fn add(&mut self, later: Self) {
        self.batch.extend(later.batch);
        self.ids.last = later.ids.last;
    }
}

fn merge(earlier: Option<Group>, later: Option<Group>) -> Option<Group> {
    match (earlier, later) {
        (Some(mut group), Some(later)) => {
            group.add(later);
            Some(group)
        }
        (earlier, later) => earlier.or(later),
    }
}

/// Runs on a thread of its own. A panic of redb is damage that it did not expect, not the node's end.
fn work(mut storage: Storage, group: Group) -> Work {
    let began = Instant::now();
    let applied = catch_unwind(AssertUnwindSafe(|| storage.apply(&group.batch)));
    let result = applied.unwrap_or_else(|_| Err(storage.beyond_repair()));
    Work { storage, group, result, took: began.elapsed() }
}

impl Disk {
    pub(crate) fn new(storage: Storage) -> Self {
        Self {
            path: storage.path().to_owned(),
            storage: Some(storage),
            running: None,
            waiting: None,
            failure: None,
            rest: RETRY_MIN,
            retry_at: None,
            last_id: 0,
            stats: StorageStats::default(),
        }
    }

    /// Takes a commit; [`Disk::settled`] tells when it is durable.
    pub(crate) fn push(&mut self, id: u64, ops: Vec<DiskOp>) {
        let batch = ops.into_iter().map(|op| (op.key, op.value)).collect();
        let group = Group { batch, ids: Ids { first: id, last: id } };
        self.waiting = merge(self.waiting.take(), Some(group));
        self.last_id = id;
        self.stats.commits += 1;
    }

    /// The id of the commit that was taken last.
    pub(crate) fn last_id(&self) -> u64 {
        self.last_id
    }

    /// Everything taken is durable.
    pub(crate) fn is_idle(&self) -> bool {
        self.running.is_none() && self.waiting.is_none()
    }

    /// Why commits don't become durable at present.
    pub(crate) fn failure(&self) -> Option<&StorageError> {
        self.failure.as_ref().map(|(error, _)| error)
    }

    /// The same for people.
    pub(crate) fn state(&self) -> StorageState {
        match &self.failure {
            None => StorageState::Healthy,
            Some((error, since)) => StorageState::Failing {
                error: error.clone(),
                since: *since,
                unsaved: self.unsaved(),
            },
        }
    }

    pub(crate) fn stats(&self) -> StorageStats {
        self.stats
    }

    /// What a writer is told that must not wait for this disk any more.
    pub(crate) fn behind(&self, waiting: usize) -> StorageError {
        StorageError::Behind { path: self.path.clone(), waiting }
    }

    /// Changed records that no transaction has taken yet.
    pub(crate) fn unsaved(&self) -> usize {
        self.waiting.as_ref().map_or(0, |group| group.batch.len())
    }

    /// Waits for the running transaction, starting one if there is something to do; never returns
    /// while there is not. Nothing is lost when the future is dropped.
    pub(crate) async fn settled(&mut self) -> Settled {
        self.begin().await;
        let Some(running) = &mut self.running else { return std::future::pending().await };
        // The thread does not panic; an error says that the runtime is going down, and this task with it.
        let Ok(work) = running.await else { return std::future::pending().await };
        self.running = None;
        self.account(work)
    }

    /// Starts a transaction if none runs and something waits, after the rest that a failure asks for.
    async fn begin(&mut self) {
        if self.running.is_some() || self.waiting.is_none() {
            return;
        }
        if let Some(at) = self.retry_at {
            sleep_until(at).await;
        }
        if let Some(storage) = self.storage.take()
            && let Some(group) = self.waiting.take()
        {
            self.running = Some(spawn_blocking(move || work(storage, group)));
        }
    }

    fn account(&mut self, work: Work) -> Settled {
        self.storage = Some(work.storage);
        match work.result {
            Ok(()) => {
                self.stats.transactions += 1;
                self.stats.times.add(work.took);
                if self.failure.take().is_some() {
                    tracing::info!(path = %self.path.display(), "the disk takes writes again");
                }
                self.rest = RETRY_MIN;
                self.retry_at = None;
                Settled::Durable(work.group.ids)
            }
            Err(error) => {
                self.waiting = merge(Some(work.group), self.waiting.take());
                self.failed(error)
            }
        }
    }

    fn failed(&mut self, error: StorageError) -> Settled {
        self.stats.failures += 1;
        if self.failure() != Some(&error) {
            tracing::error!(%error, "cannot write to disk; trying again");
            let since = self.failure.as_ref().map_or_else(wall, |(_, since)| *since);
            self.failure = Some((error.clone(), since));
        }
        self.retry_at = Some(Instant::now() + self.rest);
        self.rest = (self.rest * 2).min(RETRY_MAX);
        Settled::Failed(error)
    }

    /// Makes everything durable within `patience` and closes the file.
    pub(crate) async fn close(
        mut self,
        patience: Duration,
    ) -> (Vec<Settled>, Result<(), StorageError>) {
        let deadline = Instant::now() + patience;
        let mut all = Vec::new();
        while !self.is_idle() {
            match tokio::time::timeout_at(deadline, self.settled()).await {
                Ok(settled @ Settled::Durable(_)) => all.push(settled),
                Ok(Settled::Failed(_)) => {}
                Err(_) => break,
            }
        }
        if !self.is_idle() {
            let behind = self.behind(self.unsaved());
            return (all, Err(self.failure.map_or(behind, |(error, _)| error)));
        }
        let storage = self.storage.take();
        // Closing the file syncs it: not on this thread.
        let _ = spawn_blocking(move || drop(storage)).await;
        (all, Ok(()))
    }
}

#[cfg(test)]
mod tests;
