//! Stopwatches: when each node sees a row in the state that is waited for.

use std::{collections::BTreeSet, fmt, sync::Arc};

use netdb_core::entry::{Entry, RowKey};
use netdb_gossip_core::{identity::Name, time::Time};

/// What is waited for in a row.
#[derive(Clone, PartialEq, Eq)]
pub enum Want {
    /// It has this value. (Not: this write. Writing a value again is no news to a watcher.)
    Value(Arc<[u8]>),
    /// The row is out of view.
    Gone,
}

/// One stopwatch, over many nodes.
#[derive(Clone, Debug)]
pub struct Probe {
    /// The network.
    pub network: Name,
    /// The row.
    pub row: RowKey,
    /// Its state.
    pub want: Want,
    /// When the watch began.
    pub since: Time,
    /// Hosts that don't see it yet.
    pub missing: BTreeSet<usize>,
    /// When the last one saw it.
    pub done: Option<Time>,
}

impl fmt::Debug for Want {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value(value) => write!(f, "{:?}", String::from_utf8_lossy(value)),
            Self::Gone => f.write_str("gone"),
        }
    }
}

impl Want {
    /// Whether this is what stands in the row.
    pub fn is_met(&self, standing: Option<&Arc<Entry>>) -> bool {
        match self {
            Self::Value(value) => standing.is_some_and(|entry| entry.value.as_ref() == Some(value)),
            Self::Gone => standing.is_none(),
        }
    }
}

impl Probe {
    /// A host's view of the row is now `standing`.
    pub fn seen(&mut self, now: Time, host: usize, standing: Option<&Arc<Entry>>) {
        if self.want.is_met(standing) && self.missing.remove(&host) && self.missing.is_empty() {
            self.done = Some(now);
        }
    }
}
