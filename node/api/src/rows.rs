//! Rows of tables: reading, writing, watching and loading them.

use std::{collections::BTreeMap, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::payload::{DecodeError, Encoding, Payload};

/// Who may write a table's rows, and how long they live.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Lifetime {
    /// A row belongs to the node that wrote it and leaves the view with it.
    Owner,
    /// Any attached node may write any row; rows live until they are deleted.
    Cluster,
}

impl Lifetime {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Cluster => "cluster",
        }
    }
}

/// Names one write for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dot {
    /// Who wrote, in hexadecimal.
    pub node: String,
    /// In which generation.
    pub generation: u64,
    /// In which of its attachments to the network.
    pub attachment: u32,
    /// The place in that stream of writes.
    pub sequence: u64,
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let short = self.node.get(..8).unwrap_or(&self.node);
        write!(f, "{short}.{}.{}#{}", self.generation, self.attachment, self.sequence)
    }
}

/// How the owner of a row is doing; rows of `Cluster` lifetime have none and are always alive.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RowState {
    /// It answers.
    Alive,
    /// Suspected of having failed: still in view, but steer new work away.
    Suspect,
    /// It said that it restarts; its rows are held for a while.
    Restarting,
    /// It failed; its rows are shown only on request.
    Failed,
    /// A state of a newer netnode.
    #[serde(other)]
    Unknown,
}

impl RowState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// One live row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// The network.
    pub network: String,
    /// The table.
    pub table: String,
    /// The table's lifetime.
    pub lifetime: Lifetime,
    /// The key.
    pub key: Payload,
    /// The value.
    pub value: Payload,
    /// Field by field, where the node knows the table's format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoded: Option<BTreeMap<String, String>>,
    /// The owner's node id; none for `Cluster` lifetime.
    pub owner: Option<String>,
    /// What people call the owner, if known.
    pub owner_name: Option<String>,
    /// Which write it is.
    pub dot: Dot,
    /// The writer's clock reading, in microseconds since the Unix epoch.
    pub stamp_us: u64,
    /// Cluster time since the stamp; 0 if the stamp is ahead.
    pub age_ms: u64,
    /// How the owner is doing.
    pub state: RowState,
}

/// Selects rows. The default selects every visible row of every attached network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RowQuery {
    /// Only this network.
    #[serde(default)]
    pub network: Option<String>,
    /// Only tables of this name.
    #[serde(default)]
    pub table: Option<String>,
    /// Only tables of this lifetime.
    #[serde(default)]
    pub lifetime: Option<Lifetime>,
    /// Only keys that start so, in `encoding`.
    #[serde(default)]
    pub prefix: Option<String>,
    /// Only this key, in `encoding`. Not together with `prefix`.
    #[serde(default)]
    pub key: Option<String>,
    /// What `prefix` or `key` is written in; text if absent.
    #[serde(default)]
    pub encoding: Encoding,
    /// Only rows of this owner: a node id in hexadecimal, or a name.
    #[serde(default)]
    pub owner: Option<String>,
    /// Also the rows of failed nodes, marked so.
    #[serde(default)]
    pub failed: bool,
}

impl RowQuery {
    /// Selects one key.
    #[must_use]
    pub fn with_key(mut self, key: &Payload) -> Self {
        let (encoding, text) = key.encoded();
        (self.encoding, self.key, self.prefix) = (encoding, Some(text.into_owned()), None);
        self
    }

    /// Selects keys that start so.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &Payload) -> Self {
        let (encoding, text) = prefix.encoded();
        (self.encoding, self.prefix, self.key) = (encoding, Some(text.into_owned()), None);
        self
    }

    /// The bytes that keys must start with.
    pub fn prefix_bytes(&self) -> Result<Vec<u8>, DecodeError> {
        self.encoding.decode(self.key.as_ref().or(self.prefix.as_ref()).map_or("", |text| text))
    }

    /// Name and value of each parameter that is not at its default.
    pub fn parameters(&self) -> Vec<(&'static str, &str)> {
        let mut parameters = Vec::new();
        let texts = [
            ("network", &self.network),
            ("table", &self.table),
            ("prefix", &self.prefix),
            ("key", &self.key),
            ("owner", &self.owner),
        ];
        parameters.extend(texts.into_iter().filter_map(|(name, v)| Some((name, v.as_deref()?))));
        parameters.extend(self.lifetime.map(|lifetime| ("lifetime", lifetime.as_str())));
        match self.encoding {
            Encoding::Text => {}
            Encoding::Base64 => parameters.push(("encoding", "base64")),
            Encoding::Hex => parameters.push(("encoding", "hex")),
        }
        if self.failed {
            parameters.push(("failed", "true"));
        }
        parameters
    }
}

