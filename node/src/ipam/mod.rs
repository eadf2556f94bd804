//! Numbers for this host, given without a quorum: addresses in subnets, subnets out of pools, VNIs.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `census` | how full spaces are, by asking every node for its part |
//! | `desk` | the task that owns the rings of all spaces and feeds them |
//! | `moving` | ranges that go to other nodes: taken over, or handed over before this one leaves |
//! | `errands` | writing rows and asking other nodes, in the background and in order |
//! | `lost` | nodes that are down for good |
//! | `replace` | a host that was installed anew, until it has what its old node held |
//!
//! Who may give which number is decided by [`netnode_plan::ring`]; must never give one itself.

mod census;
mod desk;
mod errands;
mod lost;
mod moving;
pub(crate) mod replace;

use std::{collections::BTreeMap, time::Duration};

use netdb::{ClusterId, NameError, NetDb, NodeId, ServeError, Stopped, WatchError};
use netnode_plan::{
    ring::{Config, Heir, Refusal, Space, TakeoverError, Usage, Wish},
    spaces::SpaceId,
    usage::Report,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::networks::What;
pub(crate) use census::Census;
use desk::Desk;
use lost::Lost;
pub(crate) use moving::{Handover, ReclaimError, Takeover};

/// The table of ranges, in the cluster network.
const RANGES: &str = "ranges";
/// What nodes ask each other under.
const TOPIC: &str = "ranges";
/// Commands that wait for the desk; whoever gives one waits beyond that.
const MAX_COMMANDS: usize = 64;
/// How long is waited until a new space is on disk.
const FOUNDING: Duration = Duration::from_secs(5);

/// Why there is no desk.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a number was not given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TakeError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// This node does not know the space.
    #[error("this node has not heard of the space that the number is to come from")]
    UnknownSpace,
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Whose rows say that a number is in use. One number is in use as long as any of them says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// Networks, of pools and VNIs; and routes of hosts.
    Networks,
    /// Endpoints, of addresses.
    Endpoints,
    /// Services, of virtual addresses.
    Services,
}

/// What the desk is told.
enum Command {
    /// Take part in a space that people call so; `found` makes it, and `founded` hears when that is on disk.
    Open {
        id: SpaceId,
        called: String,
        space: Space,
        found: bool,
        founded: Option<oneshot::Sender<()>>,
    },
    /// Take all of a space that no other node knows.
    OpenAlone {
        id: SpaceId,
        called: String,
        space: Space,
    },
    /// Forget a space whose network is gone; `erase` its rows as well.
    Close {
        id: SpaceId,
        erase: bool,
    },
    Take {
        id: SpaceId,
        wish: Wish,
        reply: oneshot::Sender<Result<u128, TakeError>>,
    },
    Release {
        id: SpaceId,
        number: u128,
    },
    Keep {
        id: SpaceId,
        numbers: Vec<u128>,
    },
    /// Who uses which numbers, as one source says: of those that it does not name, it knows no user.
    Users {
        id: SpaceId,
        by: Source,
        users: BTreeMap<u128, NodeId>,
    },
    /// What would be taken over from nodes that are down for good.
    Lost {
        down: Vec<NodeId>,
        reply: oneshot::Sender<Result<Vec<Takeover>, TakeoverError>>,
    },
    /// Take over what these nodes held: they are down for good.
    Reclaim {
        down: Vec<NodeId>,
        heir: Heir,
        reply: oneshot::Sender<Result<(), TakeoverError>>,
    },
    /// What waits for its heirs.
    Inherited {
        reply: oneshot::Sender<Vec<Takeover>>,
    },
    /// Hand over all that this node holds; how many ranges it still does.
    Leave {
        reply: oneshot::Sender<usize>,
    },
    /// How spaces stand as far as this node knows.
    Usage {
        ids: Vec<SpaceId>,
        reply: oneshot::Sender<Vec<Option<Usage>>>,
    },
    /// This node's own part in spaces.
    Report {
        ids: Vec<SpaceId>,
        reply: oneshot::Sender<Vec<Option<Report>>>,
    },
}

