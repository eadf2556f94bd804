//! A host's disk: one ordered byte map with grouped, atomic commits that take time.
//!
//! What was not committed is lost in a crash; a group that is being written when the crash comes is
//! there as a whole or not at all. A disk can be kept, wiped, or replaced by an older copy of itself.

use std::{collections::BTreeMap, mem, time::Duration};

use netdb_core::node::DiskOp;
use netdb_gossip_core::time::Time;

use crate::seed::{Draws, MILLION};

/// How long a commit takes: like a solid-state disk that is told to flush.
const COMMIT_LOW: u64 = 300;
const COMMIT_HIGH: u64 = 2_000;
/// One commit in a hundred takes up to this long.
const COMMIT_SLOW: u64 = 30_000;

/// The content of a disk.
pub type Content = BTreeMap<Vec<u8>, Vec<u8>>;

struct Commit {
    id: u64,
    ops: Vec<DiskOp>,
}

/// A disk.
pub struct Disk {
    content: Content,
    /// Being written, until then.
    writing: Vec<Commit>,
    waiting: Vec<Commit>,
    /// When the group being written is durable.
    due: Time,
    stalled: bool,
    draws: Draws,
}

impl Disk {
    /// An empty disk.
    pub fn new(draws: Draws) -> Self {
        Self {
            content: Content::new(),
            writing: Vec::new(),
            waiting: Vec::new(),
            due: Time(0),
            stalled: false,
            draws,
        }
    }

    /// What is durable.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Puts another content in place; for a host that is not running.
    pub fn replace(&mut self, content: Content) {
        self.content = content;
    }

    /// Writes at once, as `init` and `join` do before the first start.
    pub fn write_now(&mut self, ops: Vec<DiskOp>) {
        apply(&mut self.content, ops);
    }

    /// Takes a commit; if a group begins with it, returns when that will be durable.
    pub fn commit(&mut self, now: Time, id: u64, ops: Vec<DiskOp>) -> Option<Time> {
        self.waiting.push(Commit { id, ops });
        self.begin(now)
    }

    fn begin(&mut self, now: Time) -> Option<Time> {
        if self.stalled || !self.writing.is_empty() || self.waiting.is_empty() {
            return None;
        }
        self.writing = mem::take(&mut self.waiting);
        let slow = self.draws.chance(MILLION / 100);
        let high = if slow { COMMIT_SLOW } else { COMMIT_HIGH };
        self.due = now + Duration::from_micros(self.draws.between(COMMIT_LOW, high));
        Some(self.due)
    }

    /// The group being written is durable: its ids, and when the next one will be.
    pub fn written(&mut self, now: Time) -> (Vec<u64>, Option<Time>) {
        if self.stalled || now != self.due {
            // Another group is meant, or it stays in the making until the disk takes writes again.
            return (Vec::new(), None);
        }
        let mut ids = Vec::with_capacity(self.writing.len());
        for commit in mem::take(&mut self.writing) {
            ids.push(commit.id);
            apply(&mut self.content, commit.ops);
        }
        (ids, self.begin(now))
    }

    /// The disk is full (or read-only): nothing is written until it is not. Returns when the group
    /// that waited will be durable.
    pub fn stall(&mut self, now: Time, stalled: bool) -> Option<Time> {
        let was = mem::replace(&mut self.stalled, stalled);
        if !was || stalled {
            return None;
        }
        let mut back = mem::take(&mut self.writing);
        back.append(&mut self.waiting);
        self.waiting = back;
        self.begin(now)
    }

    /// The process is gone: what waits is lost, the group being written by chance.
    pub fn crash(&mut self) {
        self.waiting.clear();
        let writing = mem::take(&mut self.writing);
        if self.draws.chance(MILLION / 2) && !self.stalled {
            for commit in writing {
                apply(&mut self.content, commit.ops);
            }
        }
    }

    /// Whether anything is not durable yet.
    pub fn is_behind(&self) -> bool {
        !self.writing.is_empty() || !self.waiting.is_empty()
    }

    /// The process ends in good order: everything is written, if there is room.
    pub fn flush(&mut self) {
        if self.stalled {
            return self.crash();
        }
        let first = mem::take(&mut self.writing);
        for commit in first.into_iter().chain(mem::take(&mut self.waiting)) {
            apply(&mut self.content, commit.ops);
        }
    }
}

fn apply(content: &mut Content, ops: Vec<DiskOp>) {
    for DiskOp { mut key, value } in ops {
        match value {
            Some(mut value) => {
                // A node writes into buffers with room to spare, and many nodes have many of them.
                key.shrink_to_fit();
                value.shrink_to_fit();
                content.insert(key, value)
            }
            None => content.remove(&key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    fn put(key: u8, value: u8) -> Vec<DiskOp> {
        vec![DiskOp { key: vec![key], value: Some(vec![value]) }]
    }

    #[test]
    fn commits_are_grouped_behind_the_one_being_written() {
        let mut disk = Disk::new(Seed(1).stream("disk", 0));
        let first = disk.commit(Time(0), 1, put(1, 1));
        assert_eq!(disk.commit(Time(1), 2, put(2, 2)), None);
        assert_eq!(disk.commit(Time(2), 3, put(1, 3)), None);
        assert!(disk.content().is_empty(), "nothing is durable yet");
        let (ids, next) = disk.written(first.unwrap());
        assert_eq!(ids, [1]);
        assert_eq!(disk.written(Time(1)), (vec![], None), "not yet");
        assert_eq!(disk.written(next.unwrap()), (vec![2, 3], None));
        assert_eq!(disk.content()[&vec![1]], vec![3]);
    }

    #[test]
    fn a_crash_keeps_a_group_whole_or_not_at_all_and_nothing_behind_it() {
        let (mut kept, mut lost) = (0, 0);
        for seed in 0..64 {
            let mut disk = Disk::new(Seed(seed).stream("disk", 0));
            let ops = [put(1, 1), put(2, 2)].concat();
            disk.commit(Time(0), 1, ops);
            disk.commit(Time(0), 2, put(3, 3));
            disk.crash();
            match disk.content().len() {
                0 => lost += 1,
                2 => kept += 1,
                other => panic!("{other} records of a group of 2"),
            }
        }
        assert!(kept > 10 && lost > 10);
    }

    #[test]
    fn a_full_disk_holds_commits_back_until_it_has_room() {
        let mut disk = Disk::new(Seed(1).stream("disk", 0));
        let first = disk.commit(Time(0), 1, put(1, 1)).unwrap();
        disk.stall(Time(0), true);
        assert_eq!(disk.commit(Time(1), 2, put(2, 2)), None);
        assert_eq!(disk.written(first), (vec![], None));
        let due = disk.stall(Time(90_000), false).unwrap();
        assert!(disk.is_behind());
        assert_eq!(disk.written(due), (vec![1, 2], None));
        assert!(!disk.is_behind());
        disk.commit(due, 3, put(3, 3));
        disk.stall(due, true);
        disk.flush();
        assert_eq!(disk.content().len(), 2, "there was no room to the end");
    }
}
