//! One question to one upstream: over UDP from a port of its own, or over TCP.
//!
//! Must never wait beyond the time that it is given, nor read without a bound.

use std::{
    io::{self, ErrorKind},
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

use super::answer::{self, Answer, Looked};
use crate::{
    counters::Counters,
    limits::{MAX_DATAGRAM, MAX_STRAYS, UDP_SIZE},
};

/// A question as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// In lower case.
    pub(super) query: Query,
    pub(super) dnssec_ok: bool,
    pub(super) checking_disabled: bool,
}

/// What came of one try.
#[derive(Debug)]
pub(super) enum Tried {
    Answer(Answer),
    /// The upstream can't or will not answer; `form` if it may not know EDNS.
    Refused {
        form: bool,
    },
    Silent,
    Unreachable,
}

/// Asks over UDP until `until`, and over TCP until `longer` if the answer does not fit.
pub(super) async fn exchange(
    upstream: SocketAddr,
    question: &Question,
    plain: bool,
    (until, longer): (Instant, Instant),
    counters: &Counters,
) -> Tried {
    let Some((id, message)) = message(question, plain) else { return Tried::Unreachable };
    counters.upstream_tries.add(1);
    let looked = match timeout_at(until, datagram(upstream, question, id, &message, counters)).await
    {
        Ok(Ok(Looked::Truncated)) => {
            counters.upstream_truncated.add(1);
            timeout_at(longer, stream(upstream, question, id, &message)).await
        }
        other => other,
    };
    match looked {
        Ok(Ok(Looked::Answer(answer))) => Tried::Answer(answer),
        Ok(Ok(Looked::Refused { form })) => {
            counters.upstream_refused.add(1);
            Tried::Refused { form }
        }
        // Over TCP there is nobody else who could have sent it.
        Ok(Ok(Looked::Truncated | Looked::Stray)) => {
            counters.upstream_strays.add(1);
            Tried::Refused { form: false }
        }
        Ok(Err(_)) => {
            counters.upstream_unreachable.add(1);
            Tried::Unreachable
        }
        Err(_) => {
            counters.upstream_silent.add(1);
            Tried::Silent
        }
    }
}

/// The message with a number that nobody can guess; `None` if the system has no random bytes.
fn message(question: &Question, plain: bool) -> Option<(u16, Vec<u8>)> {
    let [a, b, ..] = getrandom::u32().ok()?.to_be_bytes();
    let id = u16::from_be_bytes([a, b]);
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.metadata.checking_disabled = question.checking_disabled;
    // We tell what was checked (RFC 6840, 5.7); clients that don't care are not told.
    message.metadata.authentic_data = true;
    message.add_query(question.query.clone());
    if !plain {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_SIZE).set_dnssec_ok(question.dnssec_ok);
        message.set_edns(edns);
    }
    Some((id, message.to_vec().ok()?))
}

/// From a socket of its own: the system chooses a port that nobody can guess, and lets only the upstream's
/// datagrams in.
async fn datagram(
    upstream: SocketAddr,
    question: &Question,
    id: u16,
    message: &[u8],
    counters: &Counters,
) -> io::Result<Looked> {
    let any: SocketAddr = match upstream {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(upstream).await?;
    socket.send(message).await?;
    let mut buffer = vec![0; MAX_DATAGRAM];
    for _ in 0..MAX_STRAYS {
        let length = socket.recv(&mut buffer).await?;
        match answer::look(&question.query, id, buffer.get(..length).unwrap_or_default()) {
            Looked::Stray => counters.upstream_strays.add(1),
            looked => return Ok(looked),
        }
    }
    Ok(Looked::Stray)
}

/// RFC 7766, 8: each message behind its length.
async fn stream(
    upstream: SocketAddr,
    question: &Question,
    id: u16,
    message: &[u8],
) -> io::Result<Looked> {
    let mut stream = TcpStream::connect(upstream).await?;
    let length = u16::try_from(message.len()).map_err(|_| ErrorKind::InvalidInput)?;
    // In one piece: some servers don't wait for the second.
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
    let mut answer = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut answer).await?;
    Ok(answer::look(&question.query, id, &answer))
}
