//! The handshake: Noise XX between two members, `XXpsk3` between a joiner and a member, and in it the
//! proof that each side is the [`NodeId`] that it claims. Knows bytes and keys, no limits and no clock.
//!
//! Must never return a peer whose two keys have not both been proven in this very handshake.
//!
//! # What is proven, and how
//!
//! Noise proves that a peer holds the X25519 key that it uses as its static key. A `NodeId` is the hash
//! of that key and an Ed25519 key, so each side adds in its handshake payload its Ed25519 public key and
//! a signature. The X25519 half is not sent: it *is* the Noise static key, so no identity can be claimed
//! whose exchange key differs from the one in use.
//!
//! The signature covers a domain string, the role, the Noise handshake hash so far and the signer's own
//! X25519 key. A certificate made once (over the X25519 key and the cluster id) would be cheaper, but
//! whoever steals the X25519 key alone could replay it for ever, and its presence would prove nothing
//! about the present. The handshake hash before the responder's message covers the prologue and the
//! initiator's fresh ephemeral key; the one before the initiator's message covers everything that the
//! responder sent too. So each signature answers a challenge of the other side, belongs to one
//! connection, one cluster and one direction, and both secret keys must be at hand now. The signer's own
//! X25519 key is covered so that nobody can pass off a stranger's Ed25519 key as part of its own
//! identity.
//!
//! The prologue is the hello and the whole [`ClusterId`], of which the hello shows four bytes: equal tags
//! of two clusters, or a stranger that copied the tag, do not complete a handshake. An eavesdropper
//! learns no identity. Whoever connects can learn the responder's public keys (a prologue is
//! authenticated, it hides nothing); they are no secret.
//!
//! All-zero and other low-order X25519 keys are refused: they would agree on a secret that everybody
//! knows.

use std::sync::Arc;

use ed25519_dalek::{Signature, VerifyingKey};
use netdb_gossip_core::identity::{ClusterId, Identity, NodeId, PublicIdentity};
use snow::{HandshakeState, StatelessTransportState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use x25519_dalek::PublicKey;
use zeroize::Zeroizing;

use crate::hello::{BadReply, Hello, Mode, REPLY_LEN, Refusal, Reply};

const MEMBER_PATTERN: &str = "Noise_XX_25519_ChaChaPoly_BLAKE2s";
const JOIN_PATTERN: &str = "Noise_XXpsk3_25519_ChaChaPoly_BLAKE2s";
const PSK_POSITION: u8 = 3;

/// The most bytes in one handshake message; the largest of ours has 192.
const MAX_HANDSHAKE_MESSAGE: usize = 512;

/// Ed25519 public key and signature.
const PROOF_LEN: usize = 32 + 64;
const SIGNED: &[u8] = b"netdb stream identity 1";
const INITIATOR: u8 = b'i';
const RESPONDER: u8 = b'r';

/// A pre-shared key of a join.
pub type Psk = Zeroizing<[u8; 32]>;

/// Who we are in handshakes.
pub(crate) struct Keys {
    pub(crate) identity: Identity,
    pub(crate) cluster: ClusterId,
}

/// The end of a handshake: the ciphers of both directions and the proven peer.
pub(crate) struct Secured {
    pub(crate) session: Arc<StatelessTransportState>,
    pub(crate) peer: PublicIdentity,
}

/// Why a handshake came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The connection broke or was closed.
    #[error("connection lost: {0}")]
    Io(#[from] std::io::Error),
    /// The other side does not speak our protocol.
    #[error("not our protocol")]
    NotOurs,
    /// The other side speaks another version of it.
    #[error("protocol version {0}")]
    Version(u8),
    /// The other side refused in clear.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// Keys, cluster or pre-shared key don't fit, or the bytes were changed on the way.
    #[error("the handshake does not open")]
    NotOpened,
    /// The identity is not proven.
    #[error("the identity is not proven")]
    Identity,
    /// Proven on both sides, and then the peer closed.
    #[error("the peer does not admit us")]
    NotAdmitted,
    /// Proven, but somebody else than we wanted.
    #[error("the address belongs to another node, {0}")]
    WrongPeer(NodeId),
}

impl From<snow::Error> for HandshakeError {
    fn from(_: snow::Error) -> Self {
        Self::NotOpened
    }
}

/// Runs the connecting side. With `expected`, no other peer learns who we are.
pub(crate) async fn initiate<S>(
    stream: &mut S,
    keys: &Keys,
    hello: Hello,
    psk: Option<&Psk>,
    expected: Option<NodeId>,
) -> Result<Secured, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut noise = build(keys, hello, psk, INITIATOR)?;
    let mut first = hello.to_bytes().to_vec();
    push_message(&mut noise, &[], &mut first)?;
    stream.write_all(&first).await?;

    let mut reply = [0; REPLY_LEN];
    stream.read_exact(&mut reply).await?;
    match Reply::from_bytes(reply) {
        Ok(Reply::GoOn) => {}
        Ok(Reply::Refused(refusal)) => return Err(HandshakeError::Refused(refusal)),
        Err(BadReply::NotOurs) => return Err(HandshakeError::NotOurs),
        Err(BadReply::Version(version)) => return Err(HandshakeError::Version(version)),
    }
    let peer = read_proof(stream, &mut noise, RESPONDER, keys).await?;
    if let Some(expected) = expected
        && peer.node_id() != expected
    {
        return Err(HandshakeError::WrongPeer(peer.node_id()));
    }
    let mut last = Vec::new();
    let proof = prove(keys, &noise, INITIATOR);
    push_message(&mut noise, &proof, &mut last)?;
    stream.write_all(&last).await?;
    Ok(Secured { session: Arc::new(noise.into_stateless_transport_mode()?), peer })
}

