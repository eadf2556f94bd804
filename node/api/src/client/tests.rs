//! The client against canned answers on a real socket.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixListener,
};

use super::*;
use crate::{
    error::Code,
    rows::{Lifetime, Load, LoadRow, Operation, WatchEvent},
};

/// A client of a daemon that answers the first connection with `answer`, and what it was asked.
fn answering(answer: String) -> (Client, tempfile::TempDir, tokio::task::JoinHandle<String>) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let finished = |request: &[u8]| {
            let text = String::from_utf8_lossy(request).to_lowercase();
            let chunked = text.contains("transfer-encoding: chunked");
            if chunked { text.ends_with("0\r\n\r\n") } else { text.contains("\r\n\r\n") }
        };
        while !finished(&request) {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (Client::new(socket), dir, asked)
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_missing_socket_is_named_and_hinted_at() {
    let dir = tempfile::tempdir().unwrap();
    let client = Client::new(dir.path().join("none.sock"));
    let error = client.status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }));
    assert!(error.to_string().contains("none.sock"), "{error}");
    assert!(error.hint().unwrap().contains("--socket"));
}

#[tokio::test]
async fn a_refusal_carries_code_and_hint() {
    let body = r#"{"error":{"code":"not_attached","message":"no blue here","hint":"attach"}}"#;
    let (client, _dir, asked) = answering(http("404 Not Found", body));
    let error = client.peers("blue").await.unwrap_err();
    assert_eq!(error.to_string(), "no blue here");
    assert_eq!(error.hint().as_deref(), Some("attach"));
    assert!(matches!(error, ClientError::Refused(p) if p.code == Code::NotAttached));
    assert!(asked.await.unwrap().starts_with("GET /v1/scopes/blue/peers HTTP/1.1\r\n"));
}

#[tokio::test]
async fn another_servers_answer_is_not_understood() {
    let (client, _dir, _asked) = answering(http("502 Bad Gateway", "<html>"));
    let error = client.members().await.unwrap_err();
    assert!(error.to_string().contains("502 Bad Gateway"), "{error}");
    let (client, _dir, _asked) = answering(http("200 OK", "{}"));
    assert!(matches!(client.members().await, Err(ClientError::NotUnderstood(_))));
}

#[tokio::test]
async fn a_list_ends_with_its_last_line_or_with_the_reason_why_not() {
    let (client, _dir, _asked) = answering(http("200 OK", ""));
    assert!(client.rows(&RowQuery::default()).await.unwrap().collect().await.unwrap().is_empty());
    let failed = r#"{"error":{"code":"stopping","message":"going"}}"#;
    let (client, _dir, _asked) = answering(http("200 OK", failed));
    let error = client.rows(&RowQuery::default()).await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.to_string(), "going");
}

#[tokio::test]
async fn a_watch_tells_a_good_end_from_a_cut() {
    let body = ": heartbeat\n\nevent: snapshot\ndata: {\"type\":\"snapshot\"}\n\n";
    let end = "event: end\ndata: {\"type\":\"end\"}\n\n";
    let (client, _dir, _asked) = answering(http("200 OK", &format!("{body}{end}")));
    let mut watch = client.watch(&RowQuery::default()).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), Some(WatchEvent::Snapshot));
    assert_eq!(watch.next().await.unwrap(), None);
    assert_eq!(watch.next().await.unwrap(), None);
    let (client, _dir, _asked) = answering(http("200 OK", body));
    let mut watch = client.watch(&RowQuery::default()).await.unwrap();
    assert_eq!(watch.next().await.unwrap(), Some(WatchEvent::Snapshot));
    assert!(matches!(watch.next().await, Err(ClientError::Broken(_))));
}

#[tokio::test]
async fn a_load_goes_out_as_one_body() {
    let answer = http("200 OK", r#"{"written":2,"refused":0,"refusals":[]}"#);
    let (client, _dir, asked) = answering(answer);
    let load = Load {
        network: "blue".into(),
        table: "hosts".into(),
        lifetime: Lifetime::Owner,
        operation: Operation::Upsert,
        keep_going: false,
    };
    let mut loader = client.load(&load);
    for key in ["a", "b"] {
        assert!(loader.send(&LoadRow { key: key.into(), value: "1".into() }).await.unwrap());
    }
    assert_eq!(loader.finish().await.unwrap().written, 2);
    let asked = asked.await.unwrap();
    let path = "/v1/rows/load?network=blue&table=hosts&lifetime=owner&operation=upsert";
    assert!(asked.starts_with(&format!("POST {path} HTTP")), "{asked}");
    assert_eq!(asked.matches("\"encoding\":\"text\"").count(), 4);
}
