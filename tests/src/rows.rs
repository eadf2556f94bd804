//! Rows as tests need them: written one by one or many at once, read as text, followed by a watch.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail, ensure};
use netnode_api::{
    client::{Client, WatchStream},
    rows::{Lifetime, Load, LoadRow, Operation, Receipt, Row, RowQuery, WatchEvent, Write},
};
use tokio::{task::JoinHandle, time::Instant};

use crate::wait::{in_time, until};

/// Events that a log keeps; a test that makes more has lost its way.
const MAX_EVENTS: usize = 100_000;

/// A table of a network, by its names.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    /// The network.
    pub network: &'a str,
    /// The table.
    pub table: &'a str,
    /// Its lifetime.
    pub lifetime: Lifetime,
}

impl<'a> Table<'a> {
    /// A table whose rows belong to whoever wrote them.
    pub fn owner(network: &'a str, table: &'a str) -> Self {
        Self { network, table, lifetime: Lifetime::Owner }
    }

    /// A table whose rows anybody may write.
    pub fn cluster(network: &'a str, table: &'a str) -> Self {
        Self { network, table, lifetime: Lifetime::Cluster }
    }

    /// Selects its rows.
    pub fn query(self) -> RowQuery {
        RowQuery {
            network: Some(self.network.to_owned()),
            table: Some(self.table.to_owned()),
            lifetime: Some(self.lifetime),
            ..RowQuery::default()
        }
    }

    /// Writes one row.
    pub async fn write(
        self,
        client: &Client,
        operation: Operation,
        key: &str,
        value: Option<&str>,
    ) -> Result<Receipt> {
        let write = Write {
            network: self.network.to_owned(),
            table: self.table.to_owned(),
            lifetime: self.lifetime,
            operation,
            key: key.into(),
            value: value.map(Into::into),
        };
        let written = client.write(&write).await;
        written.with_context(|| format!("{} {key} in {}", operation.as_str(), self.table))
    }

    /// Writes one row, whether it is there or not.
    pub async fn put(self, client: &Client, key: &str, value: &str) -> Result<Receipt> {
        self.write(client, Operation::Upsert, key, Some(value)).await
    }

    /// Deletes one row.
    pub async fn delete(self, client: &Client, key: &str) -> Result<Receipt> {
        self.write(client, Operation::Delete, key, None).await
    }

    /// Writes many rows in one request; all of them or an error.
    pub async fn load(
        self,
        client: &Client,
        rows: impl IntoIterator<Item = (String, String)>,
    ) -> Result<usize> {
        let mut upload = client.load(&Load {
            network: self.network.to_owned(),
            table: self.table.to_owned(),
            lifetime: self.lifetime,
            operation: Operation::Upsert,
            keep_going: false,
        });
        for (key, value) in rows {
            let row = LoadRow { key: key.as_str().into(), value: value.as_str().into() };
            if !upload.send(&row).await? {
                break;
            }
        }
        let loaded = in_time("a load was answered", upload.finish()).await??;
        ensure!(loaded.refused == 0, "rows were refused: {:?}", loaded.refusals);
        Ok(usize::try_from(loaded.written)?)
    }

    /// Its rows as one node sees them: key and value.
    pub async fn read(self, client: &Client) -> Result<BTreeMap<String, String>> {
        read(client, &self.query()).await
    }

    /// Waits until one node sees exactly these rows.
    pub async fn wait_for(
        self,
        client: &Client,
        expected: &BTreeMap<String, String>,
    ) -> Result<()> {
        let (network, table) = (self.network, self.table);
        until(&format!("{network}/{table} has {} rows", expected.len()), async || {
            let found = self.read(client).await?;
            ensure!(found == *expected, "{}", difference(&found, expected));
            Ok(())
        })
        .await
    }

    /// Follows its rows from one node; returns when all that is there has been told.
    pub async fn follow(self, client: &Client) -> Result<EventLog> {
        EventLog::start(client, &self.query()).await
    }
}

/// What a query selects: key and value as text.
pub async fn read(client: &Client, query: &RowQuery) -> Result<BTreeMap<String, String>> {
    let rows = client.rows(query).await?.collect().await?;
    Ok(rows.iter().map(|row| (key(row), text(&row.value.0))).collect())
}

/// The key of a row, as text.
pub fn key(row: &Row) -> String {
    text(&row.key.0)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn difference(found: &BTreeMap<String, String>, expected: &BTreeMap<String, String>) -> String {
    let missing = expected.keys().filter(|key| !found.contains_key(*key)).count();
    let surplus = found.keys().filter(|key| !expected.contains_key(*key)).count();
    let example = expected.iter().find(|(key, value)| found.get(*key) != Some(value));
    format!(
        "{} rows: {missing} missing, {surplus} too many; {:?} should be {:?}",
        found.len(),
        example.map(|(key, _)| found.get(key)),
        example
    )
}

/// An event, and when it came.
pub type Timed = (Instant, WatchEvent);

/// The events of a watch since its snapshot, gathered in the background until it is dropped.
#[derive(Debug)]
pub struct EventLog {
    events: Arc<Mutex<Vec<Timed>>>,
    gatherer: JoinHandle<Result<()>>,
}

impl EventLog {
    /// Opens a watch; returns when all that was there has been told.
    pub async fn start(client: &Client, query: &RowQuery) -> Result<Self> {
        let mut watch = client.watch(query).await?;
        in_time("the snapshot of a watch was told", snapshot(&mut watch)).await??;
        let events: Arc<Mutex<Vec<Timed>>> = Arc::default();
        let gatherer = tokio::spawn(gather(watch, Arc::clone(&events)));
        Ok(Self { events, gatherer })
    }

    /// What was told so far; an error if the watch broke off.
    pub fn told(&self) -> Result<Vec<Timed>> {
        ensure!(!self.gatherer.is_finished(), "the watch broke off");
        Ok(self.events.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// Waits until `count` events that satisfy `wanted` were told; returns when the last of them came.
    pub async fn wait_for(
        &self,
        what: &str,
        count: usize,
        wanted: impl Fn(&WatchEvent) -> bool,
    ) -> Result<Instant> {
        until(&format!("a watch told {count} times: {what}"), async || {
            let told = self.told()?;
            let found: Vec<Instant> =
                told.iter().filter(|(_, e)| wanted(e)).map(|(at, _)| *at).collect();
            ensure!(found.len() >= count, "{} times, of {} events", found.len(), told.len());
            found.get(count.saturating_sub(1)).copied().context("no event was waited for")
        })
        .await
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.gatherer.abort();
    }
}

async fn snapshot(watch: &mut WatchStream) -> Result<()> {
    while let Some(event) = watch.next().await? {
        if event == WatchEvent::Snapshot {
            return Ok(());
        }
    }
    bail!("the watch ended before its snapshot did")
}

async fn gather(mut watch: WatchStream, events: Arc<Mutex<Vec<Timed>>>) -> Result<()> {
    while let Some(event) = watch.next().await? {
        let mut events = events.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(events.len() < MAX_EVENTS, "too many events");
        events.push((Instant::now(), event));
    }
    Ok(())
}
