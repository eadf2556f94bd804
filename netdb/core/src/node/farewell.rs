//! How a node goes: for a moment, with its host, or for good.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{identity::Name, time::Now};

use super::{Farewell, Node, Phase, io::CLUSTER_NETWORK, timers::Timer};
use crate::records::{self, AdmittedRecord, NodeStatus};

/// How long the last words may take to arrive before the node leaves all the same.
const LAST_WORDS: Duration = Duration::from_millis(500);

impl Node {
    /// Tells the peers how this node goes. Drain the outputs, wait (within a bound) until
    /// [`is_drained`](Self::is_drained), then stop calling.
    pub fn farewell(&mut self, now: Now, how: Farewell) {
        if self.is_starting() || self.is_leaving() {
            return;
        }
        let status = match how {
            Farewell::Restarting => NodeStatus::Restarting,
            Farewell::ShuttingDown => NodeStatus::ShuttingDown,
            Farewell::Leaving => NodeStatus::Left,
        };
        if how != Farewell::Restarting {
            self.withdraw_rows(now);
        }
        if how == Farewell::Leaving {
            self.give_up_admission(now);
        }
        self.publish_self(now, status);
        // Whom it is to call when it starts again may have changed a moment ago.
        self.save_peers();
        if how == Farewell::Leaving {
            self.disk.remove_cluster();
        }
        self.flush_outbox(now);
        // Peers take nothing from a member that left: the gossip leaves when the words have arrived.
        let departs = (how != Farewell::Restarting).then(|| now.mono + LAST_WORDS);
        self.phase = Phase::Leaving { departs };
        self.timers.set(now.mono + LAST_WORDS, Timer::Depart);
    }

    /// Whether the farewell is said: nothing that was sent still waits for its confirmation.
    pub fn is_drained(&self) -> bool {
        self.phase == Phase::Leaving { departs: None } && self.is_silent()
    }

    fn is_silent(&self) -> bool {
        self.presences.iter().all(|(node, _)| self.gossip.queued(*node) == 0)
    }

    /// Leaves the membership once the last words have arrived, or had long enough to.
    pub(super) fn depart(&mut self, now: Now) {
        let Phase::Leaving { departs: Some(at) } = self.phase else { return };
        if now.mono >= at || self.is_silent() {
            self.phase = Phase::Leaving { departs: None };
            self.gossip.leave(now);
        }
    }

    /// Withdraws this node's attachments: its rows leave every view with them. Its next start attaches anew,
    /// so that the rows do not return then from somebody who missed these words.
    fn withdraw_rows(&mut self, now: Now) {
        let names: Vec<Arc<Name>> = self.networks.keys().cloned().collect();
        for name in names.iter().filter(|name| name.as_str() != CLUSTER_NETWORK) {
            self.write_record(now, records::ATTACHMENTS, name.as_str().as_bytes(), None);
            if let Some(attachment) = self.own_attachments.get_mut(&**name) {
                attachment.number += 1;
                self.disk.put_attachment(name, *attachment);
            }
        }
    }

    fn give_up_admission(&mut self, now: Now) {
        if let Some(record) = self.admission(self.id) {
            let value = records::encode(&AdmittedRecord { admitted: false, ..record });
            let id = self.id;
            self.write_record(now, records::ADMITTED, &id.0, Some(value));
        }
    }

    /// Takes new timings and limits.
    pub fn reconfigure(&mut self, now: Now, config: crate::config::Config) {
        let names: Vec<Arc<Name>> = self.networks.keys().cloned().collect();
        for network in self.networks.values_mut() {
            network.replica.reconfigure(config.tombstone_life, config.max_tombstones);
        }
        self.config = config;
        for name in &names {
            self.watch_graves(name);
        }
        self.timers.set(now.mono, Timer::Keys);
    }
}
