//! A node that is frozen (its host sleeps, or its disk hangs): connections to it are accepted by the
//! system and nothing answers. The others go on; it catches up when it wakes.

use netdb_tests::{
    agreement::wait_agreed_on, cluster::Cluster, node::Node, rows::Table, wait::until,
};
use netnode_api::node::MemberState;
use nix::sys::signal::Signal;

/// As much as must go by stream.
const ROWS: usize = 40;
const VALUE_BYTES: usize = 32 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn the_others_go_on_and_it_catches_up() {
    let cluster = Cluster::start(3, &[]).await.unwrap();
    cluster.attach("web", &[0, 1, 2]).await.unwrap();
    let [first, second, frozen] = &cluster.nodes[..] else { panic!("three nodes were started") };
    let table = Table::cluster("web", "t");
    frozen.signal(Signal::SIGSTOP).unwrap();
    let value = "v".repeat(VALUE_BYTES);
    let rows = (0..ROWS).map(|n| (format!("k{n}"), value.clone()));
    assert_eq!(table.load(first.client(), rows).await.unwrap(), ROWS);
    until("it is taken for failed", async || {
        for node in [first, second] {
            let state = node.state_of(frozen.name()).await?;
            anyhow::ensure!(state == Some(MemberState::Failed), "{} says {state:?}", node.name());
        }
        Ok(())
    })
    .await
    .unwrap();
    wait_agreed_on(&[first, second], "web", ROWS).await.unwrap();
    frozen.signal(Signal::SIGCONT).unwrap();
    cluster.wait_whole().await.unwrap();
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    wait_agreed_on(&nodes, "web", ROWS).await.unwrap();
}
