//! Why packets are thrown away, counted by reason.

/// Why a packet was dropped. Never told to its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[repr(usize)]
pub enum DropReason {
    /// Shorter than any packet.
    #[error("truncated packet")]
    Truncated,
    /// Longer than [`MAX_MTU`](super::MAX_MTU).
    #[error("oversized packet")]
    Oversized,
    /// Of a version that this node does not speak yet.
    #[error("packet of a future version")]
    FutureVersion,
    /// Not of our cluster.
    #[error("packet of another cluster")]
    OtherCluster,
    /// Sealed with a key that this node lacks.
    #[error("packet sealed with an unknown key")]
    UnknownKey,
    /// Forged, damaged, or addressed to another node.
    #[error("packet does not open")]
    NotOpened,
    /// It opened, but what it says is not well formed.
    #[error("malformed packet")]
    Malformed,
    /// Its number was seen before, or is too old to tell.
    #[error("replayed packet")]
    Replayed,
    /// Its sender has started anew since.
    #[error("packet of an older generation of its sender")]
    StaleGeneration,
    /// Sent by this very node: reflected, or by a copy of its state directory.
    #[error("packet in this node's own name")]
    OwnName,
    /// Unaddressed, but not the announcement that may be.
    #[error("unaddressed packet that is no announcement")]
    Unaddressed,
}

impl DropReason {
    /// Every reason, in the order of its counter.
    pub const ALL: [Self; 11] = [
        Self::Truncated,
        Self::Oversized,
        Self::FutureVersion,
        Self::OtherCluster,
        Self::UnknownKey,
        Self::NotOpened,
        Self::Malformed,
        Self::Replayed,
        Self::StaleGeneration,
        Self::OwnName,
        Self::Unaddressed,
    ];

    /// A name for metrics and logs that never changes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Oversized => "oversized",
            Self::FutureVersion => "future_version",
            Self::OtherCluster => "other_cluster",
            Self::UnknownKey => "unknown_key",
            Self::NotOpened => "not_opened",
            Self::Malformed => "malformed",
            Self::Replayed => "replayed",
            Self::StaleGeneration => "stale_generation",
            Self::OwnName => "own_name",
            Self::Unaddressed => "unaddressed",
        }
    }
}

/// One counter for each [`DropReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    /// Counts one dropped packet.
    pub fn count(&mut self, reason: DropReason) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter = counter.saturating_add(1);
        }
    }

    /// How many were dropped for this reason.
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// How many were dropped in all.
    pub fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, counter| sum.saturating_add(*counter))
    }

    /// Every reason with its count.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> {
        DropReason::ALL.into_iter().map(|reason| (reason, self.get(reason)))
    }
}
