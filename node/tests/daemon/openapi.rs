//! The description of the API against the daemon that serves it: every path and method that is described
//! answers as described, and no other does.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    harness::{Host, text},
    schema,
};

/// An answer: its status, its type, and its body.
struct Answer {
    status: u16,
    kind: String,
    body: String,
}

/// Asks, and reads until the end, or until `enough` is in the answer.
fn ask(host: &Host, method: &str, path: &str, body: &str, enough: Option<&str>) -> Answer {
    let mut stream = UnixStream::connect(host.socket()).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 8192]);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        answer.extend_from_slice(&buffer[..read]);
        if read == 0 || enough.is_some_and(|enough| text(&answer).contains(enough)) {
            break;
        }
    }
    let answer = text(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
        found.next().map_or("", |(_, value)| value)
    };
    let chunked = header("transfer-encoding") == "chunked";
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, kind: header("content-type").to_owned(), body }
}

/// The whole chunks of a body.
fn unchunked(mut body: &str) -> String {
    let mut plain = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 || rest.len() < size + 2 {
            break;
        }
        plain.push_str(&rest[..size]);
        body = &rest[size + 2..];
    }
    plain
}

/// The JSON documents of a body of this type.
fn documents(kind: &str, body: &str) -> Vec<Value> {
    let parsed = |text: &str| serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
    match kind {
        "application/json" => vec![parsed(body)],
        "application/x-ndjson" => body.lines().map(parsed).collect(),
        "text/event-stream" => body
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .map(|l| parsed(l.trim()))
            .collect(),
        _ => Vec::new(),
    }
}

/// What a described request needs: its parameters, and its body.
fn example(operation: &str) -> (&'static str, String) {
    let write = json!({ "network": "blue", "table": "t", "lifetime": "cluster", "operation": "upsert",
        "key": { "encoding": "text", "data": "k" }, "value": { "encoding": "text", "data": "v" } });
    let row = json!({ "key": { "encoding": "text", "data": "l" }, "value": { "encoding": "hex", "data": "ff" } });
    match operation {
        "write" => ("", write.to_string()),
        "load" => ("?network=blue&table=t&lifetime=owner&operation=upsert", row.to_string()),
        "diff" => ("?left=a&right=b", String::new()),
        "createNetwork" => ("", json!({ "name": "blue", "driver": "overlay" }).to_string()),
        "createService" => ("", json!({ "name": "web", "network": "blue" }).to_string()),
        "updateService" => ("", json!({ "label": { "tier": "front" } }).to_string()),
        "ipamReclaim" => ("", json!({ "nodes": ["c"], "check": true }).to_string()),
        "rotateToken" => ("", json!({ "expires_after_secs": 3600 }).to_string()),
        "dnsQuery" => ("?endpoint=e&name=web", String::new()),
        "rows" | "tables" | "watch" => ("?network=blue", String::new()),
        _ => ("", String::new()),
    }
}

/// Reads come after writes, and what ends something comes last.
fn turn(operation: &str) -> u8 {
    match operation {
        "attach" | "createNetwork" => 0,
        "write" | "load" | "createService" => 1,
        "detach" | "removeService" => 3,
        "removeNetwork" => 4,
        "leave" => 5,
        _ => 2,
    }
}

struct Operation {
    path: String,
    method: String,
    id: String,
    description: Value,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, description) in methods.as_object().unwrap() {
            let id = description["operationId"].as_str().unwrap().to_owned();
            let (path, method, description) = (path.clone(), method.clone(), description.clone());
            all.push(Operation { path, method, id, description });
        }
    }
    all.sort_by_key(|operation| turn(&operation.id));
    all
}

/// Whether the answer is one of those that are described.
fn check(document: &Value, operation: &Operation, answer: &Answer, good: bool) {
    let responses = &operation.description["responses"];
    let Answer { status, kind, body } = answer;
    let response = if good { &responses[status.to_string()] } else { &responses["default"] };
    assert!(response.is_object(), "{}: {status} is not described: {body}", operation.id);
    let content = &response["content"];
    if content.is_null() {
        assert_eq!(body, "", "{}", operation.id);
        return;
    }
    let schema = content.get(kind).unwrap_or_else(|| panic!("{}: {kind}", operation.id));
    let documents = documents(kind, body);
    let Some(schema) = schema.get("schema") else { return };
    assert!(!documents.is_empty(), "{}: nothing in {body:?}", operation.id);
    for found in documents {
        if let Err(error) = schema::check(document, schema, &found) {
            panic!("{}: {error}\n{found}", operation.id);
        }
    }
}

#[test]
fn every_path_answers_as_described() {
    let mut host = Host::running("a");
    let _other = Host::joined("b", &host);
    let mut gone = Host::joined("c", &host);
    gone.ok("leave --yes");
    assert!(gone.ended().success());
    let served = ask(&host, "GET", "/v1/openapi.json", "", None);
    let document: Value = serde_json::from_str(&served.body).unwrap();
    assert_eq!(served.body, include_str!("../../../docs/openapi.json"));
    let all = operations(&document);
    for operation in &all {
        let path = operation.path.replace("{network}", "blue").replace("{endpoint}", "e");
        let path = path.replace("{service}", "web");
        let (query, body) = example(&operation.id);
        let enough = (operation.id == "watch").then_some("\"snapshot\"");
        let method = operation.method.to_uppercase();
        let answer = ask(&host, &method, &format!("{path}{query}"), &body, enough);
        // Nobody's namespace is changed here, so there is no endpoint: see the data plane's tests.
        let of_endpoints = ["attachEndpoint", "detachEndpoint", "changeBackend", "dnsQuery"];
        check(&document, operation, &answer, !of_endpoints.contains(&&*operation.id));
    }
    assert!(all.iter().any(|operation| operation.id == "leave"));
    assert!(host.ended().success(), "leaving was last");
}

#[test]
fn what_is_not_described_is_refused_as_described() {
    let host = Host::running("a");
    let document = ask(&host, "GET", "/v1/openapi.json", "", None).body;
    let document: Value = serde_json::from_str(&document).unwrap();
    let all = operations(&document);
    let described: BTreeSet<(&str, &str)> =
        all.iter().map(|operation| (&*operation.path, &*operation.method)).collect();
    for operation in &all {
        for method in ["get", "put", "post", "delete", "patch"] {
            if !described.contains(&(&*operation.path, method)) {
                let path = operation.path.replace("{network}", "blue");
                let answer = ask(&host, &method.to_uppercase(), &path, "", None);
                assert_eq!(answer.status, 404, "{method} {path}");
                check(&document, operation, &answer, false);
            }
        }
    }
    for path in ["/", "/v1", "/v2/status", "/v1/openapi", "/v1/scopes/blue/x"] {
        assert_eq!(ask(&host, "GET", path, "", None).status, 404, "{path}");
    }
}
