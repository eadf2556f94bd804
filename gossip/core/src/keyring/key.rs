//! One numbered key: its secret, the epoch it was made for, and the id that names it in packets.
//!
//! The secret is wiped from memory when dropped and is never printed. It leaves this crate in one way
//! only: serialized, inside a keyring that goes to the owner's disk or, sealed, to another node.

use core::fmt;

use rand::CryptoRng;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Names a key in the clear header of a packet: a hash of its epoch and secret, so it looks random,
/// and two different keys never share an id.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId(pub [u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a key id: 16 hexadecimal digits are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a key id of 16 hexadecimal digits")]
pub struct ParseKeyIdError;

impl core::str::FromStr for KeyId {
    type Err = ParseKeyIdError;
    fn from_str(text: &str) -> Result<Self, ParseKeyIdError> {
        let bytes = data_encoding::HEXLOWER_PERMISSIVE
            .decode(text.as_bytes())
            .map_err(|_| ParseKeyIdError)?;
        Ok(Self(bytes.try_into().map_err(|_| ParseKeyIdError)?))
    }
}

/// A 256-bit packet key. Ordered in time by (epoch, id).
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: KeyId,
    epoch: u64,
    secret: Zeroizing<[u8; 32]>,
}

impl Key {
    /// Makes a new key for `epoch`.
    pub fn generate(epoch: u64, entropy: &mut dyn CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        entropy.fill_bytes(&mut *secret);
        Self::from_secret(epoch, secret)
    }

    /// The key with this secret.
    pub fn from_secret(epoch: u64, secret: Zeroizing<[u8; 32]>) -> Self {
        let digest = Sha256::new()
            .chain_update(b"netdb key id")
            .chain_update(epoch.to_be_bytes())
            .chain_update(*secret)
            .finalize();
        let mut id = [0; 8];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self { id: KeyId(id), epoch, secret }
    }

    /// What packets call this key.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The rotation this key was made for; a later one replaces it.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The place in time: of the keys in use, the highest rank seals.
    pub fn rank(&self) -> (u64, KeyId) {
        (self.epoch, self.id)
    }

    pub(crate) fn secret(&self) -> &[u8; 32] {
        &self.secret
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} epoch {})", self.id, self.epoch)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.epoch, *self.secret).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (epoch, secret) = <(u64, [u8; 32])>::deserialize(deserializer)?;
        Ok(Self::from_secret(epoch, Zeroizing::new(secret)))
    }
}
