//! Single writes by nodes drawn at random: when has the last node shown one?

use std::time::Duration;

use anyhow::Result;
use netdb_tests::rows::{Table, key};
use netnode_api::rows::WatchEvent;
use tokio::time::{Instant, sleep};

use crate::{
    bench::{
        figure::Figure,
        ground::{Ground, NETWORK, tell},
        watchers::{Expected, Watchers, last},
    },
    process::scheduled,
};

const WRITES: u32 = 200;
/// Between two writes pass 1 ms to this, as in the simulator.
const REST_MS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn measure(ground: &mut Ground) -> Result<()> {
    let table = Table::owner(NETWORK, "endpoints");
    let mut watchers = Watchers::open(ground, table).await?;
    tell(&format!("{WRITES} writes, each awaited on {} watches", ground.count()));
    let (nodes, own) = (ground.scheduled()?, scheduled(std::process::id())?);
    for n in 0..WRITES {
        let writer = ground.chance(ground.count());
        one(ground, &mut watchers, table, writer, n).await?;
        let rest = 1 + ground.chance(REST_MS);
        sleep(Duration::from_millis(rest as u64)).await;
    }
    let (nodes_then, own_then) = (ground.scheduled()?, scheduled(std::process::id())?);
    let each = |from: Duration, to: Duration| to.saturating_sub(from) / WRITES;
    ground.time(Figure::CreateCpu, each(nodes.ran, nodes_then.ran));
    ground.time(Figure::CreateWait, each(nodes.waited, nodes_then.waited));
    ground.time(Figure::CreateHarness, each(own.ran, own_then.ran));
    Ok(())
}

async fn one(
    ground: &mut Ground,
    watchers: &mut Watchers,
    table: Table<'static>,
    writer: usize,
    n: u32,
) -> Result<()> {
    let client = ground.client(writer)?;
    let name = format!("endpoint-{n:07}");
    let expected: Expected = (0..ground.count()).map(|place| (place, name.clone())).collect();
    let began = Instant::now();
    table.put(&client, &name, &format!("{n:0>100}")).await?;
    let times = watchers.until(expected, PATIENCE, told).await?;
    ground.time(Figure::Create, last(&times, |_| true)?.saturating_duration_since(began));
    let own = last(&times, |(place, _)| *place == writer)?;
    ground.time(Figure::CreateOwn, own.saturating_duration_since(began));
    Ok(())
}

fn told(event: &WatchEvent) -> Vec<String> {
    match event {
        WatchEvent::Created { row } => vec![key(row)],
        _ => Vec::new(),
    }
}
