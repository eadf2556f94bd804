//! Five nodes join and converge.

use std::collections::BTreeMap;

use netdb_tests::{agreement::wait_agreed_on, cluster::Cluster, node::Node, rows::Table};
use netnode_api::rows::RowQuery;

use crate::PATIENT;

const NODES: usize = 5;
const ROWS: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn five_nodes_hold_what_each_of_them_wrote() {
    let cluster = Cluster::start(NODES, PATIENT).await.unwrap();
    cluster.attach("web", &[0, 1, 2, 3, 4]).await.unwrap();
    let (mine, ours) = (Table::owner("web", "mine"), Table::cluster("web", "ours"));
    for node in &cluster.nodes {
        let own = (0..ROWS).map(|n| (format!("k{n}"), node.name().to_owned()));
        assert_eq!(mine.load(node.client(), own).await.unwrap(), ROWS);
        ours.put(node.client(), node.name(), "here").await.unwrap();
    }
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    wait_agreed_on(&nodes, "web", NODES * (ROWS + 1)).await.unwrap();
    let names: BTreeMap<String, String> =
        nodes.iter().map(|node| (node.name().to_owned(), "here".to_owned())).collect();
    for node in &nodes {
        assert_eq!(ours.read(node.client()).await.unwrap(), names);
        // One key, five owners: five rows.
        let query = RowQuery { key: Some("k7".to_owned()), ..mine.query() };
        let rows = node.client().rows(&query).await.unwrap().collect().await.unwrap();
        let owners: Vec<_> = rows.iter().filter_map(|row| row.owner_name.as_deref()).collect();
        assert_eq!(owners.len(), NODES, "{owners:?}");
        assert_eq!(node.client().peers("web").await.unwrap().len(), NODES);
    }
    let members = cluster.nodes[4].netdbctl(&["members"]).await.unwrap().succeeded().unwrap();
    assert_eq!(members.stdout.matches("alive").count(), NODES, "{}", members.stdout);
}
