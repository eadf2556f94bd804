//! What is counted, over all sandboxes of a host. Bytes of others are counted by reason.
//!
//! Must never hold a counter that nothing raises.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One count that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Relaxed);
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)*) => {
        /// The live counters.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)* }

        /// A reading of all counters.
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
    /// Queries over UDP.
    udp_queries,
    /// Queries over TCP.
    tcp_queries,
    /// Queries that were answered from the tables, or refused, at once.
    answered_here,
    /// Queries that were answered from the cache.
    answered_from_cache,
    /// Queries that waited for an upstream.
    forwarded,
    /// Of these, those for which the same question was under way.
    joined,
    /// Queries dropped: not readable, or no query at all.
    dropped_queries,
    /// Queries that were not forwarded because the sandbox has too many waiting.
    refused_by_share,
    /// Queries that were not forwarded because too many questions are under way.
    refused_by_load,
    /// Answers dropped because the socket was full, or its system refused.
    dropped_answers,
    /// TCP connections taken.
    connections,
    /// TCP connections closed because the sandbox has too many.
    refused_connections,
    /// TCP connections ended because the client was silent, slow or sent too long a query.
    cut_connections,
    /// Questions sent to upstreams, each try counted.
    upstream_tries,
    /// Tries that ended without an answer in time.
    upstream_silent,
    /// Tries that ended with an error of the system, such as a refused port.
    upstream_unreachable,
    /// Tries to which the upstream said that it can't or will not answer.
    upstream_refused,
    /// Answers asked for again over TCP because they were cut.
    upstream_truncated,
    /// What came from an upstream and is no answer to what was asked.
    upstream_strays,
    /// Questions that no upstream answered.
    failed,
}