/// The desk where numbers are given. Clones share it; it closes with the last of them.
#[derive(Clone, Debug)]
pub(crate) struct Ipam {
    db: NetDb,
    commands: mpsc::Sender<Command>,
    /// Nodes that are down for good.
    lost: watch::Receiver<Lost>,
}

impl Ipam {
    /// Opens the desk of a running node.
    pub(crate) async fn start(db: &NetDb, config: Config) -> Result<Self, StartError> {
        let (commands, queue) = mpsc::channel(MAX_COMMANDS);
        let lost = lost::follow(db).await?;
        let desk = Desk::open(db.clone(), config, queue, lost.clone()).await?;
        tokio::spawn(desk.run());
        let ipam = Self { db: db.clone(), commands, lost };
        census::serve(&ipam).await?;
        Ok(ipam)
    }

    /// The cluster that the numbers are of.
    pub(crate) fn cluster(&self) -> ClusterId {
        self.db.cluster()
    }

    /// Takes part in a space that people call so; with `found` it is new, and all of it is this node's.
    pub(crate) async fn open(
        &self,
        id: SpaceId,
        called: &What,
        space: Space,
        found: bool,
    ) -> Result<(), Stopped> {
        let founded = None;
        self.tell(Command::Open { id, called: called.to_string(), space, found, founded }).await
    }

    /// Makes a space of which all is this node's, and waits until that is on disk: who is told of something
    /// that has the space, after a crash as well, then finds whose it is. Cut off, this node makes it later.
    pub(crate) async fn found(
        &self,
        id: SpaceId,
        called: &What,
        space: Space,
    ) -> Result<(), Stopped> {
        let (reply, founded) = oneshot::channel();
        let (called, found, reply) = (called.to_string(), true, Some(reply));
        self.tell(Command::Open { id, called, space, found, founded: reply }).await?;
        // An error means that somebody has closed it, or had opened it before.
        let _ = timeout(FOUNDING, founded).await;
        Ok(())
    }

    /// Takes a space that is this host's alone: nobody is asked, and nothing of it is written down, so what
    /// is in use has to be told after each start.
    pub(crate) async fn open_alone(
        &self,
        id: SpaceId,
        called: &What,
        space: Space,
    ) -> Result<(), Stopped> {
        self.tell(Command::OpenAlone { id, called: called.to_string(), space }).await
    }

    /// Takes no part in a space any more; `erase` deletes the rows of its ranges, because it is gone.
    pub(crate) async fn close(&self, id: SpaceId, erase: bool) -> Result<(), Stopped> {
        self.tell(Command::Close { id, erase }).await
    }

    /// Takes a number. It is only promised until something that other nodes see says who uses it.
    pub(crate) async fn take(&self, id: SpaceId, wish: Wish) -> Result<u128, TakeError> {
        self.ask(|reply| Command::Take { id, wish, reply }).await?
    }

    /// Says that this node gave these numbers before it started, and that they are in use.
    pub(crate) async fn keep(&self, id: SpaceId, numbers: Vec<u128>) -> Result<(), Stopped> {
        self.tell(Command::Keep { id, numbers }).await
    }

    /// Gives a number back; it rests a while.
    pub(crate) async fn release(&self, id: SpaceId, number: u128) -> Result<(), Stopped> {
        self.tell(Command::Release { id, number }).await
    }

    /// Says who uses which numbers of a space, as one source has it.
    pub(crate) async fn set_users(
        &self,
        id: SpaceId,
        by: Source,
        users: BTreeMap<u128, NodeId>,
    ) -> Result<(), Stopped> {
        self.tell(Command::Users { id, by, users }).await
    }

    /// Asks the desk something; it always answers, unless it is gone.
    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, Stopped> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply)).await?;
        answer.await.map_err(|_| Stopped)
    }

    async fn tell(&self, command: Command) -> Result<(), Stopped> {
        self.commands.send(command).await.map_err(|_| Stopped)
    }
}
