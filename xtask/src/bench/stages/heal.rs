//! Two halves that don't hear each other and are both written to; then the cut is lifted.

use std::{net::IpAddr, time::Duration};

use anyhow::{Context, Result};
use netdb_tests::rows::Table;
use tokio::time::{Instant, interval};

use crate::bench::{
    figure::Figure,
    ground::{Ground, NETWORK, tell},
};

const SPAN: Duration = Duration::from_secs(20);
/// Of each side, spread over the time of the cut.
const WRITES: u32 = 100;
const PATIENCE: Duration = Duration::from_mins(1);
/// Keys of the table that both sides write to: most are written on both.
const SHARED: usize = 80;

pub(super) async fn measure(ground: &mut Ground, rounds: usize) -> Result<()> {
    for round in 0..rounds {
        tell(&format!("cut in halves for {SPAN:?}, {} of {rounds}", round + 1));
        once(ground).await?;
    }
    Ok(())
}

async fn once(ground: &mut Ground) -> Result<()> {
    // Every second node, so that who joined first is on both sides.
    let side = |rest: usize| (0..ground.count()).filter(move |place| place % 2 == rest);
    let (left, right): (Vec<usize>, Vec<usize>) = (side(0).collect(), side(1).collect());
    let apart = (addresses(ground, &left)?, addresses(ground, &right)?);
    ground.wire.as_ref().context("no namespace")?.cut(&apart.0, &apart.1).await?;
    let mut beat = interval(SPAN / WRITES);
    for n in 0..WRITES {
        beat.tick().await;
        for side in [&left, &right] {
            let place = side.get(ground.chance(side.len())).copied().context("an empty side")?;
            write(ground, place, n).await?;
        }
    }
    let began = Instant::now();
    ground.wire.as_ref().context("no namespace")?.heal().await?;
    ground.agree(PATIENCE).await?;
    ground.time(Figure::Heal, began.elapsed());
    Ok(())
}

fn addresses(ground: &Ground, side: &[usize]) -> Result<Vec<IpAddr>> {
    side.iter().map(|place| Ok(ground.node(*place)?.address().ip())).collect()
}

/// One write, or one delete of what may be there, of either lifetime.
async fn write(ground: &mut Ground, place: usize, n: u32) -> Result<()> {
    let client = ground.client(place)?;
    let (own, shared) = (Table::owner(NETWORK, "halves"), Table::cluster(NETWORK, "halves-shared"));
    let (mine, ours) =
        (format!("endpoint-{}", n % 4), format!("service-{}", ground.chance(SHARED)));
    let value = format!("{n:0>84}");
    match ground.chance(4) {
        0 => own.put(&client, &mine, &value).await.map(drop),
        // It is refused where there is nothing to delete.
        1 => own.delete(&client, &mine).await.map(drop).or(Ok(())),
        2 => shared.delete(&client, &ours).await.map(drop).or(Ok(())),
        _ => shared.put(&client, &ours, &value).await.map(drop),
    }
}
