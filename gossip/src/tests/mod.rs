//! Whole transports against each other over loopback, and what the tests share.

mod conforming;
mod hostile;
mod joins;
mod lifecycle;
mod streams;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use netdb_gossip_core::{
    identity::{ClusterId, Identity, NodeId, PublicIdentity},
    token::{Token, TokenId},
};
use rand::SeedableRng;
use tokio::sync::mpsc;

use crate::{
    Config, Inbox, Incoming, JoinRefusal, Limits, Refusal, Stats, TokenAnswer, Transport,
    stop::lock,
};

pub(crate) const CLUSTER: ClusterId = ClusterId([7; 16]);

/// Longer than anything here may take, also on a machine that is busy with other things.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) fn identity(seed: u8) -> Identity {
    Identity::generate(&mut rand_chacha::ChaCha20Rng::from_seed([seed; 32]))
}

pub(crate) fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// An address that no other test uses, for tests that bind one port twice.
pub(crate) fn own_host(n: u8) -> SocketAddr {
    ([127, 0, 1, n], 0).into()
}

/// Limits for tests on one address: no rate limit in the way.
pub(crate) fn limits() -> Limits {
    Limits { handshake_burst: 1_000_000, handshakes_per_source: 64, ..Limits::default() }
}

pub(crate) type JoinAnswer = Result<Vec<u8>, JoinRefusal>;

/// What a node under test answers; with `None` it drops the question.
pub(crate) struct Policy {
    pub(crate) admits: fn(PublicIdentity) -> bool,
    pub(crate) tokens: fn(TokenId) -> Option<TokenAnswer>,
    pub(crate) joins: fn(PublicIdentity, Vec<u8>) -> Option<JoinAnswer>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            admits: |_| true,
            tokens: |_| Some(TokenAnswer::Refused(Refusal::TokenUnknown)),
            joins: |_, _| None,
        }
    }
}

/// A transport whose owner answers by a policy and passes on the rest.
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) addr: SocketAddr,
    pub(crate) transport: Transport,
    pub(crate) policy: Arc<Mutex<Policy>>,
    heard: mpsc::Receiver<Incoming>,
}

impl Node {
    pub(crate) fn new(seed: u8) -> Self {
        Self::with(seed, loopback(), limits())
    }

    pub(crate) fn with(seed: u8, listen: SocketAddr, limits: Limits) -> Self {
        Self::of(seed, listen, limits, CLUSTER)
    }

    pub(crate) fn of(seed: u8, listen: SocketAddr, limits: Limits, cluster: ClusterId) -> Self {
        let identity = identity(seed);
        let id = identity.node_id();
        let config = Config { listen, identity, cluster, limits };
        let (transport, inbox) = Transport::bind(config).unwrap();
        let policy = Arc::new(Mutex::new(Policy::default()));
        let (sender, heard) = mpsc::channel(1);
        tokio::spawn(own(inbox, Arc::clone(&policy), sender));
        Self { id, addr: transport.local_addr(), transport, policy, heard }
    }

    pub(crate) fn send(&self, to: &Node, message: impl Into<Vec<u8>>) {
        self.transport.send_stream(to.id, to.addr, message.into()).unwrap();
    }

    pub(crate) async fn hear(&mut self) -> Incoming {
        tokio::time::timeout(DEADLINE, self.heard.recv()).await.expect("heard nothing").unwrap()
    }

    /// The next stream message.
    pub(crate) async fn message(&mut self) -> (NodeId, Vec<u8>) {
        match self.hear().await {
            Incoming::Stream { from, message } => (from, message),
            other => panic!("no message: {other:?}"),
        }
    }

    /// The next thing heard must be that messages to `to` failed.
    pub(crate) async fn failure(&mut self, to: NodeId) {
        match self.hear().await {
            Incoming::StreamFailed { to: failed } => assert_eq!(failed, to),
            other => panic!("no failure: {other:?}"),
        }
    }

    /// Waits until the counters satisfy `reached`.
    pub(crate) async fn until(&self, reached: impl Fn(Stats) -> bool) -> Stats {
        until(|| Some(self.transport.stats()).filter(|stats| reached(*stats))).await
    }
}

/// Looks again and again until there is something to see.
pub(crate) async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look() {
                Some(seen) => return seen,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.expect("never came to be")
}

async fn own(mut inbox: Inbox, policy: Arc<Mutex<Policy>>, heard: mpsc::Sender<Incoming>) {
    while let Some(incoming) = inbox.recv().await {
        match incoming {
            Incoming::Admission { identity, reply } => {
                let _ = reply.send((lock(&policy).admits)(identity));
            }
            Incoming::Token { token_id, reply } => {
                // An owner that is overloaded drops the question.
                if let Some(answer) = (lock(&policy).tokens)(token_id) {
                    let _ = reply.send(answer);
                }
            }
            Incoming::Join { identity, request, reply, token_id } => {
                assert_eq!(token_id, token().id());
                if let Some(answer) = (lock(&policy).joins)(identity, request) {
                    let _ = reply.send(answer);
                }
            }
            other => {
                if heard.send(other).await.is_err() {
                    return;
                }
            }
        }
    }
}

pub(crate) fn token() -> Token {
    Token::new(CLUSTER, [9; 16])
}
