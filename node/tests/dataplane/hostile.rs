//! A container that floods its resolver, or sends what is no query: the others don't notice, and nothing breaks.

use std::{
    io::{Read, Write},
    net::{TcpStream, UdpSocket},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use crate::{
    daemon::{Daemon, until},
    lab::{Lab, inside},
    names::{short, site},
    upstreams::{asking, is_sound, serve},
};

const RESOLVER: &str = "127.0.0.11:53";
/// Beyond that a flood has to be enough.
const MAX_FLOOD: u32 = 20_000;
/// Queries of a flood between two short pauses; and of an honest container meanwhile.
const BURST: u32 = 50;
const HONEST: usize = 20;
/// Longer than anything that is answered at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// RFC 1035, 4.1.1: recursion is desired.
const QUERY: [u8; 2] = [1, 0];
const RESPONSE: [u8; 2] = [0x81, 0x80];

/// A message with this number and these flags, its counts of sections, and what follows.
fn message(id: u16, flags: [u8; 2], counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    let counts = counts.map(u16::to_be_bytes).concat();
    [&id.to_be_bytes()[..], &flags, &counts, rest].concat()
}

/// A question for an A record of a name.
fn question(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.') {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend(label.as_bytes());
    }
    [&wire[..], &[0, 0, 1, 0, 1]].concat()
}

fn query(id: u16, name: &str) -> Vec<u8> {
    message(id, QUERY, [1, 0, 0, 0], &question(name))
}

/// A UDP socket in a sandbox that sends to its resolver, and waits for it a while.
fn socket(sandbox: &Path) -> UdpSocket {
    inside(sandbox, || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(RESOLVER).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    })
}

