//! The stop signal of a transport and the set of its tasks: whoever stops it knows when the last has ended.
//!
//! Must never let a task outlive the transport: what does not end in time is aborted and awaited.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};

/// Locks, also after a panic elsewhere: what these locks guard is valid between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tells a task that the transport is stopping.
#[derive(Clone)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    /// Returns once the transport is stopping.
    pub(crate) async fn wait(&mut self) {
        // An error means that the sender is gone, and the transport with it.
        let _ = self.0.wait_for(|stopping| *stopping).await;
    }
}

/// All tasks of one transport.
pub(crate) struct Tasks {
    set: Mutex<Option<JoinSet<()>>>,
    alive: Arc<watch::Sender<usize>>,
    stop: watch::Sender<bool>,
}

/// Counts a task as alive until its future is dropped.
struct Alive(Arc<watch::Sender<usize>>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive = alive.saturating_sub(1));
    }
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self {
            set: Mutex::new(Some(JoinSet::new())),
            alive: Arc::new(watch::Sender::new(0)),
            stop: watch::Sender::new(false),
        }
    }

    /// A receiver of the stop signal.
    pub(crate) fn stop(&self) -> Stop {
        Stop(self.stop.subscribe())
    }

    /// Starts a task; false (and nothing started) if everything has been taken down already.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> bool {
        let mut set = lock(&self.set);
        let Some(set) = set.as_mut() else { return false };
        while set.try_join_next().is_some() {}
        self.alive.send_modify(|alive| *alive += 1);
        let alive = Alive(Arc::clone(&self.alive));
        set.spawn(async move {
            let _alive = alive;
            task.await;
        });
        true
    }

    /// Raises the stop signal, gives the tasks `patience` to end, aborts and awaits the rest.
    pub(crate) async fn finish(&self, patience: Duration) {
        self.stop.send_replace(true);
        let mut alive = self.alive.subscribe();
        let _ = tokio::time::timeout(patience, alive.wait_for(|alive| *alive == 0)).await;
        let set = lock(&self.set).take();
        if let Some(mut set) = set {
            set.shutdown().await;
        }
    }

    /// Raises the stop signal and aborts everything, without waiting.
    pub(crate) fn abort(&self) {
        self.stop.send_replace(true);
        let set = lock(&self.set).take();
        // Dropping the set aborts its tasks.
        drop(set);
    }
}
