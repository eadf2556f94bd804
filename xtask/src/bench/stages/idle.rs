//! Nothing happens: what a node costs then.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{Instant, sleep};

use crate::{
    bench::{
        figure::Figure,
        ground::{Ground, tell},
    },
    process::{cpu, resident},
};

/// Comparing backs off while nothing differs, up to 16 s between two.
const QUIET: Duration = Duration::from_secs(20);
const SPAN: Duration = Duration::from_secs(30);

pub(super) async fn measure(ground: &mut Ground) -> Result<()> {
    tell(&format!("nothing is done for {QUIET:?}, then {SPAN:?} are measured"));
    sleep(QUIET).await;
    let sent = ground.sent().await?;
    let began = Instant::now();
    let used = times(ground)?;
    sleep(SPAN).await;
    let used_then = times(ground)?;
    let sent_then = ground.sent().await?;
    let span = began.elapsed();
    for (before, after) in used.iter().zip(used_then) {
        let millionths = after.saturating_sub(*before).as_micros() * 1_000_000 / span.as_micros();
        ground.number(Figure::IdleCpu, u64::try_from(millionths)?);
    }
    for (before, after) in sent.iter().zip(sent_then) {
        let rate = u128::from(after.saturating_sub(*before)) * 1_000 / span.as_millis();
        ground.number(Figure::IdleBytes, u64::try_from(rate)?);
    }
    memory(ground, Figure::IdleMemory)
}

/// Resident memory of every node.
pub(super) fn memory(ground: &mut Ground, figure: Figure) -> Result<()> {
    for pid in ground.pids() {
        ground.number(figure, resident(pid)?);
    }
    Ok(())
}

fn times(ground: &Ground) -> Result<Vec<Duration>> {
    ground.pids().into_iter().map(cpu).collect()
}
