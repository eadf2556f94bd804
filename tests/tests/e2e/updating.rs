//! An update is seen by all, and so is a delete.

use netdb_tests::{cluster::Cluster, rows::Table};
use netnode_api::rows::{DeleteReason, Operation, WatchEvent};

use crate::PATIENT;

const UPDATES: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn every_watcher_sees_every_update_and_the_delete() {
    let cluster = Cluster::start(4, PATIENT).await.unwrap();
    cluster.attach("web", &[0, 1, 2, 3]).await.unwrap();
    for table in [Table::owner("web", "mine"), Table::cluster("web", "ours")] {
        let writer = cluster.nodes[0].client();
        let mut logs = Vec::new();
        for node in &cluster.nodes {
            logs.push(table.follow(node.client()).await.unwrap());
        }
        table.write(writer, Operation::Create, "k", Some("0")).await.unwrap();
        assert!(table.write(writer, Operation::Create, "k", Some("0")).await.is_err());
        for update in 1..=UPDATES {
            let value = update.to_string();
            table.write(writer, Operation::Update, "k", Some(&value)).await.unwrap();
            // A watcher may pass over an update that came too soon after another: so wait for each.
            for log in &logs {
                log.wait_for("the update", 1, |event| {
                    matches!(event, WatchEvent::Updated { row, .. } if row.value.0 == value.as_bytes())
                })
                .await
                .unwrap();
            }
        }
        table.delete(writer, "k").await.unwrap();
        for log in &logs {
            log.wait_for("the delete", 1, |event| {
                matches!(event, WatchEvent::Deleted { reason: DeleteReason::Deleted, .. })
            })
            .await
            .unwrap();
            let events = log.told().unwrap();
            assert_eq!(events.len(), UPDATES + 2, "{events:?}");
        }
    }
}
