//! Presence: who is here, what they are doing, and whether someone just restarts or has really gone.
//!
//! Each node keeps one row about itself in an `Owner` table. A node that says it restarts keeps its
//! row in everybody's view meanwhile; if the row is the same afterwards, nobody sees a change of it.
//!
//! Run it with `cargo run -p netdb --example presence`.

use std::error::Error;

use netdb::{Config, EventKind, Farewell, Lifetime, Name, NetDb, Network, Watch};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let anna = Config::local(dir.path().join("anna"), Name::new("anna")?);
    let token = NetDb::init(&anna).await?.text;
    let anna = NetDb::open(anna).await?;
    let ben = Config::local(dir.path().join("ben"), Name::new("ben")?);
    NetDb::join(&ben, &token, &[anna.local_addr()]).await?;

    let room = anna.attach("room").await?;
    let mut watch = room.table("presence", Lifetime::Owner)?.watch().await?;
    say(&room, "anna", "reading").await?;

    let node = NetDb::open(ben.clone()).await?;
    say(&node.attach("room").await?, "ben", "writing").await?;
    until(&mut watch, "ben is writing").await?;

    // Ben's program is replaced by a newer one. The network is still attached when it comes back; its rows
    // are not there, for only the program knows what still holds.
    node.stop(Farewell::Restarting).await?;
    let node = NetDb::open(ben).await?;
    let here = node.ensure_attached("room").await?;
    say(&here, "ben", "writing").await?;
    here.mark_complete().await?;
    say(&here, "ben", "singing").await?;
    until(&mut watch, "ben is singing").await?;

    // Ben goes home. His row goes with him, and everybody is told that he left and did not fail.
    node.stop(Farewell::ShuttingDown).await?;
    until(&mut watch, "ben is gone").await?;

    anna.stop(Farewell::ShuttingDown).await?;
    Ok(())
}

async fn say(room: &Network, who: &str, what: &str) -> Result<(), Box<dyn Error>> {
    room.table("presence", Lifetime::Owner)?.upsert(who, what).await?;
    Ok(())
}

/// Prints what anna sees until it is `expected`.
async fn until(watch: &mut Watch, expected: &str) -> Result<(), Box<dyn Error>> {
    loop {
        let event = watch.next().await.ok_or("the node was stopped")?;
        let text = match &event.kind {
            EventKind::Created { new } | EventKind::Updated { new, .. } => {
                let what = String::from_utf8_lossy(new.value.as_deref().unwrap_or_default());
                format!("{} is {what}", String::from_utf8_lossy(&new.row.key))
            }
            EventKind::Deleted { old, .. } => {
                format!("{} is gone", String::from_utf8_lossy(&old.row.key))
            }
            EventKind::SnapshotEnd => continue,
        };
        println!("{text} (node {:?})", event.owner_state);
        if text == expected {
            return Ok(());
        }
    }
}
