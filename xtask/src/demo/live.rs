//! Rows that change all the time, as those of a working cluster do.

use std::{sync::Arc, time::Duration};

use netdb_tests::rows::Table;
use netnode_api::client::Client;
use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    task::JoinSet,
    time::sleep,
};

/// Rows of one writer.
pub(crate) const ROWS: usize = 8;
/// The rest between two changes.
const REST: Duration = Duration::from_millis(20);

/// The writers. Dropping it ends them.
#[derive(Default)]
pub(crate) struct Live {
    turn: Arc<Mutex<()>>,
    writers: JoinSet<()>,
}

impl Live {
    /// Adds a writer that changes one row after the other.
    pub(crate) fn write(&mut self, client: Client, network: &'static str) {
        let turn = Arc::clone(&self.turn);
        self.writers.spawn(async move {
            let table = Table::owner(network, "live");
            for tick in 0_usize.. {
                let may_write = turn.lock().await;
                let key = format!("sensor-{}", tick % ROWS);
                // Stages that matter check their own writes; these only keep the cluster busy.
                let _ = table.put(&client, &key, &format!("reading {tick}")).await;
                drop(may_write);
                sleep(REST).await;
            }
        });
    }

    /// Nothing changes while this is held, and no change is under way.
    pub(crate) async fn pause(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }
}
