//! Who connects, and who is connected to, before anything is proven: hello, Noise messages and proofs bent
//! by a liar on either side, join requests and welcomes. Nobody gets in who did not tell the truth.
#![no_main]

use std::{cell::RefCell, time::Duration};

use libfuzzer_sys::fuzz_target;
use netdb_core::node::{Node, Setup};
use netdb_fuzz::{
    cluster::{NETWORK, at, name},
    insider::{
        HELLO, Handshake, REPLY, Role, START, Victim, go_on, hang_up, hello, identity, message,
        token,
    },
    lone::{Lone, past},
    script::{self, Script},
    seeds,
};
use netdb_gossip_core::{
    codec,
    identity::{ClusterId, NodeId},
    time::Wall,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};

/// What the first byte of an input chooses.
const MEMBER: u8 = 0;
const JOINER: u8 = 1;
const ANSWERER: u8 = 2;
const REQUEST: u8 = 3;
const WELCOME: u8 = 4;
const KINDS: u8 = 5;

/// How long a join may take that a liar answers.
const PATIENCE: Duration = Duration::from_secs(5);

thread_local! {
    static VICTIM: RefCell<Victim> = RefCell::new(Victim::new());
    static RUNTIME: Runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
}

fuzz_target!(init: seeds::plant(seeds), |input: &[u8]| {
    let Some((kind, input)) = input.split_first() else { return };
    match kind % KINDS {
        MEMBER => connect(false, &Lies::read(input)),
        JOINER => connect(true, &Lies::read(input)),
        ANSWERER => answer(&Lies::read(input)),
        REQUEST => request(input),
        WELCOME => welcome(input),
        _ => {}
    }
});

/// How each part of one side of a handshake differs from the truth.
#[derive(Default)]
struct Lies<'a> {
    /// Changes to the hello or the reply.
    head: &'a [u8],
    /// What goes with the first message, that has no payload.
    first: &'a [u8],
    /// Changes to the proof.
    proof: &'a [u8],
    /// What is added to the proof.
    more: &'a [u8],
    /// Records after the handshake.
    records: Vec<&'a [u8]>,
    /// Bytes in place of all that follows.
    raw: Option<&'a [u8]>,
}

impl<'a> Lies<'a> {
    fn read(input: &'a [u8]) -> Self {
        let mut lies = Self::default();
        for (operation, about) in Script::new(input) {
            match operation % 6 {
                0 => lies.head = about,
                1 => lies.first = about,
                2 => lies.proof = about,
                3 => lies.more = about,
                4 => lies.records.push(about),
                _ => lies.raw = Some(about),
            }
        }
        lies
    }

    /// Whether the handshake is an honest one.
    fn are_none(&self) -> bool {
        let honest = |mask: &[u8], length| mask.iter().take(length).all(|by| *by == 0);
        honest(self.head, HELLO)
            && honest(self.proof, 96)
            && self.first.is_empty()
            && self.more.is_empty()
            && self.raw.is_none()
    }

    fn proof(&self, truth: &[u8]) -> Vec<u8> {
        [bent(truth, self.proof).as_slice(), self.more].concat()
    }
}

fn bent(truth: &[u8], lie: &[u8]) -> Vec<u8> {
    let lie = lie.iter().copied().chain(std::iter::repeat(0));
    truth.iter().zip(lie).map(|(truth, lie)| truth ^ lie).collect()
}

/// The fuzzer connects to a real transport.
fn connect(joins: bool, lies: &Lies) {
    let meet = async |stream| {
        let mut stream = stream;
        let got_in = enter(&mut stream, joins, lies).await.is_some();
        hang_up(stream).await;
        got_in
    };
    let (got_in, heard) = VICTIM.with_borrow_mut(|victim| victim.meet(meet));
    assert!(lies.are_none() || !got_in, "a liar got in");
    assert!(lies.are_none() || heard.is_empty(), "a liar was heard");
    assert!(got_in || !lies.are_none(), "the truth was turned away");
}

/// `None` unless the transport says that we are in.
async fn enter(stream: &mut TcpStream, joins: bool, lies: &Lies<'_>) -> Option<()> {
    let hello = bent(&hello(joins.then(|| token().id())), lies.head);
    let mut handshake = Handshake::new(identity(1), Role::Initiator, &hello, joins);
    if let Some(raw) = lies.raw {
        stream.write_all(&[hello.as_slice(), raw].concat()).await.ok()?;
        return None;
    }
    let first = handshake.write(lies.first)?;
    stream.write_all(&[hello.as_slice(), &first].concat()).await.ok()?;
    let mut reply = [0; REPLY];
    stream.read_exact(&mut reply).await.ok()?;
    if reply != go_on() {
        return None;
    }
    handshake.read(&message(stream).await?)?;
    let proof = lies.proof(&handshake.proof());
    stream.write_all(&handshake.write(&proof)?).await.ok()?;
    let mut session = handshake.finish()?;
    session.open(stream).await?;
    for record in &lies.records {
        stream.write_all(&session.seal(record)).await.ok()?;
    }
    Some(())
}

