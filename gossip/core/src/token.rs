//! The join token: what a node is given, by hand, to be let into a cluster.
//!
//! ```text
//! ndb1-<base32, lower case, unpadded, of: cluster id 16 | secret 16 | checksum 2>
//! checksum = SHA-256("netdb token checksum" ‖ cluster id ‖ secret)[..2]
//! ```
//!
//! The token proves the right to join and pins the cluster that is joined. The checksum catches typing
//! mistakes before anything is sent; whether a token is (still) valid only the cluster can tell. The
//! secret is printed by [`Token::to_text`] and by nothing else.

use alloc::{string::String, vec::Vec};
use core::{fmt, str::FromStr};

use data_encoding::BASE32_NOPAD_NOCASE;
use hkdf::Hkdf;
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::identity::ClusterId;

/// What every token starts with.
pub const PREFIX: &str = "ndb1-";
/// Characters of a token after the prefix.
pub const TEXT_LEN: usize = 55;

const BYTES: usize = 16 + 16 + 2;

/// Names a token without revealing it: a hash of its secret.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TokenId(pub [u8; 8]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The right to join one cluster.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    cluster: ClusterId,
    secret: Zeroizing<[u8; 16]>,
}

/// Why a text is not a token; each says what to look at. Never repeats the text, which may be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseTokenError {
    /// It is something else, or of another version.
    #[error("a join token starts with \"{PREFIX}\"")]
    Prefix,
    /// Cut short, or followed by something else.
    #[error("a join token has {TEXT_LEN} characters after \"{PREFIX}\", this one has {0}")]
    Length(usize),
    /// A character that tokens don't have.
    #[error("a join token has only the letters a to z and the digits 2 to 7, not {0:?}")]
    Character(char),
    /// Some character is not the one that it was.
    #[error("the join token was mistyped: its checksum does not match")]
    Checksum,
}

impl Token {
    /// Makes a new token for `cluster`.
    pub fn generate(cluster: ClusterId, entropy: &mut dyn CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 16]);
        entropy.fill_bytes(&mut *secret);
        Self { cluster, secret }
    }

    /// The token with this secret.
    pub fn new(cluster: ClusterId, secret: [u8; 16]) -> Self {
        Self { cluster, secret: Zeroizing::new(secret) }
    }

    /// The cluster that it admits to.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The secret, to be stored only where the keyring is.
    pub fn secret(&self) -> &[u8; 16] {
        &self.secret
    }

    /// What it may be called in public.
    pub fn id(&self) -> TokenId {
        let digest =
            Sha256::new().chain_update(b"netdb token id").chain_update(*self.secret).finalize();
        let mut id = [0; 8];
        id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        TokenId(id)
    }

    /// The pre-shared key of the join handshake:
    /// `HKDF-SHA256(salt: cluster id, input: secret, info: "netdb join psk v1")`.
    pub fn psk(&self) -> Zeroizing<[u8; 32]> {
        let mut psk = Zeroizing::new([0; 32]);
        let expanded = Hkdf::<Sha256>::new(Some(&self.cluster.0), &*self.secret)
            .expand(b"netdb join psk v1", &mut *psk);
        // HKDF refuses only outputs over 8,160 bytes.
        debug_assert!(expanded.is_ok());
        psk
    }

    /// The token as it is handed to a joining node: a secret.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes: Zeroizing<Vec<u8>> = Zeroizing::new(Vec::with_capacity(BYTES));
        bytes.extend_from_slice(&self.cluster.0);
        bytes.extend_from_slice(&*self.secret);
        bytes.extend_from_slice(&self.checksum());
        let encoded = Zeroizing::new(BASE32_NOPAD_NOCASE.encode(&bytes));
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + TEXT_LEN));
        text.push_str(PREFIX);
        text.extend(encoded.chars().map(|c| c.to_ascii_lowercase()));
        text
    }

    fn checksum(&self) -> [u8; 2] {
        let digest = Sha256::new()
            .chain_update(b"netdb token checksum")
            .chain_update(self.cluster.0)
            .chain_update(*self.secret)
            .finalize();
        let mut sum = [0; 2];
        sum.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        sum
    }
}

impl FromStr for Token {
    type Err = ParseTokenError;

