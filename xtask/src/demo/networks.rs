//! Second stage: two networks with different members, a real table, and rows that change all the time.

use std::time::Instant;

use anyhow::Result;
use netdb_tests::agreement::{self, wait_agreed_on};

use super::{
    live::ROWS,
    stage::{BLUE, GREEN, NETWORKS, OWNER, READER, Stage},
};

pub(crate) async fn attach_and_load(stage: &mut Stage) -> Result<()> {
    stage.report.begin("Two networks and their tables");
    attach(stage).await?;
    load(stage).await?;
    stage.live.write(stage.node(0)?.client().clone(), BLUE.name);
    stage.live.write(stage.node(4)?.client().clone(), GREEN.name);
    println!("   from now on n1 and n5 change {ROWS} rows each, all the time");
    Ok(())
}

async fn attach(stage: &mut Stage) -> Result<()> {
    for network in NETWORKS {
        let began = Instant::now();
        stage.cluster.attach(network.name, network.members).await?;
        let members = stage.members_of(network);
        let names: Vec<&str> = members.iter().map(|node| node.name()).collect();
        let what = format!("{}: {} are attached and in sync", network.name, names.join(", "));
        stage.report.took(&what, began.elapsed());
    }
    // Who is not attached holds nothing of it.
    let outside = agreement::network(stage.node(4)?, BLUE.name).await.is_err()
        && agreement::network(stage.node(0)?, GREEN.name).await.is_err();
    stage.report.check(
        "n5 holds nothing of blue, n1 nothing of green",
        outside,
        &outside.to_string(),
    );
    Ok(())
}

async fn load(stage: &mut Stage) -> Result<()> {
    let began = Instant::now();
    let count = stage.publish().await?;
    let owner = stage.node(OWNER)?.name().to_owned();
    let what = format!("{owner} has loaded /etc/services, {count} rows, into blue");
    stage.report.took(&what, began.elapsed());
    let view = wait_agreed_on(&stage.members_of(BLUE), BLUE.name, count).await?;
    let what = format!("converged: hash {} on all {}", view.hash, BLUE.members.len());
    stage.report.took(&what, began.elapsed());
    let reader = stage.node(READER)?;
    let read = Stage::table().read(reader.client()).await?;
    let equal = read == stage.services.rows;
    let what = format!("{} reads them as they are in the file", reader.name());
    stage.report.check(&what, equal, &format!("{} rows", read.len()));
    Ok(())
}
