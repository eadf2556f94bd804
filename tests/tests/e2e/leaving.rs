//! A node that leaves takes its rows along and is nobody's member any more.

use netdb_tests::{
    agreement::wait_agreed_on, cluster::Cluster, node::Node, rows::Table, wait::until,
};
use netnode_api::{
    node::MemberState,
    rows::{DeleteReason, WatchEvent},
};

use crate::PATIENT;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_leaves_and_may_join_again() {
    let mut cluster = Cluster::start(3, PATIENT).await.unwrap();
    cluster.attach("web", &[0, 1, 2]).await.unwrap();
    let (mine, ours) = (Table::owner("web", "mine"), Table::cluster("web", "ours"));
    mine.put(cluster.nodes[2].client(), "k", "v").await.unwrap();
    ours.put(cluster.nodes[2].client(), "k", "v").await.unwrap();
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    wait_agreed_on(&nodes, "web", 2).await.unwrap();
    let log = mine.follow(cluster.nodes[0].client()).await.unwrap();

    // Nobody is there to say yes.
    let unasked = cluster.nodes[2].netdbctl(&["leave"]).await.unwrap().failed_with(2).unwrap();
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.told());
    cluster.nodes[2].netdbctl(&["leave", "--yes"]).await.unwrap().succeeded().unwrap();
    let status = cluster.nodes[2].wait_end().await.unwrap();
    assert!(status.success(), "{status}");
    let is_left = |event: &WatchEvent| {
        matches!(
            event,
            WatchEvent::Deleted { reason: DeleteReason::OwnerLeft | DeleteReason::Detached, .. }
        )
    };
    log.wait_for("its row went with it", 1, is_left).await.unwrap();
    wait_agreed_on(&nodes_of(&cluster, 2), "web", 1).await.unwrap();
    for node in &cluster.nodes[..2] {
        until("it has left", async || {
            let state = node.state_of("n3").await?;
            anyhow::ensure!(state.is_none_or(|state| state == MemberState::Left), "{state:?}");
            Ok(())
        })
        .await
        .unwrap();
    }

    // Its state is of no use any more, and says so.
    let run = cluster.nodes[2].netnode(&["run"]).await.unwrap().failed_with(1).unwrap();
    assert!(run.stderr.contains("belongs to no cluster"), "{}", run.told());
    let peers = [cluster.nodes[0].address()];
    cluster.nodes[2].join(cluster.token(), &peers).await.unwrap();
    cluster.nodes[2].start().await.unwrap();
    cluster.wait_whole().await.unwrap();
}

fn nodes_of(cluster: &Cluster, count: usize) -> Vec<&Node> {
    cluster.nodes[..count].iter().collect()
}
