//! What the transport brings: bytes for the node, and questions that the node answers.
//!
//! Must never judge anything: who may come in is the node's word.

use netdb_core::node::{self, TokenAnswer as Answer};
use netdb_gossip::{Incoming, JoinRefusal, Refusal, TokenAnswer};
use netdb_gossip_core::{identity::PublicIdentity, token::TokenId};
use zeroize::Zeroizing;

use super::Driver;
use crate::{command::Reply, storage::StorageError};

impl Driver {
    pub(super) fn take_incoming(&mut self, incoming: Incoming) {
        let now = self.now();
        match incoming {
            Incoming::Packet { from, mut bytes } => {
                self.node.handle_packet(now, from, &mut bytes);
            }
            Incoming::Stream { from, message } => self.node.handle_stream(now, from, &message),
            Incoming::StreamFailed { to } => self.stream_failed(to),
            Incoming::Admission { identity, reply } => {
                let _ = reply.send(self.node.is_admitted(&identity));
            }
            Incoming::Token { token_id, reply } => {
                let answer = match self.node.token_answer(token_id, now.wall) {
                    Answer::Psk(psk) => TokenAnswer::Good(Zeroizing::new(psk)),
                    refused => TokenAnswer::Refused(refusal(&refused)),
                };
                let _ = reply.send(answer);
            }
            Incoming::Join { identity, token_id, request, reply } => {
                self.take_join(identity, token_id, request, reply);
            }
        }
    }

    fn take_join(
        &mut self,
        identity: PublicIdentity,
        token_id: TokenId,
        request: Vec<u8>,
        reply: Reply<Result<Vec<u8>, JoinRefusal>>,
    ) {
        // The token may have been rotated since the handshake began.
        match self.node.token_answer(token_id, self.now().wall) {
            Answer::Psk(_) => {}
            refused => {
                let _ = reply.send(Err(refusal(&refused).into()));
                return;
            }
        }
        self.durably(
            reply,
            move |node, now| {
                node.admit(now, &identity, &request).map_err(|refused| match refused {
                    node::Refusal::Full(_) => Refusal::ClusterFull.into(),
                    node::Refusal::Starting => Refusal::Busy.into(),
                    malformed @ node::Refusal::Malformed => {
                        JoinRefusal::Text(malformed.to_string())
                    }
                })
            },
            // The joiner's user can do nothing about our disk but try another member.
            |_: StorageError| Refusal::Busy.into(),
        );
    }
}

fn refusal(answer: &Answer) -> Refusal {
    match answer {
        Answer::Expired => Refusal::TokenExpired,
        Answer::Unknown | Answer::Psk(_) => Refusal::TokenUnknown,
    }
}