fn connection(sandbox: &Path) -> TcpStream {
    let stream = inside(sandbox, || TcpStream::connect(RESOLVER).unwrap());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// What comes back for a message, if anything does: all that comes before the answer to an honest query.
fn answered(socket: &UdpSocket, number: u16, bytes: &[u8], own: &str) -> Vec<Vec<u8>> {
    // An oversized one may not even leave.
    let _ = socket.send(bytes);
    socket.send(&query(number, own)).unwrap();
    let (mut all, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let length = socket.recv(&mut buffer).unwrap();
        let answer = buffer[..length].to_vec();
        if answer[..2] == number.to_be_bytes() {
            assert_eq!(&answer[3..4], &[0x80], "the honest one is answered: {answer:?}");
            return all;
        }
        all.push(answer);
    }
}

/// Messages that no resolver sends, all with this number; and the code of each one's answer, if it has one
/// (RFC 1035, 4.1.1).
fn hostile(id: u16) -> Vec<(&'static str, Vec<u8>, Option<u8>)> {
    let one = |rest: &[u8]| message(id, QUERY, [1, 0, 0, 0], rest);
    let a_in = [0, 1, 0, 1];
    let long: Vec<u8> = (0..5).flat_map(|_| [&[63][..], &[b'a'; 63]].concat()).collect();
    let many: Vec<u8> = (0..130).flat_map(|_| [1, b'a']).collect();
    let good = question("example.org");
    let mut opcode = query(id, "example.org");
    opcode[2] |= 5 << 3;
    vec![
        ("nothing", vec![], None),
        ("half a header", query(id, "example.org")[..7].to_vec(), None),
        ("a response", message(id, RESPONSE, [1, 0, 0, 0], &good), None),
        ("an update", opcode, Some(4)),
        ("no question", message(id, QUERY, [0; 4], &[]), Some(1)),
        ("two questions", message(id, QUERY, [2, 0, 0, 0], &[&good[..], &good].concat()), Some(1)),
        ("counts that lie", message(id, QUERY, [1, u16::MAX, u16::MAX, u16::MAX], &good), Some(1)),
        ("a name that is cut", one(b"\x3fabc"), Some(1)),
        ("a pointer to itself", one(&[&[0xc0, 12][..], &a_in].concat()), Some(1)),
        (
            "pointers in a circle",
            one(&[&[1, b'a', 0xc0, 16, 0xc0, 14][..], &a_in].concat()),
            Some(1),
        ),
        ("a pointer ahead", one(&[&[0xc0, 200][..], &a_in].concat()), Some(1)),
        ("a reserved label", one(&[&[0x80, 1, 0][..], &a_in].concat()), Some(1)),
        ("labels beyond 255 bytes", one(&[&long[..], &[0], &a_in].concat()), Some(1)),
        ("many labels beyond 255 bytes", one(&[&many[..], &[0], &a_in].concat()), Some(1)),
        ("a datagram too large", [&query(id, "example.org")[..], &[0; 2_000]].concat(), None),
    ]
}

fn started(test: &str) -> Option<(Lab, Vec<Daemon>, [PathBuf; 2])> {
    let (lab, mut daemons) = site(test, 1)?;
    serve(&lab.hosts[0].namespace, "192.0.2.1");
    let boxes = ["bad", "good"].map(|name| {
        let sandbox = lab.namespace(name);
        daemons[0].attach("web", name, &sandbox);
        sandbox
    });
    asking(&mut daemons[0], "192.0.2.1", &boxes[0], "bad");
    until("both are answered", || short(&boxes[1], "good A").len() == 1);
    Some((lab, daemons, boxes))
}

#[test]
fn one_containers_flood_keeps_no_other_waiting() {
    let test = "one_containers_flood_keeps_no_other_waiting";
    let Some((_lab, daemons, [bad, good])) = started(test) else { return };
    let pid = daemons[0].pid();
    let over = AtomicBool::new(false);
    let sent = thread::scope(|scope| {
        let flood = scope.spawn(|| {
            let socket = socket(&bad);
            let mut sent = 0;
            while sent < MAX_FLOOD && !over.load(Relaxed) {
                for number in sent..sent + BURST {
                    // Names that nobody outside answers, each another one; and some of ours.
                    let name = if number % 4 == 0 {
                        "bad".to_owned()
                    } else {
                        format!("silent.{number}.example")
                    };
                    let id = u16::try_from(number % 65_536).unwrap();
                    // Where the socket is full, it is flooded.
                    let _ = socket.send(&query(id, &name));
                }
                sent += BURST;
                thread::sleep(Duration::from_millis(5));
            }
            sent
        });
        // Each within the two seconds that `dig` waits, at its first try.
        until("the flood has begun", || daemons[0].events("refused_by_share") > 0);
        for number in 0..HONEST {
            assert_eq!(short(&good, "bad A").len(), 1, "{number}");
            assert_eq!(short(&good, &format!("honest-{number}.example A")), ["198.51.100.1"]);
        }
        over.store(true, Relaxed);
        flood.join().unwrap()
    });
    assert!(sent > BURST, "{sent}");
    // Also who flooded is served again, once its share is free.
    until("its own trouble is over", || short(&bad, "later.example A") == ["198.51.100.1"]);
    is_sound(&daemons[0], pid, &bad, "bad");
    is_sound(&daemons[0], pid, &good, "good");
}

#[test]
fn what_is_no_query_is_refused_or_dropped() {
    let test = "what_is_no_query_is_refused_or_dropped";
    let Some((_lab, daemons, [bad, good])) = started(test) else { return };
    let pid = daemons[0].pid();
    let socket = socket(&bad);
    for (honest, (what, bytes, code)) in (1..).zip(hostile(0xbeef)) {
        let all = answered(&socket, honest, &bytes, "bad");
        let codes: Vec<u8> = all.iter().map(|answer| answer[3] & 0b1111).collect();
        assert_eq!(codes, Vec::from_iter(code), "{what}: {all:?}");
        for answer in &all {
            assert_eq!(answer[..2], [0xbe, 0xef], "{what}");
            assert!(answer[2] & 0x80 != 0 && answer.len() <= 512, "{what}: {answer:?}");
        }
    }
    is_sound(&daemons[0], pid, &bad, "bad");
    is_sound(&daemons[0], pid, &good, "good");
}

#[test]
fn what_is_no_query_over_tcp_costs_its_own_connection() {
    let test = "what_is_no_query_over_tcp_costs_its_own_connection";
    let Some((_lab, daemons, [bad, good])) = started(test) else { return };
    let pid = daemons[0].pid();
    for (what, bytes, code) in hostile(0xbeef) {
        let mut stream = connection(&bad);
        let length = u16::try_from(bytes.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length, &bytes[..]].concat()).unwrap();
        let mut honest = query(7, "bad");
        let length = u16::try_from(honest.len()).unwrap().to_be_bytes();
        honest.splice(..0, length);
        // The connection may have been ended for what came before.
        let _ = stream.write_all(&honest);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        if code.is_some() {
            assert_eq!(Some(all[5] & 0b1111), code, "{what}: {all:?}");
        }
    }
    // Longer than any query, by what it says of itself.
    let mut stream = connection(&bad);
    stream.write_all(&[0xff; 3]).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
    // More connections than one container has; each says half of a query and nothing more.
    let idle: Vec<TcpStream> = (0..40)
        .map(|_| {
            let mut stream = connection(&bad);
            // One that is over its bound is closed at once.
            let _ = stream.write_all(&[0, 40, 1]);
            stream
        })
        .collect();
    until("the bound is reached", || daemons[0].events("refused_connections") > 0);
    is_sound(&daemons[0], pid, &bad, "bad");
    // The bound is of one container: others have theirs.
    assert_eq!(short(&good, "+tcp bad A").len(), 1);
    drop(idle);
    until("it has room again", || short(&bad, "+tcp bad A").len() == 1);
    is_sound(&daemons[0], pid, &good, "good");
}
