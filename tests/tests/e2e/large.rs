//! Values at their limit of 64 KiB, and one byte over it.

use netdb_tests::{agreement::wait_agreed_on, cluster::Cluster, node::Node, rows::Table};
use netnode_api::{
    client::ClientError,
    error::Code,
    rows::{Operation, RowQuery},
};

use crate::PATIENT;

const LIMIT: usize = 64 * 1024;
const ROWS: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_values_arrive_whole_and_larger_ones_are_refused() {
    let mut cluster = Cluster::start(2, PATIENT).await.unwrap();
    cluster.attach("web", &[0, 1]).await.unwrap();
    let (mine, ours) = (Table::owner("web", "mine"), Table::cluster("web", "ours"));
    for table in [mine, ours] {
        let rows = (0..ROWS).map(|n| (format!("k{n}"), value(n)));
        table.load(cluster.nodes[0].client(), rows).await.unwrap();
        let over = "x".repeat(LIMIT + 1);
        let write = table.write(cluster.nodes[0].client(), Operation::Upsert, "k0", Some(&over));
        let error = write.await.unwrap_err();
        let Some(ClientError::Refused(problem)) = error.downcast_ref() else { panic!("{error:#}") };
        assert_eq!(problem.code, Code::TooLarge);
    }
    // Who comes late gets them by comparing.
    cluster.grow().await.unwrap();
    cluster.nodes[2].client().attach("web").await.unwrap();
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    wait_agreed_on(&nodes, "web", 2 * ROWS).await.unwrap();
    for node in &nodes {
        for table in [mine, ours] {
            let query = RowQuery { table: Some(table.table.to_owned()), ..table.query() };
            let rows = node.client().rows(&query).await.unwrap().collect().await.unwrap();
            assert_eq!(rows.len(), ROWS);
            for row in rows {
                let number: usize = netdb_tests::rows::key(&row)[1..].parse().unwrap();
                assert!(row.value.0 == value(number).as_bytes(), "{number} arrived changed");
            }
        }
    }
    let get = ["table", "get", "web", "ours", "k3", "--value"];
    let got = nodes[2].netdbctl(&get).await.unwrap().succeeded().unwrap();
    assert!(got.stdout == value(3));
}

/// Of the largest size, and each different.
fn value(number: usize) -> String {
    format!("{number:08}|").chars().cycle().take(LIMIT).collect()
}
