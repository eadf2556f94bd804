//! Messages between members.

use super::*;
use crate::{MAX_STREAM_MESSAGE, SendError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_both_ways_and_say_who_sent_them() {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    one.send(&two, b"ping");
    assert_eq!(two.message().await, (one.id, b"ping".to_vec()));
    two.send(&one, b"pong");
    assert_eq!(one.message().await, (two.id, b"pong".to_vec()));
    // The answer took the stream that was there.
    assert_eq!(two.transport.stats().streams_opened, 0);
    one.until(|stats| stats.messages_delivered == 1).await;
    two.until(|stats| stats.messages_delivered == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_may_open_at_once() {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    one.send(&two, b"from one");
    two.send(&one, b"from two");
    assert_eq!(two.message().await.1, b"from one");
    assert_eq!(one.message().await.1, b"from two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_keep_their_order_and_their_bytes() {
    let (one, mut two) = (Node::new(1), Node::new(2));
    let message = |n: usize| vec![u8::try_from(n % 256).unwrap(); n * 331 % 70_000];
    let mut expected = 0;
    for n in 0..300 {
        loop {
            match one.transport.send_stream(two.id, two.addr, message(n)) {
                Ok(()) => break,
                Err(SendError::Full) => {
                    assert_eq!(two.message().await.1, message(expected));
                    expected += 1;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
    for n in expected..300 {
        assert_eq!(two.message().await.1, message(n));
    }
    assert_eq!(one.transport.stats().streams_opened, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_message_passes_both_ways_at_once() {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    one.send(&two, vec![1; MAX_STREAM_MESSAGE]);
    two.send(&one, vec![2; MAX_STREAM_MESSAGE]);
    assert_eq!(two.message().await.1, vec![1; MAX_STREAM_MESSAGE]);
    assert_eq!(one.message().await.1, vec![2; MAX_STREAM_MESSAGE]);
    let over = vec![0; MAX_STREAM_MESSAGE + 1];
    let refused = one.transport.send_stream(two.id, two.addr, over);
    assert_eq!(refused, Err(SendError::TooLarge(MAX_STREAM_MESSAGE + 1)));
    let to_self = one.transport.send_stream(one.id, one.addr, vec![]);
    assert_eq!(to_self, Err(SendError::ToSelf));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_admitted_is_told_nothing_and_delivers_nothing() {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    lock(&two.policy).admits = |_| false;
    one.send(&two, b"let me in");
    one.failure(two.id).await;
    two.until(|stats| stats.handshakes_refused == 1).await;
    assert_eq!(two.transport.stats().messages_received, 0);
    // The other way round is the other node's decision.
    two.send(&one, b"hello");
    assert_eq!(one.message().await.0, two.id);
    // The stream that now is there serves both ways.
    one.send(&two, b"hello");
    assert_eq!(two.message().await.0, one.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_another_cluster_is_refused() {
    let mut one = Node::new(1);
    let two = Node::of(2, loopback(), limits(), ClusterId([8; 16]));
    one.send(&two, b"hello");
    one.failure(two.id).await;
    two.until(|stats| stats.handshakes_refused == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_belongs_to_another_node_is_a_failure() {
    let (mut one, two) = (Node::new(1), Node::new(2));
    let wanted = identity(3).node_id();
    one.transport.send_stream(wanted, two.addr, b"for three".to_vec()).unwrap();
    one.failure(wanted).await;
    assert_eq!(two.transport.stats().streams_accepted, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_listening_is_a_failure() {
    let mut one = Node::new(1);
    let gone = Node::with(2, own_host(5), limits());
    let (id, addr) = (gone.id, gone.addr);
    gone.transport.shutdown().await;
    one.transport.send_stream(id, addr, vec![1]).unwrap();
    one.failure(id).await;
    assert_eq!(one.transport.stats().streams_not_opened, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_by_number_and_by_bytes() {
    let mut two = Node::new(2);
    // Nobody answers the admission question as long as this is locked.
    let policy = Arc::clone(&two.policy);
    let held = lock(&policy);
    let few = Node::with(1, loopback(), Limits { queue_messages: 2, ..limits() });
    few.send(&two, b"1");
    few.send(&two, b"2");
    assert_eq!(few.transport.send_stream(two.id, two.addr, vec![]), Err(SendError::Full));
    let small = Node::with(3, loopback(), Limits { queue_bytes: 10, ..limits() });
    small.send(&two, vec![0; 6]);
    assert_eq!(small.transport.send_stream(two.id, two.addr, vec![0; 5]), Err(SendError::Full));
    small.send(&two, vec![0; 4]);
    drop(held);
    for _ in 0..4 {
        two.message().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_to_others_are_bounded() {
    let (two, mut three) = (Node::new(2), Node::new(3));
    let one = Node::with(1, loopback(), Limits { outbound_streams: 1, ..limits() });
    one.send(&two, b"first");
    let refused = one.transport.send_stream(three.id, three.addr, vec![1]);
    assert_eq!(refused, Err(SendError::TooManyStreams));
    // A stream that the other side opened is as good.
    let mut one = one;
    three.send(&one, b"hello");
    assert_eq!(one.message().await.0, three.id);
    one.send(&three, b"answer");
    assert_eq!(three.message().await.0, one.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_from_others_are_bounded_in_all() {
    let mut hub = Node::with(1, loopback(), Limits { inbound_streams: 3, ..limits() });
    let mut others: Vec<_> = (2..10).map(Node::new).collect();
    for other in &others[..3] {
        other.send(&hub, b"hello");
        assert_eq!(hub.message().await.0, other.id);
    }
    for other in &mut others[3..] {
        other.send(&hub, b"hello");
        other.failure(hub.id).await;
    }
    assert_eq!(hub.transport.stats().streams_accepted, 3);
    // The ones that are in still work.
    others[0].send(&hub, b"again");
    assert_eq!(hub.message().await, (others[0].id, b"again".to_vec()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_at_once() {
    let mut hub = Node::new(1);
    let others: Vec<_> = (2..42).map(Node::new).collect();
    for other in &others {
        for n in 0..5u8 {
            other.send(&hub, vec![n; 10_000]);
        }
    }
    let mut next = std::collections::BTreeMap::new();
    for _ in 0..others.len() * 5 {
        let (from, message) = hub.message().await;
        let n = next.entry(from).or_insert(0u8);
        assert_eq!(message, vec![*n; 10_000]);
        *n += 1;
    }
    assert!(others.iter().all(|other| next[&other.id] == 5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disconnected_peer_is_cut_off() {
    let (mut one, mut two) = (Node::new(1), Node::new(2));
    one.send(&two, b"hello");
    two.message().await;
    one.until(|stats| stats.messages_delivered == 1).await;
    lock(&two.policy).admits = |_| false;
    two.transport.disconnect(one.id);
    // Either the old stream is found broken or the new one is refused.
    one.send(&two, b"still there?");
    one.failure(two.id).await;
    assert_eq!(two.transport.stats().messages_received, 1);
}