/// One table of a network, summed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Table {
    /// The network.
    pub network: String,
    /// Its name.
    pub table: String,
    /// Its lifetime; the two lifetimes of one name are different tables.
    pub lifetime: Lifetime,
    /// Visible rows.
    pub rows: usize,
    /// Their keys and values in bytes.
    pub bytes: usize,
    /// Nodes that own rows in it; 0 for `Cluster` lifetime.
    pub owners: usize,
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Fails if the row is in the local view.
    Create,
    /// Fails if it is not.
    Update,
    /// Either.
    Upsert,
    /// Fails if it is not in the local view.
    Delete,
}

impl Operation {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }
}

/// A write of one row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// An attached network.
    pub network: String,
    /// The table.
    pub table: String,
    /// The table's lifetime.
    pub lifetime: Lifetime,
    /// What to do.
    pub operation: Operation,
    /// 1 to 256 bytes.
    pub key: Payload,
    /// At most 65,536 bytes; absent for a delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Payload>,
}

/// A write was made and is on its way to the peers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    /// Its name.
    pub dot: Dot,
    /// Its stamp's time, in microseconds since the Unix epoch.
    pub stamp_us: u64,
}

/// Where the rows of one load go. The body of the request has one [`LoadRow`] per line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Load {
    /// An attached network.
    pub network: String,
    /// The table.
    pub table: String,
    /// The table's lifetime.
    pub lifetime: Lifetime,
    /// Create, update or upsert.
    pub operation: Operation,
    /// Go on after a row that is refused. Without it, only rows that are on their way already are
    /// still written.
    #[serde(default)]
    pub keep_going: bool,
}

impl Load {
    /// Name and value of each parameter.
    pub fn parameters(&self) -> Vec<(&'static str, &str)> {
        let mut parameters = vec![
            ("network", self.network.as_str()),
            ("table", self.table.as_str()),
            ("lifetime", self.lifetime.as_str()),
            ("operation", self.operation.as_str()),
        ];
        if self.keep_going {
            parameters.push(("keep_going", "true"));
        }
        parameters
    }
}

/// One row of a load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadRow {
    /// The key.
    pub key: Payload,
    /// The value.
    pub value: Payload,
}

/// What became of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loaded {
    /// Rows written.
    pub written: u64,
    /// Rows refused.
    pub refused: u64,
    /// The first of them, at most 16.
    pub refusals: Vec<Refusal>,
}

/// How many refused rows a load reports one by one.
pub const MAX_REFUSALS: usize = 16;

/// A row of a load that was not written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Which line of the body, from 1.
    pub line: u64,
    /// Why.
    pub error: crate::error::Problem,
}

/// One event of a watch, from the answering node's point of view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum WatchEvent {
    /// A row appeared.
    Created {
        /// The row now.
        row: Box<Row>,
    },
    /// Its value changed, or only the state of its owner.
    Updated {
        /// The row now.
        row: Box<Row>,
        /// What it was as this watcher last saw it.
        old: Old,
    },
    /// It left the view.
    Deleted {
        /// The row as this watcher last saw it.
        row: Box<Row>,
        /// Why.
        reason: DeleteReason,
    },
    /// Everything that was there when the watch began has been told.
    Snapshot,
    /// The node stops, and with it the watch.
    End,
}

/// What an updated row was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Old {
    /// Its value.
    pub value: Payload,
    /// Which write it was.
    pub dot: Dot,
    /// Its stamp's time, in microseconds since the Unix epoch.
    pub stamp_us: u64,
}

/// Why a row left the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeleteReason {
    /// Somebody deleted it.
    Deleted,
    /// Its owner failed; the row comes back with it.
    OwnerFailed,
    /// Its owner left the cluster.
    OwnerLeft,
    /// Its owner left the network, or the answering node did.
    Detached,
    /// A reason of a newer netnode.
    #[serde(other)]
    Unknown,
}

impl DeleteReason {
    /// The words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::OwnerFailed => "owner failed",
            Self::OwnerLeft => "owner left",
            Self::Detached => "detached",
            Self::Unknown => "unknown",
        }
    }
}
