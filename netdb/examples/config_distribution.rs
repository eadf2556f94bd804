//! Configuration for a fleet: decided on any node, kept by all of them, there after a restart.
//!
//! Settings are rows of a `Cluster` table. Any node may change any of them; a write is acknowledged once
//! it is on disk; where two nodes change one at the same moment, the same value stands everywhere.
//!
//! Run it with `cargo run -p netdb --example config_distribution`.

use std::error::Error;

use netdb::{Config, EventKind, Farewell, Lifetime, Name, NetDb, Table, WriteError, WriteRefused};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let north = Config::local(dir.path().join("north"), Name::new("north")?);
    let token = NetDb::init(&north).await?.text;
    let first = NetDb::open(north).await?;
    let south = Config::local(dir.path().join("south"), Name::new("south")?);
    NetDb::join(&south, &token, &[first.local_addr()]).await?;
    let second = NetDb::open(south.clone()).await?;

    let here = first.attach("fleet").await?.table("settings", Lifetime::Cluster)?;
    let there = second.attach("fleet").await?;
    there.wait_synced().await?;
    let there = there.table("settings", Lifetime::Cluster)?;

    // The first setting of a name is created, so that nobody overwrites one by mistake.
    here.create("log/level", "info").await?;
    match here.create("log/level", "debug").await {
        Err(WriteError::Refused(WriteRefused::Exists)) => println!("log/level is set already"),
        other => println!("unexpected: {other:?}"),
    }

    // Every node applies what it is told, and may change it in turn.
    apply(&there, "info").await?;
    there.update("log/level", "warn").await?;
    apply(&here, "warn").await?;

    // A node that was away has the settings at once when it comes back, before it meets anybody.
    drop(there);
    second.stop(Farewell::Restarting).await?;
    let second = NetDb::open(south).await?;
    let there = second.ensure_attached("fleet").await?.table("settings", Lifetime::Cluster)?;
    for row in there.list("log/").await? {
        let value = row.entry.value.as_deref().unwrap_or_default();
        println!("after the restart: log/level = {}", String::from_utf8_lossy(value));
    }

    second.stop(Farewell::ShuttingDown).await?;
    first.stop(Farewell::ShuttingDown).await?;
    Ok(())
}

/// Watches the settings until the level is as expected. A watch begins with what is there, so nothing
/// that came before it is missed.
async fn apply(settings: &Table, expected: &str) -> Result<(), Box<dyn Error>> {
    let mut watch = settings.watch_prefix("log/").await?;
    while let Some(event) = watch.next().await {
        if let EventKind::Created { new } | EventKind::Updated { new, .. } = event.kind {
            let level = String::from_utf8_lossy(new.value.as_deref().unwrap_or_default());
            println!("log/level is {level} now");
            if level == expected {
                return Ok(());
            }
        }
    }
    Err("the node was stopped".into())
}
