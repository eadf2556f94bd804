//! Opening a received packet, in the buffer that it came in.

use chacha20poly1305::{
    Tag, XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, KeyInit},
};

use super::{
    ClusterTag, DropReason, Frames, MAX_MTU, TAG_LEN,
    header::{self, Aad, Header},
    varint,
};
use crate::{
    identity::{Generation, NodeId},
    keyring::{KeyId, Keyring},
};

/// What a packet says. It proves that the sender has a key of the cluster, not which node it is: every
/// node could write another's name here.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    /// Who sent it.
    pub sender: NodeId,
    /// The sender's generation.
    pub generation: Generation,
    /// The number that the sender gave it, for acknowledgements and the
    /// [replay window](super::ReplayWindow).
    pub number: u64,
    /// Whether it was sealed for this very node.
    pub addressed: bool,
    /// The key that it was sealed with.
    pub key: KeyId,
    /// What it carries.
    pub frames: Frames<'a>,
}

/// Opens a packet of `cluster` as node `me`. On an error the buffer may have been overwritten.
pub fn open<'a>(
    packet: &'a mut [u8],
    cluster: ClusterTag,
    me: NodeId,
    keyring: &Keyring,
) -> Result<Opened<'a>, DropReason> {
    if packet.len() > MAX_MTU {
        return Err(DropReason::Oversized);
    }
    let header = Header::parse(packet, cluster)?;
    let key = keyring.get(header.key).ok_or(DropReason::UnknownKey)?;
    let (head, sealed) =
        packet.split_first_chunk_mut::<{ header::LEN }>().ok_or(DropReason::Truncated)?;
    let (body, tag) = sealed.split_last_chunk_mut::<TAG_LEN>().ok_or(DropReason::Truncated)?;
    let aad = Aad::new(head, header.addressed.then_some(me));
    XChaCha20Poly1305::new(key.secret().into())
        .decrypt_inout_detached(
            &XNonce::from(header.nonce),
            aad.as_slice(),
            (&mut *body).into(),
            &Tag::from(*tag),
        )
        .map_err(|_| DropReason::NotOpened)?;
    parse(body, &header).ok_or(DropReason::Malformed)
}

fn parse<'a>(body: &'a [u8], header: &Header) -> Option<Opened<'a>> {
    let (sender, mut rest) = body.split_first_chunk::<16>()?;
    let generation = Generation(varint::take(&mut rest)?);
    let number = varint::take(&mut rest)?;
    Some(Opened {
        sender: NodeId(*sender),
        generation,
        number,
        addressed: header.addressed,
        key: header.key,
        frames: Frames::check(rest)?,
    })
}
