//! A datagram that reaches a node: raw from a stranger, or sealed with the cluster's key by an insider.
//! It is taken or counted as dropped, and what it leaves behind is bounded.
#![no_main]

use std::{net::SocketAddr, time::Duration};

use libfuzzer_sys::fuzz_target;
use netdb_fuzz::{
    cluster::{CLUSTER, at, entropy},
    script::{self, Script},
    seeds,
};
use netdb_gossip_core::{
    config::Config,
    gossip::{Gossip, Member, MemberState, Output, Setup},
    identity::{Generation, NodeId},
    keyring::Keyring,
    packet::{ClusterTag, Draft, Frames, MAX_MTU, open},
    time::Time,
};

/// A datagram as it is.
const RAW: u8 = 0;
/// Frames (kind, length, body) in a packet to the node, numbered on.
const SEALED: u8 = 1;
/// The same, from whom, in which generation and with which number it says itself.
const FORGED: u8 = 2;
/// The same, addressed to nobody.
const ANNOUNCED: u8 = 3;
/// So many 16 ms pass.
const WAIT: u8 = 4;
/// The node has something to say to a peer.
const SEND: u8 = 5;

/// Members that the node has room for.
const ROOM: usize = 8;

fuzz_target!(init: seeds::plant(seeds), |input: &[u8]| {
    let mut trial = Trial::new();
    for (operation, about) in Script::new(input) {
        match operation % 6 {
            RAW => trial.give(about.to_vec()),
            SEALED | FORGED | ANNOUNCED => {
                let packet = trial.seal(operation % 6, about);
                trial.give(packet);
            }
            WAIT => trial.wait(Duration::from_millis(16) * about.first().copied().unwrap_or(9).into()),
            _ => trial.send(about),
        }
    }
    trial.end();
});

fn member(number: u8) -> Member {
    Member {
        id: NodeId([number + 1; 16]),
        generation: Generation(1_700_000_000),
        revision: 0,
        addr: SocketAddr::from(([10, 0, 0, number], 7946)),
    }
}

fn keyring() -> Keyring {
    Keyring::generate(&mut entropy(9))
}

/// Node 0, which knows node 1 and node 2.
fn victim(now: Time) -> Gossip {
    let setup = Setup {
        config: Config { max_members: ROOM, ..Config::lan() },
        cluster: CLUSTER,
        member: member(0),
        keyring: keyring(),
        seed: 1,
        entropy: Box::new(entropy(2)),
    };
    let mut gossip = Gossip::new(setup, at(now));
    let known = [1, 2].map(|number| (member(number), MemberState::Alive));
    gossip.contact(at(now), &known);
    gossip
}

struct Trial {
    gossip: Gossip,
    keyring: Keyring,
    now: Time,
    given: u64,
    number: u64,
}

impl Trial {
    fn new() -> Self {
        let now = Time(1_000_000);
        let mut trial = Self { gossip: victim(now), keyring: keyring(), now, given: 0, number: 0 };
        trial.drain();
        trial
    }

    fn give(&mut self, mut packet: Vec<u8>) {
        self.given += 1;
        self.gossip.handle_packet(at(self.now), member(1).addr, &mut packet);
        self.drain();
    }

    /// A packet with the frames that the bytes tell of, as far as they fit.
    fn seal(&mut self, how: u8, mut about: &[u8]) -> Vec<u8> {
        self.number += 1;
        let (mut from, mut number) = (member(1), self.number);
        if how == FORGED {
            from = member(script::byte(&mut about) % 16);
            // Around the true generation, and now and then far from it.
            let apart = i64::from(script::byte(&mut about).cast_signed());
            let apart = if apart == i64::from(i8::MAX) { i64::MAX } else { apart };
            from.generation = Generation(from.generation.0.saturating_add_signed(apart));
            let given = script::bytes(&mut about, 8);
            number = given.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        }
        let mut draft = Draft::new(MAX_MTU, from.id, from.generation, number);
        while let Some((&[kind, high, low], rest)) = about.split_first_chunk() {
            about = rest;
            let body = script::bytes(&mut about, u16::from_be_bytes([high, low]).into());
            if !draft.push(kind, body) {
                break;
            }
        }
        let to = (how != ANNOUNCED).then_some(member(0).id);
        let tag = ClusterTag::of(CLUSTER);
        draft.seal(self.keyring.primary(), tag, to, &mut entropy(self.given))
    }

