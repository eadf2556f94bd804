//! Metrics over TCP: for this host only, and nothing but metrics.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use crate::harness::{Host, text, until};

/// A port that was free a moment ago.
fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn ask(address: &str, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn metrics_and_nothing_else_are_served_over_tcp() {
    let mut host = Host::bare("a");
    host.init();
    let address = free();
    host.start(&["--metrics-listen", &address]);
    let answer = ask(&address, "GET", "/metrics");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(body.contains("\nnetnode_members{state=\"alive\"} 1\n"), "{body}");
    for path in ["/v1/metrics", "/v1/status", "/v1/token", "/v1/keys", "/"] {
        let answer = ask(&address, "GET", path);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
    }
    let answer = ask(&address, "POST", "/v1/leave");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    // Who says nothing does not keep it from stopping, and the port is free again then.
    let idle = TcpStream::connect(&address).unwrap();
    host.stop();
    drop(idle);
    until("the port is free", || TcpListener::bind(&address).is_ok());
}

#[test]
fn an_address_that_others_reach_is_refused() {
    let host = Host::bare("a");
    host.init();
    let done = host.netnode(&["--metrics-listen", "0.0.0.0:9740"]);
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{told}");
    let expected =
        "metrics_listen = 0.0.0.0:9740 (flag --metrics-listen): expected a loopback address";
    assert!(told.contains(expected), "{told}");
}

#[test]
fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let host = Host::bare("a");
    host.init();
    let done = host.netnode(&["--metrics-listen", &address]);
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(told.contains(&address) && told.contains("--metrics-listen"), "{told}");
    assert!(!host.socket().exists());
}
