//! Watches: hands each watcher a few events ahead of what it has taken, and leaves the rest in the core.
//!
//! A watcher pulls: its channel holds [`WATCH_BUFFER`] events, and while that is full nothing more is
//! taken for it from the core, where later changes to a row replace earlier ones. So a watcher that
//! sleeps costs nothing, and sees the latest state when it wakes. Must never wait for a watcher.

use std::{collections::BTreeMap, future::Future, pin::Pin, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use netdb_core::{
    node::{Node, WatchId},
    view::{Event, Filter},
};
use netdb_gossip_core::time::Now;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    time::Instant,
};

/// Events handed to a watcher ahead of what it has taken.
pub(crate) const WATCH_BUFFER: usize = 64;

/// Free places that a watcher which was full must have before it is given more, so that one which
/// takes events one by one does not wake the task for each.
const RESUME_AT: usize = WATCH_BUFFER / 2;

/// Watches that may be open at one time; each costs work for every change that it selects.
pub const MAX_WATCHES: usize = 4096;

type Room = Pin<Box<dyn Future<Output = WatchId> + Send>>;

struct Open {
    events: mpsc::Sender<Event>,
    /// Since when a future in `full` waits for room.
    full: Option<Instant>,
}

/// All open watches.
#[derive(Default)]
pub(crate) struct Watches {
    open: BTreeMap<WatchId, Open>,
    full: FuturesUnordered<Room>,
    /// Events handed over so far.
    handed: u64,
}

impl Watches {
    /// Opens a watch; `None` if there are too many.
    pub(crate) fn add(
        &mut self,
        node: &mut Node,
        now: Now,
        filter: Filter,
    ) -> Option<mpsc::Receiver<Event>> {
        self.sweep(node);
        if self.open.len() >= MAX_WATCHES {
            return None;
        }
        let (events, receiver) = mpsc::channel(WATCH_BUFFER);
        let id = node.watch(now, filter);
        self.open.insert(id, Open { events, full: None });
        self.pump(node, id);
        Some(receiver)
    }

    /// Hands over what the core has for a watcher, as far as it has room.
    pub(crate) fn pump(&mut self, node: &mut Node, id: WatchId) {
        let Some(open) = self.open.get_mut(&id) else { return };
        let mut closed = false;
        while open.full.is_none() && !closed {
            match open.events.try_reserve() {
                Ok(room) => match node.poll_watch(id) {
                    Some(event) => {
                        room.send(event);
                        self.handed += 1;
                    }
                    None => return,
                },
                Err(TrySendError::Full(())) => {
                    open.full = Some(Instant::now());
                    self.full.push(wait_for_room(id, open.events.clone()));
                }
                Err(TrySendError::Closed(())) => closed = true,
            }
        }
        if closed {
            self.open.remove(&id);
            node.unwatch(id);
        }
    }

    /// Waits until a watcher that was full has room, or is gone.
    pub(crate) async fn room(&mut self) -> WatchId {
        match self.full.next().await {
            Some(id) => id,
            None => std::future::pending().await,
        }
    }

    /// Goes on with a watcher that [`Watches::room`] named.
    pub(crate) fn resume(&mut self, node: &mut Node, id: WatchId) {
        if let Some(open) = self.open.get_mut(&id) {
            open.full = None;
            self.pump(node, id);
        }
    }

    /// How many are open, those dropped since the last change that they selected among them.
    pub(crate) fn len(&self) -> usize {
        self.open.len()
    }

    /// How many events were handed over so far.
    pub(crate) fn handed(&self) -> u64 {
        self.handed
    }

    /// How many have a watcher that is behind.
    pub(crate) fn behind(&self) -> usize {
        self.full.len()
    }

    /// For how long the slowest watcher has left what it was handed.
    pub(crate) fn lag(&self) -> Duration {
        let since = self.open.values().filter_map(|open| open.full).min();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Closes watches whose watcher is gone and that no event has told us of.
    fn sweep(&mut self, node: &mut Node) {
        self.open.retain(|id, open| {
            let gone = open.events.is_closed();
            if gone {
                node.unwatch(*id);
            }
            !gone
        });
    }
}

fn wait_for_room(id: WatchId, events: mpsc::Sender<Event>) -> Room {
    Box::pin(async move {
        // The places are given back at once: nobody else fills them. An error says that the watcher is
        // gone, which the next attempt finds out.
        let _ = events.reserve_many(RESUME_AT).await;
        id
    })
}
