//! An update is seen by all, and so is a delete.

use netdb_tests::{
    cluster::Cluster,
    rows::{EventLog, Table},
};
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
        // A watcher may pass over a change that came too soon before another: so each is waited for.
        table.write(writer, Operation::Create, "k", Some("0")).await.unwrap();
        told(&logs, "the create", |event| matches!(event, WatchEvent::Created { .. })).await;
        assert!(table.write(writer, Operation::Create, "k", Some("0")).await.is_err());
        for update in 1..=UPDATES {
            let value = update.to_string();
            table.write(writer, Operation::Update, "k", Some(&value)).await.unwrap();
            told(&logs, "the update", |event| {
                matches!(event, WatchEvent::Updated { row, .. } if row.value.0 == value.as_bytes())
            })
            .await;
        }
        table.delete(writer, "k").await.unwrap();
        told(&logs, "the delete", |event| {
            matches!(event, WatchEvent::Deleted { reason: DeleteReason::Deleted, .. })
        })
        .await;
        for log in &logs {
            let events = log.told().unwrap();
            assert_eq!(events.len(), UPDATES + 2, "{events:?}");
        }
    }
}

async fn told(logs: &[EventLog], what: &str, wanted: impl Fn(&WatchEvent) -> bool) {
    for log in logs {
        log.wait_for(what, 1, &wanted).await.unwrap();
    }
}
