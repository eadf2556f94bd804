//! All nodes are restarted at once, in good order and by `kill -9`: the cluster comes back by itself, with
//! everything that was acknowledged.

use std::collections::BTreeMap;

use netdb_tests::{
    agreement::wait_agreed, cluster::Cluster, effort::few_or_many, node::Node, rows::Table,
};
use nix::sys::signal::Signal;

use crate::PATIENT;

const ROWS: usize = 50;
/// How often a long run restarts them.
const LONG_ROUNDS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_survives_the_restart_of_all_its_nodes() {
    let mut cluster = Cluster::start(3, PATIENT).await.unwrap();
    cluster.attach("web", &[0, 1, 2]).await.unwrap();
    let table = Table::cluster("web", "ours");
    let mut expected = BTreeMap::new();
    let signals = [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGTERM];
    let rounds = few_or_many(signals.len(), LONG_ROUNDS);
    for (round, signal) in signals.into_iter().cycle().take(rounds).enumerate() {
        for node in &cluster.nodes {
            let rows: BTreeMap<String, String> = (0..ROWS)
                .map(|n| (format!("{}-{round}-{n}", node.name()), format!("value {n}")))
                .collect();
            table.load(node.client(), rows.clone()).await.unwrap();
            expected.extend(rows);
        }
        for node in &cluster.nodes {
            node.signal(signal).unwrap();
        }
        for node in &mut cluster.nodes {
            node.wait_end().await.unwrap();
        }
        for node in &mut cluster.nodes {
            node.spawn().unwrap();
        }
        cluster.wait_whole().await.unwrap();
        let nodes: Vec<&Node> = cluster.nodes.iter().collect();
        wait_agreed(&nodes, "web").await.unwrap();
        for node in &nodes {
            table.wait_for(node.client(), &expected).await.unwrap();
        }
    }
}
