//! Peers that accept or open a TCP connection and say nothing.

use std::net::SocketAddr;

use netdb_tests::{address::Addresses, cluster::Cluster, wait::in_time};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, TcpSocket, TcpStream},
};

use crate::PATIENT;

/// More than a node lets wait at one time.
const SILENT: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_gives_up_on_a_silent_address_and_asks_the_next() {
    let mut cluster = Cluster::start(1, PATIENT).await.unwrap();
    let silent = Addresses::apart().free().unwrap();
    let listener = TcpListener::bind(silent).await.unwrap();
    let holder = tokio::spawn(hold(listener));
    let joiner = cluster.prepare().unwrap();
    let peers = [silent, cluster.nodes[0].address()];
    joiner.join(cluster.token(), &peers).await.unwrap();
    holder.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_cut_and_keep_nobody_out() {
    let mut cluster = Cluster::start(1, PATIENT).await.unwrap();
    let address = cluster.nodes[0].address();
    let mut streams = Vec::new();
    for _ in 0..SILENT {
        streams.push(connect(address).await.unwrap());
    }
    cluster.grow().await.unwrap();
    cluster.wait_whole().await.unwrap();
    for mut stream in streams {
        let mut answer = [0; 1];
        // Closed or reset, but never answered.
        let read = in_time("the node has cut a silent connection", stream.read(&mut answer)).await;
        assert!(!matches!(read.unwrap(), Ok(1..)));
    }
    let refused = cluster.nodes[0].counter("transport_handshakes_refused").await.unwrap();
    let away = cluster.nodes[0].counter("transport_connections_turned_away").await.unwrap();
    assert!(refused + away >= SILENT as u64, "{refused} refused, {away} turned away");
}

/// A connection from an address that nobody else connects from: one source has a limit of its own.
async fn connect(to: SocketAddr) -> std::io::Result<TcpStream> {
    let from = SocketAddr::from(([127, 1, 1, 1], 0));
    let socket = TcpSocket::new_v4()?;
    socket.bind(from)?;
    socket.connect(to).await
}

/// Accepts, and never says a word.
async fn hold(listener: TcpListener) {
    let mut streams = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        streams.push(stream);
    }
}
