//! What the transport counts. Strangers' bytes are counted by reason, never reported one by one.
//!
//! Must never hold a counter that nothing raises.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One count that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Relaxed);
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// The live counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        /// A reading of all counters since the transport was bound.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Stats { $($(#[doc = $doc])+ pub $name: u64,)* }

        impl Counters {
            pub(crate) fn read(&self) -> Stats {
                Stats { $($name: self.$name.0.load(Relaxed),)* }
            }
        }

        impl Stats {
            /// Every counter with its name, for metrics.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Packets taken from the socket.
    packets_received,
    /// Their bytes.
    packet_bytes_received,
    /// Packets given to the system.
    packets_sent,
    /// Their bytes.
    packet_bytes_sent,
    /// Packets dropped because the owner did not take them fast enough.
    packets_not_taken,
    /// Packets dropped because the socket was full.
    packets_not_sent,
    /// Packets dropped because they were larger than a datagram may be.
    packets_oversized,
    /// Packets that the system refused to send, and failures to receive.
    packet_errors,
    /// Connections closed before their handshake: too many in progress, too many from one source, or
    /// too many streams.
    connections_turned_away,
    /// Handshakes that we answered and that failed: no hello of ours, wrong keys, silence, or a peer that
    /// is not admitted.
    handshakes_refused,
    /// Streams that peers opened towards us.
    streams_accepted,
    /// Streams that we opened.
    streams_opened,
    /// Attempts to open a stream that failed.
    streams_not_opened,
    /// Streams cut because the peer was too slow, silent, or broke the rules.
    streams_cut,
    /// Messages received whole.
    messages_received,
    /// Their bytes.
    message_bytes_received,
    /// Messages that the peer confirmed.
    messages_delivered,
    /// Messages begun.
    messages_sent,
    /// Bytes of messages begun.
    message_bytes_sent,
    /// Joins refused, in clear or after the handshake.
    joins_refused,
    /// Joins answered.
    joins_answered,
}
