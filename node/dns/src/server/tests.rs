//! The server on real sockets of the loopback, with clients that are many, hostile or silent.

use std::{net, time::Duration};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    task::JoinHandle,
    time::timeout,
};

use super::Client;
use crate::{
    Forwarder, Settings, Stats,
    limits::{BATCH, MAX_CONNECTIONS, MAX_PIPELINED, MAX_TCP_QUERY, MAX_UDP_QUERY, MAX_WAITING},
    names::fake::Fake,
};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

struct Served {
    forwarder: Forwarder,
    udp: net::SocketAddr,
    tcp: net::SocketAddr,
    task: JoinHandle<()>,
    /// An upstream that never says anything.
    _silent: net::UdpSocket,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves with upstreams that are waited for so long.
fn serve_on(address: &str, deadline: Duration) -> Served {
    let (udp, tcp) =
        (net::UdpSocket::bind(address).unwrap(), net::TcpListener::bind(address).unwrap());
    let silent = net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let upstreams = vec![silent.local_addr().unwrap()];
    let forwarder = Forwarder::new(Settings { upstreams, patience: deadline, deadline });
    let client = Client::new(Fake::forwarding(), forwarder.clone());
    let (udp_address, tcp_address) = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
    let task = tokio::spawn(async move { client.serve(udp, tcp).await.unwrap() });
    Served { forwarder, udp: udp_address, tcp: tcp_address, task, _silent: silent }
}

fn serve() -> Served {
    serve_on("127.0.0.1:0", LIMIT)
}

impl Served {
    fn stats(&self) -> Stats {
        self.forwarder.stats()
    }

