//! The transport of a node on real sockets: sealed packets by UDP, authenticated streams by TCP, joins.
//!
//! A thin tokio shell that knows nothing of members and tables. [`Transport`] moves bytes; everything
//! that needs judgement (is this peer a member? is this token good?) is asked of the owner through its
//! [`Inbox`]. The wire format of streams is in `docs/protocol.md`.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

mod accept;
mod admit;
mod bind;
pub mod conformance;
mod gate;
mod handshake;
mod hello;
mod incoming;
mod join;
mod limits;
mod peers;
mod record;
mod shell;
mod stats;
mod stop;
mod stream;
#[cfg(test)]
mod tests;
mod transport;
mod udp;

pub use bind::BindError;
pub use handshake::Psk;
pub use hello::{Refusal, STREAM_VERSION};
pub use incoming::{Inbox, Incoming, JoinRefusal, TokenAnswer};
pub use join::{JoinError, join};
pub use limits::{
    Limits, MAX_DATAGRAM, MAX_JOIN_ANSWER, MAX_JOIN_REQUEST, MAX_REFUSAL_TEXT, MAX_SOURCES,
    MAX_STREAM_MESSAGE,
};
pub use peers::SendError;
pub use stats::Stats;
pub use transport::{Config, Transport};
