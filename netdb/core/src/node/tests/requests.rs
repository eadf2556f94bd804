//! Requests between two nodes: answered in a round trip, or ended with the reason.

use alloc::vec;

use super::*;
use crate::wire::{self, Message};

fn topic() -> Name {
    name("ring")
}

impl Net {
    fn ask(&mut self, from: usize, to: usize, body: Vec<u8>) -> Result<u64, RequestError> {
        let to = self.id(to);
        self.call(from, |node, now| node.request(now, to, &topic(), body))
    }

    /// What a node was asked and has not answered yet.
    fn asked(&mut self, index: usize) -> Vec<(NodeId, u64, Vec<u8>)> {
        let told = core::mem::take(&mut self.hosts[index].told);
        told.into_iter()
            .filter_map(|output| match output {
                Output::Request { from, id, body, .. } => Some((from, id, body)),
                _ => None,
            })
            .collect()
    }

    fn ended(&mut self, index: usize) -> Vec<(u64, Result<Vec<u8>, RequestFailure>)> {
        let told = core::mem::take(&mut self.hosts[index].told);
        told.into_iter()
            .filter_map(|output| match output {
                Output::Response { id, answer, .. } => Some((id, answer)),
                _ => None,
            })
            .collect()
    }

    fn answer_all(&mut self, index: usize) -> usize {
        let asked = self.asked(index);
        let count = asked.len();
        for (from, id, body) in asked {
            self.call(index, |node, now| node.respond(now, from, id, Some(body)));
        }
        count
    }
}

#[test]
fn a_request_takes_one_round_trip() {
    let mut net = Net::new(3);
    for body in [vec![7; 10], vec![8; MAX_REQUEST], Vec::new()] {
        let id = net.ask(1, 2, body.clone()).unwrap();
        let streams = if body.len() > 1000 { 3 } else { 1 };
        net.until(DELAY * 9, |net| !net.hosts[2].told.is_empty());
        assert_eq!(net.answer_all(2), 1);
        let took = net.until(DELAY * 9, |net| !net.hosts[1].told.is_empty());
        assert_eq!(took, DELAY * streams);
        assert_eq!(net.ended(1), [(id, Ok(body))]);
    }
    // This node is a node as any other.
    let id = net.ask(1, 1, vec![1]).unwrap();
    assert_eq!(net.answer_all(1), 1);
    assert_eq!(net.ended(1), [(id, Ok(vec![1]))]);
}

#[test]
fn what_gets_no_answer_ends_with_the_reason() {
    let mut net = Net::new(3);
    // Nobody serves it.
    let id = net.ask(0, 1, vec![1]).unwrap();
    net.run(DELAY * 2);
    let (from, served, _) = net.asked(1).pop().unwrap();
    net.call(1, |node, now| node.respond(now, from, served, None));
    net.run(DELAY * 2);
    assert_eq!(net.ended(0), [(id, Err(RequestFailure::Refused))]);
    // It is never answered; an answer that comes later is nobody's.
    let id = net.ask(0, 1, vec![1]).unwrap();
    net.run(REQUEST_TIMEOUT);
    assert_eq!(net.ended(0), [(id, Err(RequestFailure::TimedOut))]);
    assert_eq!(net.answer_all(1), 1);
    net.run(DELAY * 2);
    assert_eq!(net.ended(0), []);
    // It can't be reached, and is soon known not to be there.
    for (from, to) in [(0, 1), (1, 0), (2, 1), (1, 2)] {
        net.cut.insert((from, to));
    }
    let id = net.ask(0, 1, vec![1]).unwrap();
    net.run(REQUEST_TIMEOUT);
    let [(ended, Err(why))] = net.ended(0)[..] else { panic!("not ended") };
    assert!(ended == id && why != RequestFailure::Refused, "{why:?}");
    net.run(Duration::from_secs(20));
    let there = net.id(1);
    assert_eq!(net.ask(0, 1, vec![1]), Err(RequestError::Unreachable(there)));
    let large = vec![0; MAX_REQUEST + 1];
    assert_eq!(net.ask(0, 2, large), Err(RequestError::TooLarge(MAX_REQUEST + 1)));
}

#[test]
fn requests_have_bounds_on_both_sides() {
    let mut net = Net::new(2);
    for _ in 0..MAX_REQUESTS_TO {
        net.ask(0, 1, vec![1]).unwrap();
    }
    assert_eq!(net.ask(0, 1, vec![1]), Err(RequestError::Busy));
    net.run(DELAY * 5);
    assert_eq!(net.asked(1).len(), MAX_REQUESTS_TO);
    // A peer that keeps no bound of its own, nor tells the truth, costs no more.
    let from = net.id(0);
    let mut say = |message: &Message| {
        let bytes = wire::encode(message);
        net.call(1, |node, now| node.handle_stream(now, from, &bytes));
    };
    say(&Message::Request(1, topic(), vec![1]));
    for id in 1000..1100 {
        say(&Message::Request(id, topic(), vec![1]));
    }
    say(&Message::Request(2000, topic(), vec![1; MAX_REQUEST + 1]));
    say(&Message::Response(1, Some(vec![1])));
    assert_eq!(net.asked(1), []);
    assert_eq!(net.node(1).stats().requests_dropped, 102);
    let stranger = NodeId([9; 16]);
    let request = wire::encode(&Message::Request(1, topic(), vec![1]));
    net.call(1, |node, now| node.handle_stream(now, stranger, &request));
    assert_eq!(net.asked(1), []);
    // When their time is over, there is room again.
    net.run(REQUEST_TIMEOUT);
    assert_eq!(net.ended(0).len(), MAX_REQUESTS_TO);
    net.ask(0, 1, vec![1]).unwrap();
    net.run(DELAY * 2);
    assert_eq!(net.answer_all(1), 1);
}
