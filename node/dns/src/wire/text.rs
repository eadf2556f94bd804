//! Names as text, in the form in which the tables are asked: lower case, no closing dot.

use std::fmt::Write as _;

use super::MAX_NAME;

/// For each byte: itself in lower case if it stands for itself in a name, else 0.
const PLAIN: [u8; 256] = plain();

/// Room for the text of any name that needs no escape.
pub struct Text {
    bytes: [u8; MAX_NAME],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; MAX_NAME], length: 0 }
    }
}

impl Text {
    /// The name that was read last.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        // It is ASCII.
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Reads an uncompressed name of plain letters at the front of `wire`, and returns its length there.
    ///
    /// The root, pointers, escapes and what is too long are left to others: `None`.
    pub(super) fn read(&mut self, wire: &[u8]) -> Option<usize> {
        self.length = 0;
        let mut at = 0_usize;
        loop {
            let length = usize::from(*wire.get(at)?);
            if length == 0 {
                break;
            }
            if length > 63 {
                return None;
            }
            let label = wire.get(at + 1..at + 1 + length)?;
            if at > 0 {
                *self.bytes.get_mut(at - 1)? = b'.';
            }
            let room = self.bytes.get_mut(at..at + length)?;
            let mut every = true;
            for (place, byte) in room.iter_mut().zip(label) {
                *place = *PLAIN.get(usize::from(*byte))?;
                every &= *place != 0;
            }
            if !every {
                return None;
            }
            at += 1 + length;
        }
        if at == 0 || at + 1 > MAX_NAME {
            return None;
        }
        self.length = at - 1;
        Some(at + 1)
    }
}

/// The text of any name, from its labels.
pub fn of_labels<'a>(labels: impl Iterator<Item = &'a [u8]>) -> String {
    let mut text = String::new();
    for (number, label) in labels.enumerate() {
        if number > 0 {
            text.push('.');
        }
        for byte in label {
            match PLAIN.get(usize::from(*byte)) {
                Some(plain) if *plain != 0 => text.push(char::from(*plain)),
                _ => {
                    // Writing to a String can't fail.
                    let _ = write!(text, "\\{byte:03}");
                }
            }
        }
    }
    text
}

const fn plain() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0_u8;
    while byte < u8::MAX {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            #[expect(
                clippy::indexing_slicing,
                reason = "a byte is below 256; checked when compiled"
            )]
            {
                table[byte as usize] = byte.to_ascii_lowercase();
            }
        }
        byte += 1;
    }
    table
}