    async fn wait(&self, until: impl Fn(&Stats) -> bool) {
        let waiting = async {
            while !until(&self.stats()) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let came = timeout(LIMIT, waiting).await;
        assert!(came.is_ok(), "{:?}", self.stats());
    }

    async fn client(&self) -> UdpSocket {
        let any = if self.udp.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        let socket = UdpSocket::bind(any).await.unwrap();
        socket.connect(self.udp).await.unwrap();
        socket
    }
}

fn query(id: u16, name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn framed(query: &[u8]) -> Vec<u8> {
    [&u16::try_from(query.len()).unwrap().to_be_bytes(), query].concat()
}

async fn received(socket: &UdpSocket) -> Message {
    let mut buffer = [0; 2_048];
    let length = timeout(LIMIT, socket.recv(&mut buffer)).await.unwrap().unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

async fn read(stream: &mut TcpStream) -> Message {
    let whole = async {
        let mut bytes = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes
    };
    Message::from_vec(&timeout(LIMIT, whole).await.unwrap()).unwrap()
}

/// Whether the other side has closed.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut byte = [0];
    let read = timeout(LIMIT, stream.read(&mut byte)).await.expect("it is closed in time");
    read.is_err() || read.is_ok_and(|count| count == 0)
}

#[tokio::test]
async fn both_families_are_served() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let served = serve_on(address, LIMIT);
        let client = served.client().await;
        client.send(&query(7, "web.", RecordType::A)).await.unwrap();
        let answer = received(&client).await;
        assert_eq!((answer.metadata.id, answer.answers.len()), (7, 2));
        let mut stream = TcpStream::connect(served.tcp).await.unwrap();
        stream.write_all(&framed(&query(8, "web.", RecordType::AAAA))).await.unwrap();
        let answer = read(&mut stream).await;
        assert_eq!((answer.metadata.id, answer.answers.len()), (8, 1));
    }
}

#[tokio::test]
async fn each_of_many_gets_its_own_answer() {
    let served = serve();
    let clients = [served.client().await, served.client().await, served.client().await];
    for client in &clients {
        client.writable().await.unwrap();
    }
    // They wait together before the server runs again, so they are taken in whole batches.
    let each = u16::try_from(2 * BATCH + 1).unwrap();
    for id in 0..each {
        for (number, client) in clients.iter().enumerate() {
            let name = ["web.", "four.", "gone."][number];
            client.try_send(&query(id, name, RecordType::A)).unwrap();
        }
    }
    for (number, client) in clients.iter().enumerate() {
        for id in 0..each {
            let answer = received(client).await;
            assert_eq!((answer.metadata.id, answer.answers.len()), (id, [2, 1, 0][number]));
        }
    }
    let stats = served.stats();
    assert_eq!(stats.udp_queries, u64::from(each) * 3);
    assert_eq!((stats.answered_here, stats.dropped_answers), (stats.udp_queries, 0));
}

#[tokio::test]
async fn hostile_datagrams_are_answered_or_dropped() {
    let served = serve();
    let client = served.client().await;
    let good = query(9, "web.", RecordType::A);
    let endless = [&good[..12], &[0xc0, 12, 0, 1, 0, 1]].concat();
    client.send(&endless).await.unwrap();
    assert_eq!(received(&client).await.metadata.response_code, ResponseCode::FormErr);
    let longest = [&good[..], &vec![0; MAX_UDP_QUERY - good.len()]].concat();
    client.send(&longest).await.unwrap();
    assert_eq!(received(&client).await.answers.len(), 2, "what is behind a query is passed over");
    let mut response = good.clone();
    response[2] |= 0x80;
    for nothing in [&[&longest[..], &[0]].concat()[..], &response, &good[..11], &[]] {
        client.send(nothing).await.unwrap();
    }
    client.send(&good).await.unwrap();
    assert_eq!(received(&client).await.answers.len(), 2);
    let stats = served.stats();
    assert_eq!((stats.udp_queries, stats.dropped_queries, stats.answered_here), (7, 4, 3));
}

#[tokio::test]
async fn who_waits_for_an_upstream_keeps_nobody_waiting() {
    let served = serve();
    let client = served.client().await;
    for n in 0..MAX_WAITING {
        client.send(&query(1, &format!("n{n}.example."), RecordType::A)).await.unwrap();
    }
    served.wait(|stats| stats.forwarded == MAX_WAITING as u64).await;
    client.send(&query(2, "one.more.example.", RecordType::A)).await.unwrap();
    let answer = received(&client).await;
    assert_eq!((answer.metadata.id, answer.metadata.response_code), (2, ResponseCode::ServFail));
    client.send(&query(3, "web.", RecordType::A)).await.unwrap();
    assert_eq!(received(&client).await.metadata.id, 3);
    assert_eq!(served.stats().refused_by_share, 1);
}

#[tokio::test]
async fn a_stream_is_answered_in_the_order_in_which_answers_come() {
    let served = serve_on("127.0.0.1:0", Duration::from_secs(1));
    let mut stream = TcpStream::connect(served.tcp).await.unwrap();
    let mut bytes = framed(&query(1, "a.example.", RecordType::A));
    for id in 2..50 {
        bytes.extend(framed(&query(id, "web.", RecordType::A)));
    }
    // In pieces that have nothing to do with the messages.
    for piece in bytes.chunks(7) {
        stream.write_all(piece).await.unwrap();
    }
    for id in 2..50 {
        assert_eq!(read(&mut stream).await.metadata.id, id);
    }
    // It has no more to ask, and still gets what it asked for.
    stream.shutdown().await.unwrap();
    let last = read(&mut stream).await;
    assert_eq!((last.metadata.id, last.metadata.response_code), (1, ResponseCode::ServFail));
    assert!(is_closed(&mut stream).await);
    assert_eq!(served.stats().cut_connections, 0);
}

#[tokio::test]
async fn a_stream_has_a_bound_of_waiting_queries() {
    let served = serve_on("127.0.0.1:0", Duration::from_secs(1));
    let mut stream = TcpStream::connect(served.tcp).await.unwrap();
    let queries = (0..=MAX_PIPELINED).map(|n| query(0, &format!("n{n}.example."), RecordType::A));
    let bytes: Vec<u8> = queries.flat_map(|query| framed(&query)).collect();
    stream.write_all(&bytes).await.unwrap();
    served.wait(|stats| stats.tcp_queries == MAX_PIPELINED as u64).await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(served.stats().tcp_queries, MAX_PIPELINED as u64);
    read(&mut stream).await;
    served.wait(|stats| stats.tcp_queries == MAX_PIPELINED as u64 + 1).await;
}

#[tokio::test]
async fn a_sandbox_has_a_bound_of_streams() {
    let served = serve();
    let mut streams = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        streams.push(TcpStream::connect(served.tcp).await.unwrap());
    }
    served.wait(|stats| stats.connections == MAX_CONNECTIONS as u64).await;
    let mut more = TcpStream::connect(served.tcp).await.unwrap();
    assert!(is_closed(&mut more).await);
    assert_eq!(served.stats().refused_connections, 1);
    let first = &mut streams[0];
    first.write_all(&framed(&query(5, "web.", RecordType::A))).await.unwrap();
    assert_eq!(read(first).await.metadata.id, 5);
    // One that ends makes room.
    first.shutdown().await.unwrap();
    assert!(is_closed(first).await);
    let mut next = TcpStream::connect(served.tcp).await.unwrap();
    next.write_all(&framed(&query(6, "web.", RecordType::A))).await.unwrap();
    assert_eq!(read(&mut next).await.metadata.id, 6);
}

