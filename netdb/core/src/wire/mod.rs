//! What nodes say to each other about tables. Plain data; nothing here acts on it.

mod batch;
pub mod inspect;
mod tally;

use alloc::vec::Vec;

use netdb_gossip_core::{
    codec,
    identity::{Name, NodeId},
    keyring::Keyring,
    relay::Span,
};
use serde::{Deserialize, Serialize};

use self::inspect::{Answer, Question};
pub use self::{
    batch::{Batch, BatchBuilder, Unpacked},
    tally::{MessageKind, Tallies, Tally},
};
use crate::entry::{Dot, Writer};

/// Version of the messages, the first byte of each.
const VERSION: u8 = 1;

/// One message between two nodes, in an acknowledged frame if it fits, else on a stream.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Message {
    /// New writes, to be passed on over a span.
    Push(Push),
    /// "Do we hold the same?", for several networks at once.
    Compare(Vec<Compare>),
    /// The answer where it is yes, and whether the answering copy is itself in sync.
    Same(Vec<(Name, bool)>),
    /// The asked node is not attached (any more).
    NotAttached(Name),
    /// What was received, narrowed down. Positions are those of writers.
    Received {
        /// The network.
        network: Name,
        /// Writes stamped later are left out.
        cutoff: u64,
        /// Ranges that differ, or may.
        parts: Vec<Part<Reached>>,
    },
    /// What is held, narrowed down. Positions are those of rows.
    Held {
        /// The network.
        network: Name,
        /// Both sides had received the same when this began: what one side holds and the other has
        /// received and does not hold is gone for sure.
        settled: bool,
        /// Ranges that differ, or may.
        parts: Vec<Part<Holding>>,
    },
    /// "Send me rows."
    Pull(Pull),
    /// Rows, with what they complete.
    Chunk(Chunk),
    /// "I had these, and they are gone."
    Gone {
        /// The network.
        network: Name,
        /// The writes.
        dots: Vec<Dot>,
    },
    /// "I can't read you" (or: you can't read me): the keys, please.
    KeysWanted,
    /// The keyring, with the admissions that it was made for.
    Keys {
        /// All keys.
        keyring: Keyring,
        /// The admission rows.
        admitted: Batch,
    },
    /// Somebody wants to know what the asked node holds. On streams only.
    Question(u64, Question),
    /// The answer, under the asker's number.
    Answer(u64, Answer),
    /// Something that the node above asks another, under its number: the topic, and what is asked.
    Request(u64, Name, #[serde(with = "serde_bytes")] Vec<u8>),
    /// The answer, under the asker's number; nothing if nobody serves the topic.
    Response(u64, #[serde(with = "serde_bytes")] Option<Vec<u8>>),
}

/// New writes on their way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Push {
    /// The network.
    pub network: Name,
    /// Whom the receiver is to reach besides itself.
    pub span: Option<Span>,
    /// The writes.
    pub batch: Batch,
}

/// One network in a comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Compare {
    /// The network.
    pub network: Name,
    /// Writes stamped later are left out.
    pub cutoff: u64,
    /// Hash over what was received.
    pub received: u64,
    /// Hash over what is held.
    pub held: u64,
}

/// A range of positions, with what the sender has in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Part<T> {
    /// First position.
    pub from: u64,
    /// Last position.
    pub through: u64,
    /// What is there.
    pub content: PartContent<T>,
}

/// What a side has in a range.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PartContent<T> {
    /// The sum of the marks of its items.
    Hash(u64),
    /// All items.
    Items(Vec<T>),
    /// In answer to items: only those in which the two sides differ.
    Differing(Vec<T>),
}

/// A writer's progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reached {
    /// The stream.
    pub writer: Writer,
    /// Highest contiguous sequence.
    pub contiguous: u64,
}

/// A held write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// Its row's position.
    pub place: u64,
    /// Its name.
    pub dot: Dot,
}

