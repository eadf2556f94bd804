//! Callers that wait for what another member says of itself.
//!
//! Must never leave one waiting for a member whose stream is gone.

use std::collections::BTreeMap;

use netdb_core::wire::inspect::{Answer, Question};
use netdb_gossip_core::identity::NodeId;

use super::Driver;
use crate::command::Reply;

/// Questions that may wait for their answers at one time; more are refused.
pub(crate) const MAX_QUESTIONS: usize = 64;

/// Why a member does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Silence {
    /// As many questions as may wait are waiting.
    Full,
    /// There is no stream to it.
    Unreachable,
}

type Waiting = Reply<Result<Answer, Silence>>;

/// All that wait, by the number of their question.
#[derive(Default)]
pub(super) struct Questions {
    last: u64,
    open: BTreeMap<u64, (NodeId, Waiting)>,
}

impl Questions {
    /// Takes a caller in; the number of its question, unless there are too many.
    fn add(&mut self, to: NodeId, reply: Waiting) -> Option<u64> {
        // Who waits no more makes room.
        self.open.retain(|_, (_, reply)| !reply.is_closed());
        if self.open.len() >= MAX_QUESTIONS {
            let _ = reply.send(Err(Silence::Full));
            return None;
        }
        self.last += 1;
        self.open.insert(self.last, (to, reply));
        Some(self.last)
    }

    fn answered(&mut self, from: NodeId, id: u64, answer: Answer) {
        if self.open.get(&id).is_some_and(|(asked, _)| *asked == from)
            && let Some((_, reply)) = self.open.remove(&id)
        {
            let _ = reply.send(Ok(answer));
        }
    }

    fn broken(&mut self, peer: NodeId) {
        for (_, (_, reply)) in self.open.extract_if(.., |_, (asked, _)| *asked == peer) {
            let _ = reply.send(Err(Silence::Unreachable));
        }
    }
}

impl Driver {
    /// Asks a member, or this node itself.
    pub(crate) fn ask(&mut self, to: NodeId, question: Question, reply: Waiting) {
        if to == self.node.info().member.id {
            let _ = reply.send(Ok(self.node.answer(&question)));
            return;
        }
        if let Some(id) = self.questions.add(to, reply)
            && !self.node.ask(to, id, question)
        {
            self.questions.broken(to);
        }
    }

    pub(crate) fn open_questions(&self) -> usize {
        self.questions.open.len()
    }

    pub(super) fn take_answer(&mut self, from: NodeId, id: u64, answer: Answer) {
        self.questions.answered(from, id, answer);
    }

    /// A peer can't be reached on streams, or not any more.
    pub(super) fn stream_failed(&mut self, peer: NodeId) {
        let now = self.now();
        self.node.handle_stream_failed(now, peer);
        self.questions.broken(peer);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    const A: NodeId = NodeId([1; 16]);
    const B: NodeId = NodeId([2; 16]);

    #[test]
    fn only_who_was_asked_answers_and_a_broken_stream_tells_at_once() {
        let mut questions = Questions::default();
        let (reply, mut answer) = oneshot::channel();
        let id = questions.add(A, reply).unwrap();
        questions.answered(B, id, Answer::Busy);
        questions.answered(A, id + 1, Answer::Busy);
        assert!(answer.try_recv().is_err());
        questions.answered(A, id, Answer::NotAttached);
        assert_eq!(answer.try_recv(), Ok(Ok(Answer::NotAttached)));
        let (reply, mut answer) = oneshot::channel();
        let later = questions.add(A, reply).unwrap();
        assert!(later > id);
        questions.broken(B);
        assert!(answer.try_recv().is_err());
        questions.broken(A);
        assert_eq!(answer.try_recv(), Ok(Err(Silence::Unreachable)));
    }

    #[test]
    fn there_is_room_up_to_the_limit_and_for_nobody_who_has_gone() {
        let mut questions = Questions::default();
        let mut waiting = Vec::new();
        for _ in 0..MAX_QUESTIONS {
            let (reply, answer) = oneshot::channel();
            assert!(questions.add(A, reply).is_some());
            waiting.push(answer);
        }
        let (reply, mut answer) = oneshot::channel();
        assert!(questions.add(A, reply).is_none());
        assert_eq!(answer.try_recv(), Ok(Err(Silence::Full)));
        waiting.pop();
        let (reply, _answer) = oneshot::channel();
        assert!(questions.add(A, reply).is_some());
    }
}
