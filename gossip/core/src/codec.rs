//! The one place that knows how messages become bytes (bincode 2, variable-length integers).
//!
//! bincode is unmaintained though complete (RUSTSEC-2025-0141); replacing it is the work of this file.
//! Only authenticated bytes are decoded, always within a limit, and trailing bytes are an error.

use alloc::vec::Vec;

use serde::{Serialize, de::DeserializeOwned};

/// Bytes did not decode: malformed, over the limit, or followed by something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed message")]
pub struct Malformed;

/// The most bytes that one decode may claim for what it reads (a stream message's size).
pub const DECODE_LIMIT: usize = 4 * 1024 * 1024;

fn encoding() -> bincode::config::Configuration {
    bincode::config::standard()
}

/// Encodes a message. Our messages are plain data, for which encoding cannot fail.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(message, encoding()).unwrap_or_default()
}

/// Decodes exactly one message from all of `bytes`.
///
/// # Errors
/// [`Malformed`] if the bytes are not one whole message within [`DECODE_LIMIT`].
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    let (message, rest) = decode_prefix(bytes)?;
    if rest.is_empty() { Ok(message) } else { Err(Malformed) }
}

/// Decodes one message from the front of `bytes` and returns what follows it.
///
/// # Errors
/// [`Malformed`] as for [`decode`], trailing bytes excepted.
pub fn decode_prefix<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), Malformed> {
    let limited = encoding().with_limit::<DECODE_LIMIT>();
    let (message, read) =
        bincode::serde::decode_from_slice(bytes, limited).map_err(|_| Malformed)?;
    Ok((message, bytes.get(read..).ok_or(Malformed)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailing_bytes_are_an_error() {
        let mut bytes = encode(&(7u64, [1u8; 4]));
        assert_eq!(decode::<(u64, [u8; 4])>(&bytes), Ok((7, [1; 4])));
        bytes.push(0);
        assert_eq!(decode::<(u64, [u8; 4])>(&bytes), Err(Malformed));
    }

    #[test]
    fn a_claimed_length_does_not_allocate() {
        let huge = encode(&u64::MAX);
        assert_eq!(decode::<Vec<u64>>(&huge), Err(Malformed));
    }
}
