//! `kill -9` in the middle of `Cluster` writes: whatever was acknowledged is there after the next start.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use netdb_tests::{cluster::Cluster, effort::few_or_many, rows::Table, wait::until};
use netnode_api::client::Client;

use crate::PATIENT;

const WRITERS: usize = 4;
/// How many writes are acknowledged before each kill.
const KILLS: [usize; 4] = [1, 10, 150, 400];
/// How many lives a long run takes.
const LONG_LIVES: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost() {
    // Alone: nobody else could give back what was lost.
    let mut cluster = Cluster::start(1, PATIENT).await.unwrap();
    cluster.attach("web", &[0]).await.unwrap();
    let table = Table::cluster("web", "ours");
    let mut acknowledged: BTreeMap<String, String> = BTreeMap::new();
    let lives = few_or_many(KILLS.len(), LONG_LIVES);
    for (life, wanted) in KILLS.into_iter().cycle().take(lives).enumerate() {
        let count = Arc::new(AtomicUsize::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (client, count) = (cluster.nodes[0].client().clone(), Arc::clone(&count));
                tokio::spawn(write(client, table, format!("{life}-{writer}"), count))
            })
            .collect();
        until("enough was acknowledged", async || {
            let count = count.load(Relaxed);
            anyhow::ensure!(count >= wanted, "{count}");
            Ok(())
        })
        .await
        .unwrap();
        cluster.nodes[0].kill().unwrap();
        for writer in writers {
            acknowledged.extend(writer.await.unwrap());
        }
        cluster.nodes[0].start().await.unwrap();
        let found = table.read(cluster.nodes[0].client()).await.unwrap();
        for (key, value) in &acknowledged {
            assert_eq!(found.get(key), Some(value), "{key} was acknowledged in life {life}");
        }
    }
}

/// Writes until the node is gone; returns what was acknowledged.
async fn write(
    client: Client,
    table: Table<'static>,
    name: String,
    count: Arc<AtomicUsize>,
) -> BTreeMap<String, String> {
    let mut acknowledged = BTreeMap::new();
    for number in 0.. {
        let (key, value) = (format!("{name}-{number}"), format!("value {number}"));
        if table.put(&client, &key, &value).await.is_err() {
            break;
        }
        acknowledged.insert(key, value);
        count.fetch_add(1, Relaxed);
    }
    acknowledged
}
