//! The keyring and the join token as people see them. Key material never appears here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The keys that a node holds and where the running rotation stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Keys {
    /// The keys, the one that seals first.
    pub keys: Vec<Key>,
    /// What the rotation does now.
    pub rotation: Rotation,
    /// Live nodes, this one included.
    pub live: usize,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Key {
    /// Its random id, in hexadecimal.
    pub id: String,
    /// Grows by one with each rotation.
    pub epoch: u64,
    /// Whether this node seals with it.
    pub primary: bool,
    /// Live nodes that say they hold it.
    pub held_by: usize,
}

/// How far the running rotation is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Rotation {
    /// None is running.
    Idle,
    /// The new key goes to every live node.
    Installing(RotationStep),
    /// Every live node is told to seal with it.
    Using(RotationStep),
    /// The old keys are dropped.
    Removing(RotationStep),
}

/// The key that a rotation is about and who has not followed yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RotationStep {
    /// Its id, in hexadecimal.
    pub key: String,
    /// Ids of the live nodes that have not confirmed this step.
    pub waiting_for: Vec<String>,
}

/// The right to join. The text is a secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Token {
    /// To be handed to `netnode join`.
    pub text: String,
    /// What it may be called in public, in hexadecimal.
    pub id: String,
    /// Until when it is good, in microseconds since the Unix epoch; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_us: Option<u64>,
    /// Where this node is reached, for the joiner's command line.
    pub address: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Token({})", self.id)
    }
}

/// Asks for a new join token; the old one ends at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateToken {
    /// How long the new one is good, in seconds; for ever if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after_secs: Option<u64>,
}
