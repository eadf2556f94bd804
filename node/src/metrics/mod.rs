//! Metrics: the node's figures, with names, in the form that Prometheus reads.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `table` | every metric: its name, what it means, and where the figure comes from |
//! | `text` | the form, Prometheus' text format 0.0.4 |
//! | `page` | the same table for people, `docs/metrics.md` |
//!
//! Hand-written rather than on `prometheus-client`: that crate keeps live counters or has a description
//! made at each reading, while these figures are read from snapshots and one table must also make the
//! page. Must never count anything: a figure that is not in a snapshot belongs where it arises.

mod page;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::time::Duration;

use netdb::{Info, KeysInfo, MemberInfo, NetDb, NetworkInfo, Stats, Stopped};
use netnode_api::metrics::Kind;

pub(crate) use page::page;
pub(crate) use text::{CONTENT_TYPE, text};

/// Everything that metrics are read from, as of about one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) uptime: Duration,
    pub(crate) info: Info,
    pub(crate) members: Vec<MemberInfo>,
    pub(crate) networks: Vec<NetworkInfo>,
    pub(crate) keys: KeysInfo,
    pub(crate) stats: Stats,
    pub(crate) dns: netnode_dns::Stats,
}

impl Snapshot {
    pub(crate) async fn ask(
        db: &NetDb,
        dns: netnode_dns::Stats,
        uptime: Duration,
    ) -> Result<Self, Stopped> {
        Ok(Self {
            uptime,
            info: db.info().await?,
            members: db.members().await?,
            networks: db.networks().await?,
            keys: db.keys().await?,
            stats: db.stats().await?,
            dns,
        })
    }
}

/// One metric.
struct Metric {
    /// Without the [`text::PREFIX`] that all have.
    name: &'static str,
    kind: Kind,
    /// The names of its labels.
    labels: &'static [&'static str],
    help: &'static str,
    read: Read,
}

/// How a metric is read.
enum Read {
    /// One figure.
    One(fn(&Snapshot) -> Figure),
    /// One for each set of label values.
    Each(fn(&Snapshot) -> Vec<Labelled>),
    /// A histogram.
    Times(fn(&Snapshot) -> netdb::Times),
}

/// Values of a metric's labels, in their order, and a figure.
type Labelled = (Vec<String>, Figure);

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    Count(u64),
    /// Shown in seconds.
    Micros(i64),
}

impl From<u64> for Figure {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<usize> for Figure {
    fn from(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

impl From<bool> for Figure {
    fn from(holds: bool) -> Self {
        Self::Count(holds.into())
    }
}

impl From<Duration> for Figure {
    fn from(time: Duration) -> Self {
        Self::Micros(i64::try_from(time.as_micros()).unwrap_or(i64::MAX))
    }
}
