//! Requests from one node to one other, each with one answer: what needs somebody's decision and not only
//! rows that spread.
//!
//! A request travels in an acknowledged frame if it fits, else on a stream. It may reach the other side more
//! than once (what serves it must bear that), and every one ends: answered, refused, or timed out. Must
//! never act on what is in one: topics and bodies are the owner's.

use alloc::{collections::BTreeMap, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{
    identity::{Name, NodeId},
    time::{Now, Time},
};

use super::{Node, Output, Phase, timers::Timer};
use crate::wire::{self, Message};

/// The most bytes of a request or an answer.
pub const MAX_REQUEST: usize = 64 * 1024;
/// The most requests of this node that may be open at one time, to all nodes.
pub const MAX_REQUESTS: usize = 4096;
/// The most of them to one node.
pub const MAX_REQUESTS_TO: usize = 64;
/// The most requests of one other node that may wait for this node's answer; more are refused unseen.
pub const MAX_SERVED_FROM: usize = 64;
/// How long an answer is waited for. More than a frame is repeated, less than people wait.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Why a request was not sent. Nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The node's generation is not on disk yet, or it is about to end.
    #[error("this node is starting or stopping")]
    NotRunning,
    /// Longer than [`MAX_REQUEST`].
    #[error("a request has at most {MAX_REQUEST} bytes, this one has {0}")]
    TooLarge(usize),
    /// [`MAX_REQUESTS`] or [`MAX_REQUESTS_TO`] are open.
    #[error("too many requests wait for their answers already")]
    Busy,
    /// The node is no member, or down, or its queue is full.
    #[error("node {0} can't be reached")]
    Unreachable(NodeId),
}

/// Why a request that was sent has no answer. The other side may have seen it all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestFailure {
    /// Nobody serves the topic there, or it has too many requests of this node.
    #[error("the other node does not serve that, or too much of it already")]
    Refused,
    /// The way to it broke, or it failed.
    #[error("the other node can't be reached")]
    Unreachable,
    /// Nothing came within [`REQUEST_TIMEOUT`].
    #[error("the other node did not answer in time")]
    TimedOut,
}

/// Requests in both directions.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: u64,
    open: BTreeMap<u64, (NodeId, Time)>,
    served: BTreeMap<(NodeId, u64), Time>,
}

impl Requests {
    fn open_to(&self, node: NodeId) -> usize {
        self.open.values().filter(|(to, _)| *to == node).count()
    }

    fn served_from(&self, node: NodeId) -> usize {
        self.served.range((node, 0)..=(node, u64::MAX)).count()
    }
}

impl Node {
    /// Asks a node (also this one) something under a topic. How it ends comes as
    /// [`Output::Response`] with the number that is returned.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn request(
        &mut self,
        now: Now,
        to: NodeId,
        topic: &Name,
        body: Vec<u8>,
    ) -> Result<u64, RequestError> {
        if self.is_starting() || self.is_leaving() || matches!(self.phase, Phase::Reborn { .. }) {
            return Err(RequestError::NotRunning);
        }
        if body.len() > MAX_REQUEST {
            return Err(RequestError::TooLarge(body.len()));
        }
        let requests = &mut self.requests;
        if requests.open.len() >= MAX_REQUESTS || requests.open_to(to) >= MAX_REQUESTS_TO {
            return Err(RequestError::Busy);
        }
        requests.last += 1;
        let id = requests.last;
        requests.open.insert(id, (to, now.mono + REQUEST_TIMEOUT));
        if to == self.id {
            self.take_request(now, to, id, topic.clone(), body);
        } else if !self.say(now, to, &Message::Request(id, topic.clone(), body)) {
            self.requests.open.remove(&id);
            return Err(RequestError::Unreachable(to));
        }
        self.timers.set(now.mono + REQUEST_TIMEOUT, Timer::Requests);
        Ok(id)
    }

    /// Answers a request that came as [`Output::Request`]; `None` if nobody serves its topic. Ignored if its
    /// time is over.
    pub fn respond(&mut self, now: Now, to: NodeId, id: u64, body: Option<Vec<u8>>) {
        if self.requests.served.remove(&(to, id)).is_none() {
            return;
        }
        // Who serves an answer too long has none.
        let body = body.filter(|body| body.len() <= MAX_REQUEST);
        if to == self.id {
            self.take_response(to, id, body);
        } else {
            self.say(now, to, &Message::Response(id, body));
        }
    }

    pub(super) fn take_request(
        &mut self,
        now: Now,
        from: NodeId,
        id: u64,
        topic: Name,
        body: Vec<u8>,
    ) {
        // Frames come from whoever holds the key; only who is admitted is served.
        if body.len() > MAX_REQUEST || !self.admits(from) {
            self.stats.requests_dropped += 1;
            return;
        }
        if self.requests.served.contains_key(&(from, id)) {
            return;
        }
        if self.requests.served_from(from) >= MAX_SERVED_FROM || self.is_leaving() {
            self.stats.requests_dropped += 1;
            self.say(now, from, &Message::Response(id, None));
            return;
        }
        self.requests.served.insert((from, id), now.mono + REQUEST_TIMEOUT);
        self.timers.set(now.mono + REQUEST_TIMEOUT, Timer::Requests);
        self.outputs.push_back(Output::Request { from, id, topic, body });
    }

    /// Only who was asked answers, and once.
    pub(super) fn take_response(&mut self, from: NodeId, id: u64, body: Option<Vec<u8>>) {
        let expected = self.requests.open.get(&id).is_some_and(|(to, _)| *to == from);
        if !expected || body.as_ref().is_some_and(|body| body.len() > MAX_REQUEST) {
            self.stats.requests_dropped += 1;
            return;
        }
        self.requests.open.remove(&id);
        let answer = body.ok_or(RequestFailure::Refused);
        self.outputs.push_back(Output::Response { from, id, answer });
    }

    /// The way to a node broke, or it failed: what it was asked is not answered any more.
    pub(super) fn fail_requests(&mut self, to: NodeId) {
        for (id, _) in self.requests.open.extract_if(.., |_, (asked, _)| *asked == to) {
            let answer = Err(RequestFailure::Unreachable);
            self.outputs.push_back(Output::Response { from: to, id, answer });
        }
    }

    /// A frame was given up: if it was a request, it has no answer.
    pub(super) fn request_lost(&mut self, to: NodeId, frame: &[u8]) {
        let Ok(Message::Request(id, ..)) = wire::decode(frame) else { return };
        if self.requests.open.get(&id).is_some_and(|(asked, _)| *asked == to) {
            self.requests.open.remove(&id);
            let answer = Err(RequestFailure::Unreachable);
            self.outputs.push_back(Output::Response { from: to, id, answer });
        }
    }

    pub(super) fn requests_due(&mut self, now: Now) {
        let requests = &mut self.requests;
        for (id, (from, _)) in requests.open.extract_if(.., |_, (_, until)| *until <= now.mono) {
            let answer = Err(RequestFailure::TimedOut);
            self.outputs.push_back(Output::Response { from, id, answer });
        }
        requests.served.retain(|_, until| *until > now.mono);
        let open = requests.open.values().map(|(_, until)| *until);
        if let Some(next) = open.chain(requests.served.values().copied()).min() {
            self.timers.set(next, Timer::Requests);
        }
    }
}
