//! Fifth stage: a node is restarted in good order, and nobody who watches its rows notices.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use netdb_tests::{
    agreement::wait_agreed,
    node::Node,
    rows::EventLog,
    wait::{PATIENCE, until_in},
};
use netnode_api::{client::Client, node::MemberState};

use super::stage::{BLUE, OWNER, Stage};

pub(crate) async fn unnoticed(stage: &mut Stage) -> Result<()> {
    stage.report.begin("A restart that nobody notices");
    let mut logs = Vec::new();
    for node in stage.watchers() {
        logs.push(Stage::table().follow(node.client()).await?);
    }
    let owner = stage.node_mut(OWNER)?;
    let name = owner.name().to_owned();
    let before = owner.client().status().await?.generation;
    let began = Instant::now();
    owner.terminate().await?;
    stage.report.took(&format!("{name} was told to stop, and has stopped"), began.elapsed());
    let after = stage.node_mut(OWNER)?.start().await?.generation;
    ensure!(after > before, "the generation went from {before} to {after}");
    stage.report.took("it runs again", began.elapsed());
    publish_again(stage).await?;
    stage.report.took("its rows are published again and replaced everywhere", began.elapsed());
    check_silence(stage, &logs)
}

/// The owner writes its rows again and says that these are all; returns when everybody holds the new set
/// and nothing else.
pub(crate) async fn publish_again(stage: &Stage) -> Result<()> {
    let owner = stage.node(OWNER)?;
    stage.publish().await?;
    owner.client().mark_complete(BLUE.name).await?;
    let generation = owner.client().status().await?.generation;
    for node in stage.watchers() {
        let what = format!("{} holds the rows of the new generation", node.name());
        until_in(PATIENCE, &what, async || {
            replaced(node, owner.name(), generation, stage.services.rows.len()).await
        })
        .await?;
    }
    let _pause = stage.live.pause().await;
    wait_agreed(&stage.members_of(BLUE), BLUE.name).await.map(drop)
}

async fn replaced(node: &Node, owner: &str, generation: u64, count: usize) -> Result<()> {
    let state = node.state_of(owner).await?;
    ensure!(state == Some(MemberState::Alive), "{owner} is {state:?}");
    let client: &Client = node.client();
    let rows = client.rows(&Stage::table().query()).await?.collect().await?;
    let new = rows.iter().filter(|row| row.dot.generation == generation).count();
    ensure!(new == count && rows.len() == count, "{new} new ones of {} rows", rows.len());
    Ok(())
}

fn check_silence(stage: &mut Stage, logs: &[EventLog]) -> Result<()> {
    let mut events = 0;
    for log in logs {
        events += log.told().context("watching a restart")?.len();
    }
    let what = format!("events that {} watchers of its rows were told", logs.len());
    stage.report.check(&what, events == 0, &events.to_string());
    Ok(())
}
