//! Keys are rotated while the cluster is written to, and nothing is lost.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use netdb_tests::{
    agreement::wait_agreed, cluster::Cluster, effort::few_or_many, node::Node, rows::Table,
    wait::until,
};
use netnode_api::{client::Client, keys::Rotation};

use crate::PATIENT;

/// Rotations in a short and in a long run.
const ROTATIONS: [usize; 2] = [3, 30];

#[tokio::test(flavor = "multi_thread")]
async fn no_entry_is_lost_under_load() {
    let cluster = Cluster::start(3, PATIENT).await.unwrap();
    cluster.attach("web", &[0, 1, 2]).await.unwrap();
    let tables = [Table::owner("web", "mine"), Table::cluster("web", "ours")];
    let done = Arc::new(AtomicBool::new(false));
    let writers = tables.map(|table| {
        let client = cluster.nodes[0].client().clone();
        tokio::spawn(write(client, table, Arc::clone(&done)))
    });
    let [few, many] = ROTATIONS;
    let rotations = few_or_many(few, many);
    for _ in 0..rotations {
        let rotate = ["keys", "rotate", "--wait"];
        cluster.nodes[1].netdbctl(&rotate).await.unwrap().succeeded().unwrap();
    }
    done.store(true, Relaxed);
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    for (table, writer) in tables.iter().zip(writers) {
        let acknowledged = writer.await.unwrap();
        assert!(!acknowledged.is_empty());
        wait_agreed(&nodes, "web").await.unwrap();
        for node in &nodes {
            assert_eq!(table.read(node.client()).await.unwrap(), acknowledged);
        }
    }
    for node in &nodes {
        until("one key is left", async || {
            let keys = node.client().keys().await?;
            let epochs: Vec<_> = keys.keys.iter().map(|key| key.epoch).collect();
            anyhow::ensure!(epochs == [1 + rotations as u64] && keys.rotation == Rotation::Idle);
            Ok(())
        })
        .await
        .unwrap();
    }
}

/// A node that was away during rotations finds in again by its identity.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_missed_rotations_is_heard_again() {
    // The others must not wait for it: so it has to fail soon.
    let mut cluster = Cluster::start(3, &["--key-retire-after", "1s"]).await.unwrap();
    cluster.attach("web", &[0, 1, 2]).await.unwrap();
    cluster.nodes[2].kill().unwrap();
    until("it has failed", async || {
        let state = cluster.nodes[0].state_of("n3").await?;
        anyhow::ensure!(state == Some(netnode_api::node::MemberState::Failed), "{state:?}");
        Ok(())
    })
    .await
    .unwrap();
    for _ in 0..2 {
        let rotate = ["keys", "rotate", "--wait"];
        cluster.nodes[0].netdbctl(&rotate).await.unwrap().succeeded().unwrap();
    }
    let table = Table::cluster("web", "ours");
    table.put(cluster.nodes[0].client(), "meanwhile", "written").await.unwrap();
    cluster.nodes[2].start().await.unwrap();
    cluster.wait_whole().await.unwrap();
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    wait_agreed(&nodes, "web").await.unwrap();
    assert_eq!(table.read(nodes[2].client()).await.unwrap()["meanwhile"], "written");
    table.put(nodes[2].client(), "afterwards", "written").await.unwrap();
    let both = ["meanwhile", "afterwards"].map(|key| (key.to_owned(), "written".to_owned()));
    table.wait_for(nodes[0].client(), &both.into()).await.unwrap();
}

async fn write(
    client: Client,
    table: Table<'static>,
    done: Arc<AtomicBool>,
) -> BTreeMap<String, String> {
    let mut acknowledged = BTreeMap::new();
    while !done.load(Relaxed) {
        let key = format!("{:06}", acknowledged.len());
        table.put(&client, &key, "written").await.unwrap();
        acknowledged.insert(key, "written".to_owned());
    }
    acknowledged
}
