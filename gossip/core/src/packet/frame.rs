//! Frames: the messages inside an opened packet. Owns their layout; what a kind means is for others.

use alloc::vec::Vec;

use super::varint;

/// One message of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Who it is for and what it means.
    pub kind: u8,
    /// Its content.
    pub body: &'a [u8],
}

/// The frames of an opened packet, in order. They were all found well formed when it was opened.
#[derive(Clone, Debug, Default)]
pub struct Frames<'a>(&'a [u8]);

impl<'a> Frames<'a> {
    /// Checks that `bytes` are whole frames, one after the other.
    pub(super) fn check(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Self(bytes);
        while rest.next().is_some() {}
        rest.0.is_empty().then_some(Self(bytes))
    }

    fn first(&self) -> Option<(Frame<'a>, &'a [u8])> {
        let (&kind, mut rest) = self.0.split_first()?;
        let len = usize::from(u16::try_from(varint::take(&mut rest)?).ok()?);
        let (body, rest) = rest.split_at_checked(len)?;
        Some((Frame { kind, body }, rest))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Frame<'a>;
    fn next(&mut self) -> Option<Frame<'a>> {
        let (frame, rest) = self.first()?;
        self.0 = rest;
        Some(frame)
    }
}

/// Bytes that a frame with a body of `len` bytes takes.
pub(super) fn cost(len: usize) -> usize {
    1 + varint::len(len as u64) + len
}

/// Appends a frame whose body is the concatenation of `parts`, `len` bytes in all.
pub(super) fn put(kind: u8, len: usize, parts: &[&[u8]], to: &mut Vec<u8>) {
    to.push(kind);
    varint::put(len as u64, to);
    for part in parts {
        to.extend_from_slice(part);
    }
}
