//! Binding, idling, restarting, shutting down.

use super::*;
use crate::BindError;

fn try_bind(listen: SocketAddr) -> Result<(Transport, Inbox), BindError> {
    Transport::bind(Config { listen, identity: identity(9), cluster: CLUSTER, limits: limits() })
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let one = Node::with(1, own_host(1), limits());
    let error = try_bind(one.addr).unwrap_err();
    assert!(matches!(error, BindError::InUse { address, protocol: "TCP" } if address == one.addr));
    assert!(error.to_string().contains(&one.addr.to_string()));
    let udp = std::net::UdpSocket::bind(own_host(1)).unwrap();
    let address = udp.local_addr().unwrap();
    let error = try_bind(address).unwrap_err();
    assert!(matches!(error, BindError::InUse { protocol: "UDP", .. }), "{error}");
    drop(udp);
    // Nothing stayed open.
    assert!(try_bind(address).is_ok());
}

#[tokio::test]
async fn an_address_of_another_host_is_named() {
    let error = try_bind("192.0.2.1:0".parse().unwrap()).unwrap_err();
    assert!(matches!(error, BindError::NotAvailable { .. }), "{error}");
    assert!(error.to_string().contains("192.0.2.1"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_go_by_udp_on_the_same_port() {
    let (one, mut two) = (Node::new(1), Node::new(2));
    one.transport.send_packet(two.addr, b"packet");
    match two.hear().await {
        Incoming::Packet { from, bytes } => {
            assert_eq!(from, one.addr);
            assert_eq!(bytes, b"packet");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(one.transport.stats().packets_sent, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_families_meet_on_one_ipv6_socket() {
    let Ok((six, mut inbox)) = try_bind("[::]:0".parse().unwrap()) else {
        return; // a machine without IPv6
    };
    let mut four = Node::new(1);
    let port = six.local_addr().port();
    four.transport.send_packet(([127, 0, 0, 1], port).into(), b"from four");
    match tokio::time::timeout(DEADLINE, inbox.recv()).await.unwrap() {
        Some(Incoming::Packet { from, .. }) => assert_eq!(from, four.addr),
        other => panic!("{other:?}"),
    }
    six.send_packet(four.addr, b"from six");
    assert!(matches!(four.hear().await, Incoming::Packet { bytes, .. } if bytes == b"from six"));
    six.send_stream(four.id, four.addr, b"stream".to_vec()).unwrap();
    assert_eq!(four.message().await, (identity(9).node_id(), b"stream".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_stream_closes_without_a_failure_and_opens_again() {
    let quick = Limits { idle: Duration::from_millis(100), ..limits() };
    let one = Node::with(1, loopback(), quick.clone());
    let mut two = Node::with(2, loopback(), quick);
    for round in 1..=3 {
        one.send(&two, b"hello");
        // Had the first end been a failure, it would be heard here instead.
        two.message().await;
        until(|| one.transport.is_quiet().then_some(())).await;
        until(|| two.transport.is_quiet().then_some(())).await;
        assert_eq!(one.transport.stats().streams_opened, round);
    }
    assert_eq!(one.transport.stats().streams_cut + two.transport.stats().streams_cut, 0);
    let (mut one, _) = (one, two);
    assert!(one.heard.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_peer_is_reached_again() {
    let one = Node::new(1);
    let mut two = Node::with(2, own_host(2), limits());
    let addr = two.addr;
    for _ in 0..3 {
        one.send(&two, b"hello");
        assert_eq!(two.message().await, (one.id, b"hello".to_vec()));
        one.until(|stats| stats.messages_delivered == stats.messages_sent).await;
        let stopped = Transport::clone(&two.transport);
        drop(two);
        stopped.shutdown().await;
        until(|| one.transport.is_quiet().then_some(())).await;
        two = Node::with(2, addr, limits());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_lets_out_what_is_queued() {
    let (one, mut two) = (Node::new(1), Node::new(2));
    for n in 0..10u8 {
        one.send(&two, vec![n; 50_000]);
    }
    let stopping = one.transport.clone();
    let shutdown = tokio::spawn(async move { stopping.shutdown().await });
    for n in 0..10u8 {
        assert_eq!(two.message().await.1, vec![n; 50_000]);
    }
    shutdown.await.unwrap();
    assert_eq!(one.transport.stats().messages_delivered, 10);
    let refused = one.transport.send_stream(two.id, two.addr, vec![]);
    assert_eq!(refused, Err(crate::SendError::Stopped));
}

/// Runs in a runtime of its own, so that every task counted is one of ours.
#[test]
fn shutdown_leaves_no_task_even_if_a_peer_says_nothing() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let silent = std::net::TcpListener::bind(loopback()).unwrap();
    let quick = Limits { shutdown: Duration::from_millis(50), ..limits() };
    let (config, peer) = (identity(1), identity(2).node_id());
    runtime.block_on(async {
        let config =
            Config { listen: own_host(3), identity: config, cluster: CLUSTER, limits: quick };
        let (transport, mut inbox) = Transport::bind(config).unwrap();
        let guest = std::net::TcpStream::connect(transport.local_addr()).unwrap();
        transport.send_stream(peer, silent.local_addr().unwrap(), vec![1]).unwrap();
        transport.shutdown().await;
        // The runtime takes a task off its list a moment after it has ended.
        let metrics = tokio::runtime::Handle::current().metrics();
        until(|| (metrics.num_alive_tasks() == 0).then_some(())).await;
        assert!(inbox.recv().await.is_none());
        drop(guest);
        // Both sockets are free again.
        assert!(try_bind(transport.local_addr()).is_ok());
    });
}

#[test]
fn dropping_the_last_handle_ends_everything() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (transport, mut inbox) = try_bind(loopback()).unwrap();
        drop(transport.clone());
        assert!(tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0);
        drop(transport);
        assert!(inbox.recv().await.is_none());
        let metrics = tokio::runtime::Handle::current().metrics();
        until(|| (metrics.num_alive_tasks() == 0).then_some(())).await;
    });
}
