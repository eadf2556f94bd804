//! Joins: admitted, and every way of not being.

use std::io::{Read, Write};

use netdb_gossip_core::packet::ClusterTag;

use super::*;
use crate::{
    JoinError, MAX_JOIN_ANSWER, MAX_JOIN_REQUEST,
    handshake::{Keys, initiate},
    hello::{Hello, Mode},
    join,
    record::Record,
    shell::seal,
};

fn good(id: TokenId) -> Option<TokenAnswer> {
    let unknown = (id != token().id()).then_some(TokenAnswer::Refused(Refusal::TokenUnknown));
    unknown.or_else(|| Some(TokenAnswer::Good(token().psk())))
}

fn server() -> Node {
    server_with(limits())
}

fn server_with(limits: Limits) -> Node {
    let node = Node::with(1, loopback(), limits);
    lock(&node.policy).tokens = good;
    node
}

async fn try_join(addr: SocketAddr, token: &Token) -> Result<Vec<u8>, JoinError> {
    join(addr, token, &identity(2), b"please".to_vec(), DEADLINE).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_token_is_answered() {
    let server = server();
    lock(&server.policy).joins = |who, request| {
        assert_eq!((who, request), (identity(2).public(), b"please".to_vec()));
        Some(Ok(b"welcome".to_vec()))
    };
    assert_eq!(try_join(server.addr, &token()).await.unwrap(), b"welcome");
    server.until(|stats| stats.joins_answered == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_request_and_answer_pass() {
    let server = server();
    lock(&server.policy).joins = |_, request| {
        assert_eq!(request.len(), MAX_JOIN_REQUEST);
        Some(Ok(vec![1; MAX_JOIN_ANSWER]))
    };
    let largest = vec![0; MAX_JOIN_REQUEST];
    let answer = join(server.addr, &token(), &identity(2), largest, DEADLINE).await.unwrap();
    assert_eq!(answer, vec![1; MAX_JOIN_ANSWER]);
    let over = vec![0; MAX_JOIN_REQUEST + 1];
    let error = join(server.addr, &token(), &identity(2), over, DEADLINE).await.unwrap_err();
    assert!(matches!(error, JoinError::RequestTooLarge(_)));
    // An answer over the limit is the owner's fault; the joiner may try elsewhere.
    lock(&server.policy).joins = |_, _| Some(Ok(vec![1; MAX_JOIN_ANSWER + 1]));
    let error = try_join(server.addr, &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::Busy(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_rotated_and_expired_tokens_are_told_apart_from_other_clusters() {
    let server = server();
    let wrong = Token::new(CLUSTER, [1; 16]);
    let error = try_join(server.addr, &wrong).await.unwrap_err();
    assert!(matches!(error, JoinError::TokenUnknown), "{error}");
    assert!(error.to_string().contains("rotated"));

    lock(&server.policy).tokens = |_| Some(TokenAnswer::Refused(Refusal::TokenExpired));
    let error = try_join(server.addr, &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::TokenExpired), "{error}");

    let other = Token::new(ClusterId([1; 16]), [9; 16]);
    let error = try_join(server.addr, &other).await.unwrap_err();
    assert!(matches!(error, JoinError::OtherCluster(addr) if addr == server.addr), "{error}");

    lock(&server.policy).tokens = |_| None;
    let error = try_join(server.addr, &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::Busy(_)), "{error}");
    server.until(|stats| stats.joins_refused == 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_after_the_handshake_arrive_too() {
    let server = server();
    lock(&server.policy).joins = |_, _| Some(Err(Refusal::ClusterFull.into()));
    let error = try_join(server.addr, &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::ClusterFull), "{error}");
    lock(&server.policy).joins = |_, _| Some(Err(JoinRefusal::Text("clock off by 3 h".into())));
    let error = try_join(server.addr, &token()).await.unwrap_err();
    assert!(matches!(&error, JoinError::Refused(text) if text == "clock off by 3 h"), "{error}");
    lock(&server.policy).joins = |_, _| None;
    let error = try_join(server.addr, &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::Busy(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_hold_the_token_gets_nothing() {
    // It copied the token's public id, but the secret behind it is another.
    let server = server();
    lock(&server.policy).tokens = |_| Some(TokenAnswer::Good(Token::new(CLUSTER, [1; 16]).psk()));
    let error = try_join(server.addr, &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::Closed(_)), "{error}");
    server.until(|stats| stats.handshakes_refused == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_in_progress_are_bounded() {
    let server = server_with(Limits { joins: 0, ..limits() });
    let error = try_join(server.addr, &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::Busy(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_there_is_told_from_somebody_else() {
    let free = std::net::TcpListener::bind(own_host(4)).unwrap();
    let addr = free.local_addr().unwrap();
    drop(free);
    let error = try_join(addr, &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::NothingListens(a) if a == addr), "{error}");

    // Accepts (the kernel does) and says nothing.
    let silent = std::net::TcpListener::bind(loopback()).unwrap();
    let addr = silent.local_addr().unwrap();
    let short = Duration::from_millis(100);
    let error = join(addr, &token(), &identity(2), vec![], short).await.unwrap_err();
    assert!(matches!(error, JoinError::NoAnswer(_)), "{error}");
}

/// A server that says `words` to the first connection and closes.
fn saying(words: &'static [u8]) -> SocketAddr {
    let listener = std::net::TcpListener::bind(loopback()).unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(words).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        // Until the joiner closes: unread bytes would turn the end into a reset.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    addr
}

#[tokio::test]
async fn other_programs_and_other_versions_are_named() {
    let error = try_join(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::NotNetnode(_)), "{error}");
    let error = try_join(saying(b"NDBr\x09\x04"), &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::Version { theirs: 9, .. }), "{error}");
    let error = try_join(saying(b""), &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::Closed(_)), "{error}");
    let error = try_join(saying(b"NDBr\x01\x00\x00\x03abc"), &token()).await.unwrap_err();
    assert!(matches!(error, JoinError::NotProven(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_of_another_version_is_told_so() {
    let server = server();
    let addr = server.addr;
    let reply = tokio::task::spawn_blocking(move || {
        let mut stream = std::net::TcpStream::connect(addr).unwrap();
        // Shorter than a hello of ours.
        stream.write_all(b"NDBs\x02\x01").unwrap();
        let mut reply = [0; 6];
        stream.read_exact(&mut reply).unwrap();
        reply
    });
    assert_eq!(reply.await.unwrap(), *b"NDBr\x01\x04");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_in_the_middle_is_named() {
    let config =
        Config { listen: loopback(), identity: identity(1), cluster: CLUSTER, limits: limits() };
    let (transport, mut inbox) = Transport::bind(config).unwrap();
    let addr = transport.local_addr();
    let joining = tokio::spawn(async move { try_join(addr, &token()).await });
    match inbox.recv().await {
        Some(Incoming::Token { reply, .. }) => {
            reply.send(TokenAnswer::Good(token().psk())).unwrap();
        }
        other => panic!("{other:?}"),
    }
    let request = inbox.recv().await;
    assert!(matches!(request, Some(Incoming::Join { .. })));
    transport.shutdown().await;
    let error = joining.await.unwrap().unwrap_err();
    assert!(matches!(error, JoinError::Closed(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_takes_too_long_is_busy() {
    let limits = Limits { join_answer: Duration::from_millis(50), ..limits() };
    let config = Config { listen: loopback(), identity: identity(1), cluster: CLUSTER, limits };
    let (transport, mut inbox) = Transport::bind(config).unwrap();
    let addr = transport.local_addr();
    let joining = tokio::spawn(async move { try_join(addr, &token()).await });
    let Some(Incoming::Token { reply, .. }) = inbox.recv().await else { panic!("no token") };
    reply.send(TokenAnswer::Good(token().psk())).unwrap();
    let Some(Incoming::Join { reply, .. }) = inbox.recv().await else { panic!("no join") };
    let error = joining.await.unwrap().unwrap_err();
    assert!(matches!(error, JoinError::Busy(_)), "{error}");
    assert!(reply.send(Ok(vec![])).is_err(), "nobody waits for it any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_request_is_refused_by_the_server_too() {
    let server = server();
    lock(&server.policy).joins = |_, _| panic!("was passed on");
    let keys = Keys { identity: identity(2), cluster: CLUSTER };
    let hello = Hello { tag: ClusterTag::of(CLUSTER), mode: Mode::Join(token().id()) };
    let mut stream = tokio::net::TcpStream::connect(server.addr).await.unwrap();
    let psk = token().psk();
    let secured = initiate(&mut stream, &keys, hello, Some(&psk), None).await.unwrap();
    let (mut reader, mut writer) = seal(stream, &secured);
    assert_eq!(reader.next(None, DEADLINE).await.unwrap(), Record::Ack(0));
    let deadline = tokio::time::Instant::now() + DEADLINE;
    let _ = writer.start(&vec![0; MAX_JOIN_REQUEST + 1], deadline).await.unwrap();
    assert!(reader.message(100, deadline).await.is_err());
    server.until(|stats| stats.joins_refused == 1).await;
}
