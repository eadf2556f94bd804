//! Asking one other node something, and answering what others ask: for programs whose nodes must decide
//! something between two of them.

use netdb_core::node::{RequestError, RequestFailure};
use netdb_gossip_core::identity::{Name, NameError, NodeId};
use tokio::sync::mpsc;

use crate::db::{NetDb, Stopped};

/// The most requests of one topic that may wait to be taken; further ones are refused to who asks.
pub const MAX_UNTAKEN: usize = 64;
/// The most topics that a node serves.
pub const MAX_TOPICS: usize = 64;

/// Why a node did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The topic is no name. Nothing was sent.
    #[error("the topic: {0}")]
    Topic(#[from] NameError),
    /// It was not sent.
    #[error(transparent)]
    NotSent(#[from] RequestError),
    /// It was sent, and perhaps seen.
    #[error(transparent)]
    Unanswered(#[from] RequestFailure),
    /// This node was stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a topic is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    /// The topic is no name.
    #[error("the topic: {0}")]
    Topic(#[from] NameError),
    /// Somebody serves it already.
    #[error("topic {0} is served already")]
    Served(Name),
    /// [`MAX_TOPICS`] are.
    #[error("{MAX_TOPICS} topics are served already")]
    TooMany,
    /// The node was stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What other nodes ask under one topic. Dropping it ends that: they are told that nobody serves it.
#[derive(Debug)]
pub struct Requests {
    db: NetDb,
    queue: mpsc::Receiver<Asked>,
}

/// A request as the driver hands it on.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) from: NodeId,
    pub(crate) id: u64,
    pub(crate) body: Vec<u8>,
}

/// One request. Whoever drops it leaves the other side waiting until its time is over.
#[derive(Debug)]
pub struct Request {
    db: NetDb,
    asked: Asked,
}

impl Requests {
    /// The next request; `None` when the node was stopped.
    pub async fn next(&mut self) -> Option<Request> {
        let asked = self.queue.recv().await?;
        Some(Request { db: self.db.clone(), asked })
    }
}

impl Request {
    /// Who asks: an admitted node, or this one.
    pub fn from(&self) -> NodeId {
        self.asked.from
    }

    /// What is asked. The same request may come more than once, and answers may get lost.
    pub fn body(&self) -> &[u8] {
        &self.asked.body
    }

    /// Answers; at most [`MAX_REQUEST`](crate::MAX_REQUEST) bytes, else it is refused.
    pub async fn answer(self, body: impl Into<Vec<u8>>) -> Result<(), Stopped> {
        let (body, Asked { from, id, .. }) = (body.into(), self.asked);
        self.db.call(move |driver| driver.respond(from, id, Some(body))).await
    }
}

impl NetDb {
    /// Asks a node (also this one) something under a topic that it serves, in one round trip. Fails within
    /// two seconds if there is no answer; the other side may have acted on it all the same.
    pub async fn ask(
        &self,
        node: NodeId,
        topic: &str,
        body: impl Into<Vec<u8>>,
    ) -> Result<Vec<u8>, AskError> {
        let (topic, body) = (Name::new(topic)?, body.into());
        let asked = self.call_later(move |driver, reply| driver.request(node, &topic, body, reply));
        asked.await?
    }

    /// Answers what is asked under a topic from now on.
    pub async fn serve(&self, topic: &str) -> Result<Requests, ServeError> {
        let topic = Name::new(topic)?;
        let (sender, queue) = mpsc::channel(MAX_UNTAKEN);
        self.call(move |driver| driver.serve(topic, sender)).await??;
        Ok(Requests { db: self.clone(), queue })
    }
}
