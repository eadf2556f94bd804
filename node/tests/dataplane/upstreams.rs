//! Resolvers of a host that are slow, silent, lying or cut their answers, asked through the daemon by `dig`.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use crate::{
    daemon::{Daemon, until},
    lab::{Lab, inside},
    names::{dig, short, site, status},
    resolvers::Dnsmasq,
};

/// What an honest answer says, and a lie.
const TRUTH: [u8; 4] = [198, 51, 100, 1];
const LIE: [u8; 4] = [203, 0, 113, 66];
/// Beyond what is waited for one answer, 1 s, and within that.
const LATE: Duration = Duration::from_millis(1_500);
const SLOW: Duration = Duration::from_millis(600);
/// Behind the header, where the question's name begins; a pointer to it (RFC 1035, 4.1.4).
const HEADER: usize = 12;
const TO_QUESTION: [u8; 2] = [0xc0, 12];
/// Flags of an answer without and with its cut bit (RFC 1035, 4.1.1).
const ANSWER: [u8; 2] = [0x81, 0x80];
const CUT: [u8; 2] = [0x83, 0x80];

/// What an upstream does with a question, by the first label of the name that is asked for.
fn replies(query: &[u8], over_tcp: bool) -> (Duration, Vec<Vec<u8>>) {
    let label = label(query);
    let truth = answer(query, ANSWER, &[TRUTH]);
    let lies = [wrong_id(query), wrong_question(query), garbage(query), looping(query)];
    let now = Duration::ZERO;
    match label.as_str() {
        "silent" => (now, vec![]),
        "slow" => (SLOW, vec![truth]),
        "late" => (LATE, vec![truth]),
        "wrongid" => (now, vec![wrong_id(query)]),
        "wrongquestion" => (now, vec![wrong_question(query)]),
        "garbage" => (now, vec![garbage(query)]),
        "looping" => (now, vec![looping(query)]),
        "lied" => (now, [lies.as_slice(), &[truth]].concat()),
        "cut" | "many" | "toomany" if !over_tcp => (now, vec![answer(query, CUT, &[])]),
        "cutcut" => (now, vec![answer(query, CUT, &[])]),
        "many" => (now, vec![answer(query, ANSWER, &distinct(100))]),
        "toomany" => (now, vec![answer(query, ANSWER, &distinct(1_100))]),
        _ => (now, vec![truth]),
    }
}

fn label(query: &[u8]) -> String {
    let length = usize::from(query[HEADER]);
    String::from_utf8_lossy(&query[HEADER + 1..=HEADER + length]).to_ascii_lowercase()
}

/// The question of a query, without what follows it.
fn question(query: &[u8]) -> &[u8] {
    let end = query[HEADER..].iter().position(|byte| *byte == 0).unwrap();
    &query[HEADER..HEADER + end + 5]
}

fn answer(query: &[u8], flags: [u8; 2], addresses: &[[u8; 4]]) -> Vec<u8> {
    let count = u16::try_from(addresses.len()).unwrap().to_be_bytes();
    let mut message = [&query[..2], &flags, &[0, 1], &count, &[0; 4], question(query)].concat();
    for address in addresses {
        message.extend(TO_QUESTION);
        // A, IN, 60 s, four bytes.
        message.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        message.extend(address);
    }
    message
}

fn distinct(count: u16) -> Vec<[u8; 4]> {
    (0..count).map(|n| [198, 18, n.to_be_bytes()[0], n.to_be_bytes()[1]]).collect()
}

fn wrong_id(query: &[u8]) -> Vec<u8> {
    let mut message = answer(query, ANSWER, &[LIE]);
    message[0] ^= 0xff;
    message
}

fn wrong_question(query: &[u8]) -> Vec<u8> {
    let mut message = answer(query, ANSWER, &[LIE]);
    message[HEADER + 1] ^= 0x03;
    message
}

/// The right number in front of nothing that could be read.
fn garbage(query: &[u8]) -> Vec<u8> {
    [&query[..2], &ANSWER, &[0xff; 60]].concat()
}

/// An answer whose owner is a pointer to itself.
fn looping(query: &[u8]) -> Vec<u8> {
    let mut message = answer(query, ANSWER, &[LIE]);
    let at = u8::try_from(HEADER + question(query).len()).unwrap();
    message[usize::from(at) + 1] = at;
    message
}

/// Starts one on a host at this address; it ends with the test.
pub(crate) fn serve(host: &Path, at: &str) {
    let at = format!("{at}:53");
    let (udp, tcp) =
        inside(host, || (UdpSocket::bind(&at).unwrap(), TcpListener::bind(&at).unwrap()));
    thread::spawn(move || {
        let mut query = [0; 2_048];
        loop {
            let (length, from) = udp.recv_from(&mut query).unwrap();
            let (delay, messages) = replies(&query[..length], false);
            let udp = udp.try_clone().unwrap();
            let send = move || {
                thread::sleep(delay);
                for message in messages {
                    // Who asked may have gone.
                    let _ = udp.send_to(&message, from);
                }
            };
            if delay.is_zero() { send() } else { drop(thread::spawn(send)) }
        }
    });
    thread::spawn(move || {
        for stream in tcp.incoming() {
            let mut stream = stream.unwrap();
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut query).is_err() {
                continue;
            }
            for message in replies(&query, true).1 {
                let length = u16::try_from(message.len()).unwrap().to_be_bytes();
                // Who asked may have gone.
                let _ = stream.write_all(&[&length, &message[..]].concat());
            }
        }
    });
}

