//! A watch: what happens to the rows that a filter selects, in order, as fast as it is taken.

use netdb_core::view::Event;
use tokio::sync::mpsc;

use crate::db::Stopped;

/// Why a watch was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// As many are open as may.
    #[error("{0} watches are open already, which is the limit: drop some, or share one")]
    TooMany(usize),
    /// The node was stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// An open watch; dropping it closes it.
///
/// A watcher that is slow holds nobody up: while it does not take events, later changes to a row replace
/// earlier ones, and it is told the outcome. It never sees one change twice, nor those of a row out of order.
#[derive(Debug)]
pub struct Watch {
    events: mpsc::Receiver<Event>,
}

impl Watch {
    pub(crate) fn new(events: mpsc::Receiver<Event>) -> Self {
        Self { events }
    }

    /// The next event; `None` once the node was stopped. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }
}
