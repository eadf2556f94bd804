//! Every limit of the transport in one place: sizes that the protocol fixes, and what can be configured.
//!
//! Must never hold a limit that nothing enforces: each field has a test at the limit.

use std::time::Duration;

/// The most bytes in one stream message, on both sides.
pub const MAX_STREAM_MESSAGE: usize = 1024 * 1024;

/// The most bytes that a joiner may send as its request. It is a stranger until it is answered.
pub const MAX_JOIN_REQUEST: usize = 64 * 1024;

/// The most bytes in the answer to a join: one stream message less its status byte.
pub const MAX_JOIN_ANSWER: usize = MAX_STREAM_MESSAGE - 1;

/// The most bytes of text in a refusal; longer texts are cut at a character boundary.
pub const MAX_REFUSAL_TEXT: usize = 512;

/// The largest datagram taken or sent: a jumbo frame's worth. Larger ones are dropped and counted.
pub const MAX_DATAGRAM: usize = 9000;

/// Source addresses whose handshake rate is remembered; beyond it strangers share one allowance.
pub const MAX_SOURCES: usize = 4096;

/// What a transport allows. The defaults suit a host in a cluster of up to some thousand nodes.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the TCP connection to an admitted peer, the owner's answer included. Shorter frees slots
    /// from silent strangers sooner, longer forgives slow links.
    pub handshake: Duration,
    /// A message begun must be complete within this time on both sides; also the longest that a write
    /// may make no progress. 1 MiB in the default 10 s asks for 105 kB/s.
    pub message: Duration,
    /// A stream on which nothing moved for this long is closed; a peer that acknowledges nothing for
    /// this long is given up.
    pub idle: Duration,
    /// Handshakes from outside in progress at one time; more connections are closed at once.
    pub handshakes: usize,
    /// Of those, the most from one source address (IPv6: one /64), so that one silent host cannot take
    /// every slot.
    pub handshakes_per_source: usize,
    /// Handshakes per second that one source address may begin in the long run.
    pub handshake_rate: u32,
    /// Handshakes that one source address may begin at once after a quiet time.
    pub handshake_burst: u32,
    /// Streams that one peer may hold open towards us; a further one replaces its oldest (the peer has
    /// proven who it is, and an older stream is usually what a crash left behind).
    pub inbound_streams_per_peer: usize,
    /// Streams open towards us in all; more are closed before their handshake.
    pub inbound_streams: usize,
    /// Streams that we have open or are opening; more sends fail.
    pub outbound_streams: usize,
    /// Messages that wait for one peer; more sends fail.
    pub queue_messages: usize,
    /// Bytes that wait for one peer; more sends fail.
    pub queue_bytes: usize,
    /// Joins in progress at one time; more are told that the node is busy.
    pub joins: usize,
    /// How long the owner may take to answer a join before the joiner is told that the node is busy.
    pub join_answer: Duration,
    /// How long [`Transport::shutdown`](crate::Transport::shutdown) lets queued messages out.
    pub shutdown: Duration,
    /// Packets that wait for the owner; more are dropped and counted.
    pub packets: usize,
    /// Messages and questions that wait for the owner; more make their streams wait.
    pub messages: usize,
    /// Kernel buffer for received packets, in bytes (the kernel may grant less).
    pub receive_buffer: usize,
    /// Kernel buffer for sent packets, in bytes (the kernel may grant less).
    pub send_buffer: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            message: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            handshakes: 64,
            handshakes_per_source: 16,
            handshake_rate: 64,
            handshake_burst: 128,
            inbound_streams_per_peer: 2,
            inbound_streams: 512,
            outbound_streams: 512,
            queue_messages: 16,
            queue_bytes: 4 * 1024 * 1024,
            joins: 8,
            join_answer: Duration::from_secs(10),
            shutdown: Duration::from_secs(5),
            packets: 1024,
            messages: 32,
            receive_buffer: 4 * 1024 * 1024,
            send_buffer: 2 * 1024 * 1024,
        }
    }
}
