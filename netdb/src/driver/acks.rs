//! Callers that wait for a commit to be durable.
//!
//! Must never tell a caller that something is durable before it is, nor leave one without an answer.

use std::collections::BTreeMap;

use crate::storage::StorageError;

/// Callers that may wait for the disk at one time. More are refused: the disk hangs.
pub(crate) const MAX_UNSETTLED: usize = 65_536;

/// Told once whether its commit is durable.
type Ack = Box<dyn FnOnce(Result<(), StorageError>) + Send>;

/// All that wait, by commit.
#[derive(Default)]
pub(crate) struct Acks {
    by_commit: BTreeMap<u64, Vec<Ack>>,
    waiting: usize,
}

impl Acks {
    pub(crate) fn has_room(&self) -> bool {
        self.waiting < MAX_UNSETTLED
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting
    }

    /// Tells `ack` when commit `id` is durable, or cannot be made so at present.
    pub(crate) fn add(
        &mut self,
        id: u64,
        ack: impl FnOnce(Result<(), StorageError>) + Send + 'static,
    ) {
        self.by_commit.entry(id).or_default().push(Box::new(ack));
        self.waiting += 1;
    }

    /// Every commit up to `last` is durable.
    pub(crate) fn durable(&mut self, last: u64) {
        let later = self.by_commit.split_off(&last.saturating_add(1));
        self.tell(&Ok(()));
        self.waiting = later.values().map(Vec::len).sum();
        self.by_commit = later;
    }

    /// The disk takes nothing: whoever waits is told so now, and not kept until it recovers.
    pub(crate) fn failed(&mut self, error: &StorageError) {
        self.tell(&Err(error.clone()));
    }

    fn tell(&mut self, result: &Result<(), StorageError>) {
        for ack in std::mem::take(&mut self.by_commit).into_values().flatten() {
            ack(result.clone());
        }
        self.waiting = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn each_is_told_once_and_in_time() {
        let (told, heard) = mpsc::sync_channel(16);
        let mut acks = Acks::default();
        for id in [1, 2, 2, 5, 6] {
            let told = told.clone();
            acks.add(id, move |result| told.send((id, result.is_ok())).unwrap());
        }
        acks.durable(4);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [(1, true), (2, true), (2, true)]);
        assert_eq!(acks.waiting, 2);
        acks.failed(&StorageError::DiskFull("x".into()));
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [(5, false), (6, false)]);
        acks.durable(9);
        assert_eq!((heard.try_iter().count(), acks.waiting), (0, 0));
    }

    #[test]
    fn there_is_room_up_to_the_limit() {
        let mut acks = Acks::default();
        for _ in 0..MAX_UNSETTLED {
            assert!(acks.has_room());
            acks.add(1, |_| {});
        }
        assert!(!acks.has_room());
        acks.durable(1);
        assert!(acks.has_room());
    }
}
