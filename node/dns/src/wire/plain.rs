//! The plain query: one question for A or AAAA, and EDNS without options or none.
//!
//! It is what nearly every resolver sends, so it is read by hand. Must never understand a message
//! otherwise than hickory does: whatever is unusual is declined, and hickory reads it.

use super::{CLASS_IN, Edns, HEADER, flags, kind, text::Text};
use crate::{limits::PLAIN_SIZE, names::Family};

/// What an answer repeats of its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head<'a> {
    /// The number that the client knows its query by.
    pub id: u16,
    /// The second word of its header.
    pub flags: u16,
    /// Its question as it came: name, type and class.
    pub question: &'a [u8],
    /// What it says by EDNS.
    pub edns: Option<Edns>,
}

/// A plain query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain<'a> {
    /// What its answer repeats.
    pub head: Head<'a>,
    /// What it asks for.
    pub family: Family,
}

/// Reads a plain query and puts its name into `name`; `None` for everything else.
pub fn read<'a>(message: &'a [u8], name: &mut Text) -> Option<Plain<'a>> {
    let (&[id_high, id_low, high, low, 0, 1, 0, 0, 0, 0, 0, extra], rest) =
        message.split_first_chunk::<HEADER>()?
    else {
        return None;
    };
    let flags = u16::from_be_bytes([high, low]);
    if flags & !(flags::RD | flags::AD | flags::CD) != 0 {
        return None;
    }
    let (question, rest) = rest.split_at_checked(name.read(rest)? + 4)?;
    let &[.., type_high, type_low, class_high, class_low] = question else { return None };
    let family = match u16::from_be_bytes([type_high, type_low]) {
        kind::A => Family::V4,
        kind::AAAA => Family::V6,
        _ => return None,
    };
    if u16::from_be_bytes([class_high, class_low]) != CLASS_IN {
        return None;
    }
    let edns = match (extra, rest) {
        (0, []) => None,
        (1, rest) => Some(read_edns(rest)?),
        _ => return None,
    };
    let id = u16::from_be_bytes([id_high, id_low]);
    Some(Plain { head: Head { id, flags, question, edns }, family })
}

/// An OPT record of version 0 without options, and nothing behind it (RFC 6891, 6.1.2).
fn read_edns(record: &[u8]) -> Option<Edns> {
    // Root, type, size, extended response code, version, flags, length.
    const OPT_LOW: u8 = kind::OPT.to_be_bytes()[1];
    let &[0, 0, OPT_LOW, size_high, size_low, 0, 0, flags, _, 0, 0] = record else { return None };
    let size = u16::from_be_bytes([size_high, size_low]).max(PLAIN_SIZE);
    Some(Edns { size, dnssec_ok: flags & 0x80 != 0 })
}