/// Starts the daemon anew, asking these, and waits until it answers in a sandbox that it had.
pub(crate) fn asking(daemon: &mut Daemon, resolvers: &'static str, sandbox: &Path, own: &str) {
    daemon.kill();
    daemon.set("NETNODE_DNS_RESOLVERS", resolvers);
    daemon.start();
    until("it answers again", || !short(sandbox, &format!("{own} A")).is_empty());
}

/// All still is as it was: the process, names of ours, and names of others.
pub(crate) fn is_sound(daemon: &Daemon, pid: u32, sandbox: &Path, own: &str) {
    assert_eq!(daemon.pid(), pid);
    assert_eq!(short(sandbox, &format!("{own} A")).len(), 1);
    assert_eq!(short(sandbox, &format!("after-{own}.example A")), ["198.51.100.1"]);
}

/// How `dig` ends for each of these names, asked for at once; it waits longer than we try.
fn ends(sandbox: &Path, labels: &[&str]) -> Vec<(String, BTreeSet<String>)> {
    thread::scope(|scope| {
        let ask = |label: &&str| {
            let words = format!("+time=8 +ignore {label}.example A");
            scope.spawn(move || {
                let lines = dig(sandbox, &words).join("\n");
                let code = lines.split("status: ").nth(1).and_then(|rest| rest.split(',').next());
                // Without one, what it says is what there is to find out more from.
                let code = code.unwrap_or(&lines).to_owned();
                let found = lines.lines().filter(|line| line.contains("\tIN\tA\t"));
                let found = found.filter_map(|line| line.split('\t').next_back());
                (code, found.map(str::to_owned).collect())
            })
        };
        let asked: Vec<_> = labels.iter().map(ask).collect();
        asked.into_iter().map(|asked| asked.join().unwrap()).collect()
    })
}

fn started(test: &str) -> Option<(Lab, Vec<Daemon>, PathBuf)> {
    let (lab, mut daemons) = site(test, 2)?;
    serve(&lab.hosts[0].namespace, "192.0.2.1");
    let sandbox = lab.namespace("client");
    daemons[0].attach("web", "client", &sandbox);
    asking(&mut daemons[0], "192.0.2.1", &sandbox, "client");
    Some((lab, daemons, sandbox))
}

#[test]
fn what_a_lying_upstream_says_never_reaches_a_container() {
    let test = "what_a_lying_upstream_says_never_reaches_a_container";
    let Some((_lab, daemons, sandbox)) = started(test) else { return };
    let pid = daemons[0].pid();
    // Each is tried again until the time is over, and then told as a failure.
    let liars = ["silent", "late", "wrongid", "wrongquestion", "garbage", "looping"];
    for (label, end) in liars.iter().zip(ends(&sandbox, &liars)) {
        assert_eq!(end, ("SERVFAIL".to_owned(), BTreeSet::new()), "{label}");
    }
    // A truth behind lies is heard, and one that takes its time.
    let honest = ["lied", "slow", "plain"];
    for (label, end) in honest.iter().zip(ends(&sandbox, &honest)) {
        let truth = BTreeSet::from(["198.51.100.1".to_owned()]);
        assert_eq!(end, ("NOERROR".to_owned(), truth), "{label}");
    }
    is_sound(&daemons[0], pid, &sandbox, "client");
}

#[test]
fn what_an_upstream_cuts_is_had_over_tcp_and_passed_on_whole() {
    let test = "what_an_upstream_cuts_is_had_over_tcp_and_passed_on_whole";
    let Some((_lab, daemons, sandbox)) = started(test) else { return };
    let pid = daemons[0].pid();
    assert_eq!(short(&sandbox, "cut.example A"), ["198.51.100.1"]);
    // A hundred addresses don't fit a datagram: `dig` is told so, and asks over TCP in its turn.
    assert!(dig(&sandbox, "+ignore many.example A").iter().any(|l| l.contains("flags: qr tc")));
    assert_eq!(short(&sandbox, "many.example A").len(), 100);
    assert_eq!(short(&sandbox, "+tcp many.example A").len(), 100);
    // What is cut over TCP as well, or has more records than any answer, is none.
    for label in ["cutcut", "toomany"] {
        assert_eq!(status(&sandbox, &format!("+time=8 {label}.example A")), "SERVFAIL", "{label}");
    }
    is_sound(&daemons[0], pid, &sandbox, "client");
}

#[test]
fn another_upstream_is_asked_where_one_is_silent_or_lies() {
    let test = "another_upstream_is_asked_where_one_is_silent_or_lies";
    let Some((lab, mut daemons, sandbox)) = started(test) else { return };
    // The second knows all names and never lies.
    let host = &lab.hosts[1].namespace;
    let _honest = Dnsmasq::at(host, "192.0.2.2", &["--address=/example/198.51.100.8"]);
    asking(&mut daemons[0], "192.0.2.1,192.0.2.2", &sandbox, "client");
    for label in ["silent", "late", "garbage", "wrongquestion"] {
        let found = short(&sandbox, &format!("+time=8 {label}.example A"));
        assert_eq!(found, ["198.51.100.8"], "{label}");
        // The first was asked as well.
        assert_eq!(daemons[0].events("upstream_silent"), 1, "{label}");
        // Asked first is who answered last: the liar's turn comes again.
        asking(&mut daemons[0], "192.0.2.1,192.0.2.2", &sandbox, "client");
    }
}
