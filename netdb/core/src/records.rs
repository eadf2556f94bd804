//! The node's own tables in the cluster network: what their rows mean, and their bytes.
//!
//! | table | lifetime | key | row |
//! | --- | --- | --- | --- |
//! | `_nodes` | owner | `self` | [`NodeRecord`]: name, address, state and keys of a live node |
//! | `_attachments` | owner | network name | [`AttachmentRecord`]: the node takes part in the network |
//! | `_admitted` | cluster | node id | [`AdmittedRecord`]: the node may speak |
//! | `_keys` | cluster | key id | [`KeyRecord`]: how far a key of the keyring is |
//! | `_sealed_keys` | cluster | key id, node id | the key, sealed to the node |
//! | `_tokens` | cluster | `current` | [`TokenRecord`]: the right to join |

use alloc::{format, string::String, string::ToString, vec::Vec};

use netdb_gossip_core::{
    codec::{self, Malformed},
    gossip::Member,
    identity::{Name, NodeId, PublicIdentity},
    keyring::KeyId,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Table of [`NodeRecord`]s.
pub const NODES: &str = "_nodes";
/// Table of [`AttachmentRecord`]s.
pub const ATTACHMENTS: &str = "_attachments";
/// Table of [`AdmittedRecord`]s.
pub const ADMITTED: &str = "_admitted";
/// Table of [`KeyRecord`]s.
pub const KEYS: &str = "_keys";
/// Table of keys sealed to single nodes.
pub const SEALED_KEYS: &str = "_sealed_keys";
/// Table of [`TokenRecord`]s.
pub const TOKENS: &str = "_tokens";

/// Key of a node's only row in [`NODES`].
pub const SELF_KEY: &[u8] = b"self";
/// Key of the only row in [`TOKENS`].
pub const CURRENT_TOKEN: &[u8] = b"current";

const VERSION: u8 = 1;

/// What a node says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// What people call it.
    pub name: Name,
    /// Generation and address.
    pub member: Member,
    /// Whether it is about to go.
    pub status: NodeStatus,
    /// Its `Owner` rows in the cluster network are whole from this sequence on.
    pub complete: u64,
    /// The keys it holds.
    pub keys: Vec<KeyId>,
    /// The key it seals with.
    pub primary: KeyId,
}

/// Whether a node stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeStatus {
    /// It stays.
    Active,
    /// It is back soon: hold its rows.
    Restarting,
    /// Its host goes down: it withdrew its rows.
    ShuttingDown,
    /// It left for good.
    Left,
}

/// A node takes part in a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentRecord {
    /// Which of the node's attachments to this network.
    pub attachment: u32,
    /// Its `Owner` rows there are whole from this sequence on; `None` while it still publishes.
    pub complete: Option<u64>,
}

/// A node may speak in this cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdmittedRecord {
    /// Its keys.
    pub identity: PublicIdentity,
    /// Its name when it was admitted.
    pub name: Name,
    /// False once it left.
    pub admitted: bool,
}

/// How far a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Grows by one with each rotation.
    pub epoch: u64,
    /// The step that the cluster is at.
    pub stage: KeyStage,
    /// When the key was made, microseconds since the Unix epoch by cluster time.
    pub made_at: u64,
}

/// The steps of a rotation, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum KeyStage {
    /// Every node takes it up.
    Install,
    /// Every node seals with it.
    Use,
    /// Every node drops the keys before it.
    RemoveOlder,
}

/// The right to join.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The token's secret.
    pub secret: [u8; 16],
    /// When it ends, microseconds since the Unix epoch by cluster time.
    pub expires: Option<u64>,
}

impl core::fmt::Debug for TokenRecord {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TokenRecord").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// A record to the bytes of its row.
pub fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    codec::encode(&(VERSION, record))
}

/// The bytes of a row to its record.
///
/// # Errors
/// Another version, or not one whole record.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Malformed> {
    let (version, record): (u8, T) = codec::decode(bytes)?;
    if version == VERSION { Ok(record) } else { Err(Malformed) }
}

/// The key of a sealed key's row.
pub fn sealed_key_row(key: KeyId, node: NodeId) -> Vec<u8> {
    [key.0.as_slice(), node.0.as_slice()].concat()
}

/// A row of the node's own tables as field names and texts, for people. Secrets are left out.
///
/// `None` for other tables and for rows that do not decode.
pub fn describe(table: &str, key: &[u8], value: &[u8]) -> Option<Vec<(&'static str, String)>> {
    match table {
        NODES => decode(value).ok().map(|record| describe_node(&record)),
        ATTACHMENTS => {
            let record: AttachmentRecord = decode(value).ok()?;
            let complete = record.complete.map_or("no".into(), |seq| format!("from {seq}"));
            Some(alloc::vec![("attachment", record.attachment.to_string()), ("complete", complete)])
        }
        ADMITTED => {
            let record: AdmittedRecord = decode(value).ok()?;
            let node = key.try_into().map(NodeId).ok()?;
            Some(alloc::vec![
                ("node", node.to_string()),
                ("name", record.name.to_string()),
                ("admitted", record.admitted.to_string()),
            ])
        }
        KEYS => {
            let record: KeyRecord = decode(value).ok()?;
            let id = key.try_into().map(KeyId).ok()?;
            Some(alloc::vec![
                ("key", id.to_string()),
                ("epoch", record.epoch.to_string()),
                ("stage", format!("{:?}", record.stage)),
            ])
        }
        SEALED_KEYS => {
            let (id, node) = key.split_at_checked(8)?;
            let (id, node) = (id.try_into().map(KeyId).ok()?, node.try_into().map(NodeId).ok()?);
            Some(alloc::vec![("key", id.to_string()), ("sealed_to", node.to_string())])
        }
        TOKENS => {
            let record: TokenRecord = decode(value).ok()?;
            let expires = record.expires.map_or("never".into(), |at| at.to_string());
            Some(alloc::vec![("expires", expires)])
        }
        _ => None,
    }
}

fn describe_node(record: &NodeRecord) -> Vec<(&'static str, String)> {
    let keys: Vec<String> = record.keys.iter().map(ToString::to_string).collect();
    alloc::vec![
        ("name", record.name.to_string()),
        ("address", record.member.addr.to_string()),
        ("generation", record.member.generation.0.to_string()),
        ("status", format!("{:?}", record.status)),
        ("keys", keys.join(",")),
        ("primary", record.primary.to_string()),
    ]
}
