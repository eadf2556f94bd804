//! The answers that are written by hand: addresses, a "no", and failures.
//!
//! Each is a header, the question as it came, records that point back at it, and our EDNS if the client
//! has EDNS. They are written into a buffer that is used again, so that nothing is allocated.

use std::net::IpAddr;

use super::{CLASS_IN, HEADER, ede, flags, kind, plain::Head, rcode};
use crate::{limits::UDP_SIZE, names::Family};

/// A pointer to the question's name (RFC 1035, 4.1.4).
#[expect(clippy::cast_possible_truncation, reason = "it is 12")]
const NAME: [u8; 2] = (0xc000 | HEADER as u16).to_be_bytes();
/// Bytes of our OPT record without options, and of an extended error in it.
const OPT: usize = 11;
const EXTENDED_ERROR: u16 = 6;

/// Writes the addresses of the family that was asked for: all that fit, and TC if that is not all.
pub fn addresses(
    head: &Head<'_>,
    family: Family,
    addresses: &[IpAddr],
    ttl: u32,
    limit: usize,
    out: &mut Vec<u8>,
) {
    let (record_type, length) = match family {
        Family::V4 => (kind::A, 4),
        Family::V6 => (kind::AAAA, 16),
    };
    let before = HEADER + head.question.len() + head.edns.map_or(0, |_| OPT);
    let room = limit.saturating_sub(before) / (NAME.len() + 10 + length);
    let is_asked_for = |address: &&IpAddr| address.is_ipv4() == (family == Family::V4);
    let count = addresses.iter().filter(is_asked_for).count();
    let kept = u16::try_from(count.min(room)).unwrap_or(u16::MAX);
    let cut = if usize::from(kept) < count { flags::TC } else { 0 };
    begin(head, flags::AA | cut | rcode::NO_ERROR, kept, 0, out);
    for address in addresses.iter().filter(is_asked_for).take(usize::from(kept)) {
        out.extend_from_slice(&NAME);
        out.extend_from_slice(&record_type.to_be_bytes());
        out.extend_from_slice(&CLASS_IN.to_be_bytes());
        out.extend_from_slice(&ttl.to_be_bytes());
        match address {
            IpAddr::V4(address) => {
                out.extend_from_slice(&[0, 4]);
                out.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                out.extend_from_slice(&[0, 16]);
                out.extend_from_slice(&address.octets());
            }
        }
    }
    end(head, None, out);
}

/// Writes a "no" of our own, which holds for `ttl` seconds (RFC 2308, 3): the name does not exist, or has
/// nothing of what was asked for.
///
/// Its SOA is the root's: what is ours is no zone, and the root encloses every name.
pub fn negative(head: &Head<'_>, code: u16, ttl: u32, error: Option<u16>, out: &mut Vec<u8>) {
    begin(head, flags::AA | code, 0, 1, out);
    out.push(0);
    out.extend_from_slice(&kind::SOA.to_be_bytes());
    out.extend_from_slice(&CLASS_IN.to_be_bytes());
    out.extend_from_slice(&ttl.to_be_bytes());
    // Two names, both the root, and five numbers, of which the last is for how long it holds.
    out.extend_from_slice(&[0, 22, 0, 0]);
    out.extend_from_slice(&1_u32.to_be_bytes());
    for _ in 0..4 {
        out.extend_from_slice(&ttl.to_be_bytes());
    }
    end(head, error, out);
}

/// Writes that there is no answer, and why, to a client with EDNS (RFC 8914).
pub fn failure(head: &Head<'_>, code: u16, error: Option<u16>, out: &mut Vec<u8>) {
    begin(head, code, 0, 0, out);
    end(head, error, out);
}

/// Writes that there is no answer to a query of which only the header could be read.
pub fn bare(id: u16, query: u16, code: u16, out: &mut Vec<u8>) {
    let flags = flags::QR | flags::RA | query & (flags::OPCODE | flags::RD | flags::CD) | code;
    out.clear();
    out.extend_from_slice(&id.to_be_bytes());
    out.extend_from_slice(&flags.to_be_bytes());
    out.extend_from_slice(&[0; HEADER - 4]);
}

fn begin(head: &Head<'_>, bits: u16, answers: u16, authorities: u16, out: &mut Vec<u8>) {
    let flags = flags::QR | flags::RA | head.flags & (flags::RD | flags::CD) | bits;
    let additionals = u16::from(head.edns.is_some());
    out.clear();
    for word in [head.id, flags, 1, answers, authorities, additionals] {
        out.extend_from_slice(&word.to_be_bytes());
    }
    out.extend_from_slice(head.question);
}

fn end(head: &Head<'_>, error: Option<u16>, out: &mut Vec<u8>) {
    let Some(edns) = head.edns else { return };
    let dnssec_ok = if edns.dnssec_ok { 0x80 } else { 0 };
    out.push(0);
    out.extend_from_slice(&kind::OPT.to_be_bytes());
    out.extend_from_slice(&UDP_SIZE.to_be_bytes());
    out.extend_from_slice(&[0, 0, dnssec_ok, 0]);
    match error {
        None => out.extend_from_slice(&[0, 0]),
        Some(error) => {
            out.extend_from_slice(&EXTENDED_ERROR.to_be_bytes());
            out.extend_from_slice(&ede::OPTION.to_be_bytes());
            out.extend_from_slice(&[0, 2]);
            out.extend_from_slice(&error.to_be_bytes());
        }
    }
}
