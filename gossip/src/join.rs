//! The joiner's side of a join: one connection, the token's proof, one request, one answer.
//!
//! Must never send a request to somebody who has not proven to hold the token, nor keep anything of a
//! failed join.

use std::{io::ErrorKind, net::SocketAddr, time::Duration};

use netdb_gossip_core::{identity::Identity, packet::ClusterTag, token::Token};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::{
    bind::tune_stream,
    handshake::{HandshakeError, Keys, initiate},
    hello::{Hello, Mode, Refusal, STREAM_VERSION},
    incoming::JoinRefusal,
    limits::{MAX_JOIN_REQUEST, MAX_REFUSAL_TEXT, MAX_STREAM_MESSAGE},
    record::{Record, RecordError},
    shell::seal,
};

/// Why a join failed. Nothing has changed on this side; on the other only if the answer was lost
/// ([`JoinError::Closed`] or [`JoinError::NoAnswer`]), and then joining again does no harm.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The caller's fault.
    #[error("the join request has {0} bytes, at most {MAX_JOIN_REQUEST} are allowed")]
    RequestTooLarge(usize),
    /// The host is there, the port is closed.
    #[error("nothing listens at {0}: is netnode running there, and is the port right?")]
    NothingListens(SocketAddr),
    /// Packets go nowhere.
    #[error("no connection to {0} in time: is the host up, and do firewalls let TCP through?")]
    NotReached(SocketAddr),
    /// The system would not connect.
    #[error("cannot connect to {addr}: {source}")]
    Connect {
        /// Where to.
        addr: SocketAddr,
        /// The system's words.
        source: std::io::Error,
    },
    /// Connected, and then silence.
    #[error(
        "{0} accepted the connection but did not answer in time: is a netnode there, or is it overloaded?"
    )]
    NoAnswer(SocketAddr),
    /// Somebody else's port.
    #[error("what listens at {0} is not a netnode: check address and port")]
    NotNetnode(SocketAddr),
    /// Two versions that cannot talk.
    #[error(
        "{addr} speaks version {theirs} of the stream protocol, this program version {STREAM_VERSION}: upgrade the older one"
    )]
    Version {
        /// Who.
        addr: SocketAddr,
        /// Its version.
        theirs: u8,
    },
    /// A node, but of another cluster.
    #[error(
        "{0} belongs to another cluster than the token: use a token printed by that cluster, or the address of a node of the token's cluster"
    )]
    OtherCluster(SocketAddr),
    /// Mistyped or rotated.
    #[error(
        "the cluster does not know the token: it is wrong, or has been rotated since; get the current one with `netdbctl token show` on a member"
    )]
    TokenUnknown,
    /// Too late.
    #[error("the token has expired; get a new one with `netdbctl token rotate` on a member")]
    TokenExpired,
    /// No room.
    #[error("the cluster is full: it admits no more nodes until one leaves or its limit is raised")]
    ClusterFull,
    /// Later, or elsewhere.
    #[error("{0} is busy: try again, or join through another member")]
    Busy(SocketAddr),
    /// The other side could not prove that it holds the token or is who it says.
    #[error(
        "{0} failed to prove that it belongs to the cluster: something between you and it may be changing or faking the connection"
    )]
    NotProven(SocketAddr),
    /// For a reason that the cluster put in words.
    #[error("the cluster refused: {0}")]
    Refused(String),
    /// In the middle, without a word.
    #[error(
        "{0} closed the connection in the middle of the join: it may be restarting or overloaded; try again, or another member"
    )]
    Closed(SocketAddr),
}

/// Asks the node at `addr` to admit `identity` with `token`; returns its answer.
///
/// # Errors
/// [`JoinError`], whose text says what to do.
pub async fn join(
    addr: SocketAddr,
    token: &Token,
    identity: &Identity,
    request: Vec<u8>,
    timeout: Duration,
) -> Result<Vec<u8>, JoinError> {
    if request.len() > MAX_JOIN_REQUEST {
        return Err(JoinError::RequestTooLarge(request.len()));
    }
    let deadline = Instant::now() + timeout;
    let stream = match timeout_at(deadline, TcpStream::connect(addr)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(source)) => {
            return Err(match source.kind() {
                ErrorKind::ConnectionRefused => JoinError::NothingListens(addr),
                ErrorKind::TimedOut => JoinError::NotReached(addr),
                // It was about to stop.
                ErrorKind::ConnectionReset => JoinError::Closed(addr),
                _ => JoinError::Connect { addr, source },
            });
        }
        Err(_) => return Err(JoinError::NotReached(addr)),
    };
    let exchange = exchange(stream, addr, token, identity, &request, deadline);
    timeout_at(deadline, exchange).await.unwrap_or(Err(JoinError::NoAnswer(addr)))
}

