//! Watches of one table on every node, and when each of them was told something.
//!
//! The event stream of the control API is what people get, and all of its ends are in this process: one
//! clock tells when the last node has shown a write. What the API and this program add is in the figures.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use netdb_tests::rows::Table;
use netnode_api::{client::WatchStream, rows::WatchEvent};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::ground::Ground;

/// Events that wait to be looked at: more than any stage causes at once.
const QUEUE: usize = 65_536;
/// How long a watch may take to tell what is there.
const OPENING: Duration = Duration::from_secs(30);

/// One event of one watch.
pub(crate) struct Told {
    pub(crate) watcher: usize,
    pub(crate) at: Instant,
    pub(crate) event: WatchEvent,
}

/// A watch on each node. They end when this is dropped.
pub(crate) struct Watchers {
    table: Table<'static>,
    told: mpsc::Receiver<Told>,
    tell: mpsc::Sender<Told>,
    tasks: JoinSet<()>,
}

/// What is waited for: a node, and a word for what it is to be told.
pub(crate) type Expected = BTreeSet<(usize, String)>;
/// When each was told first.
pub(crate) type Times = BTreeMap<(usize, String), Instant>;

impl Watchers {
    /// Opens the watches; returns when each has told all that is there.
    pub(crate) async fn open(ground: &Ground, table: Table<'static>) -> Result<Self> {
        let (tell, told) = mpsc::channel(QUEUE);
        let mut watchers = Self { table, told, tell, tasks: JoinSet::new() };
        for place in 0..ground.count() {
            watchers.add(ground, place).await?;
        }
        Ok(watchers)
    }

    /// Opens the watch of one node, also again after that node was away.
    pub(crate) async fn add(&mut self, ground: &Ground, place: usize) -> Result<()> {
        let mut watch = ground.node(place)?.client().watch(&self.table.query()).await?;
        let opened = timeout_at(Instant::now() + OPENING, snapshot(&mut watch)).await;
        opened.context("a watch does not tell what is there")??;
        let tell = self.tell.clone();
        self.tasks.spawn(async move {
            // A watch that breaks off is missed by whoever waits for its node.
            while let Ok(Some(event)) = watch.next().await {
                let told = Told { watcher: place, at: Instant::now(), event };
                if tell.send(told).await.is_err() {
                    return;
                }
            }
        });
        Ok(())
    }

    /// Forgets what was told so far.
    pub(crate) fn forget(&mut self) {
        while self.told.try_recv().is_ok() {}
    }

    /// Waits until every watch was told what is expected of it; `words` says what an event tells.
    pub(crate) async fn until(
        &mut self,
        mut expected: Expected,
        within: Duration,
        words: impl Fn(&WatchEvent) -> Vec<String>,
    ) -> Result<Times> {
        let deadline = Instant::now() + within;
        let mut times = Times::new();
        while !expected.is_empty() {
            let Ok(Some(told)) = timeout_at(deadline, self.told.recv()).await else {
                let (place, word) = expected.first().context("nothing is missing")?;
                let (first, missing) = (format!("n{}: {word}", place + 1), expected.len());
                bail!("after {within:?} {missing} events are missing, the first on {first}");
            };
            for word in words(&told.event) {
                let what = (told.watcher, word);
                if expected.remove(&what) {
                    times.insert(what, told.at);
                }
            }
        }
        Ok(times)
    }
}

/// The last of some times that was told of.
pub(crate) fn last(times: &Times, of: impl Fn(&(usize, String)) -> bool) -> Result<Instant> {
    let found = times.iter().filter(|(what, _)| of(what)).map(|(_, at)| *at).max();
    found.context("nobody was told")
}

async fn snapshot(watch: &mut WatchStream) -> Result<()> {
    while let Some(event) = watch.next().await? {
        if event == WatchEvent::Snapshot {
            return Ok(());
        }
    }
    bail!("a watch ended before it had told what is there")
}
