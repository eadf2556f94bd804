//! What handles send to the task that owns the node, and how they get their answers.
//!
//! Must never hold a node: a command is something to be done where the node is.

use netdb_core::node::Farewell;
use tokio::sync::oneshot;

use crate::{driver::Driver, storage::StorageError};

/// Commands that wait for the task; callers wait beyond that.
pub(crate) const COMMANDS: usize = 1024;

/// Where the answer to a command goes. A caller that has gone away is none of the task's business.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// Runs on the task, and must be short: nothing else happens meanwhile.
pub(crate) type Call = Box<dyn FnOnce(&mut Driver) + Send>;

/// What a handle wants done.
pub(crate) enum Command {
    Call(Call),
    Stop(Stop),
}

/// How to end.
pub(crate) struct Stop {
    /// What to tell the peers; nothing if the last handle was dropped.
    pub(crate) how: Option<Farewell>,
    /// Told at the very end, when sockets and files are free again.
    pub(crate) reply: Option<Reply<Result<(), StorageError>>>,
}

impl Stop {
    pub(crate) fn quiet() -> Self {
        Self { how: None, reply: None }
    }
}