/// A real joiner connects to the fuzzer.
fn answer(lies: &Lies) {
    let joined = RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            let addr = listener.local_addr().expect("an address");
            let (token, joiner) = (token(), identity(2));
            let join = netdb_gossip::join(addr, &token, &joiner, b"please".to_vec(), PATIENCE);
            let serve = async {
                let mut stream = listener.accept().await.expect("it connects").0;
                serve(&mut stream, lies).await;
                hang_up(stream).await;
            };
            tokio::join!(join, serve).0
        })
    });
    match joined {
        Ok(_) => assert!(lies.are_none(), "a liar was believed"),
        // It goes on a terminal.
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
    }
}

async fn serve(stream: &mut TcpStream, lies: &Lies<'_>) -> Option<()> {
    let mut hello = [0; HELLO];
    stream.read_exact(&mut hello).await.ok()?;
    let mut handshake = Handshake::new(identity(3), Role::Responder, &hello, true);
    handshake.read(&message(stream).await?)?;
    let reply = bent(&go_on(), lies.head);
    if let Some(raw) = lies.raw {
        stream.write_all(&[reply.as_slice(), raw].concat()).await.ok()?;
        return None;
    }
    let proof = lies.proof(&handshake.proof());
    let answer = [reply, handshake.write(&proof)?].concat();
    stream.write_all(&answer).await.ok()?;
    handshake.read(&message(stream).await?)?;
    let mut session = handshake.finish()?;
    for record in &lies.records {
        stream.write_all(&session.seal(record)).await.ok()?;
    }
    Some(())
}

/// A node is asked to admit somebody who holds the token.
fn request(request: &[u8]) {
    let mut lone = Lone::start();
    let joiner = identity(4).public();
    let admitted = lone.call(|node, now| node.admit(now, &joiner, request));
    if let Ok(welcome) = admitted {
        assert!(lone.node().is_admitted(&joiner));
        Node::adopt(&welcome, Wall(0)).expect("a real welcome is taken");
    }
    lone.end();
}

/// A joiner is given a welcome: what it takes it can start from, unless it was meant for another node.
fn welcome(welcome: &[u8]) {
    let (host, now) = (&past().peer, at(past().end));
    let Ok(adopted) = Node::adopt(welcome, now.wall) else { return };
    let disk: Vec<_> = adopted.ops.into_iter().filter_map(|op| Some((op.key, op.value?))).collect();
    let owner = disk.iter().find(|(key, _)| key == b"c").map(|(_, value)| value.as_slice());
    let (cluster, node): (ClusterId, NodeId) =
        codec::decode(owner.unwrap_or_default()).expect("whose it is");
    assert_eq!(cluster, adopted.cluster);
    let setup = Setup { disk, ..host.setup(&netdb_core::config::Config::lan(), 3) };
    let started = Node::start(setup, now);
    assert_eq!(started.is_ok(), node == host.identity.node_id(), "{:?}", started.err());
    if let Ok(mut node) = started {
        while let Some(output) = node.poll_output(now) {
            if let netdb_core::node::Output::Commit { id, .. } = output {
                node.handle_committed(now, id);
            }
        }
        // It may be full, or named so already: what counts is that it says so.
        let _ = node.attach(now, &name(NETWORK));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let of = |kind: u8, steps: &[(u8, &[u8])]| {
        [&[kind], script::write(steps.iter().copied()).as_slice()].concat()
    };
    let ask = [&[START, 0, 0, 0, 6], b"please".as_slice()].concat();
    let ready = [2, 0, 0, 0, 0, 0, 0, 0, 0];
    let admitted = [START, 0, 0, 0, 3, 0, 7, 7];
    let refused = [START, 0, 0, 0, 2, 1, 5];
    let told = [&[START, 0, 0, 0, 4, 2], b"no!".as_slice()].concat();
    let mut seeds = Vec::new();
    for kind in [MEMBER, JOINER, ANSWERER] {
        seeds.push(of(kind, &[]));
        seeds.push(of(kind, &[(0, &[0, 0, 0, 0, 1])]));
        seeds.push(of(kind, &[(1, b"early"), (4, &ask)]));
        seeds.push(of(kind, &[(2, &[0, 0, 1])]));
        seeds.push(of(kind, &[(3, b"more")]));
        seeds.push(of(kind, &[(5, &[0, 32, 9, 9, 9])]));
        seeds.push(of(kind, &[(4, &ask)]));
        for answer in [admitted.as_slice(), &refused, &told] {
            seeds.push(of(kind, &[(4, &ready), (4, answer)]));
        }
    }
    let host = &past().peer;
    let request = Node::join_request(&host.name, host.addr, at(past().end).wall);
    let mut lone = Lone::start();
    lone.wait(Duration::from_secs(1));
    let public = host.identity.public();
    let welcome = lone.call(|node, now| node.admit(now, &public, &request)).expect("there is room");
    seeds.push([&[REQUEST], request.as_slice()].concat());
    seeds.push([&[WELCOME], welcome.as_slice()].concat());
    seeds
}
