//! A restart by SIGTERM that no watcher elsewhere notices.

use std::collections::BTreeMap;

use netdb_tests::{
    agreement::wait_agreed_on, cluster::Cluster, node::Node, rows::Table, wait::until,
};
use netnode_api::rows::{DeleteReason, WatchEvent};

use crate::PATIENT;

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_causes_no_event() {
    let mut cluster = Cluster::start(3, PATIENT).await.unwrap();
    cluster.attach("web", &[0, 1, 2]).await.unwrap();
    let table = Table::owner("web", "mine");
    let mut rows: BTreeMap<String, String> =
        (0..50).map(|n| (format!("k{n:02}"), format!("value {n}"))).collect();
    table.load(cluster.nodes[0].client(), rows.clone()).await.unwrap();
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    wait_agreed_on(&nodes, "web", 50).await.unwrap();
    let logs = [
        table.follow(cluster.nodes[1].client()).await.unwrap(),
        table.follow(cluster.nodes[2].client()).await.unwrap(),
    ];

    cluster.nodes[0].terminate().await.unwrap();
    // Nobody takes it for dead, and nobody misses its rows.
    for node in &cluster.nodes[1..] {
        assert_eq!(table.read(node.client()).await.unwrap(), rows);
    }
    let generation = cluster.nodes[0].start().await.unwrap().generation;
    // It comes back with all rows but one, and with one that is new.
    let gone = rows.remove("k49").unwrap();
    rows.insert("k50".to_owned(), gone);
    table.load(cluster.nodes[0].client(), rows.clone()).await.unwrap();
    let complete = cluster.nodes[0].netdbctl(&["complete", "web"]).await.unwrap();
    complete.succeeded().unwrap();
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    wait_agreed_on(&nodes, "web", 50).await.unwrap();
    for (node, log) in nodes[1..].iter().zip(&logs) {
        until("the rows are those of the new generation", async || {
            let rows = node.client().rows(&table.query()).await?.collect().await?;
            let old = rows.iter().filter(|row| row.dot.generation != generation).count();
            anyhow::ensure!(old == 0, "{old} are not");
            Ok(())
        })
        .await
        .unwrap();
        assert_eq!(table.read(node.client()).await.unwrap(), rows);
        log.wait_for("the change", 2, |_| true).await.unwrap();
        let mut events: Vec<_> = log.told().unwrap().into_iter().map(|(_, event)| event).collect();
        events.sort_by_key(|event| matches!(event, WatchEvent::Deleted { .. }));
        let [WatchEvent::Created { row: new }, WatchEvent::Deleted { row: old, reason }] =
            &events[..]
        else {
            panic!("{events:?}")
        };
        assert_eq!((&new.key.0[..], &old.key.0[..]), (&b"k50"[..], &b"k49"[..]));
        assert_eq!(*reason, DeleteReason::Deleted);
    }
}
