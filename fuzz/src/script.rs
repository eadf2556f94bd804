//! Bytes read as steps: an operation, a length, and what the operation is about.
//!
//! Every sequence of bytes is a script, so that no change that the fuzzer makes is wasted on form, and
//! a script is as easily written as read: seeds are made of real messages.

/// Steps that are read from one input; more would only be slow.
const MAX_STEPS: usize = 64;

/// The steps of an input.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Script<'a> {
    /// Reads an input.
    pub fn new(input: &'a [u8]) -> Self {
        Self { rest: input, left: MAX_STEPS }
    }
}

impl<'a> Iterator for Script<'a> {
    type Item = (u8, &'a [u8]);

    /// The next operation and its bytes. A length beyond the end means all that is left.
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (&[operation, high, low], rest) = self.rest.split_first_chunk()?;
        let length = usize::from(u16::from_be_bytes([high, low])).min(rest.len());
        let (about, rest) = rest.split_at(length);
        self.rest = rest;
        Some((operation, about))
    }
}

/// The input that reads as these steps.
///
/// # Panics
/// If it does not: they are too many, or one is about more than 65,535 bytes.
pub fn write<'a>(steps: impl IntoIterator<Item = (u8, &'a [u8])>) -> Vec<u8> {
    let steps: Vec<_> = steps.into_iter().collect();
    let mut input = Vec::new();
    for (operation, about) in &steps {
        let length = u16::try_from(about.len()).expect("a step of a seed is short");
        input.push(*operation);
        input.extend(length.to_be_bytes());
        input.extend(*about);
    }
    assert!(Script::new(&input).eq(steps), "a seed has few steps");
    input
}

/// Takes one byte from the front; 0 at the end.
pub fn byte(from: &mut &[u8]) -> u8 {
    let Some((first, rest)) = from.split_first() else { return 0 };
    *from = rest;
    *first
}

/// Takes that many bytes from the front, or what there is.
pub fn bytes<'a>(from: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = from.split_at(count.min(from.len()));
    *from = rest;
    taken
}
