//! The end of a node: farewell, last messages, last commit, and everything closed.
//!
//! Must never take longer than its bounds, whatever peers and disk do.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Driver, Input};
use crate::{command::Stop, disk::Settled};

/// How long peers may take to confirm the farewell.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);

/// How long the last transaction may take.
const DISK_PATIENCE: Duration = Duration::from_secs(5);

impl Driver {
    pub(super) async fn finish(mut self, stop: Stop) {
        self.commands.close();
        if let Some(how) = stop.how {
            self.node.farewell(self.now(), how);
            self.drain().await;
            self.shut_transport().await;
        }
        self.flush();
        let Self { disk, mut acks, lock, transport, inbox, node, watches, .. } = self;
        drop((transport, inbox, watches, node));
        let (settled, result) = disk.close(DISK_PATIENCE).await;
        for settled in settled {
            if let Settled::Durable(ids) = settled {
                acks.durable(ids.last);
            }
        }
        if let Err(error) = &result {
            tracing::error!(%error, "the last changes are not on disk");
            acks.failed(error);
        }
        drop(lock);
        if let Some(reply) = stop.reply {
            let _ = reply.send(result);
        }
    }

    /// Goes on until the peers have confirmed the farewell, or are out of patience.
    async fn drain(&mut self) {
        let deadline = Instant::now() + FAREWELL_PATIENCE;
        loop {
            self.flush();
            if self.node.is_drained() {
                return;
            }
            let Ok(input) = timeout_at(deadline, self.next_input()).await else { return };
            if self.take(input).is_some() {
                return;
            }
            self.do_due();
        }
    }

    /// As [`Driver::next`], without commands: whoever waits for one finds the handle stopped.
    async fn next_input(&mut self) -> Input {
        let due = self.node.poll_timeout();
        tokio::select! {
            incoming = self.inbox.recv() => Input::Incoming(incoming),
            settled = self.disk.settled() => Input::Settled(settled),
            () = super::sleep(self.clock, due) => Input::Due,
        }
    }

    /// Lets the last messages out; the peers confirm them, so what comes in is taken meanwhile.
    async fn shut_transport(&mut self) {
        let transport = self.transport.clone();
        let mut shutdown = std::pin::pin!(transport.shutdown());
        loop {
            tokio::select! {
                () = &mut shutdown => return,
                Some(incoming) = self.inbox.recv() => {
                    self.take_incoming(incoming);
                    self.flush();
                }
            }
        }
    }
}
