//! `kill -9` hides a node's rows; they return with it.

use std::collections::BTreeMap;

use netdb_tests::{
    agreement::wait_agreed,
    cluster::Cluster,
    node::Node,
    rows::{self, EventLog, Table},
};
use netnode_api::{
    node::MemberState,
    rows::{DeleteReason, RowQuery, RowState, WatchEvent},
};

const ROWS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn rows_leave_with_their_owner_and_return_with_it() {
    let mut cluster = Cluster::start(3, &[]).await.unwrap();
    cluster.attach("web", &[0, 1, 2]).await.unwrap();
    let (mine, ours) = (Table::owner("web", "mine"), Table::cluster("web", "ours"));
    let expected: BTreeMap<String, String> =
        (0..ROWS).map(|n| (format!("k{n:02}"), "v".to_owned())).collect();
    mine.load(cluster.nodes[0].client(), expected.clone()).await.unwrap();
    ours.put(cluster.nodes[0].client(), "stays", "v").await.unwrap();
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    wait_agreed(&nodes, "web").await.unwrap();
    let mut logs = Vec::new();
    for node in &cluster.nodes[1..] {
        logs.push(mine.follow(node.client()).await.unwrap());
    }

    cluster.nodes[0].kill().unwrap();
    all_told(&logs, "a row is hidden", |event| {
        matches!(event, WatchEvent::Deleted { reason: DeleteReason::OwnerFailed, .. })
    })
    .await;
    for node in &cluster.nodes[1..] {
        assert_eq!(node.state_of("n1").await.unwrap(), Some(MemberState::Failed));
        assert!(mine.read(node.client()).await.unwrap().is_empty());
        assert_eq!(ours.read(node.client()).await.unwrap().len(), 1, "they outlive their writer");
        // Remembered, and shown to whoever asks.
        let failed = RowQuery { failed: true, ..mine.query() };
        let rows = node.client().rows(&failed).await.unwrap().collect().await.unwrap();
        assert!(rows.len() == ROWS && rows.iter().all(|row| row.state == RowState::Failed));
    }

    cluster.nodes[0].start().await.unwrap();
    all_told(&logs, "a row is back", |event| matches!(event, WatchEvent::Created { .. })).await;
    for node in &cluster.nodes[1..] {
        assert_eq!(rows::read(node.client(), &mine.query()).await.unwrap(), expected);
    }
    // Rows that are written again as they were change nothing.
    mine.load(cluster.nodes[0].client(), expected.clone()).await.unwrap();
    cluster.nodes[0].client().mark_complete("web").await.unwrap();
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    wait_agreed(&nodes, "web").await.unwrap();
    for log in &logs {
        assert_eq!(log.told().unwrap().len(), 2 * ROWS);
    }
}

async fn all_told(logs: &[EventLog], what: &str, wanted: fn(&WatchEvent) -> bool) {
    for log in logs {
        log.wait_for(what, ROWS, wanted).await.unwrap();
    }
}
