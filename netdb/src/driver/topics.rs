//! Requests between nodes: who waits for which answer, and who serves which topic.
//!
//! Must never wait for who serves: a topic whose queue is full is refused to who asks.

use std::collections::BTreeMap;

use netdb_core::node::RequestFailure;
use netdb_gossip_core::identity::{Name, NodeId};
use tokio::sync::mpsc;

use super::Driver;
use crate::{
    command::Reply,
    requests::{AskError, Asked, MAX_TOPICS, ServeError},
};

type Waiting = Reply<Result<Vec<u8>, AskError>>;

/// Callers that wait, and topics that are served. The node bounds the first.
#[derive(Default)]
pub(super) struct Topics {
    waiting: BTreeMap<u64, Waiting>,
    served: BTreeMap<Name, mpsc::Sender<Asked>>,
}

impl Topics {
    fn serve(&mut self, topic: Name, queue: mpsc::Sender<Asked>) -> Result<(), ServeError> {
        self.served.retain(|_, queue| !queue.is_closed());
        if self.served.contains_key(&topic) {
            return Err(ServeError::Served(topic));
        }
        if self.served.len() >= MAX_TOPICS {
            return Err(ServeError::TooMany);
        }
        self.served.insert(topic, queue);
        Ok(())
    }

    /// Hands a request on; false if nobody takes it.
    fn hand(&self, topic: &Name, asked: Asked) -> bool {
        self.served.get(topic).is_some_and(|queue| queue.try_send(asked).is_ok())
    }
}

impl Driver {
    pub(crate) fn request(&mut self, to: NodeId, topic: &Name, body: Vec<u8>, reply: Waiting) {
        let now = self.now();
        match self.node.request(now, to, topic, body) {
            Ok(id) => {
                self.topics.waiting.insert(id, reply);
            }
            Err(error) => {
                let _ = reply.send(Err(error.into()));
            }
        }
    }

    pub(crate) fn serve(
        &mut self,
        topic: Name,
        queue: mpsc::Sender<Asked>,
    ) -> Result<(), ServeError> {
        self.topics.serve(topic, queue)
    }

    pub(crate) fn respond(&mut self, to: NodeId, id: u64, body: Option<Vec<u8>>) {
        let now = self.now();
        self.node.respond(now, to, id, body);
    }

    pub(super) fn take_request(&mut self, topic: &Name, asked: Asked) {
        let (from, id) = (asked.from, asked.id);
        if !self.topics.hand(topic, asked) {
            self.respond(from, id, None);
        }
    }

    pub(super) fn take_response(&mut self, id: u64, answer: Result<Vec<u8>, RequestFailure>) {
        if let Some(reply) = self.topics.waiting.remove(&id) {
            let _ = reply.send(answer.map_err(AskError::from));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(n: usize) -> Name {
        Name::new(&format!("topic-{n}")).unwrap()
    }

    #[test]
    fn topics_and_their_queues_have_a_bound() {
        let mut topics = Topics::default();
        let mut queues = Vec::new();
        for n in 0..MAX_TOPICS {
            let (sender, queue) = mpsc::channel(1);
            topics.serve(topic(n), sender).unwrap();
            queues.push(queue);
        }
        let (sender, _queue) = mpsc::channel(1);
        assert_eq!(topics.serve(topic(0), sender.clone()), Err(ServeError::Served(topic(0))));
        assert_eq!(topics.serve(topic(99), sender.clone()), Err(ServeError::TooMany));
        let asked = || Asked { from: NodeId([1; 16]), id: 1, body: Vec::new() };
        assert!(topics.hand(&topic(5), asked()));
        assert!(!topics.hand(&topic(5), asked()), "its queue is full");
        assert!(!topics.hand(&topic(99), asked()));
        // Who serves no more makes room.
        queues.pop();
        topics.serve(topic(99), sender).unwrap();
    }
}
