//! A service registry: each instance lists itself, callers keep a list of who is there.
//!
//! Instances are rows of an `Owner` table. A row lives with the node that wrote it, so the instances of
//! a host that fails are gone from everybody's list within seconds, and nobody needs leases or
//! heartbeats of their own.
//!
//! Run it with `cargo run -p netdb --example service_registry`.

use std::{collections::BTreeMap, error::Error};

use netdb::{Config, Entry, EventKind, Farewell, Lifetime, Name, NetDb, Watch};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Two hosts of one cluster, in one process.
    let dir = tempfile::tempdir()?;
    let alpha = Config::local(dir.path().join("alpha"), Name::new("alpha")?);
    let token = NetDb::init(&alpha).await?.text;
    let alpha = NetDb::open(alpha).await?;
    let beta = Config::local(dir.path().join("beta"), Name::new("beta")?);
    NetDb::join(&beta, &token, &[alpha.local_addr()]).await?;
    let beta = NetDb::open(beta).await?;

    // A caller on alpha wants to know the instances of `web`, now and from now on.
    let registry = alpha.attach("production").await?.table("services", Lifetime::Owner)?;
    let watch = registry.watch_prefix("web/").await?;
    let mut list = List { watch, instances: BTreeMap::new() };

    // Two instances start on beta: a key for each, its address as the value.
    let here = beta.attach("production").await?.table("services", Lifetime::Owner)?;
    here.create("web/1", "10.0.0.2:8080").await?;
    here.create("web/2", "10.0.0.2:8081").await?;
    list.follow_until(2).await?;

    // One stops in good order and takes itself off the list.
    here.delete("web/1").await?;
    list.follow_until(1).await?;

    // The host fails: its last handle goes without a word, and the node with it.
    drop((here, beta));
    list.follow_until(0).await?;

    alpha.stop(Farewell::ShuttingDown).await?;
    Ok(())
}

/// What a caller knows: instance by address.
struct List {
    watch: Watch,
    instances: BTreeMap<String, String>,
}

impl List {
    async fn follow_until(&mut self, count: usize) -> Result<(), Box<dyn Error>> {
        while self.instances.len() != count {
            let event = self.watch.next().await.ok_or("the node was stopped")?;
            match event.kind {
                EventKind::Created { new } | EventKind::Updated { new, .. } => {
                    self.instances.insert(key(&new), value(&new));
                }
                EventKind::Deleted { old, reason } => {
                    println!("{} is gone: {reason:?}", key(&old));
                    self.instances.remove(&key(&old));
                }
                EventKind::SnapshotEnd => {}
            }
        }
        println!("alpha calls {:?}", self.instances);
        Ok(())
    }
}

fn key(entry: &Entry) -> String {
    String::from_utf8_lossy(&entry.row.key).into_owned()
}

fn value(entry: &Entry) -> String {
    String::from_utf8_lossy(entry.value.as_deref().unwrap_or_default()).into_owned()
}
