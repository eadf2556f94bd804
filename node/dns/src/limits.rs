//! Every bound of this crate. What happens at one is counted, see [`Stats`](crate::Stats).

use std::time::Duration;

/// Bytes of an answer over UDP that are sent, and asked for, at most: what passes every link whole
/// (DNS flag day 2020).
pub const UDP_SIZE: u16 = 1_232;
/// Bytes of an answer over UDP to a client without EDNS (RFC 1035, 4.2.1).
pub const PLAIN_SIZE: u16 = 512;
/// Bytes of a query over UDP; a longer one is dropped.
pub const MAX_UDP_QUERY: usize = UDP_SIZE as usize;
/// Bytes of a query over TCP; a longer one ends the connection.
pub const MAX_TCP_QUERY: usize = 4_096;

/// Queries taken from a socket, and answers given to it, in one call of the system.
pub const BATCH: usize = 32;
/// Batches of one socket before other tasks get their turn.
pub const TURNS: usize = 4;

/// TCP connections of one sandbox; the next is closed.
pub const MAX_CONNECTIONS: usize = 16;
/// Queries of one connection that wait for an upstream; the next is read when one is answered.
pub const MAX_PIPELINED: usize = 16;
/// How long a connection may go without a whole query (RFC 7766, 6.2.3).
pub const IDLE: Duration = Duration::from_secs(10);
/// How long a client may take to accept one answer over TCP.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// Queries of one sandbox that wait for an upstream; the next is refused.
pub const MAX_WAITING: usize = 64;
/// Of these, what a sandbox may always have, however many questions of others are under way.
pub const RESERVED: usize = 4;
/// Different questions under way to the upstreams; beyond, only reserved ones.
pub const MAX_FLIGHTS: usize = 512;

/// Bytes of what a sandbox's `resolv.conf` takes over from the host's; lines beyond are left out.
pub const MAX_KEPT: usize = 4_096;
/// Upstreams of a host; further ones are left out.
pub const MAX_UPSTREAMS: usize = 8;
/// Tries for one question.
pub const MAX_TRIES: usize = 6;
/// Datagrams that are no answer to what was asked, before a try is given up.
pub const MAX_STRAYS: usize = 16;
/// Records in all sections of an upstream's answer; one with more is no answer.
pub const MAX_RECORDS: usize = 1_024;
/// Bytes that are read of an upstream's datagram.
pub const MAX_DATAGRAM: usize = 4_096;

/// Answers that are kept. Beyond either bound, those of the client that has most go first.
pub const MAX_CACHED: usize = 10_000;
/// Bytes of memory for them.
pub const MAX_CACHED_BYTES: usize = 4 << 20;
/// The longest that an answer is kept, in seconds.
pub const MAX_TTL: u32 = 86_400;
/// The longest that a "no" is kept, in seconds (RFC 2308, 5).
pub const MAX_NEGATIVE_TTL: u32 = 300;
/// How long a failure is kept (RFC 9520, 3.2): whoever asks again at once gets it again.
pub const FAILURE_LIFE: Duration = Duration::from_secs(1);
