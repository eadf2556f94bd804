//! Messages counted by kind.

/// A kind of message, in the order of [`Message`](super::Message), whose place is the second byte of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are those of `Message`")]
pub enum MessageKind {
    Push,
    Compare,
    Same,
    NotAttached,
    Received,
    Held,
    Pull,
    Chunk,
    Gone,
    KeysWanted,
    Keys,
    Question,
    Answer,
    Request,
    Response,
}

impl MessageKind {
    /// Every kind, in order.
    pub const ALL: [Self; 15] = [
        Self::Push,
        Self::Compare,
        Self::Same,
        Self::NotAttached,
        Self::Received,
        Self::Held,
        Self::Pull,
        Self::Chunk,
        Self::Gone,
        Self::KeysWanted,
        Self::Keys,
        Self::Question,
        Self::Answer,
        Self::Request,
        Self::Response,
    ];

    /// A name in `snake_case` that stays.
    pub fn name(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Compare => "compare",
            Self::Same => "same",
            Self::NotAttached => "not_attached",
            Self::Received => "received",
            Self::Held => "held",
            Self::Pull => "pull",
            Self::Chunk => "chunk",
            Self::Gone => "gone",
            Self::KeysWanted => "keys_wanted",
            Self::Keys => "keys",
            Self::Question => "question",
            Self::Answer => "answer",
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// How many messages there were of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Messages.
    pub messages: u64,
    /// Their bytes, without what frames and packets or streams add.
    pub bytes: u64,
}

/// How many messages there were of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies([Tally; MessageKind::ALL.len()]);

impl Tallies {
    /// Counts an encoded message.
    pub fn count(&mut self, message: &[u8]) {
        let kind = message.get(1).map_or(usize::MAX, |kind| usize::from(*kind));
        if let Some(tally) = self.0.get_mut(kind) {
            tally.messages += 1;
            tally.bytes += message.len() as u64;
        }
    }

    /// Every kind with its tally.
    pub fn iter(&self) -> impl Iterator<Item = (MessageKind, Tally)> {
        MessageKind::ALL.into_iter().zip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::wire::{Message, encode};

    #[test]
    fn a_message_counts_for_its_kind() {
        let mut tallies = Tallies::default();
        for (place, kind) in MessageKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
        let compare = encode(&Message::Compare(Vec::new()));
        tallies.count(&compare);
        tallies.count(&compare);
        tallies.count(&encode(&Message::KeysWanted));
        tallies.count(&[]);
        tallies.count(&[1, 200]);
        let counted: Vec<_> =
            tallies.iter().filter(|(_, tally)| *tally != Tally::default()).collect();
        let bytes = compare.len() as u64 * 2;
        assert_eq!(
            counted,
            [
                (MessageKind::Compare, Tally { messages: 2, bytes }),
                (MessageKind::KeysWanted, Tally { messages: 1, bytes: 2 }),
            ]
        );
    }
}
