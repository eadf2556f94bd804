//! A node's deadlines. Timers are never hunted down: one that finds nothing due is ignored.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use netdb_gossip_core::{identity::Name, time::Time};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Compare a network with a peer.
    Compare(Arc<Name>),
    /// Ask for the gaps in a network's sequences.
    Gap(Arc<Name>),
    /// Give up a pull that fell silent.
    Pull(Arc<Name>),
    /// Let what was replaced go, complete or not.
    Replace(Arc<Name>),
    /// Purge a network's tombstones.
    Purge(Arc<Name>),
    /// Let writes from the future take effect.
    Release(Arc<Name>),
    /// A held restart is over.
    Hold,
    /// See to the keyring.
    Keys,
    /// Whoever was going to answer at the start has.
    Boot,
    /// Save the list of peers.
    Peers,
    /// Requests whose time is over.
    Requests,
    /// Purge who failed long ago, retire writers.
    Housekeeping,
    /// What was gathered leaves.
    Flush,
    /// The last words had their time.
    Depart,
}

/// One deadline per timer. Setting it again can only move it forward: a handler that fires early finds
/// nothing due and sets it again from its own state.
#[derive(Debug, Default)]
pub(super) struct Timers {
    queue: BTreeSet<(Time, Timer)>,
    due: BTreeMap<Timer, Time>,
}

impl Timers {
    pub(super) fn set(&mut self, at: Time, timer: Timer) {
        match self.due.get(&timer) {
            Some(known) if *known <= at => return,
            Some(known) => {
                self.queue.remove(&(*known, timer.clone()));
            }
            None => {}
        }
        self.due.insert(timer.clone(), at);
        self.queue.insert((at, timer));
    }

    /// All that are set, the earliest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Time, Timer)> {
        self.queue.iter()
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.queue.first().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Time) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.queue.pop_first()?;
        self.due.remove(&timer);
        Some(timer)
    }
}
