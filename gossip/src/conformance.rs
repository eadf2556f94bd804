//! What every transport promises to the cores, as checks that run against the real one and a simulated one.
//!
//! A harness implements [`Net`] (waiting in real or in virtual time) and calls [`check`]. Must never
//! know how a transport works: only what its owner can see.

use std::collections::VecDeque;

use crate::limits::MAX_STREAM_MESSAGE;

/// Some nodes, numbered from 0, all admitted to one cluster.
pub trait Net {
    /// Sends a packet.
    fn send_packet(&mut self, from: usize, to: usize, bytes: &[u8]);
    /// Sends a stream message; false if it was refused at once.
    fn send_stream(&mut self, from: usize, to: usize, message: Vec<u8>) -> bool;
    /// Takes a node down without a goodbye.
    fn stop(&mut self, node: usize);
    /// Brings it back with the same identity at the same address.
    fn start(&mut self, node: usize);
    /// The next thing that one of these running nodes hears, and which; `None` if nothing comes for longer
    /// than anything may take.
    fn hear(&mut self, nodes: &[usize]) -> Option<(usize, Heard)>;
}

/// What a node hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A packet.
    Packet(Vec<u8>),
    /// A stream message of a node.
    Stream(usize, Vec<u8>),
    /// Messages to a node may not have arrived.
    Failed(usize),
}

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{promise}: {found}")]
pub struct Violation {
    /// The promise.
    pub promise: &'static str,
    /// What happened instead.
    pub found: String,
}

/// Tries for a packet, of which any may be lost.
const PACKET_TRIES: usize = 50;

type Verdict = Result<(), Violation>;

/// Checks every promise, each on a fresh net of that many nodes.
pub fn check<N: Net>(mut make: impl FnMut(usize) -> N) -> Verdict {
    packets_arrive_as_sent(&mut make(2))?;
    messages_arrive_whole_and_in_order(&mut make(2))?;
    answers_come_back(&mut make(3))?;
    the_size_limit_holds(&mut make(2))?;
    a_full_queue_refuses(&mut make(2))?;
    a_dead_peer_is_reported_once(&mut make(2))?;
    a_restarted_peer_is_reached_again(&mut make(2))
}

fn violation<T>(promise: &'static str, found: impl std::fmt::Debug) -> Result<T, Violation> {
    let mut found = format!("{found:?}");
    found.truncate(found.floor_char_boundary(200));
    Err(Violation { promise, found })
}

fn numbered(n: usize, len: usize) -> Vec<u8> {
    let mut message = n.to_be_bytes().to_vec();
    message.resize(len.max(message.len()), u8::try_from(n % 251).unwrap_or_default());
    message
}

fn packets_arrive_as_sent(net: &mut impl Net) -> Verdict {
    const PROMISE: &str = "packets arrive as they were sent";
    let mut before = Vec::new();
    for bytes in [vec![1], numbered(7, 1400)] {
        let mut tries = 0..PACKET_TRIES;
        let heard = tries.find_map(|_| {
            net.send_packet(0, 1, &bytes);
            // A packet may come twice, also late.
            let repeated = Some((1, Heard::Packet(before.clone())));
            net.hear(&[1]).filter(|heard| Some(heard) != repeated.as_ref())
        });
        if heard != Some((1, Heard::Packet(bytes.clone()))) {
            return violation(PROMISE, heard);
        }
        before = bytes;
    }
    Ok(())
}

fn messages_arrive_whole_and_in_order(net: &mut impl Net) -> Verdict {
    const PROMISE: &str = "messages arrive whole, once and in order";
    const MESSAGES: usize = 200;
    let mut sent = VecDeque::new();
    let mut count = 0;
    while count < MESSAGES || !sent.is_empty() {
        let message = numbered(count, count * 97 % 40_000);
        if count < MESSAGES && net.send_stream(0, 1, message.clone()) {
            sent.push_back(message);
            count += 1;
            continue;
        }
        match (net.hear(&[1]), sent.pop_front()) {
            (Some((1, Heard::Stream(0, got))), Some(expected)) if got == expected => {}
            (other, _) => return violation(PROMISE, other),
        }
    }
    Ok(())
}

fn answers_come_back(net: &mut impl Net) -> Verdict {
    const PROMISE: &str = "any node answers any other";
    for (from, to) in [(0, 1), (1, 0), (2, 0), (0, 2), (1, 2), (0, 1)] {
        let message = numbered(from * 10 + to, 100);
        if !net.send_stream(from, to, message.clone()) {
            return violation(PROMISE, "refused");
        }
        let heard = net.hear(&[to]);
        if heard != Some((to, Heard::Stream(from, message))) {
            return violation(PROMISE, heard);
        }
    }
    Ok(())
}

fn the_size_limit_holds(net: &mut impl Net) -> Verdict {
    const PROMISE: &str = "a message of the largest size arrives, a larger one is refused";
    if net.send_stream(0, 1, vec![7; MAX_STREAM_MESSAGE + 1]) {
        return violation(PROMISE, "taken over the limit");
    }
    for len in [0, MAX_STREAM_MESSAGE] {
        if !net.send_stream(0, 1, vec![7; len]) {
            return violation(PROMISE, "refused at the limit");
        }
        match net.hear(&[1]) {
            Some((1, Heard::Stream(0, got))) if got == vec![7; len] => {}
            other => return violation(PROMISE, other),
        }
    }
    Ok(())
}

fn a_full_queue_refuses(net: &mut impl Net) -> Verdict {
    const PROMISE: &str = "a queue that nobody empties refuses, and what it took arrives";
    const MANY: usize = 2000;
    let large = |n| numbered(n, MAX_STREAM_MESSAGE / 2);
    let Some(taken) = (0..MANY).find(|n| !net.send_stream(0, 1, large(*n))) else {
        return violation(PROMISE, "never refused");
    };
    for n in 0..taken {
        match net.hear(&[1]) {
            Some((1, Heard::Stream(0, got))) if got == large(n) => {}
            other => return violation(PROMISE, other),
        }
    }
    Ok(())
}

fn a_dead_peer_is_reported_once(net: &mut impl Net) -> Verdict {
    const PROMISE: &str = "what could not be delivered is reported, once";
    net.stop(1);
    if !net.send_stream(0, 1, vec![1]) {
        return violation(PROMISE, "refused");
    }
    let failed = net.hear(&[0]);
    if failed != Some((0, Heard::Failed(1))) {
        return violation(PROMISE, failed);
    }
    // A second report would come before the peer's message.
    net.start(1);
    net.send_stream(1, 0, vec![2]);
    match net.hear(&[0, 1]) {
        Some((0, Heard::Stream(1, message))) if message == [2] => Ok(()),
        other => violation(PROMISE, other),
    }
}

fn a_restarted_peer_is_reached_again(net: &mut impl Net) -> Verdict {
    const PROMISE: &str = "a peer that was restarted is reached again";
    for round in 0..3 {
        let message = numbered(round, 1000);
        // A message may fall into the moment in which the old stream is found to be dead.
        let arrived = (0..5).any(|_| {
            net.send_stream(0, 1, message.clone())
                && net.hear(&[0, 1]) == Some((1, Heard::Stream(0, message.clone())))
        });
        if !arrived {
            return violation(PROMISE, round);
        }
        net.stop(1);
        net.start(1);
    }
    Ok(())
}