    fn send(&mut self, about: &[u8]) {
        let to = member(about.first().copied().unwrap_or(1) % 16).id;
        // Whom it can't reach it says.
        let _ = self.gossip.send(at(self.now), to, about.into(), 7, true);
        self.drain();
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let due = self.gossip.poll_timeout().unwrap_or(end);
            self.now = self.now.max(due.min(end));
            self.gossip.handle_timeout(at(self.now));
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.gossip.poll_output(at(self.now)) {
            if let Output::Packet { bytes, .. } = output {
                assert!(bytes.len() <= MAX_MTU);
            }
        }
        assert!(self.gossip.members().count() <= ROOM);
    }

    fn end(mut self) {
        self.wait(Duration::from_secs(5));
        let stats = self.gossip.stats();
        assert_eq!(
            stats.packets_received + stats.drops.total(),
            self.given,
            "each is accounted for"
        );
        assert!(self.gossip.local_health() <= 8);
    }
}

/// What two real nodes say to each other, and a bit of everything by hand.
fn seeds() -> Vec<Vec<u8>> {
    let mut seeds: Vec<Vec<u8>> = real_bodies()
        .into_iter()
        .flat_map(|body| {
            let forged = [&[3, 1, 0, 0, 0, 0, 0, 0, 1, 0], body.as_slice()].concat();
            [
                script::write([(SEALED, body.as_slice()), (WAIT, &[50])]),
                script::write([(FORGED, forged.as_slice()), (WAIT, &[50])]),
                script::write([(SEND, [1].as_slice()), (ANNOUNCED, &body), (WAIT, &[50])]),
            ]
        })
        .collect();
    let whole = Trial::new().seal(SEALED, &[5, 0, 1, 7]);
    seeds.push(script::write([(RAW, whole.as_slice()), (RAW, whole.as_slice())]));
    seeds
}

/// The frames of packets that node 1 sends to node 0 as the two meet, probe and talk.
fn real_bodies() -> Vec<Vec<u8>> {
    let mut now = Time(1_000_000);
    let setup = Setup {
        config: Config::lan(),
        cluster: CLUSTER,
        member: member(1),
        keyring: keyring(),
        seed: 3,
        entropy: Box::new(entropy(4)),
    };
    let mut pair = [victim(now), Gossip::new(setup, at(now))];
    pair[1].contact(at(now), &[(member(0), MemberState::Alive)]);
    let mut bodies = Vec::new();
    for round in 0..200 {
        if round % 20 == 0 {
            let sent =
                pair[1].send(at(now), member(0).id, [9; 20].as_slice().into(), 1, round > 50);
            sent.expect("they know each other");
        }
        for from in [0, 1] {
            pair[from].handle_timeout(at(now));
            while let Some(output) = pair[from].poll_output(at(now)) {
                let Output::Packet { to, mut bytes } = output else { continue };
                if to != member(u8::from(from == 0)).addr {
                    continue;
                }
                if from == 1 && bodies.len() < 24 {
                    bodies.extend(frames(&mut bytes.clone()));
                }
                let addr = member(u8::from(from == 1)).addr;
                pair[1 - from].handle_packet(at(now), addr, &mut bytes);
            }
        }
        now += Duration::from_millis(20);
    }
    bodies
}

fn frames(packet: &mut [u8]) -> Option<Vec<u8>> {
    let opened = open(packet, ClusterTag::of(CLUSTER), member(0).id, &keyring()).ok()?;
    Some(written(opened.frames))
}

fn written(frames: Frames<'_>) -> Vec<u8> {
    let frame = |frame: netdb_gossip_core::packet::Frame<'_>| {
        let length = u16::try_from(frame.body.len()).unwrap_or(u16::MAX);
        [&[frame.kind], length.to_be_bytes().as_slice(), frame.body].concat()
    };
    frames.flat_map(frame).collect()
}
