//! `kill -9` of one node: its rows are hidden everywhere; it is started again, and they are back.

use std::time::Duration;

use anyhow::Result;
use netdb_tests::{
    rows::{Table, key},
    wait::until,
};
use netnode_api::rows::{DeleteReason, WatchEvent};
use tokio::time::Instant;

use crate::bench::{
    figure::Figure,
    ground::{Ground, NETWORK, tell},
    watchers::{Expected, Watchers, last},
};

/// Rows of each node.
const ROWS: usize = 20;
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn measure(ground: &mut Ground, rounds: usize) -> Result<()> {
    let table = Table::owner(NETWORK, "services");
    for place in 0..ground.count() {
        let rows = (0..ROWS).map(|n| (name(place, n), "before".to_owned()));
        table.load(&ground.client(place)?, rows).await?;
    }
    ground.agree(PATIENCE).await?;
    let mut watchers = Watchers::open(ground, table).await?;
    for round in 0..rounds {
        let victim = ground.chance(ground.count());
        tell(&format!("kill -9 of n{}, {} of {rounds}", victim + 1, round + 1));
        hidden(ground, &mut watchers, victim).await?;
        back(ground, &mut watchers, table, victim, round).await?;
        ground.agree(PATIENCE).await?;
        watchers.add(ground, victim).await?;
    }
    Ok(())
}

fn name(place: usize, n: usize) -> String {
    format!("{place}-{n}")
}

/// Each word on every node but one.
fn elsewhere(ground: &Ground, but: usize, words: impl Fn(usize) -> String) -> Expected {
    let others = (0..ground.count()).filter(|place| *place != but);
    others
        .flat_map(|place| (0..ROWS).map(move |n| (place, n)))
        .map(|(p, n)| (p, words(n)))
        .collect()
}

async fn hidden(ground: &mut Ground, watchers: &mut Watchers, victim: usize) -> Result<()> {
    watchers.forget();
    let expected = elsewhere(ground, victim, |n| name(victim, n));
    let began = Instant::now();
    ground.node_mut(victim)?.kill()?;
    let gone = |event: &WatchEvent| match event {
        WatchEvent::Deleted { row, reason: DeleteReason::OwnerFailed } => vec![key(row)],
        _ => Vec::new(),
    };
    let times = watchers.until(expected, PATIENCE, gone).await?;
    ground.time(Figure::Hidden, last(&times, |_| true)?.saturating_duration_since(began));
    Ok(())
}

/// It writes its rows anew, as every owner does after a start.
async fn back(
    ground: &mut Ground,
    watchers: &mut Watchers,
    table: Table<'static>,
    victim: usize,
    round: usize,
) -> Result<()> {
    watchers.forget();
    let began = Instant::now();
    ground.node_mut(victim)?.start().await?;
    let client = ground.client(victim)?;
    let value = |n: usize| format!("{n} in round {round}");
    let mut written = Vec::new();
    for n in 0..ROWS {
        written.push(Instant::now());
        // A node that has just begun to answer may say that it is not ready to write.
        until("it takes a write", async || table.put(&client, &name(victim, n), &value(n)).await)
            .await?;
    }
    client.mark_complete(NETWORK).await?;
    let mut expected = elsewhere(ground, victim, |n| name(victim, n));
    expected.extend(elsewhere(ground, victim, value));
    let shown = |event: &WatchEvent| match event {
        WatchEvent::Created { row } => vec![key(row), text(&row.value.0)],
        WatchEvent::Updated { row, .. } => vec![text(&row.value.0)],
        _ => Vec::new(),
    };
    let times = watchers.until(expected, PATIENCE, shown).await?;
    let created = last(&times, |(_, word)| !word.contains("round"))?;
    ground.time(Figure::BackStarted, created.saturating_duration_since(began));
    for (n, began) in written.into_iter().enumerate() {
        let seen = last(&times, |(_, word)| *word == value(n))?;
        ground.time(Figure::BackWrite, seen.saturating_duration_since(began));
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