#[tokio::test(start_paused = true)]
async fn who_never_sends_is_cut() {
    let served = serve();
    let mut silent = TcpStream::connect(served.tcp).await.unwrap();
    let mut slow = TcpStream::connect(served.tcp).await.unwrap();
    slow.write_all(&framed(&query(5, "web.", RecordType::A))[..9]).await.unwrap();
    served.wait(|stats| stats.connections == 2).await;
    served.wait(|stats| stats.cut_connections == 2).await;
    assert!(is_closed(&mut silent).await && is_closed(&mut slow).await);
}

#[tokio::test(start_paused = true)]
async fn who_never_reads_is_cut() {
    let served = serve();
    let (_unread, mut writer) = TcpStream::connect(served.tcp).await.unwrap().into_split();
    let queries = framed(&query(5, "many.", RecordType::A)).repeat(1_000);
    let asking = async {
        // Until neither side takes any more.
        while writer.write_all(&queries).await.is_ok() {}
    };
    tokio::join!(asking, served.wait(|stats| stats.cut_connections == 1));
    assert!(served.stats().tcp_queries > 1);
}

#[tokio::test]
async fn who_sends_what_is_no_query_is_cut() {
    let served = serve();
    let length = u16::try_from(MAX_TCP_QUERY).unwrap();
    let good = query(5, "web.", RecordType::A);
    let longest = [&good[..], &vec![0; MAX_TCP_QUERY - good.len()]].concat();
    let mut stream = TcpStream::connect(served.tcp).await.unwrap();
    stream.write_all(&framed(&longest)).await.unwrap();
    assert_eq!(read(&mut stream).await.metadata.id, 5);
    for (number, bad) in
        [&(length + 1).to_be_bytes()[..], &[0, 0], &framed(&good[..11])].into_iter().enumerate()
    {
        let mut stream = TcpStream::connect(served.tcp).await.unwrap();
        stream.write_all(bad).await.unwrap();
        assert!(is_closed(&mut stream).await);
        served.wait(|stats| stats.cut_connections == number as u64 + 1).await;
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_sandbox_that_is_dropped() {
    let served = serve();
    let mut stream = TcpStream::connect(served.tcp).await.unwrap();
    stream.write_all(&framed(&query(1, "a.example.", RecordType::A))).await.unwrap();
    let client = served.client().await;
    client.send(&query(1, "b.example.", RecordType::A)).await.unwrap();
    served.wait(|stats| stats.forwarded == 2).await;
    served.task.abort();
    assert!(is_closed(&mut stream).await);
    // The port is free again.
    let free = async {
        while net::UdpSocket::bind(served.udp).is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(LIMIT, free).await.unwrap();
}
