//! What is known of a node: the words of the membership, and foca's view of an identity.
//!
//! A member's address in foca's sense is its [`NodeId`]: only lives of one node replace each other, two
//! nodes at one socket address never do.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::identity::{Generation, NodeId};

/// One life of one node at one address. Of two with the same id the higher (generation, revision,
/// address) replaces the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub id: NodeId,
    /// Which start of the node.
    pub generation: Generation,
    /// Grows within a generation: when the node was told that it is down, or changed its address.
    pub revision: u16,
    /// Where it is reached (UDP and TCP).
    pub addr: SocketAddr,
}

/// How a member seems to be from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MemberState {
    /// It answers.
    Alive,
    /// Somebody got no answer; it has a while to refute.
    Suspect,
    /// It failed or left.
    Down,
}

/// What changed, told once per change from the local point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberEvent {
    /// A member that was unknown or down is here.
    Up(Member),
    /// A live member may have failed.
    Suspected(Member),
    /// A suspected member refuted.
    Trusted(Member),
    /// A member failed or left.
    Down(Member),
    /// A live member has a new generation, revision or address without having been down here.
    Renewed {
        /// What it was.
        old: Member,
        /// What it is.
        new: Member,
    },
    /// Two live nodes claim one address; told once per pair and minute while it lasts.
    AddressConflict {
        /// The address.
        address: SocketAddr,
        /// The lower id.
        one: NodeId,
        /// The higher id.
        other: NodeId,
    },
    /// A peer knows this node's own id at a generation above (or a revision that can't be passed):
    /// take a generation above this one and call [`crate::gossip::Gossip::renew`].
    GenerationSeen(Generation),
}

impl Member {
    /// True if this one replaces `other`, a life of the same node.
    pub fn replaces(&self, other: &Self) -> bool {
        (self.generation, self.revision, self.addr) > (other.generation, other.revision, other.addr)
    }

    /// The next revision, unless there is none left in this generation.
    pub(crate) fn next_revision(&self) -> Option<Self> {
        Some(Self { revision: self.revision.checked_add(1)?, ..*self })
    }
}

impl foca::Identity for Member {
    type Addr = NodeId;

    // Being told down goes through `Membership::renew_soon` instead: it limits how often.
    fn renew(&self) -> Option<Self> {
        None
    }

    fn addr(&self) -> NodeId {
        self.id
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.replaces(adversary)
    }
}

impl From<foca::State> for MemberState {
    fn from(state: foca::State) -> Self {
        match state {
            foca::State::Alive => Self::Alive,
            foca::State::Suspect => Self::Suspect,
            foca::State::Down => Self::Down,
        }
    }
}

impl From<MemberState> for foca::State {
    fn from(state: MemberState) -> Self {
        match state {
            MemberState::Alive => Self::Alive,
            MemberState::Suspect => Self::Suspect,
            MemberState::Down => Self::Down,
        }
    }
}
