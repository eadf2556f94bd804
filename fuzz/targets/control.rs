//! What reaches the daemon from its own host: bodies and parameters of the control API, and the
//! configuration file. A request is answered in the shape that is promised, whatever is in it.
#![no_main]

use std::{
    env,
    fmt::Debug,
    fs,
    io::{Read, Write as _},
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use libfuzzer_sys::fuzz_target;
use netdb_fuzz::{script, seeds};
use netnode::settings::{Sources, table::SETTINGS};
use netnode_api::{
    Payload,
    error::ErrorBody,
    keys::RotateToken,
    paths,
    rows::{Lifetime, Load, LoadRow, Operation, RowQuery, Write},
};
use serde::{Serialize, de::DeserializeOwned};

/// The configuration file; whatever is not a request.
const FILE: u8 = 0xff;

/// Every request that is answered and after which the daemon goes on.
const REQUESTS: [(&str, &str); 18] = [
    ("POST", paths::ROWS),
    ("POST", paths::LOAD),
    ("GET", paths::ROWS),
    ("GET", paths::TABLES),
    ("PUT", paths::SCOPE),
    ("DELETE", paths::SCOPE),
    ("GET", paths::PEERS),
    ("POST", paths::COMPLETE),
    ("POST", paths::ROTATE_TOKEN),
    ("POST", paths::ROTATE_KEYS),
    ("GET", paths::TOKEN),
    ("GET", paths::KEYS),
    ("GET", paths::STATUS),
    ("GET", paths::MEMBERS),
    ("GET", paths::SCOPES),
    ("GET", paths::STATS),
    ("GET", paths::METRICS),
    ("POST", paths::RELOAD),
];

fuzz_target!(init: begin(), |input: &[u8]| {
    let Some((kind, mut input)) = input.split_first() else { return };
    if *kind == FILE {
        return configure(input);
    }
    let length = usize::from(script::byte(&mut input));
    let (query, body) = (script::bytes(&mut input, length), input);
    read(query, body);
    let (method, path) = REQUESTS[usize::from(*kind) % REQUESTS.len()];
    request(method, path, query, body);
});

fn begin() {
    seeds::plant(seeds);
    daemon();
}

/// What is read and written again reads as the same.
fn read(query: &[u8], body: &[u8]) {
    stable::<Write>(body);
    stable::<LoadRow>(body);
    stable::<RotateToken>(body);
    stable::<RowQuery>(body);
    stable::<Load>(body);
    stable::<Payload>(body);
    stable::<ErrorBody>(body);
    if let Ok(asked) = serde_json::from_slice::<RowQuery>(query) {
        let _ = asked.prefix_bytes();
    }
}

fn stable<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let again = serde_json::to_vec(&value).expect("it can be written");
    assert_eq!(serde_json::from_slice::<T>(&again).expect("it can be read"), value);
}

/// The directory of the daemon and of the configuration file.
fn directory() -> &'static PathBuf {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| env::temp_dir().join(format!("netdb-fuzz-{}", std::process::id())))
}

/// A configuration file holds what it says, or every fault in it is told.
fn configure(content: &[u8]) {
    let path = directory().join("file.toml");
    fs::write(&path, content).expect("a file");
    let sources = Sources { config: Some(path), ..Sources::default() };
    let resolved = match sources.resolve() {
        Ok(resolved) => resolved,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let mut settings = resolved.settings.clone();
    for setting in SETTINGS {
        let Some(text) = (setting.get)(&resolved.settings) else { continue };
        (setting.set)(&mut settings, &text).expect("what is shown can be set");
        assert_eq!((setting.get)(&settings), Some(text), "{}", setting.name);
    }
}

/// The socket of the daemon, which runs for as long as the fuzzer.
fn daemon() -> &'static PathBuf {
    static SOCKET: OnceLock<PathBuf> = OnceLock::new();
    SOCKET.get_or_init(|| {
        let socket = directory().join("s");
        fs::create_dir_all(directory()).expect("a directory");
        let run = |command: &'static [&'static str]| {
            let state = directory().join("state").display().to_string();
            let socket = directory().join("s").display().to_string();
            let fixed = ["netnode", "--profile", "local", "--listen", "127.0.0.1:0", "--name", "n"];
            let words = fixed.map(str::to_owned).into_iter();
            let words =
                words.chain(["--log-level", "off", "--state-dir", &state].map(str::to_owned));
            let words = words.chain(["--socket".to_owned(), socket]);
            // Little, so that inputs that fill it are soon refused.
            let words = words.chain(["--max-entries", "200"].map(str::to_owned));
            netnode::main(words.chain(command.iter().copied().map(str::to_owned)).map(Into::into))
        };
        run(&["init"]);
        thread::spawn(move || run(&[]));
        let limit = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(&socket).is_err() {
            assert!(Instant::now() < limit, "the daemon does not start");
            thread::sleep(Duration::from_millis(10));
        }
        socket
    })
}