async fn exchange(
    mut stream: TcpStream,
    addr: SocketAddr,
    token: &Token,
    identity: &Identity,
    request: &[u8],
    deadline: Instant,
) -> Result<Vec<u8>, JoinError> {
    tune_stream(&stream);
    let keys = Keys { identity: identity.clone(), cluster: token.cluster() };
    let hello = Hello { tag: ClusterTag::of(token.cluster()), mode: Mode::Join(token.id()) };
    let psk = token.psk();
    let secured = match initiate(&mut stream, &keys, hello, Some(&psk), None).await {
        Ok(secured) => secured,
        Err(error) => return Err(explain(&error, addr)),
    };
    let (mut reader, mut writer) = seal(stream, &secured);
    let broken = |error| match error {
        RecordError::Ended | RecordError::Io(_) => JoinError::Closed(addr),
        RecordError::Slow => JoinError::NoAnswer(addr),
        RecordError::Malformed | RecordError::Oversized => JoinError::NotProven(addr),
    };
    let left = deadline.saturating_duration_since(Instant::now());
    match reader.next(Some(deadline), left).await {
        Ok(Record::Ack(0)) => {}
        Ok(_) => return Err(JoinError::NotProven(addr)),
        Err(error) => return Err(broken(error)),
    }
    writer.message(request, deadline).await.map_err(broken)?;
    let answer = reader.message(MAX_STREAM_MESSAGE, deadline).await.map_err(broken)?;
    writer.finish(deadline).await;
    match Answer::from_bytes(answer) {
        Some(Answer::Admitted(bytes)) => Ok(bytes),
        Some(Answer::Refused(JoinRefusal::Known(refusal))) => Err(refused(refusal, addr)),
        Some(Answer::Refused(JoinRefusal::Text(text))) => Err(JoinError::Refused(text)),
        None => Err(JoinError::NotProven(addr)),
    }
}

fn explain(error: &HandshakeError, addr: SocketAddr) -> JoinError {
    match error {
        HandshakeError::Io(_) => JoinError::Closed(addr),
        HandshakeError::NotOurs => JoinError::NotNetnode(addr),
        HandshakeError::Version(theirs) => JoinError::Version { addr, theirs: *theirs },
        HandshakeError::Refused(refusal) => refused(*refusal, addr),
        HandshakeError::NotOpened
        | HandshakeError::Identity
        | HandshakeError::NotAdmitted
        | HandshakeError::WrongPeer(_) => JoinError::NotProven(addr),
    }
}

fn refused(refusal: Refusal, addr: SocketAddr) -> JoinError {
    match refusal {
        Refusal::OtherCluster => JoinError::OtherCluster(addr),
        Refusal::TokenUnknown => JoinError::TokenUnknown,
        Refusal::TokenExpired => JoinError::TokenExpired,
        Refusal::Version => JoinError::Version { addr, theirs: STREAM_VERSION },
        Refusal::ClusterFull => JoinError::ClusterFull,
        Refusal::Busy => JoinError::Busy(addr),
    }
}

/// The answer to a join on the wire: status, then bytes, code or text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Admitted(Vec<u8>),
    Refused(JoinRefusal),
}

const ADMITTED: u8 = 0;
const KNOWN: u8 = 1;
const TEXT: u8 = 2;

impl Answer {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Admitted(mut bytes) => {
                bytes.insert(0, ADMITTED);
                bytes
            }
            Self::Refused(JoinRefusal::Known(refusal)) => vec![KNOWN, refusal.code()],
            Self::Refused(JoinRefusal::Text(text)) => {
                let end = text.floor_char_boundary(MAX_REFUSAL_TEXT);
                let text = text.get(..end).unwrap_or_default();
                [&[TEXT], text.as_bytes()].concat()
            }
        }
    }

    fn from_bytes(mut bytes: Vec<u8>) -> Option<Self> {
        match bytes.split_first()? {
            (&ADMITTED, _) => {
                bytes.remove(0);
                Some(Self::Admitted(bytes))
            }
            (&KNOWN, [code]) => Some(Self::Refused(Refusal::from_code(*code)?.into())),
            (&TEXT, text) if text.len() <= MAX_REFUSAL_TEXT => {
                let text = String::from_utf8_lossy(text);
                // The text ends up on a terminal.
                let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                Some(Self::Refused(JoinRefusal::Text(plain)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_its_bytes() {
        for answer in [
            Answer::Admitted(vec![]),
            Answer::Admitted(vec![1, 2, 3]),
            Answer::Refused(Refusal::ClusterFull.into()),
            Answer::Refused(JoinRefusal::Text("clock off by 3 h".into())),
        ] {
            let text = format!("{answer:?}");
            let back = Answer::from_bytes(answer.into_bytes()).unwrap();
            assert_eq!(format!("{back:?}"), text);
        }
        assert_eq!(Answer::from_bytes(vec![]), None);
        assert_eq!(Answer::from_bytes(vec![KNOWN]), None);
        assert_eq!(Answer::from_bytes(vec![9]), None);
    }

    #[test]
    fn a_long_text_is_cut_at_a_character_and_shows_no_control_codes() {
        let long = Answer::Refused(JoinRefusal::Text("ä".repeat(MAX_REFUSAL_TEXT)));
        let Some(Answer::Refused(JoinRefusal::Text(text))) = Answer::from_bytes(long.into_bytes())
        else {
            panic!("no text");
        };
        assert_eq!(text, "ä".repeat(MAX_REFUSAL_TEXT / 2));
        let nasty = Answer::from_bytes(b"\x02a\x1b[2Jb".to_vec());
        assert_eq!(nasty, Some(Answer::Refused(JoinRefusal::Text("a [2Jb".into()))));
        let over = [&[TEXT], "x".repeat(MAX_REFUSAL_TEXT + 1).as_bytes()].concat();
        assert_eq!(Answer::from_bytes(over), None);
    }
}
