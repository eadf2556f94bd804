//! What precedes a handshake in clear: the hello of who connects, and the reply head or coded refusal.
//!
//! Must never carry anything that is secret: strangers read it, and anybody can forge a refusal.
//!
//! Hello, 18 bytes: magic `NDBs` | version | mode (0 member, 1 join) | cluster tag 4 | token id 8 (zero
//! for members). Reply head, 6 bytes: magic `NDBr` | version | status (0 go on, else a [`Refusal`]).
//! Magic, version and mode or status keep their places in every future version, so that two versions can
//! tell each other so.

use netdb_gossip_core::{packet::ClusterTag, token::TokenId};

/// The version of hello, handshake and records that this code speaks.
pub const STREAM_VERSION: u8 = 1;

/// Length of the part of a hello that no version changes.
pub(crate) const PREFIX_LEN: usize = 6;
/// Length of a hello.
pub(crate) const HELLO_LEN: usize = 18;
/// Length of a reply head.
pub(crate) const REPLY_LEN: usize = 6;

const HELLO_MAGIC: [u8; 4] = *b"NDBs";
const REPLY_MAGIC: [u8; 4] = *b"NDBr";
const MODE_MEMBER: u8 = 0;
const MODE_JOIN: u8 = 1;
const GO_ON: u8 = 0;

/// What the connecting side wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// A stream between two members.
    Member,
    /// To be admitted with the token of this id.
    Join(TokenId),
}

/// The first bytes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) tag: ClusterTag,
    pub(crate) mode: Mode,
}

/// Why bytes are not a hello that we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHello {
    /// Not our protocol at all.
    NotOurs,
    /// Ours, of another version. Only a join is told so.
    Version { join: bool },
}

/// Why a join is refused. In clear where the handshake has not begun, sealed after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The token is for another cluster.
    #[error("the node belongs to another cluster than the token")]
    OtherCluster,
    /// No such token: mistyped, or rotated away.
    #[error("the token is not known: wrong, or rotated since it was given out")]
    TokenUnknown,
    /// The token was right once.
    #[error("the token has expired")]
    TokenExpired,
    /// The two programs speak different versions of this protocol.
    #[error("the node speaks another version of the stream protocol")]
    Version,
    /// The cluster has as many nodes as it may.
    #[error("the cluster is full")]
    ClusterFull,
    /// The node cannot answer now; try again, or another node.
    #[error("the node is busy")]
    Busy,
}

impl Refusal {
    /// The code on the wire.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::OtherCluster => 1,
            Self::TokenUnknown => 2,
            Self::TokenExpired => 3,
            Self::Version => 4,
            Self::ClusterFull => 5,
            Self::Busy => 6,
        }
    }

    /// The refusal of a code, if it is one that we know.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [
            Self::OtherCluster,
            Self::TokenUnknown,
            Self::TokenExpired,
            Self::Version,
            Self::ClusterFull,
            Self::Busy,
        ]
        .into_iter()
        .find(|refusal| refusal.code() == code)
    }
}

impl Hello {
    pub(crate) fn to_bytes(self) -> [u8; HELLO_LEN] {
        let (mode, token) = match self.mode {
            Mode::Member => (MODE_MEMBER, [0; 8]),
            Mode::Join(TokenId(id)) => (MODE_JOIN, id),
        };
        let parts: [&[u8]; 5] = [&HELLO_MAGIC, &[STREAM_VERSION], &[mode], &self.tag.0, &token];
        let mut bytes = [0; HELLO_LEN];
        bytes.iter_mut().zip(parts.into_iter().flatten()).for_each(|(to, from)| *to = *from);
        bytes
    }

    /// Checks the part that comes first in every version.
    pub(crate) fn check_prefix(prefix: [u8; PREFIX_LEN]) -> Result<(), BadHello> {
        let [a, b, c, d, version, mode] = prefix;
        if [a, b, c, d] != HELLO_MAGIC {
            return Err(BadHello::NotOurs);
        }
        if version != STREAM_VERSION {
            return Err(BadHello::Version { join: mode == MODE_JOIN });
        }
        if mode == MODE_MEMBER || mode == MODE_JOIN { Ok(()) } else { Err(BadHello::NotOurs) }
    }

    /// Reads a whole hello.
    pub(crate) fn from_bytes(bytes: [u8; HELLO_LEN]) -> Result<Self, BadHello> {
        let (prefix, rest) = bytes.split_first_chunk().ok_or(BadHello::NotOurs)?;
        Self::check_prefix(*prefix)?;
        let (tag, token) = rest.split_first_chunk().ok_or(BadHello::NotOurs)?;
        let token = token.first_chunk::<8>().ok_or(BadHello::NotOurs)?;
        let join = prefix.last() == Some(&MODE_JOIN);
        let mode = if join { Mode::Join(TokenId(*token)) } else { Mode::Member };
        Ok(Self { tag: ClusterTag(*tag), mode })
    }
}

/// What the answering side says before its part of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The handshake goes on.
    GoOn,
    /// It does not, for this reason.
    Refused(Refusal),
}

/// Why bytes are not a reply that we understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadReply {
    /// Not our protocol at all.
    NotOurs,
    /// Ours, of this version, which is not the one we speak.
    Version(u8),
}

impl Reply {
    pub(crate) fn to_bytes(self) -> [u8; REPLY_LEN] {
        let status = match self {
            Self::GoOn => GO_ON,
            Self::Refused(refusal) => refusal.code(),
        };
        let [a, b, c, d] = REPLY_MAGIC;
        [a, b, c, d, STREAM_VERSION, status]
    }

    pub(crate) fn from_bytes(bytes: [u8; REPLY_LEN]) -> Result<Self, BadReply> {
        let [a, b, c, d, version, status] = bytes;
        if [a, b, c, d] != REPLY_MAGIC {
            return Err(BadReply::NotOurs);
        }
        if version != STREAM_VERSION {
            return Err(BadReply::Version(version));
        }
        match status {
            GO_ON => Ok(Self::GoOn),
            code => Refusal::from_code(code).map(Self::Refused).ok_or(BadReply::NotOurs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_survives_its_bytes() {
        for mode in [Mode::Member, Mode::Join(TokenId([7; 8]))] {
            let hello = Hello { tag: ClusterTag([1, 2, 3, 4]), mode };
            assert_eq!(Hello::from_bytes(hello.to_bytes()), Ok(hello));
        }
    }

    #[test]
    fn another_version_is_told_from_another_protocol() {
        let mut bytes =
            Hello { tag: ClusterTag([0; 4]), mode: Mode::Join(TokenId([0; 8])) }.to_bytes();
        bytes[4] = 2;
        assert_eq!(Hello::from_bytes(bytes), Err(BadHello::Version { join: true }));
        bytes[0] = b'G';
        assert_eq!(Hello::from_bytes(bytes), Err(BadHello::NotOurs));
    }

    #[test]
    fn every_refusal_survives_its_code() {
        for code in 1..=6 {
            let refusal = Refusal::from_code(code).unwrap();
            assert_eq!(refusal.code(), code);
            let reply = Reply::Refused(refusal);
            assert_eq!(Reply::from_bytes(reply.to_bytes()), Ok(reply));
        }
        assert_eq!(Refusal::from_code(0), None);
        assert_eq!(Refusal::from_code(7), None);
        let mut future = Reply::GoOn.to_bytes();
        future[4] = 9;
        assert_eq!(Reply::from_bytes(future), Err(BadReply::Version(9)));
    }
}
