//! Peers that are silent, slow, wrong or flooding.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use netdb_gossip_core::packet::ClusterTag;
use tokio::time::Instant;

use super::*;
use crate::{
    MAX_DATAGRAM, MAX_STREAM_MESSAGE,
    handshake::{Keys, initiate},
    hello::{Hello, Mode},
    record::{Record, RecordError},
    shell::seal,
    stream::{StreamReader, StreamWriter},
};

/// Reads until the other side closes; what it said.
fn last_words(mut stream: &TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut said = Vec::new();
    match stream.read_to_end(&mut said) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => panic!("not closed"),
        _ => said,
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// An admitted member that speaks records by hand.
async fn member(seed: u8, addr: SocketAddr) -> (StreamReader, StreamWriter) {
    let keys = Keys { identity: identity(seed), cluster: CLUSTER };
    let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
    let hello = Hello { tag: ClusterTag::of(CLUSTER), mode: Mode::Member };
    let secured = initiate(&mut stream, &keys, hello, None, None).await.unwrap();
    let (mut reader, writer) = seal(stream, &secured);
    assert_eq!(reader.next(None, DEADLINE).await.unwrap(), Record::Ack(0));
    (reader, writer)
}

async fn until_cut(reader: &mut StreamReader) {
    loop {
        match reader.next(Some(Instant::now() + DEADLINE), DEADLINE).await {
            Ok(_) => {}
            Err(RecordError::Slow) => panic!("not cut"),
            Err(_) => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_not_answered_and_does_no_harm() {
    let (mut one, two) = (Node::new(1), Node::new(2));
    let addr = one.addr;
    let garbage: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        &[0xff; 4096],
        b"NDBs\x01\x07aaaaaaaaaaaaaaaa",
        b"NDBs\x09\x00aaaaaaaaaaaaaaaa",
        b"NDBs\x01\x00aaaa\0\0\0\0\0\0\0\0\x00\x20",
    ];
    for bytes in garbage.map(<[u8]>::to_vec) {
        let said = blocking(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(&bytes).unwrap();
            last_words(&stream)
        });
        assert_eq!(said.await, b"");
    }
    one.until(|stats| stats.handshakes_refused == 5).await;
    two.send(&one, b"still alive");
    assert_eq!(one.message().await.0, two.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_within_the_handshake_is_refused() {
    let one = Node::new(1);
    let addr = one.addr;
    let hello = Hello { tag: ClusterTag::of(CLUSTER), mode: Mode::Member }.to_bytes();
    // A message over the limit, one too short, one that does not open after the second.
    let tails: [Vec<u8>; 3] = [
        vec![0xff; 2],
        vec![0, 1, 7],
        [[0, 32].as_slice(), &[9; 32], &[0, 160], &[0; 160]].concat(),
    ];
    for tail in tails {
        blocking(move || {
            let mut stream = TcpStream::connect(addr).unwrap();
            stream.write_all(&[hello.as_slice(), &tail].concat()).unwrap();
            last_words(&stream)
        })
        .await;
    }
    one.until(|stats| stats.handshakes_refused == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_and_says_nothing_is_cut_off() {
    let quick = Limits { handshake: Duration::from_millis(100), ..limits() };
    let one = Node::with(1, loopback(), quick);
    let addr = one.addr;
    blocking(move || {
        let nothing = TcpStream::connect(addr).unwrap();
        let mut half = TcpStream::connect(addr).unwrap();
        half.write_all(b"NDBs\x01\x00").unwrap();
        assert_eq!(last_words(&nothing), b"");
        assert_eq!(last_words(&half), b"");
    })
    .await;
    one.until(|stats| stats.handshakes_refused == 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_accepts_and_says_nothing_is_given_up() {
    let quick = Limits { handshake: Duration::from_millis(100), ..limits() };
    let mut one = Node::with(1, loopback(), quick);
    let silent = std::net::TcpListener::bind(loopback()).unwrap();
    let nobody = identity(3).node_id();
    one.transport.send_stream(nobody, silent.local_addr().unwrap(), vec![1]).unwrap();
    one.failure(nobody).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_strangers_take_all_slots_only_for_a_while() {
    let few = Limits { handshakes: 2, handshake: Duration::from_millis(200), ..limits() };
    let mut one = Node::with(1, loopback(), few);
    let strangers: Vec<_> = (0..6).map(|_| TcpStream::connect(one.addr).unwrap()).collect();
    let stats = one.until(|stats| stats.connections_turned_away == 4).await;
    assert!(stats.handshakes_refused <= 2);
    one.until(|stats| stats.handshakes_refused == 2).await;
    let two = Node::new(2);
    two.send(&one, b"now");
    assert_eq!(one.message().await.0, two.id);
    drop(strangers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_source_cannot_begin_handshakes_without_end() {
    let rare = Limits { handshake_burst: 3, handshake_rate: 0, ..limits() };
    let one = Node::with(1, loopback(), rare);
    let strangers: Vec<_> = (0..10).map(|_| TcpStream::connect(one.addr).unwrap()).collect();
    one.until(|stats| stats.connections_turned_away == 7).await;
    drop(strangers);
    one.until(|stats| stats.handshakes_refused == 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_message_is_refused_at_its_first_record() {
    let mut one = Node::new(1);
    let (mut reader, mut writer) = member(2, one.addr).await;
    let soon = || Instant::now() + DEADLINE;
    writer.message(&vec![1; MAX_STREAM_MESSAGE], soon()).await.unwrap();
    assert_eq!(one.message().await.1.len(), MAX_STREAM_MESSAGE);
    let _ = writer.start(&vec![1; MAX_STREAM_MESSAGE + 1], soon()).await.unwrap();
    until_cut(&mut reader).await;
    one.until(|stats| stats.streams_cut == 1).await;
    assert_eq!(one.transport.stats().messages_received, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_out_of_turn_are_refused() {
    let one = Node::new(1);
    let soon = || Instant::now() + DEADLINE;
    // A part without a beginning.
    let (mut reader, mut writer) = member(2, one.addr).await;
    let _ = writer.go_on(&[1], soon()).await.unwrap();
    until_cut(&mut reader).await;
    // A beginning within a message.
    let (mut reader, mut writer) = member(3, one.addr).await;
    let long = vec![1; 100_000];
    let _ = writer.start(&long, soon()).await.unwrap();
    let _ = writer.start(&long, soon()).await.unwrap();
    until_cut(&mut reader).await;
    // A confirmation of what was never sent.
    let (mut reader, mut writer) = member(4, one.addr).await;
    writer.ack(1, soon()).await.unwrap();
    until_cut(&mut reader).await;
    // A message after the close.
    let (mut reader, mut writer) = member(5, one.addr).await;
    writer.close(soon()).await.unwrap();
    let _ = writer.start(&[1], soon()).await;
    until_cut(&mut reader).await;
    one.until(|stats| stats.streams_accepted == 4 && stats.streams_cut >= 3).await;
    assert_eq!(one.transport.stats().messages_received, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_does_not_end_is_cut_off() {
    let quick = Limits { message: Duration::from_millis(150), ..limits() };
    let one = Node::with(1, loopback(), quick);
    let (mut reader, mut writer) = member(2, one.addr).await;
    let _ = writer.start(&vec![1; 100_000], Instant::now() + DEADLINE).await.unwrap();
    until_cut(&mut reader).await;
    one.until(|stats| stats.streams_cut == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_reads_nothing_is_cut_off_and_reported() {
    let quick = Limits { message: Duration::from_millis(300), ..limits() };
    let mut one = Node::with(1, loopback(), quick);
    let (reader, _writer) = member(2, one.addr).await;
    one.until(|stats| stats.streams_accepted == 1).await;
    let peer = identity(2).node_id();
    // Until the buffers of the system are full and the queue is too.
    until(|| one.transport.send_stream(peer, one.addr, vec![0; MAX_STREAM_MESSAGE]).err()).await;
    one.failure(peer).await;
    assert_eq!(one.transport.stats().streams_cut, 1);
    drop(reader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_confirms_nothing_is_given_up() {
    let quick = Limits { idle: Duration::from_millis(150), ..limits() };
    let mut one = Node::with(1, loopback(), quick);
    let (_reader, _writer) = member(2, one.addr).await;
    one.until(|stats| stats.streams_accepted == 1).await;
    let peer = identity(2).node_id();
    one.transport.send_stream(peer, one.addr, vec![0]).unwrap();
    one.failure(peer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_further_stream_of_one_peer_replaces_its_oldest() {
    let mut one = Node::new(1);
    let (mut oldest, _w1) = member(2, one.addr).await;
    let (_r2, mut second) = member(2, one.addr).await;
    let (_r3, mut third) = member(2, one.addr).await;
    until_cut(&mut oldest).await;
    for writer in [&mut second, &mut third] {
        writer.message(b"here", Instant::now() + DEADLINE).await.unwrap();
        assert_eq!(one.message().await.1, b"here");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_our_own_identity_is_refused() {
    let one = Node::new(1);
    let keys = Keys { identity: identity(1), cluster: CLUSTER };
    let mut stream = tokio::net::TcpStream::connect(one.addr).await.unwrap();
    let hello = Hello { tag: ClusterTag::of(CLUSTER), mode: Mode::Member };
    assert!(initiate(&mut stream, &keys, hello, None, None).await.is_err());
    drop(stream);
    one.until(|stats| stats.handshakes_refused == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_packets_does_not_stop_streams() {
    let one = Node::with(1, loopback(), Limits { packets: 16, ..limits() });
    let (two, addr) = (Node::new(2), one.addr);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let flood = std::thread::spawn(move || {
        let socket = std::net::UdpSocket::bind(loopback()).unwrap();
        while !stopped.load(std::sync::atomic::Ordering::SeqCst) {
            let _ = socket.send_to(&[0; 1200], addr);
        }
    });
    let mut one = one;
    one.until(|stats| stats.packets_not_taken > 100).await;
    for n in 0..50u8 {
        two.send(&one, vec![n; 20_000]);
        loop {
            match one.hear().await {
                Incoming::Packet { .. } => {}
                Incoming::Stream { message, .. } => break assert_eq!(message, vec![n; 20_000]),
                other => panic!("{other:?}"),
            }
        }
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    flood.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiting_stream_does_not_stop_packets() {
    let mut one = Node::with(1, loopback(), Limits { messages: 1, ..limits() });
    let two = Node::new(2);
    // Nobody takes these: the lane, then the stream, then the queue fill up.
    until(|| two.transport.send_stream(one.id, one.addr, vec![0; 500_000]).err()).await;
    two.transport.send_packet(one.addr, b"through");
    one.until(|stats| stats.packets_received == 1).await;
    until_packet(&mut one).await;
}

async fn until_packet(node: &mut Node) {
    while !matches!(node.hear().await, Incoming::Packet { .. }) {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_datagrams_are_dropped_and_counted() {
    let mut one = Node::new(1);
    let socket = std::net::UdpSocket::bind(loopback()).unwrap();
    socket.send_to(&[1; MAX_DATAGRAM + 1], one.addr).unwrap();
    socket.send_to(&[1; MAX_DATAGRAM], one.addr).unwrap();
    let heard = one.hear().await;
    assert!(matches!(heard, Incoming::Packet { bytes, .. } if bytes.len() == MAX_DATAGRAM));
    assert_eq!(one.transport.stats().packets_oversized, 1);
}
