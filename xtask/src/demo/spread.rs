//! Third stage: how long until everybody has seen an update.

use std::time::Duration;

use anyhow::Result;
use netdb_tests::rows::Table;
use netnode_api::rows::WatchEvent;
use tokio::time::Instant;

use super::{
    report::shown,
    stage::{BLUE, OWNER, Stage},
};

const SAMPLES: usize = 50;

pub(crate) async fn measure(stage: &mut Stage) -> Result<()> {
    stage.report.begin("An update reaches everybody");
    let table = Table::owner(BLUE.name, "probe");
    let writer = stage.node(OWNER)?.client().clone();
    let mut logs = Vec::new();
    for node in stage.watchers() {
        logs.push(table.follow(node.client()).await?);
    }
    let mut times: Vec<Duration> = Vec::new();
    for sample in 1..=SAMPLES {
        let began = Instant::now();
        table.put(&writer, "probe", &format!("sample {sample}")).await?;
        let mut last = began;
        for log in &logs {
            last = last.max(log.wait_for("the probe", sample, is_news).await?);
        }
        times.push(last - began);
    }
    table.delete(&writer, "probe").await?;
    times.sort_unstable();
    let found = |time: Option<&Duration>| time.copied().map_or_else(String::new, shown);
    let (median, slowest) = (found(times.get(SAMPLES / 2)), found(times.last()));
    let what = format!("from the request to the last of {} watchers, median", logs.len());
    stage.report.held(&what, &median);
    stage.report.held(&format!("the slowest of {SAMPLES}"), &slowest);
    Ok(())
}

fn is_news(event: &WatchEvent) -> bool {
    matches!(event, WatchEvent::Created { .. } | WatchEvent::Updated { .. })
}
