//! A port, a state directory or a socket that somebody else has.

use std::net::{TcpListener, UdpSocket};

use netdb_tests::cluster::Cluster;

use crate::PATIENT;

#[tokio::test(flavor = "multi_thread")]
async fn a_start_in_somebody_elses_place_says_whose() {
    let mut cluster = Cluster::start(1, PATIENT).await.unwrap();
    let mut node = cluster.prepare().unwrap();
    node.join(cluster.token(), &[cluster.nodes[0].address()]).await.unwrap();
    let address = node.address();
    let refused = async |expected: &[&str]| {
        let ended = node.netnode(&["run"]).await.unwrap().failed_with(1).unwrap();
        for text in expected {
            assert!(ended.stderr.contains(text), "{text:?} is not in: {}", ended.told());
        }
        // The last word of a failed start takes a line or two, not a page.
        assert!(ended.stderr.lines().count() < 6, "{}", ended.told());
    };
    let shown = address.to_string();
    let taken = UdpSocket::bind(address).unwrap();
    refused(&[&shown, "in use", "--listen"]).await;
    drop(taken);
    let taken = TcpListener::bind(address).unwrap();
    refused(&[&shown, "in use", "--listen"]).await;
    drop(taken);

    // It starts once the port is free; then its place is taken by itself.
    node.start().await.unwrap();
    let second = node.netnode(&["run"]).await.unwrap().failed_with(1).unwrap();
    assert!(second.stderr.contains("is the control socket of process"), "{}", second.told());
    let mut third = cluster.prepare_as("third").unwrap();
    third.set_state_dir(node.state_dir().to_owned());
    let third = third.netnode(&["run"]).await.unwrap().failed_with(1).unwrap();
    let state_dir = node.state_dir().display().to_string();
    assert!(third.stderr.contains(&state_dir), "{}", third.told());
    assert!(third.stderr.contains("is in use by process"), "{}", third.told());
    // And the node never noticed.
    node.wait_alive(2).await.unwrap();
    node.terminate().await.unwrap();
}
