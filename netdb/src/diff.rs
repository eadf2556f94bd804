//! In what two members differ: asks both over the authenticated streams and compares what they say.
//!
//! Must never wait for ever: every question has a deadline, and so has the whole.

use std::time::Duration;

use netdb_core::{
    node::MemberState,
    sync::diff::{self, Ask, Diff, Scope, Side},
    wire::inspect::{Answer, Question},
};
use netdb_gossip_core::identity::{Name, NodeId};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    db::{NetDb, Stopped},
    driver::Silence,
};

/// How long a member may take to answer one question.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a whole comparison may take.
const WHOLE: Duration = Duration::from_secs(20);

/// The rest before a member that is asked too much is asked again.
const REST: Duration = Duration::from_millis(200);

/// Why two members could not be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiffError {
    /// No such member.
    #[error("node {0} is no member of this cluster")]
    Unknown(NodeId),
    /// A node equals itself.
    #[error("both are node {0}")]
    Same(NodeId),
    /// It is not there to be asked.
    #[error("node {node} is {}", match state {
        MemberState::Restarting => "restarting",
        MemberState::Left => "gone: it left",
        _ => "down",
    })]
    Down {
        /// Who.
        node: NodeId,
        /// How it is doing.
        state: MemberState,
    },
    /// There is no stream to it.
    #[error("node {0} can't be reached on streams (TCP)")]
    Unreachable(NodeId),
    /// It is alive and silent.
    #[error("node {0} did not answer within {ANSWER:?}: it is overloaded, or too old to be asked")]
    Silent(NodeId),
    /// It holds no copy to compare.
    #[error("node {node} is not attached to network {network}")]
    NotAttached {
        /// Who.
        node: NodeId,
        /// What is missing.
        network: Name,
    },
    /// It broke the protocol.
    #[error("node {0} answered something else than it was asked: is it of another version?")]
    Nonsense(NodeId),
    /// This node asks others so much already.
    #[error("this node compares others already, as often as it may")]
    Busy,
    /// There is too much that differs.
    #[error("comparing them took longer than {WHOLE:?}: compare one network")]
    TooLong,
    /// This node was stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Two members, and the node that asks them.
struct Asked<'d> {
    db: &'d NetDb,
    left: NodeId,
    right: NodeId,
}

impl Asked<'_> {
    fn node(&self, side: Side) -> NodeId {
        if side == Side::Left { self.left } else { self.right }
    }
}

impl Ask for Asked<'_> {
    type Error = DiffError;

    async fn ask(&self, side: Side, question: Question) -> Result<Answer, DiffError> {
        let to = self.node(side);
        let deadline = Instant::now() + ANSWER;
        loop {
            let asked = question.clone();
            let answer = self.db.call_later(move |driver, reply| driver.ask(to, asked, reply));
            let answer = timeout_at(deadline, answer).await;
            match answer.map_err(|_| DiffError::Silent(to))?? {
                Ok(Answer::Busy) if Instant::now() + REST < deadline => sleep(REST).await,
                Ok(Answer::Busy) => return Err(DiffError::Silent(to)),
                Ok(answer) => return Ok(answer),
                Err(Silence::Unreachable) => return Err(DiffError::Unreachable(to)),
                Err(Silence::Full) => return Err(DiffError::Busy),
            }
        }
    }
}

impl NetDb {
    /// In what two members differ: in one network that both are attached to, or in all such. Either may be
    /// this node. What was written within the last second is on its way and no difference.
    pub async fn diff(
        &self,
        left: NodeId,
        right: NodeId,
        network: Option<&Name>,
    ) -> Result<Diff, DiffError> {
        if left == right {
            return Err(DiffError::Same(left));
        }
        self.check_up(&[left, right]).await?;
        let settled_before = self.call(|driver| driver.node.settled_before(driver.now())).await?;
        let asked = Asked { db: self, left, right };
        let scope = Scope { only: network.cloned(), settled_before };
        let compared = timeout(WHOLE, diff::compare(&asked, &scope)).await;
        let error = match compared.map_err(|_| DiffError::TooLong)? {
            Ok(diff) => return Ok(diff),
            Err(diff::DiffError::Unanswered(error)) => error,
            Err(diff::DiffError::Nonsense(side)) => DiffError::Nonsense(asked.node(side)),
            Err(diff::DiffError::NotAttached(side, network)) => {
                DiffError::NotAttached { node: asked.node(side), network }
            }
        };
        if let DiffError::Unreachable(node) | DiffError::Silent(node) = error {
            // It may have failed while it was asked, which says more.
            self.check_up(&[node]).await?;
        }
        Err(error)
    }

    /// Whether these are members that can be asked.
    async fn check_up(&self, nodes: &[NodeId]) -> Result<(), DiffError> {
        let members = self.members().await?;
        for node in nodes.iter().copied().filter(|node| *node != self.id()) {
            let info = members.iter().find(|info| info.member.id == node);
            match info.ok_or(DiffError::Unknown(node))?.state {
                MemberState::Alive | MemberState::Suspect => {}
                state => return Err(DiffError::Down { node, state }),
            }
        }
        Ok(())
    }
}
