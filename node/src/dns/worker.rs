//! The thread that answers all sandboxes.
//!
//! One is enough, and better than several: where several wait for one socket, each query wakes another that is
//! not there yet. On a thread of its own a burst of queries takes no time from the node's tasks.

use std::{io, thread};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The thread, until it is dropped; then all that was started there ends.
#[derive(Debug)]
pub(super) struct Worker {
    runtime: Handle,
    /// Its end is what the thread waits for.
    _stop: oneshot::Sender<()>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// The system has no thread or no event queue for it.
    pub(super) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, (stop, stopped)) = (runtime.handle().clone(), oneshot::channel::<()>());
        thread::Builder::new().name("dns".to_owned()).spawn(move || {
            // Both that it is told and that nobody can tell it any more are the end.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self { runtime: handle, _stop: stop })
    }

    /// Where tasks are started that answer.
    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_there_ends_with_it() {
        let worker = Worker::start().unwrap();
        let (tell, begun) = oneshot::channel();
        let (held, end) = oneshot::channel::<()>();
        worker.runtime().spawn(async move {
            tell.send(()).unwrap();
            std::future::pending::<()>().await;
            drop(held);
        });
        begun.blocking_recv().unwrap();
        drop(worker);
        assert!(end.blocking_recv().is_err());
    }
}