/// Runs the answering side, after the hello has been read and found good.
pub(crate) async fn respond<S>(
    stream: &mut S,
    keys: &Keys,
    hello: Hello,
    psk: Option<&Psk>,
) -> Result<Secured, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut noise = build(keys, hello, psk, RESPONDER)?;
    let empty = read_message(stream, &mut noise).await?;
    if !empty.is_empty() {
        return Err(HandshakeError::NotOpened);
    }
    let mut answer = Reply::GoOn.to_bytes().to_vec();
    let proof = prove(keys, &noise, RESPONDER);
    push_message(&mut noise, &proof, &mut answer)?;
    stream.write_all(&answer).await?;
    let peer = read_proof(stream, &mut noise, INITIATOR, keys).await?;
    Ok(Secured { session: Arc::new(noise.into_stateless_transport_mode()?), peer })
}

fn build(
    keys: &Keys,
    hello: Hello,
    psk: Option<&Psk>,
    role: u8,
) -> Result<HandshakeState, snow::Error> {
    let pattern = match hello.mode {
        Mode::Member => MEMBER_PATTERN,
        Mode::Join(_) => JOIN_PATTERN,
    };
    let secret = Zeroizing::new(keys.identity.exchange_secret().to_bytes());
    let prologue = [hello.to_bytes().as_slice(), &keys.cluster.0].concat();
    let mut builder = snow::Builder::new(pattern.parse()?)
        .local_private_key(secret.as_slice())?
        .prologue(&prologue)?;
    if let Some(psk) = psk {
        builder = builder.psk(PSK_POSITION, psk)?;
    }
    if role == INITIATOR { builder.build_initiator() } else { builder.build_responder() }
}

/// Appends the next handshake message, length first.
fn push_message(
    noise: &mut HandshakeState,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), HandshakeError> {
    let mut message = [0; MAX_HANDSHAKE_MESSAGE];
    let len = noise.write_message(payload, &mut message)?;
    let prefix = u16::try_from(len).map_err(|_| HandshakeError::NotOpened)?;
    out.extend_from_slice(&prefix.to_be_bytes());
    out.extend_from_slice(message.get(..len).unwrap_or_default());
    Ok(())
}

/// Reads the next handshake message and returns its payload.
async fn read_message<S: AsyncRead + Unpin>(
    stream: &mut S,
    noise: &mut HandshakeState,
) -> Result<Vec<u8>, HandshakeError> {
    let len = usize::from(stream.read_u16().await?);
    let mut message = [0; MAX_HANDSHAKE_MESSAGE];
    let message = message.get_mut(..len).ok_or(HandshakeError::NotOurs)?;
    stream.read_exact(message).await?;
    let mut payload = vec![0; MAX_HANDSHAKE_MESSAGE];
    let read = noise.read_message(message, &mut payload)?;
    payload.truncate(read);
    Ok(payload)
}

fn signed_bytes(noise: &HandshakeState, role: u8, exchange: &[u8; 32]) -> Vec<u8> {
    [SIGNED, &[role], noise.get_handshake_hash(), exchange].concat()
}

/// Our proof for the message that comes next.
fn prove(keys: &Keys, noise: &HandshakeState, role: u8) -> Vec<u8> {
    let public = keys.identity.public();
    let signature = keys.identity.sign(&signed_bytes(noise, role, &public.exchange));
    [public.sign.as_slice(), &signature].concat()
}

/// Reads the peer's message and checks the proof in it.
async fn read_proof<S: AsyncRead + Unpin>(
    stream: &mut S,
    noise: &mut HandshakeState,
    role: u8,
    keys: &Keys,
) -> Result<PublicIdentity, HandshakeError> {
    // The signature covers the hash before its own message; the static key is only known after it.
    let hash_before = noise.get_handshake_hash().to_vec();
    let payload = read_message(stream, noise).await?;
    let proof: [u8; PROOF_LEN] = payload.try_into().map_err(|_| HandshakeError::Identity)?;
    let (sign, signature) = proof.split_first_chunk::<32>().ok_or(HandshakeError::Identity)?;
    let signature = Signature::from_slice(signature).map_err(|_| HandshakeError::Identity)?;
    let exchange: [u8; 32] = noise
        .get_remote_static()
        .and_then(|key| key.try_into().ok())
        .ok_or(HandshakeError::Identity)?;
    let agreed = keys.identity.exchange_secret().diffie_hellman(&PublicKey::from(exchange));
    if !agreed.was_contributory() {
        return Err(HandshakeError::Identity);
    }
    let signed = [SIGNED, &[role], &hash_before, &exchange].concat();
    VerifyingKey::from_bytes(sign)
        .and_then(|key| key.verify_strict(&signed, &signature))
        .map_err(|_| HandshakeError::Identity)?;
    let peer = PublicIdentity { sign: *sign, exchange };
    // Our own identity at the other end is a loop, or a copy of our state directory.
    if peer == keys.identity.public() { Err(HandshakeError::Identity) } else { Ok(peer) }
}

#[cfg(test)]
mod tests;
