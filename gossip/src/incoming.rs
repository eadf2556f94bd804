//! What the transport tells and asks its owner, on two lanes that cannot hold each other up.
//!
//! Packets have a lane of their own: when it is full they are dropped, and no flood of them delays a stream
//! message or the other way round. Must never hold more than the two bounds.

use std::{
    fmt,
    net::SocketAddr,
    task::{Context, Poll},
};

use netdb_gossip_core::{
    identity::{NodeId, PublicIdentity},
    token::TokenId,
};
use tokio::sync::{mpsc, oneshot};

use crate::{handshake::Psk, hello::Refusal, udp::Packet};

/// Something that came in. A question whose `reply` is dropped counts as refused (busy).
#[derive(Debug)]
pub enum Incoming {
    /// A datagram, as it came: nothing about it is known but where it came from.
    Packet {
        /// Where it came from.
        from: SocketAddr,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// One message of an admitted peer.
    Stream {
        /// The peer; proven.
        from: NodeId,
        /// Its bytes.
        message: Vec<u8>,
    },
    /// A stream could not be opened, or broke with messages that may not have arrived; everything that was
    /// queued for the peer at this moment is dropped.
    StreamFailed {
        /// The peer.
        to: NodeId,
    },
    /// A peer has proven this identity and wants to open a stream. Is it a member?
    Admission {
        /// Who asks; proven.
        identity: PublicIdentity,
        /// True admits it.
        reply: oneshot::Sender<bool>,
    },
    /// Somebody wants to join with the token of this id. Nothing is proven.
    Token {
        /// What the hello says.
        token_id: TokenId,
        /// The token's key, or why not.
        reply: oneshot::Sender<TokenAnswer>,
    },
    /// Somebody who holds a token and has proven this identity asks to be admitted.
    Join {
        /// Who asks; proven.
        identity: PublicIdentity,
        /// The token that it holds; proven.
        token_id: TokenId,
        /// What the joiner sent, at most [`MAX_JOIN_REQUEST`](crate::MAX_JOIN_REQUEST) bytes.
        request: Vec<u8>,
        /// The answer, at most [`MAX_JOIN_ANSWER`](crate::MAX_JOIN_ANSWER) bytes, or why not.
        reply: oneshot::Sender<Result<Vec<u8>, JoinRefusal>>,
    },
}

/// The owner's word on a token.
pub enum TokenAnswer {
    /// The token is good; this is its pre-shared key.
    Good(Psk),
    /// It is not; the joiner is told so in clear.
    Refused(Refusal),
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(_) => f.write_str("Good"),
            Self::Refused(refusal) => write!(f, "Refused({refusal:?})"),
        }
    }
}

/// Why somebody with a good token is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinRefusal {
    /// For one of the known reasons.
    #[error(transparent)]
    Known(#[from] Refusal),
    /// For another one, in words for the joiner's user.
    #[error("{0}")]
    Text(String),
}

/// The owner's end of both lanes.
#[derive(Debug)]
pub struct Inbox {
    packets: mpsc::Receiver<Packet>,
    streams: mpsc::Receiver<Incoming>,
    packet_next: bool,
}

/// The transport's ends of the lanes.
pub(crate) struct Lanes {
    pub(crate) packets: mpsc::Sender<Packet>,
    pub(crate) streams: mpsc::Sender<Incoming>,
}

/// Makes both lanes.
pub(crate) fn lanes(packets: usize, messages: usize) -> (Lanes, Inbox) {
    let (packet_sender, packets) = mpsc::channel(packets.max(1));
    let (stream_sender, streams) = mpsc::channel(messages.max(1));
    let lanes = Lanes { packets: packet_sender, streams: stream_sender };
    (lanes, Inbox { packets, streams, packet_next: false })
}

impl Inbox {
    /// The next thing that came in, the two lanes taking turns; `None` once the transport is down and
    /// everything is taken. Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Incoming> {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// What has come in already, if anything, without waiting.
    pub fn try_recv(&mut self) -> Option<Incoming> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        match self.poll(&mut context) {
            Poll::Ready(incoming) => incoming,
            Poll::Pending => None,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Incoming>> {
        self.packet_next = !self.packet_next;
        let turns = [self.packet_next, !self.packet_next];
        let mut ended = 0;
        for packet in turns {
            let polled = if packet {
                let polled = self.packets.poll_recv(context);
                polled.map(|p| p.map(|(from, bytes)| Incoming::Packet { from, bytes }))
            } else {
                self.streams.poll_recv(context)
            };
            match polled {
                Poll::Ready(Some(incoming)) => return Poll::Ready(Some(incoming)),
                Poll::Ready(None) => ended += 1,
                Poll::Pending => {}
            }
        }
        if ended == turns.len() { Poll::Ready(None) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_lanes_take_turns_and_both_end() {
        let (lanes, mut inbox) = lanes(8, 8);
        for n in 0..4 {
            lanes.packets.try_send((([127, 0, 0, 1], n).into(), Vec::new())).unwrap();
            lanes.streams.try_send(Incoming::StreamFailed { to: NodeId([0; 16]) }).unwrap();
        }
        drop(lanes);
        let mut packets = Vec::new();
        while let Some(incoming) = inbox.recv().await {
            packets.push(matches!(incoming, Incoming::Packet { .. }));
        }
        assert_eq!(packets, [true, false, true, false, true, false, true, false]);
        assert!(inbox.try_recv().is_none());
    }
}