/// A request for rows. Stateless: whoever serves it keeps nothing between chunks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pull {
    /// The network.
    pub network: Name,
    /// Chosen by the asker, echoed in each chunk.
    pub id: u64,
    /// Which rows.
    pub what: PullWhat,
}

/// Which rows a pull asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PullWhat {
    /// Everything, in row order, from behind the resume point.
    All(Option<Resume>),
    /// Ranges of dots; the first one from where the last chunk ended.
    Ranges(Vec<Want>),
    /// Single writes.
    Dots(Vec<Dot>),
}

/// Where a pull of everything goes on: behind this row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Table.
    pub table: Name,
    /// Lifetime.
    pub lifetime: crate::entry::Lifetime,
    /// Key.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Owner.
    pub owner: NodeId,
}

/// Sequences `(after, through]` of a writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// The stream.
    pub writer: Writer,
    /// Excluded.
    pub after: u64,
    /// Included.
    pub through: u64,
}

/// A part of the answer to a pull.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Chunk {
    /// The network.
    pub network: Name,
    /// The pull's id.
    pub id: u64,
    /// Which copy the rows come from: if it changes, the chunks don't add up.
    pub copy: u64,
    /// Rows.
    pub batch: Batch,
    /// What the rows so far complete: the receiver now knows all that the sender knows of these
    /// writers through these sequences.
    pub complete: Vec<Reached>,
    /// The sender's copy is whole as far as it knows.
    pub synced: bool,
    /// Tombstones in the asked ranges may be missing: compare what is held as well.
    pub purged: bool,
    /// How to ask for the rest; `None` at the end.
    pub more: Option<PullWhat>,
}

/// The message to bytes: a version, then the body.
pub fn encode(message: &Message) -> Vec<u8> {
    codec::encode(&(VERSION, message))
}

/// A push of an already encoded batch: the bytes that [`encode`] would give for it.
///
/// The same batch goes to several peers with different spans; it is encoded once.
pub fn encode_push(network: &Name, span: Option<Span>, batch: &[u8]) -> Vec<u8> {
    const PUSH: u8 = 0;
    let mut bytes = codec::encode(&(VERSION, PUSH, network, span));
    bytes.extend_from_slice(batch);
    bytes
}

/// The most bytes that [`encode_push`] puts before the batch, for a network of this name.
pub fn push_overhead(network: &Name) -> usize {
    1 + 1 + 1 + network.as_str().len() + 1 + 2 * 16
}

/// Bytes from an authenticated peer to a message.
///
/// # Errors
/// Another version, or bytes that are not one whole message.
pub fn decode(bytes: &[u8]) -> Result<Message, codec::Malformed> {
    let (version, message): (u8, Message) = codec::decode(bytes)?;
    if version == VERSION { Ok(message) } else { Err(codec::Malformed) }
}

impl Message {
    /// The network a message is about, if it is about one.
    pub fn network(&self) -> Option<&Name> {
        match self {
            Self::Push(push) => Some(&push.network),
            Self::Pull(pull) => Some(&pull.network),
            Self::Chunk(chunk) => Some(&chunk.network),
            Self::NotAttached(network)
            | Self::Received { network, .. }
            | Self::Held { network, .. }
            | Self::Gone { network, .. } => Some(network),
            // A question about a network that this node is not in has an answer of its own.
            Self::Compare(_)
            | Self::Same(_)
            | Self::KeysWanted
            | Self::Keys { .. }
            | Self::Question(..)
            | Self::Answer(..)
            | Self::Request(..)
            | Self::Response(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_push_is_encoded_like_any_message() {
        let network = Name::new(&"n".repeat(Name::MAX_LEN)).unwrap();
        let span = Some(Span::all_but(NodeId([7; 16])));
        let batch = codec::encode(&Batch::default());
        let bytes = encode_push(&network, span, &batch);
        assert_eq!(bytes.len(), push_overhead(&network) + batch.len());
        let push = Push { network, span, batch: Batch::default() };
        assert_eq!(bytes, encode(&Message::Push(push)));
    }
}
