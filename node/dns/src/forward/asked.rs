//! A query that goes on: what its answer needs, and the key under which equal questions meet.

use std::sync::Arc;

use hickory_proto::{
    op::Query,
    serialize::binary::{BinDecodable, BinDecoder},
};

use crate::wire::{Edns, Via, flags, plain::Head};

/// A question in lower case with what else changes the answer; equal ones are asked once.
pub(super) type Key = Arc<[u8]>;

/// A client's query that is not ours to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    id: u16,
    flags: u16,
    question: Vec<u8>,
    edns: Option<Edns>,
    /// Bytes that its answer may have.
    pub(super) limit: usize,
}

impl Asked {
    /// A query that came with this head.
    pub(crate) fn new(head: &Head<'_>, via: Via) -> Self {
        let Head { id, flags, question, edns } = *head;
        Self { id, flags, question: question.to_vec(), edns, limit: via.limit(edns) }
    }

    /// What its answer repeats.
    pub(crate) fn head(&self) -> Head<'_> {
        Head { id: self.id, flags: self.flags, question: &self.question, edns: self.edns }
    }

    /// Whether the client wants to see signatures, or at least to know that they were checked.
    pub(super) fn cares_for_authentic_data(&self) -> bool {
        self.dnssec_ok() || self.flags & flags::AD != 0
    }

    pub(super) fn dnssec_ok(&self) -> bool {
        self.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    pub(super) fn checking_disabled(&self) -> bool {
        self.flags & flags::CD != 0
    }

    pub(super) fn key(&self) -> Key {
        let mut key = self.question.clone();
        // Only the name has letters; a label's length is no letter.
        let name = key.len().saturating_sub(4);
        if let Some(name) = key.get_mut(..name) {
            name.make_ascii_lowercase();
        }
        key.push(u8::from(self.dnssec_ok()) | u8::from(self.checking_disabled()) << 1);
        key.into()
    }

    /// The question as hickory knows it, in the client's letters.
    pub(super) fn query(&self) -> Option<Query> {
        Query::read(&mut BinDecoder::new(&self.question)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{plain, text::Text};

    fn asked(name: &[u8], kind: u8, low: u8, edns: &[u8]) -> Asked {
        let extra = u8::from(!edns.is_empty());
        let header = [0, 7, 1, low, 0, 1, 0, 0, 0, 0, 0, extra];
        let message = [&header, name, &[0, kind, 0, 1], edns].concat();
        Asked::new(&plain::read(&message, &mut Text::default()).unwrap().head, Via::Udp)
    }

    #[test]
    fn equal_questions_meet_and_others_do_not() {
        let one = asked(b"\x03WeB\0", 1, 0, &[]);
        assert_eq!(one.key(), asked(b"\x03web\0", 1, 0x20, &[]).key());
        assert_ne!(one.key(), asked(b"\x03web\0", 28, 0, &[]).key());
        assert_ne!(one.key(), asked(b"\x03web\0", 1, 0x10, &[]).key());
        let signed = [0, 0, 41, 4, 0xd0, 0, 0, 0x80, 0, 0, 0];
        assert_ne!(one.key(), asked(b"\x03web\0", 1, 0, &signed).key());
        assert_eq!(one.query().unwrap().name.to_ascii(), "WeB.");
    }

    #[test]
    fn a_type_is_no_letter() {
        // HTTPS is 65, which is "A".
        let one = asked(b"\x03web\0", 1, 0, &[]);
        let of = |kind: u8| {
            let mut other = one.clone();
            other.question[6] = kind;
            other.key()
        };
        assert_ne!(of(65), of(97));
    }
}
