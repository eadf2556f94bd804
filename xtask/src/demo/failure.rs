//! Sixth stage: `kill -9`. The dead node's rows leave every view, and come back with it.

use anyhow::Result;
use netdb_tests::rows::EventLog;
use netnode_api::rows::{DeleteReason, WatchEvent};
use tokio::time::Instant;

use super::{
    restart::publish_again,
    stage::{BLUE, OWNER, Stage},
};

pub(crate) async fn and_return(stage: &mut Stage) -> Result<()> {
    stage.report.begin("A node is killed and returns");
    let count = stage.services.rows.len();
    let mut logs = Vec::new();
    for node in stage.watchers() {
        logs.push(Stage::table().follow(node.client()).await?);
    }
    let owner = stage.node_mut(OWNER)?;
    let name = owner.name().to_owned();
    let killed = Instant::now();
    owner.kill()?;
    let hidden = last(&logs, "a row of the dead node went", count, is_failed).await?;
    let what = format!("kill -9 of {name}: its {count} rows have left every view");
    stage.report.took(&what, hidden - killed);
    let started = Instant::now();
    stage.node_mut(OWNER)?.start().await?;
    let back = last(&logs, "a row of it came back", count, is_created).await?;
    stage.report.took(&format!("{name} was started: they are back in every view"), back - started);
    publish_again(stage).await?;
    stage.report.took("they are published again and replaced everywhere", started.elapsed());
    let mut surplus = 0;
    for log in &logs {
        surplus += log.told()?.len().abs_diff(2 * count);
    }
    let what = format!("events beyond one leave and one return a row, on {}", BLUE.name);
    stage.report.check(&what, surplus == 0, &surplus.to_string());
    Ok(())
}

async fn last(
    logs: &[EventLog],
    what: &str,
    count: usize,
    wanted: fn(&WatchEvent) -> bool,
) -> Result<Instant> {
    let mut last = None;
    for log in logs {
        last = last.max(Some(log.wait_for(what, count, wanted).await?));
    }
    last.ok_or_else(|| anyhow::anyhow!("nobody watches"))
}

fn is_failed(event: &WatchEvent) -> bool {
    matches!(event, WatchEvent::Deleted { reason: DeleteReason::OwnerFailed, .. })
}

fn is_created(event: &WatchEvent) -> bool {
    matches!(event, WatchEvent::Created { .. })
}
