//! Ranges that go to other nodes: those of hosts that are down for good, and this node's own before it
//! leaves.

use std::time::Duration;

use netdb::{MemberInfo, MemberState, NodeId, Stopped};
use netnode_plan::{
    ring::{Heir, TakeoverError},
    spaces::SpaceId,
};
use tokio::time::{Instant, sleep};

use super::{Command, Ipam};

/// How long a node that leaves waits for others to take what it holds: as long as its client does, less
/// what leaving itself takes.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often is looked whether they did.
const LOOK: Duration = Duration::from_millis(50);

/// A range that is taken over from a node that is down for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Takeover {
    pub(crate) space: SpaceId,
    pub(crate) from: NodeId,
    /// Who is to have it, once that is said.
    pub(crate) heir: Option<NodeId>,
    pub(crate) numbers: u128,
}

/// Why what a node held is not taken over. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReclaimError {
    /// It answers, or may answer in a moment.
    #[error(
        "node {node} is {state}: only what a node held that is down for good can be taken over"
    )]
    NotDown { node: NodeId, state: &'static str },
    #[error(transparent)]
    Takeover(#[from] TakeoverError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What came of handing over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Handover {
    /// Ranges that others have.
    pub(crate) taken: usize,
    /// Ranges that nobody took in time.
    pub(crate) left: usize,
    /// Whether there is another node in the cluster at all.
    pub(crate) others: bool,
}

impl Ipam {
    /// What would be taken over if these nodes were called down for good.
    pub(crate) async fn lost_with(&self, down: &[NodeId]) -> Result<Vec<Takeover>, ReclaimError> {
        self.check_down(down).await?;
        Ok(self.ask(|reply| Command::Lost { down: down.to_vec(), reply }).await??)
    }

    /// Names heirs for all that these nodes held, which are down for good. They take it once everybody else
    /// has been here for a while. Those nodes count as nodes that left from now on.
    pub(crate) async fn reclaim(&self, down: &[NodeId], heir: Heir) -> Result<(), ReclaimError> {
        self.check_down(down).await?;
        self.ask(|reply| Command::Reclaim { down: down.to_vec(), heir, reply }).await??;
        Ok(self.call_lost(down).await?)
    }

    /// What waits for its heirs.
    pub(crate) async fn inherited(&self) -> Result<Vec<Takeover>, Stopped> {
        self.ask(|reply| Command::Inherited { reply }).await
    }

    /// A ring only asks whether a node answers now; one that restarts or is late comes back.
    async fn check_down(&self, down: &[NodeId]) -> Result<(), ReclaimError> {
        for MemberInfo { member, state, .. } in self.members().await? {
            let state = match state {
                MemberState::Alive => "alive",
                MemberState::Suspect => "late, and not known to be down",
                MemberState::Restarting => "restarting",
                MemberState::Failed | MemberState::Left => continue,
            };
            if down.contains(&member.id) {
                return Err(ReclaimError::NotDown { node: member.id, state });
            }
        }
        Ok(())
    }

    /// Gives nothing more, and hands all that this node holds over to live nodes.
    pub(crate) async fn hand_over(&self) -> Result<Handover, Stopped> {
        let me = self.db.id();
        let deadline = Instant::now() + PATIENCE;
        let held = self.leave().await?;
        loop {
            let left = self.leave().await?;
            let members = self.members().await?;
            let others = members.iter().filter(|info| info.member.id != me).map(|info| info.state);
            let others: Vec<MemberState> =
                others.filter(|state| *state != MemberState::Left).collect();
            // Nobody is here who could take it.
            let hopeless = others.iter().all(|state| *state == MemberState::Failed);
            if left == 0 || hopeless || Instant::now() >= deadline {
                let (taken, others) = (held.saturating_sub(left), !others.is_empty());
                return Ok(Handover { taken, left, others });
            }
            sleep(LOOK).await;
        }
    }

    async fn leave(&self) -> Result<usize, Stopped> {
        self.ask(|reply| Command::Leave { reply }).await
    }
}
