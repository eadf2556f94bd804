//! Which backends get what is new.

use core::fmt;

use netdb_core::view::OwnerState;
use netdb_gossip_core::identity::NodeId;

use super::Kept;
use crate::records::{Backend, BackendState, Health};

/// Why a backend gets nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Idle {
    /// It ends what it has begun.
    Draining,
    /// It is to have nothing.
    Disabled,
    /// Whoever checks it says that it does not answer.
    Unhealthy,
    /// Its weight is 0.
    NoWeight,
    /// Its node failed.
    Failed,
    /// Its node may have failed, and there are others.
    Suspected,
    /// The service prefers backends of the client's own node, and there are some.
    Elsewhere,
    /// It has no address of that family.
    NoAddress,
}

impl fmt::Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Draining => "it is draining",
            Self::Disabled => "it is disabled",
            Self::Unhealthy => "it is unhealthy",
            Self::NoWeight => "its weight is 0",
            Self::Failed => "its node failed",
            Self::Suspected => "its node may have failed, and others serve",
            Self::Elsewhere => "the service prefers backends of the client's node",
            Self::NoAddress => "it has no address of this family",
        })
    }
}

/// Whom one node gives what is new to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// Somebody's node is not suspected.
    sound: bool,
    /// The service prefers backends of the node itself, and there are some.
    local: Option<NodeId>,
}

impl Choice {
    /// Looks at all backends of a service. `here` is the node that chooses, where the service prefers its own.
    pub(super) fn among<'a>(
        all: impl Iterator<Item = (NodeId, OwnerState, &'a Backend)>,
        here: Option<NodeId>,
    ) -> Self {
        let mut choice = Self::default();
        for (node, state, backend) in all {
            if own(state, backend).is_none() && state != OwnerState::Suspect {
                choice.sound = true;
                choice.local = choice.local.or(here.filter(|here| *here == node));
            }
        }
        choice
    }

    /// Why one of them gets nothing new, if so.
    pub(super) fn idle(self, node: NodeId, state: OwnerState, backend: &Backend) -> Option<Idle> {
        own(state, backend).or_else(|| match state {
            OwnerState::Suspect if self.sound => Some(Idle::Suspected),
            _ if self.local.is_some_and(|local| local != node) => Some(Idle::Elsewhere),
            _ => None,
        })
    }
}

/// Why it gets nothing new, whatever the others do.
fn own(state: OwnerState, backend: &Backend) -> Option<Idle> {
    match (backend.state, backend.health) {
        (BackendState::Disabled, _) => Some(Idle::Disabled),
        (BackendState::Draining, _) => Some(Idle::Draining),
        _ if state == OwnerState::Failed => Some(Idle::Failed),
        (_, Health::Unhealthy) => Some(Idle::Unhealthy),
        _ => (backend.weight == 0).then_some(Idle::NoWeight),
    }
}

/// What of what leads to a backend goes on. Only who is meant to have nothing loses connections: a node that
/// failed and a backend that does not answer may be back.
pub fn kept(state: OwnerState, backend: &Backend) -> Option<Kept> {
    match (backend.state, backend.health) {
        (BackendState::Disabled, _) => None,
        _ if state == OwnerState::Failed => Some(Kept::Connections),
        (_, Health::Unhealthy) => Some(Kept::Connections),
        _ => Some(Kept::All),
    }
}