/// One request; what is answered must be a success or an explained refusal.
fn request(method: &str, path: &str, query: &[u8], body: &[u8]) {
    // The network's name stands in the path, or else the query behind it.
    let path = if path.contains("{network}") {
        paths::of_network(path, &String::from_utf8_lossy(query))
    } else {
        format!("{path}?{}", escaped(query))
    };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: n\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let mut stream = UnixStream::connect(daemon()).expect("the daemon lives");
    // It may have answered before it read everything.
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let status =
        answer.get(9..12).and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
    let status: u16 = status.expect("an answer");
    assert!(status != 500, "a fault of the node's own: {}", String::from_utf8_lossy(&answer));
    if status >= 300 {
        let text = String::from_utf8_lossy(&answer);
        let (_, body) = text.split_once("\r\n\r\n").expect("a body");
        let ErrorBody { error } = serde_json::from_str(body).expect("an explained refusal");
        assert_eq!(error.code.status(), status);
        assert!(!error.message.is_empty());
    }
}

/// What may not stand in a request line is escaped.
fn escaped(query: &[u8]) -> String {
    let keep = |byte: &u8| byte.is_ascii_graphic() && !b"#<>\"{}|\\^`".contains(byte);
    query
        .iter()
        .map(|byte| if keep(byte) { char::from(*byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn seeds() -> Vec<Vec<u8>> {
    let of = |method: &str, path: &str, query: &str, body: &[u8]| {
        let place = REQUESTS.iter().position(|request| *request == (method, path));
        let kind = u8::try_from(place.unwrap_or(0)).unwrap_or(0);
        let length = u8::try_from(query.len()).expect("a short query");
        [&[kind, length], query.as_bytes(), body].concat()
    };
    let write = |operation, lifetime, value: Option<Payload>| {
        let (network, table) = ("blue".to_owned(), "t".to_owned());
        let key = Payload(vec![0xff, 1]);
        serde_json::to_vec(&Write { network, table, lifetime, operation, key, value })
            .unwrap_or_default()
    };
    let load = "network=blue&table=t&lifetime=owner&operation=upsert&keep_going=true";
    let row = LoadRow { key: "a".into(), value: Payload(vec![0x80]) };
    let row = serde_json::to_vec(&row).unwrap_or_default();
    let rows = [row.as_slice(), b"\n\n", &row, b"\n{}\n"].concat();
    let mut seeds: Vec<Vec<u8>> =
        REQUESTS.iter().map(|(method, path)| of(method, path, "blue", b"")).collect();
    for operation in [Operation::Create, Operation::Update, Operation::Upsert, Operation::Delete] {
        for lifetime in [Lifetime::Owner, Lifetime::Cluster] {
            let body = write(operation, lifetime, Some("web".into()));
            seeds.push(of("POST", paths::ROWS, "", &body));
        }
    }
    seeds.push(of("POST", paths::ROWS, "", &write(Operation::Delete, Lifetime::Owner, None)));
    seeds.push(of("POST", paths::LOAD, load, &rows));
    seeds.push(of("GET", paths::ROWS, "network=blue&prefix=ff&encoding=hex&failed=true", b""));
    seeds.push(of("GET", paths::ROWS, "table=_nodes&lifetime=owner&owner=n", b""));
    seeds.push(of("GET", paths::TABLES, "key=AA%3D%3D&encoding=base64", b""));
    seeds.push(of("POST", paths::ROTATE_TOKEN, "", b"{\"expires_after_secs\":60}"));
    seeds.push([&[FILE], every_setting().as_bytes()].concat());
    seeds.push(
        [&[FILE], b"profile = \"wan\"\nkey_rotation = \"never\"\nmtu = 1400\n".as_slice()].concat(),
    );
    seeds
}

/// A file that names each setting that has a value.
fn every_setting() -> String {
    let Ok(resolved) = Sources::default().resolve() else { return String::new() };
    let line = |setting: &netnode::settings::table::Setting| {
        Some(format!("{} = {:?}\n", setting.name, (setting.get)(&resolved.settings)?))
    };
    SETTINGS.iter().filter_map(line).collect()
}
