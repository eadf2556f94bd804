//! Bytes sealed to one node's X25519 key: how a key reaches a node that others must not read along with.
//!
//! ```text
//! version 1 | ephemeral X25519 key 32 | ciphertext | tag 16
//! key = HKDF-SHA256(salt: ephemeral ‖ receiver's key, input: shared secret, info: "netdb sealed v1")
//! ```
//!
//! ChaCha20-Poly1305 with nonce zero: every sealing makes a fresh key pair, so its key seals once. The
//! version and the caller's context are authenticated, so bytes sealed for one purpose don't open for
//! another. It is not proven who sealed: anybody who knows the receiver's public key can.

use alloc::vec::Vec;

use chacha20poly1305::{
    ChaCha20Poly1305, Nonce, Tag,
    aead::{AeadInOut, KeyInit},
};
use hkdf::Hkdf;
use rand::CryptoRng;
use sha2::Sha256;
use x25519_dalek::{EphemeralSecret, PublicKey, SharedSecret};
use zeroize::Zeroizing;

use crate::identity::{Identity, PublicIdentity};

/// Bytes that sealing adds.
pub const OVERHEAD: usize = 1 + 32 + TAG_LEN;
/// The longest message that is sealed or opened: a keyring is far smaller.
pub const MAX_MESSAGE: usize = 64 * 1024;

const VERSION: u8 = 1;
const TAG_LEN: usize = 16;
const INFO: &[u8] = b"netdb sealed v1";

/// Why a message was not sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// Longer than [`MAX_MESSAGE`], or too short to be sealed bytes.
    #[error("sealed messages have at most {MAX_MESSAGE} bytes")]
    Length,
    /// Of a version that this node does not know.
    #[error("message sealed by a version that this node does not know")]
    Version,
    /// The other key has a small order: the secret shared with it would be known to everybody.
    #[error("the X25519 key is not a usable one")]
    WeakKey,
    /// Damaged, sealed to another key, or for another context.
    #[error("the sealed message does not open with this key")]
    NotOpened,
}

