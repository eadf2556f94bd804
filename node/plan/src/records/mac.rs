//! The hardware address of an endpoint.

use core::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An EUI-48.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Mac(pub [u8; 6]);

/// The text is not a hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected six pairs of hexadecimal digits with ':' between them")]
pub struct ParseMacError;

impl Mac {
    /// One from random bytes: locally administered, unicast (IEEE 802, section 8.2). Never made from an
    /// address, which may belong to another endpoint soon while others still know the old pair.
    pub fn random(random: [u8; 6]) -> Self {
        let mut bytes = random;
        let [first, ..] = &mut bytes;
        *first = *first & 0b1111_1100 | 0b10;
        Self(bytes)
    }

    /// Whether one interface may have it: neither a group's nor all zero.
    pub fn is_an_interfaces(self) -> bool {
        let [first, ..] = self.0;
        first & 1 == 0 && self.0 != [0; 6]
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            let colon = if at == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Mac {
    type Err = ParseMacError;

    fn from_str(text: &str) -> Result<Self, ParseMacError> {
        let mut bytes = [0; 6];
        let mut pairs = text.split([':', '-']);
        for byte in &mut bytes {
            let pair = pairs.next().filter(|pair| pair.len() == 2).ok_or(ParseMacError)?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(ParseMacError);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| ParseMacError)?;
        }
        if pairs.next().is_some() { Err(ParseMacError) } else { Ok(Self(bytes)) }
    }
}