    /// Reads a token; space around it and capital letters don't matter.
    fn from_str(text: &str) -> Result<Self, ParseTokenError> {
        let text = text.trim();
        let (prefix, rest) = text.split_at_checked(PREFIX.len()).ok_or(ParseTokenError::Prefix)?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return Err(ParseTokenError::Prefix);
        }
        let known = |c: &char| c.is_ascii_alphabetic() || ('2'..='7').contains(c);
        if let Some(other) = rest.chars().find(|c| !known(c)) {
            return Err(ParseTokenError::Character(other));
        }
        if rest.len() != TEXT_LEN {
            return Err(ParseTokenError::Length(rest.len()));
        }
        // The length is right, so what is wrong now is a last character with bits to spare.
        let bytes = BASE32_NOPAD_NOCASE
            .decode(rest.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| ParseTokenError::Checksum)?;
        let (cluster, rest) = bytes.split_first_chunk::<16>().ok_or(ParseTokenError::Checksum)?;
        let (secret, sum) = rest.split_first_chunk::<16>().ok_or(ParseTokenError::Checksum)?;
        let token = Self::new(ClusterId(*cluster), *secret);
        if sum == token.checksum() { Ok(token) } else { Err(ParseTokenError::Checksum) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({} for cluster {})", self.id(), self.cluster)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use proptest::prelude::*;

    use super::*;

    fn token() -> Token {
        Token::new(ClusterId([0x11; 16]), [0x22; 16])
    }

    #[test]
    fn a_token_survives_its_text() {
        let text = token().to_text();
        assert_eq!(text.len(), PREFIX.len() + TEXT_LEN);
        assert_eq!(text.parse(), Ok(token()));
        assert_eq!(format!("  {}\n", text.to_uppercase()).parse(), Ok(token()));
    }

    /// As `docs/protocol.md` describes them (worked out by another program).
    #[test]
    fn the_text_and_the_derived_values_stay_as_they_are() {
        assert_eq!(
            token().to_text().as_str(),
            "ndb1-ceirceirceirceirceirceircerceirceirceirceirceirceircq6q"
        );
        assert_eq!(token().id().to_string(), "3bd8a1baecb2dc2a");
        assert_eq!(
            data_encoding::HEXLOWER.encode(&*token().psk()),
            "7ce65ce9e91ae910800d8a12ea7ef9db3a7f013063d301d7a1f48c5422755534"
        );
    }

    #[test]
    fn each_mistake_is_told_apart() {
        let text = token().to_text();
        let parse = |text: &str| text.parse::<Token>().unwrap_err();
        assert_eq!(parse(""), ParseTokenError::Prefix);
        assert_eq!(parse("SWMTKN-1-abc"), ParseTokenError::Prefix);
        assert_eq!(parse(&text.replace("ndb1", "ndb2")), ParseTokenError::Prefix);
        assert_eq!(parse("ndb1-"), ParseTokenError::Length(0));
        assert_eq!(parse(&text[..text.len() - 1]), ParseTokenError::Length(TEXT_LEN - 1));
        assert_eq!(parse(&format!("{}a", text.as_str())), ParseTokenError::Length(TEXT_LEN + 1));
        assert_eq!(parse(&text.replace(&text[9..10], "1")), ParseTokenError::Character('1'));
        assert_eq!(parse("ndb1-é"), ParseTokenError::Character('é'));
    }

    #[test]
    fn a_mistyped_character_is_noticed() {
        let text = token().to_text();
        let mut missed = 0;
        for at in PREFIX.len()..text.len() {
            for other in "abcdefghijklmnopqrstuvwxyz234567".chars() {
                let mut typed: String = text[..at].to_string();
                typed.push(other);
                typed.push_str(&text[at + 1..]);
                missed += usize::from(typed != *text && typed.parse::<Token>().is_ok());
            }
        }
        // A 16-bit checksum misses one in 65,536; of these 1,705 it misses none.
        assert_eq!(missed, 0);
    }

    #[test]
    fn the_secret_shows_in_the_text_only() {
        let shown = format!("{:?}", token());
        assert_eq!(shown, format!("Token({} for cluster {})", token().id(), token().cluster()));
        assert!(!shown.contains("2222"));
    }

    proptest! {
        #[test]
        fn parsing_any_text_never_panics(text in "(ndb1-)?\\PC{0,70}") {
            let _ = text.parse::<Token>();
        }

        #[test]
        fn every_token_survives_its_text(cluster: [u8; 16], secret: [u8; 16]) {
            let token = Token::new(ClusterId(cluster), secret);
            prop_assert_eq!(token.to_text().parse(), Ok(token));
        }
    }
}
