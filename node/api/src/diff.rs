//! In what two members differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    node::Who,
    payload::Payload,
    rows::{Dot, Lifetime},
};

/// Which members to compare, and in what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiffQuery {
    /// One member: its name, its id, or the start of that.
    pub left: String,
    /// Another one.
    pub right: String,
    /// Only this network; else all that both are attached to.
    #[serde(default)]
    pub network: Option<String>,
}

impl DiffQuery {
    /// Name and value of each parameter.
    pub fn parameters(&self) -> Vec<(&'static str, &str)> {
        let network = self.network.as_deref().map(|network| ("network", network));
        let sides = [("left", &*self.left), ("right", &*self.right)];
        sides.into_iter().chain(network).collect()
    }
}

/// Two members compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Diff {
    /// The one.
    pub left: Who,
    /// The other.
    pub right: Who,
    /// The gravest verdict on any network.
    pub verdict: Verdict,
    /// The networks that both are attached to.
    pub networks: Vec<NetworkDiff>,
    /// Those that only one of them is attached to; that is no difference.
    pub apart: Vec<Apart>,
}

/// What to make of a difference.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There is none.
    Equal,
    /// All of it was written within the last second, and is on its way.
    OnItsWay,
    /// Something that had the time to arrive did not.
    Different,
}

impl Verdict {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::OnItsWay => "on its way",
            Self::Different => "different",
        }
    }
}

/// A network that only one of the two is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Apart {
    /// Its name.
    pub network: String,
    /// Who is attached.
    pub attached: Who,
}

/// One network in two copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkDiff {
    /// Its name.
    pub network: String,
    /// What to make of it.
    pub verdict: Verdict,
    /// The one copy.
    pub left: NetworkCopy,
    /// The other.
    pub right: NetworkCopy,
    /// The writers of whom one side received more, or holds other rows.
    pub writers: Vec<WriterDiff>,
    /// The rows that differ, by table and key.
    pub rows: Vec<RowDiff>,
    /// There may be further rows that differ.
    pub more: bool,
}

/// One copy of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkCopy {
    /// Whether it holds what its peers hold, as far as its node knows.
    pub synced: bool,
    /// Rows held.
    pub rows: u64,
    /// Hash over them, in hexadecimal.
    pub held: String,
    /// Hash over the writes that were received, in hexadecimal.
    pub received: String,
}

/// One stream of writes in two copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WriterDiff {
    /// Who writes.
    pub writer: Who,
    /// Writes of which lifetime.
    pub lifetime: Lifetime,
    /// In which generation.
    pub generation: u64,
    /// In which of its attachments to the network.
    pub attachment: u32,
    /// What to make of what was received; what is held shows in the rows.
    pub verdict: Verdict,
    /// How far the one side is; none if it does not know the stream (any more).
    pub left: Option<Progress>,
    /// How far the other is.
    pub right: Option<Progress>,
}

/// How far a stream of writes got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// Everything through this sequence was received.
    pub contiguous: u64,
    /// Rows held of it.
    pub rows: u64,
}

/// One row in two copies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RowDiff {
    /// The table.
    pub table: String,
    /// The table's lifetime.
    pub lifetime: Lifetime,
    /// The key.
    pub key: Payload,
    /// Whose row it is; none for `Cluster` lifetime.
    pub owner: Option<Who>,
    /// What stands for it on the one side.
    pub left: Standing,
    /// What on the other.
    pub right: Standing,
    /// Cluster time since the later of the two writes.
    pub age_ms: u64,
    /// Written within the last second: it had no time to arrive.
    pub on_its_way: bool,
}

/// What stands for a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Standing {
    /// A write.
    Held {
        /// Which.
        dot: Dot,
    },
    /// A delete that is remembered.
    Deleted {
        /// Which write it is.
        dot: Dot,
    },
    /// Nothing: the other side's write was received here and is gone.
    Gone,
    /// Nothing: the other side's write was not received here.
    NotReceived,
}
