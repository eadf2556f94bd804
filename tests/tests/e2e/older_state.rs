//! An older copy of a state directory is put back, as from a backup or a snapshot: no harm is done.

use std::{collections::BTreeMap, fs, path::Path};

use netdb_tests::{agreement::wait_agreed, cluster::Cluster, node::Node, rows::Table};

use crate::PATIENT;

#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_state_loses_and_revives_nothing() {
    let mut cluster = Cluster::start(3, PATIENT).await.unwrap();
    cluster.attach("web", &[0, 1, 2]).await.unwrap();
    let table = Table::cluster("web", "ours");
    let write = async |cluster: &Cluster, place: usize, key: &str, value: &str| {
        table.put(cluster.nodes[place].client(), key, value).await.unwrap();
    };
    write(&cluster, 2, "kept", "old").await;
    write(&cluster, 2, "changed", "old").await;
    write(&cluster, 2, "deleted", "old").await;
    agree(&cluster).await;
    cluster.nodes[2].terminate().await.unwrap();
    let backup = cluster.directory().join("backup");
    copy(cluster.nodes[2].state_dir(), &backup);

    let before = cluster.nodes[2].start().await.unwrap().generation;
    write(&cluster, 2, "changed", "new").await;
    write(&cluster, 2, "added", "new").await;
    table.delete(cluster.nodes[2].client(), "deleted").await.unwrap();
    let rotate = ["keys", "rotate", "--wait"];
    cluster.nodes[0].netdbctl(&rotate).await.unwrap().succeeded().unwrap();
    agree(&cluster).await;
    cluster.nodes[2].kill().unwrap();

    fs::remove_dir_all(cluster.nodes[2].state_dir()).unwrap();
    copy(&backup, cluster.nodes[2].state_dir());
    cluster.nodes[2].start().await.unwrap();
    cluster.wait_whole().await.unwrap();
    write(&cluster, 2, "afterwards", "new").await;
    agree(&cluster).await;
    let expected: BTreeMap<String, String> =
        [("added", "new"), ("afterwards", "new"), ("changed", "new"), ("kept", "old")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    for node in &cluster.nodes {
        table.wait_for(node.client(), &expected).await.unwrap();
    }
    let after = cluster.nodes[2].client().status().await.unwrap().generation;
    assert!(after > before, "generation {before} was used for two lives ({after})");
}

async fn agree(cluster: &Cluster) {
    let nodes: Vec<&Node> = cluster.nodes.iter().collect();
    wait_agreed(&nodes, "web").await.unwrap();
}

/// Copies a directory of files, with their modes.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
