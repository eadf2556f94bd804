//! Attributes of netlink messages: a length, a kind, and bytes or further attributes (netlink(7)).

/// Bit of a kind: what follows are attributes.
const NESTED: u16 = 1 << 15;
/// Bits of a kind that say what it is.
const KIND: u16 = (1 << 14) - 1;
/// Bytes of a header.
const HEADER: usize = 4;

/// Attributes that are being written.
#[derive(Default)]
pub(super) struct Attributes(Vec<u8>);

impl Attributes {
    pub(super) fn bytes(mut self, kind: u16, bytes: &[u8]) -> Self {
        // What doesn't fit, the kernel refuses; messages are made short enough.
        let length = u16::try_from(HEADER.saturating_add(bytes.len())).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(bytes);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Numbers of nf_tables are in network order.
    #[allow(clippy::doc_markdown, reason = "the name of the subsystem")]
    pub(super) fn number(self, kind: u16, number: u32) -> Self {
        self.bytes(kind, &number.to_be_bytes())
    }

    pub(super) fn signed(self, kind: u16, number: i32) -> Self {
        self.bytes(kind, &number.to_be_bytes())
    }

    pub(super) fn text(self, kind: u16, text: &str) -> Self {
        self.bytes(kind, &[text.as_bytes(), &[0]].concat())
    }

    pub(super) fn nest(self, kind: u16, inner: Self) -> Self {
        let Self(inner) = inner;
        self.bytes_nested(kind, &inner)
    }

    /// Attributes as they were read.
    pub(super) fn bytes_nested(self, kind: u16, inner: &[u8]) -> Self {
        self.bytes(kind | NESTED, inner)
    }

    pub(super) fn end(self) -> Vec<u8> {
        self.0
    }
}

/// Attributes that were read. What is cut off is not there.
#[derive(Clone, Copy)]
pub(super) struct Read<'a>(pub(super) &'a [u8]);

impl<'a> Read<'a> {
    pub(super) fn all(self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let [a, b, c, d, ..] = *rest else { return None };
            let length = usize::from(u16::from_ne_bytes([a, b]));
            let value = rest.get(HEADER..length)?;
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            Some((u16::from_ne_bytes([c, d]) & KIND, value))
        })
    }

    pub(super) fn get(self, kind: u16) -> Option<&'a [u8]> {
        self.all().find_map(|(found, value)| (found == kind).then_some(value))
    }

    pub(super) fn nested(self, kind: u16) -> Option<Self> {
        self.get(kind).map(Self)
    }

    pub(super) fn number(self, kind: u16) -> Option<u32> {
        self.get(kind)?.try_into().ok().map(u32::from_be_bytes)
    }

    pub(super) fn signed(self, kind: u16) -> Option<i32> {
        self.get(kind)?.try_into().ok().map(i32::from_be_bytes)
    }

    pub(super) fn text(self, kind: u16) -> Option<&'a str> {
        let bytes = self.get(kind)?;
        std::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let inner = Attributes::default().text(3, "br0").number(4, 7);
        let bytes = Attributes::default().signed(1, -3).nest(2, inner).bytes(5, &[9]).end();
        let read = Read(&bytes);
        assert_eq!(read.signed(1), Some(-3));
        let inner = read.nested(2).unwrap();
        assert_eq!((inner.text(3), inner.number(4)), (Some("br0"), Some(7)));
        assert_eq!(read.get(5), Some(&[9_u8][..]));
        assert_eq!(read.all().count(), 3);
    }

    #[test]
    fn what_is_cut_off_is_not_there() {
        let bytes = Attributes::default().number(1, 1).text(2, "four").end();
        for length in 0..bytes.len() {
            let read = Read(&bytes[..length]);
            assert!(read.all().count() <= 2);
            assert_eq!(read.number(1).is_some(), length >= 8);
        }
        // A length below that of a header would never end.
        assert_eq!(Read(&[0, 0, 1, 0, 0, 0, 1, 0]).all().count(), 0);
    }
}
