//! The clear 38 bytes in front of every packet, and what is authenticated along with the sealed body.

use sha2::{Digest, Sha256};

use super::DropReason;
use crate::{
    identity::{ClusterId, NodeId},
    keyring::KeyId,
};

/// The version that this code speaks.
pub(super) const VERSION: u8 = 1;
/// Flag: the receiver's id is authenticated with the packet.
pub(super) const ADDRESSED: u8 = 1;
/// Bytes of the header.
pub(super) const LEN: usize = 1 + 1 + 4 + 8 + NONCE_LEN;
/// Bytes of a nonce.
pub(super) const NONCE_LEN: usize = 24;
/// Bytes of header and receiver.
const AAD_LEN: usize = LEN + 16;

/// Four bytes hashed from the [`ClusterId`]: tells clusters that share a wire apart before any
/// cryptography. It is no secret and proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterTag(pub [u8; 4]);

impl ClusterTag {
    /// The tag of this cluster; made once and kept, since it costs a hash.
    pub fn of(cluster: ClusterId) -> Self {
        let digest =
            Sha256::new().chain_update(b"netdb cluster tag").chain_update(cluster.0).finalize();
        let mut tag = [0; 4];
        tag.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(tag)
    }
}

/// A header in its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) addressed: bool,
    pub(super) cluster: ClusterTag,
    pub(super) key: KeyId,
    pub(super) nonce: [u8; NONCE_LEN],
}

impl Header {
    /// The bytes of this header.
    pub(super) fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let flags = if self.addressed { ADDRESSED } else { 0 };
        let parts =
            [VERSION, flags].into_iter().chain(self.cluster.0).chain(self.key.0).chain(self.nonce);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        bytes
    }

    /// Reads the header of a whole packet and checks what can be checked without a key.
    pub(super) fn parse(packet: &[u8], cluster: ClusterTag) -> Result<Self, DropReason> {
        match packet.first() {
            None => return Err(DropReason::Truncated),
            Some(&VERSION) => {}
            Some(0) => return Err(DropReason::Malformed),
            Some(_) => return Err(DropReason::FutureVersion),
        }
        if packet.len() < super::MIN_PACKET {
            return Err(DropReason::Truncated);
        }
        let rest = packet.get(1..).unwrap_or_default();
        let (flags, rest) = rest.split_first_chunk::<1>().ok_or(DropReason::Truncated)?;
        let (tag, rest) = rest.split_first_chunk::<4>().ok_or(DropReason::Truncated)?;
        let (key, rest) = rest.split_first_chunk::<8>().ok_or(DropReason::Truncated)?;
        let (nonce, _) = rest.split_first_chunk::<NONCE_LEN>().ok_or(DropReason::Truncated)?;
        if *tag != cluster.0 {
            return Err(DropReason::OtherCluster);
        }
        let addressed = match flags {
            [0] => false,
            [ADDRESSED] => true,
            _ => return Err(DropReason::Malformed),
        };
        Ok(Self { addressed, cluster, key: KeyId(*key), nonce: *nonce })
    }
}

/// What is authenticated besides the body: the header, then the receiver if there is one.
pub(super) struct Aad {
    bytes: [u8; AAD_LEN],
    len: usize,
}

impl Aad {
    pub(super) fn new(header: &[u8; LEN], receiver: Option<NodeId>) -> Self {
        let mut bytes = [0; AAD_LEN];
        let to = receiver.unwrap_or_default().0;
        let parts = header.iter().chain(&to);
        bytes.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        Self { bytes, len: if receiver.is_some() { AAD_LEN } else { LEN } }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
