//! The control API below the client: what a stranger on the socket hears.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde_json::Value;

use crate::harness::{Host, until};

/// Sends bytes; returns the status and the body of the answer. A request that is refused may be answered,
/// and the connection closed, before all of it was read.
fn ask(host: &Host, request: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    if let Err(error) = stream.write_all(request.as_bytes()) {
        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    }
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

fn request(method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

#[test]
fn every_mistake_is_answered_in_one_shape() {
    let host = Host::running("a");
    let told = |request: &str, status: u16, code: &str| {
        let (got, body) = ask(&host, request);
        assert_eq!(got, status, "{request}: {body}");
        assert_eq!(body["error"]["code"], code, "{request}: {body}");
        assert!(body["error"]["message"].is_string());
    };
    told(&request("GET", "/v1/nothing", ""), 404, "not_found");
    told(&request("DELETE", "/v1/status", ""), 404, "not_found");
    told(&request("GET", "/v1/rows?tabel=x", ""), 400, "invalid");
    told(&request("GET", "/v1/rows?key=a&prefix=b", ""), 400, "invalid");
    told(&request("GET", "/v1/rows?prefix=zz&encoding=hex", ""), 400, "invalid");
    told(&request("POST", "/v1/rows", "{"), 400, "invalid");
    told(&request("POST", "/v1/rows", "{}"), 400, "invalid");
    told(&request("PUT", "/v1/scopes/a%2Fb", ""), 400, "invalid");
    told(&request("PUT", "/v1/scopes/_cluster", ""), 403, "reserved");
    told(&request("POST", "/v1/rows", &"x".repeat(600 * 1024)), 413, "too_large");
    let load = "/v1/rows/load?network=_cluster&table=t&lifetime=owner&operation=delete";
    told(&request("POST", load, ""), 400, "invalid");
    let (status, body) = ask(&host, &request("GET", "/v1/members", ""));
    assert_eq!((status, &body[0]["is_self"]), (200, &Value::Bool(true)));
}

#[test]
fn clients_that_say_nothing_stop_nobody_and_no_stop() {
    let mut host = Host::running("a");
    let idle: Vec<UnixStream> =
        (0..64).map(|_| UnixStream::connect(host.socket()).unwrap()).collect();
    let mut half = UnixStream::connect(host.socket()).unwrap();
    half.write_all(b"POST /v1/rows HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").unwrap();
    host.ok("status");
    host.stop();
    drop(idle);
}

/// As many connections as netnode serves at a time.
const MAX_CONNECTIONS: usize = 256;

#[test]
fn a_connection_over_the_limit_is_told_so_and_a_freed_one_is_served() {
    let host = Host::running("a");
    let connect = || UnixStream::connect(host.socket()).unwrap();
    let mut open: Vec<UnixStream> = (1..MAX_CONNECTIONS).map(|_| connect()).collect();
    // The last one that fits.
    assert!(host.ctl("status").code == 0);
    until("the limit is reached", || {
        open.push(connect());
        host.ctl("status").err.contains("256 connections to the control socket are open already")
    });
    open.clear();
    until("connections are served again", || host.ctl("status").code == 0);
}
