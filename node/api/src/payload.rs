//! Bytes in JSON: as text where they are text, else in base64, always with the encoding beside them.

use std::{borrow::Cow, fmt};

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A key or a value: any bytes.
///
/// In JSON `{"encoding":"text","data":"web"}` when the bytes are valid UTF-8, else
/// `{"encoding":"base64","data":"/wA="}`. Hexadecimal (`"hex"`) is understood as well.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Payload(pub Vec<u8>);

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// They are valid UTF-8 and stand for themselves.
    #[default]
    Text,
    /// Base64 with padding.
    Base64,
    /// Two hexadecimal digits for each byte.
    Hex,
}

/// The text does not decode in the encoding that it is said to be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is not valid {0}")]
pub struct DecodeError(&'static str);

impl Encoding {
    /// The bytes that `text` stands for.
    pub fn decode(self, text: &str) -> Result<Vec<u8>, DecodeError> {
        match self {
            Self::Text => Ok(text.as_bytes().to_vec()),
            Self::Base64 => BASE64.decode(text.as_bytes()).map_err(|_| DecodeError("base64")),
            Self::Hex => HEXLOWER_PERMISSIVE
                .decode(text.as_bytes())
                .map_err(|_| DecodeError("hexadecimal: two digits for each byte")),
        }
    }
}

/// Bytes: a key or a value.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Wire<'a> {
    /// What `data` is written in.
    encoding: Encoding,
    /// The bytes in that encoding.
    #[serde(borrow)]
    data: Cow<'a, str>,
}

impl Payload {
    /// The text, if the bytes are valid UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The encoding and the text in it, as they go into JSON and into queries.
    pub fn encoded(&self) -> (Encoding, Cow<'_, str>) {
        match self.as_text() {
            Some(text) => (Encoding::Text, Cow::Borrowed(text)),
            None => (Encoding::Base64, Cow::Owned(BASE64.encode(&self.0))),
        }
    }

    /// The bytes in hexadecimal.
    pub fn to_hex(&self) -> String {
        HEXLOWER_PERMISSIVE.encode(&self.0)
    }
}

impl JsonSchema for Payload {
    fn schema_name() -> Cow<'static, str> {
        "Payload".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Wire::json_schema(generator)
    }
}

impl From<&[u8]> for Payload {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Payload {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_text() {
            Some(text) => fmt::Debug::fmt(text, f),
            None => write!(f, "0x{}", self.to_hex()),
        }
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (encoding, data) = self.encoded();
        Wire { encoding, data }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { encoding, data } = Wire::deserialize(deserializer)?;
        encoding.decode(&data).map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_json_and_name_their_encoding() {
        let text = serde_json::to_string(&Payload::from("we\"b\n")).unwrap();
        assert_eq!(text, r#"{"encoding":"text","data":"we\"b\n"}"#);
        let binary = serde_json::to_string(&Payload(vec![0xff, 0])).unwrap();
        assert_eq!(binary, r#"{"encoding":"base64","data":"/wA="}"#);
        for bytes in [vec![], b"web".to_vec(), vec![0, 159, 146, 150], (0..=255).collect()] {
            let json = serde_json::to_string(&Payload(bytes.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Payload>(&json).unwrap().0, bytes);
        }
    }

    #[test]
    fn hexadecimal_is_read_and_nonsense_is_refused() {
        let read = |json| serde_json::from_str::<Payload>(json);
        assert_eq!(read(r#"{"encoding":"hex","data":"FF00"}"#).unwrap().0, [255, 0]);
        assert!(read(r#"{"encoding":"hex","data":"f"}"#).is_err());
        assert!(read(r#"{"encoding":"base64","data":"*"}"#).is_err());
        assert!(read(r#"{"encoding":"rot13","data":"a"}"#).is_err());
        assert!(read(r#""web""#).is_err());
    }
}
