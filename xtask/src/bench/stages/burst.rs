//! Ten thousand rows from one node at once: when do all hold them, and what was sent for it?

use std::time::Duration;

use anyhow::Result;
use netdb_tests::rows::Table;
use tokio::time::Instant;

use super::idle::memory;
use crate::bench::{
    figure::Figure,
    ground::{Ground, NETWORK, tell},
};

const ROWS: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(30);
/// A table for each round, so that every row of it is new.
const TABLES: [&str; 3] = ["burst-1", "burst-2", "burst-3"];

pub(super) async fn measure(ground: &mut Ground) -> Result<()> {
    for table in TABLES {
        let writer = ground.chance(ground.count());
        tell(&format!("{ROWS} rows by n{}", writer + 1));
        once(ground, Table::owner(NETWORK, table), writer).await?;
        ground.agree(PATIENCE).await?;
    }
    memory(ground, Figure::FullMemory)
}

async fn once(ground: &mut Ground, table: Table<'static>, writer: usize) -> Result<()> {
    let client = ground.client(writer)?;
    let entries = ground.entries(writer).await? + ROWS;
    let (sent, used) = (ground.sent().await?, ground.scheduled()?);
    // Key and value have 100 bytes together.
    let rows = (0..ROWS).map(|n| (format!("endpoint-{n:07}"), format!("{n:0>84}")));
    let began = Instant::now();
    table.load(&client, rows).await?;
    let taken = began.elapsed();
    ground.hold(entries, PATIENCE).await?;
    let took = began.elapsed();
    let (sent_then, used_then) = (ground.sent().await?, ground.scheduled()?);
    ground.time(Figure::Burst, took);
    ground.time(Figure::BurstTaken, taken);
    ground.time(Figure::BurstCpu, used_then.ran.saturating_sub(used.ran));
    let sent: u64 = sent.into_iter().sum();
    ground.number(Figure::BurstBytes, sent_then.into_iter().sum::<u64>().saturating_sub(sent));
    Ok(())
}
