//! Who a node is: two key pairs kept for life, the id hashed from them, and the names of things.

use alloc::{string::String, string::ToString, vec::Vec};
use core::{cmp::Ordering, fmt, str::FromStr};

use ed25519_dalek::{Signer, SigningKey};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// Hash of a node's two public keys: `SHA-256(ed25519 ‖ x25519)`, first 16 bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 16]);

/// That of the bytes. Ids are the keys of most maps: one number is compared faster than bytes in memory.
impl Ord for NodeId {
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Names a cluster for ever, made at random by the first node.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClusterId(pub [u8; 16]);

/// Grows at every start of a node: max(stored + 1, Unix seconds, highest that peers report + 1).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Generation(pub u64);

/// The text is not an id of this kind: 32 hexadecimal digits are expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 hexadecimal digits")]
pub struct ParseIdError;

macro_rules! hex_id {
    ($name:ident) => {
        impl $name {
            /// The first eight hexadecimal digits, for tables and logs.
            pub fn short(&self) -> String {
                self.to_string().chars().take(8).collect()
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.short())
            }
        }
        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bytes = data_encoding::HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .map_err(|_| ParseIdError)?;
                Ok(Self(bytes.try_into().map_err(|_| ParseIdError)?))
            }
        }
    };
}
hex_id!(NodeId);
hex_id!(ClusterId);

impl ClusterId {
    /// A new random id.
    pub fn generate(entropy: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        entropy.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// What others know of a node's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublicIdentity {
    /// Ed25519 verifying key.
    pub sign: [u8; 32],
    /// X25519 public key, the static key of Noise handshakes.
    pub exchange: [u8; 32],
}

impl PublicIdentity {
    /// The id that these keys hash to.
    pub fn node_id(&self) -> NodeId {
        let digest = Sha256::new().chain_update(self.sign).chain_update(self.exchange).finalize();
        let mut id = [0; 16];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        NodeId(id)
    }
}

/// A node's two secret keys. Never printed, never sent.
#[derive(Clone)]
pub struct Identity {
    sign: SigningKey,
    exchange: StaticSecret,
}

impl Identity {
    /// Length of [`Identity::to_bytes`].
    pub const LEN: usize = 64;

    /// Makes a new identity.
    pub fn generate(entropy: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; Self::LEN]);
        entropy.fill_bytes(&mut *bytes);
        Self::from_bytes(&bytes)
    }

    /// Reads an identity back: Ed25519 seed, then X25519 secret.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let (mut sign, mut exchange) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        let (first, second) = bytes.split_at(32);
        sign.copy_from_slice(first);
        exchange.copy_from_slice(second);
        Self { sign: SigningKey::from_bytes(&sign), exchange: StaticSecret::from(*exchange) }
    }

    /// The secret bytes, for the identity file only.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.sign.to_bytes(), self.exchange.to_bytes()].concat())
    }

    /// The X25519 secret, the static key of Noise handshakes.
    pub fn exchange_secret(&self) -> &StaticSecret {
        &self.exchange
    }

    /// Signs `message` with Ed25519.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.sign.sign(message).to_bytes()
    }

    /// The public halves.
    pub fn public(&self) -> PublicIdentity {
        PublicIdentity {
            sign: self.sign.verifying_key().to_bytes(),
            exchange: x25519_dalek::PublicKey::from(&self.exchange).to_bytes(),
        }
    }

    /// The id of this node.
    pub fn node_id(&self) -> NodeId {
        self.public().node_id()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.node_id())
    }
}

/// A name for a node, network or table: 1 to 64 bytes, letters, digits, `.`, `_` and `-`, starting
/// with a letter, a digit or `_`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a name must not be empty")]
    Empty,
    /// Over 64 bytes.
    #[error("a name has at most 64 bytes, this one has {0}")]
    TooLong(usize),
    /// A character outside the allowed set, or a first character that may not come first.
    #[error(
        "{0:?} is not allowed there: letters, digits, '.', '_', '-', starting with a letter, a digit or '_'"
    )]
    Character(char),
}

impl Name {
    /// The most bytes a name may have.
    pub const MAX_LEN: usize = 64;

    /// Checks and takes a name.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::MAX_LEN {
            return Err(NameError::TooLong(text.len()));
        }
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if !(first.is_ascii_alphanumeric() || first == '_') {
            return Err(NameError::Character(first));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        match text.chars().find(|c| !allowed(*c)) {
            Some(bad) => Err(NameError::Character(bad)),
            None => Ok(Self(text.to_string())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn an_identity_survives_its_bytes() {
        let mut entropy = rand_chacha::ChaCha20Rng::from_seed([1; 32]);
        let identity = Identity::generate(&mut entropy);
        let bytes: [u8; 64] = identity.to_bytes().as_slice().try_into().unwrap();
        assert_eq!(Identity::from_bytes(&bytes).public(), identity.public());
        let text = identity.node_id().to_string();
        assert_eq!(text.parse(), Ok(identity.node_id()));
    }

    #[test]
    fn names_are_checked() {
        assert!(Name::new("web-1.prod_x").is_ok());
        assert!(Name::new("_sys").is_ok());
        assert_eq!(Name::new(""), Err(NameError::Empty));
        assert_eq!(Name::new("-x"), Err(NameError::Character('-')));
        assert_eq!(Name::new("a/b"), Err(NameError::Character('/')));
        assert_eq!(Name::new(&"x".repeat(65)), Err(NameError::TooLong(65)));
    }
}