/// Seals `message` to a node. `context` says what for; opening takes the same one.
pub fn seal_to(
    receiver: &PublicIdentity,
    context: &[u8],
    message: &[u8],
    entropy: &mut dyn CryptoRng,
) -> Result<Vec<u8>, SealedError> {
    if message.len() > MAX_MESSAGE {
        return Err(SealedError::Length);
    }
    let secret = EphemeralSecret::random_from_rng(entropy);
    let ephemeral = PublicKey::from(&secret).to_bytes();
    let shared = secret.diffie_hellman(&PublicKey::from(receiver.exchange));
    let cipher = cipher(&shared, &ephemeral, &receiver.exchange)?;
    let mut sealed = Vec::with_capacity(message.len() + OVERHEAD);
    sealed.push(VERSION);
    sealed.extend_from_slice(&ephemeral);
    sealed.extend_from_slice(message);
    let (_, body) = sealed.split_at_mut_checked(1 + 32).ok_or(SealedError::Length)?;
    let tag = cipher
        .encrypt_inout_detached(&Nonce::default(), &aad(context), body.into())
        .map_err(|_| SealedError::Length)?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what was sealed to this node for `context`.
pub fn open_sealed(
    receiver: &Identity,
    context: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealedError> {
    let (version, rest) = sealed.split_first().ok_or(SealedError::Length)?;
    if *version != VERSION {
        return Err(SealedError::Version);
    }
    let (ephemeral, rest) = rest.split_first_chunk::<32>().ok_or(SealedError::Length)?;
    let (body, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(SealedError::Length)?;
    if body.len() > MAX_MESSAGE {
        return Err(SealedError::Length);
    }
    let shared = receiver.exchange_secret().diffie_hellman(&PublicKey::from(*ephemeral));
    let cipher = cipher(&shared, ephemeral, &receiver.public().exchange)?;
    let mut message = Zeroizing::new(body.to_vec());
    cipher
        .decrypt_inout_detached(
            &Nonce::default(),
            &aad(context),
            message.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| SealedError::NotOpened)?;
    Ok(message)
}

fn cipher(
    shared: &SharedSecret,
    ephemeral: &[u8; 32],
    receiver: &[u8; 32],
) -> Result<ChaCha20Poly1305, SealedError> {
    if !shared.was_contributory() {
        return Err(SealedError::WeakKey);
    }
    let salt = [*ephemeral, *receiver].concat();
    let mut key = Zeroizing::new([0; 32]);
    // HKDF refuses only outputs over 8,160 bytes.
    Hkdf::<Sha256>::new(Some(&salt), shared.as_bytes())
        .expand(INFO, &mut *key)
        .map_err(|_| SealedError::Length)?;
    Ok(ChaCha20Poly1305::new((&*key).into()))
}

fn aad(context: &[u8]) -> Vec<u8> {
    [&[VERSION], context].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn node(seed: u8) -> Identity {
        Identity::generate(&mut ChaCha20Rng::from_seed([seed; 32]))
    }

    fn seal(message: &[u8]) -> Vec<u8> {
        let mut entropy = ChaCha20Rng::from_seed([9; 32]);
        seal_to(&node(1).public(), b"test", message, &mut entropy).unwrap()
    }

    #[test]
    fn only_the_receiver_opens_and_only_for_the_context() {
        let sealed = seal(b"key");
        assert_eq!(sealed.len(), 3 + OVERHEAD);
        assert_eq!(open_sealed(&node(1), b"test", &sealed).unwrap().as_slice(), b"key");
        assert_eq!(open_sealed(&node(2), b"test", &sealed), Err(SealedError::NotOpened));
        assert_eq!(open_sealed(&node(1), b"toast", &sealed), Err(SealedError::NotOpened));
    }

    /// Bytes sealed by another program, after `docs/protocol.md`.
    #[test]
    fn the_bytes_of_a_sealed_message_stay_as_they_are() {
        let receiver = Identity::from_bytes(&[4; 64]);
        let sealed = concat!(
            "01",                                                               // version
            "50a61409b1ddd0325e9b16b700e719e9772c07000b1bd7786e907c653d20495d", // ephemeral key
            "e6ea02",                                                           // "key"
            "f61fe9e13b7ef2922865127b75635b17",                                 // tag
        );
        let sealed = data_encoding::HEXLOWER.decode(sealed.as_bytes()).unwrap();
        assert_eq!(open_sealed(&receiver, b"test", &sealed).unwrap().as_slice(), b"key");
    }

    #[test]
    fn sealing_twice_gives_different_bytes() {
        let mut entropy = ChaCha20Rng::from_seed([9; 32]);
        let mut once = || seal_to(&node(1).public(), b"", b"key", &mut entropy).unwrap();
        assert_ne!(once(), once());
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let sealed = seal(b"some bytes");
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 0x40;
            assert!(open_sealed(&node(1), b"test", &damaged).is_err(), "byte {at}");
            assert!(open_sealed(&node(1), b"test", &sealed[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_key_of_small_order_is_refused_on_both_sides() {
        let weak = PublicIdentity { sign: [0; 32], exchange: [0; 32] };
        let mut entropy = ChaCha20Rng::from_seed([9; 32]);
        assert_eq!(seal_to(&weak, b"", b"x", &mut entropy), Err(SealedError::WeakKey));
        let mut sealed = seal(b"x");
        sealed[1..33].fill(0);
        assert_eq!(open_sealed(&node(1), b"test", &sealed), Err(SealedError::WeakKey));
    }

    #[test]
    fn the_limit_is_sealed_and_one_more_byte_is_not() {
        let longest = alloc::vec![7; MAX_MESSAGE];
        let mut sealed = seal(&longest);
        assert_eq!(open_sealed(&node(1), b"test", &sealed).unwrap().as_slice(), longest);
        sealed.push(0);
        assert_eq!(open_sealed(&node(1), b"test", &sealed), Err(SealedError::Length));
        let mut entropy = ChaCha20Rng::from_seed([9; 32]);
        let longer = alloc::vec![7; MAX_MESSAGE + 1];
        let refused = seal_to(&node(1).public(), b"", &longer, &mut entropy);
        assert_eq!(refused, Err(SealedError::Length));
    }

    proptest! {
        #[test]
        fn opening_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut versioned = bytes.clone();
            versioned.insert(0, VERSION);
            prop_assert!(open_sealed(&node(1), b"", &bytes).is_err());
            prop_assert!(open_sealed(&node(1), b"", &versioned).is_err());
        }
    }
}
