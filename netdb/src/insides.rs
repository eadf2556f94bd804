//! What goes on inside a node and around it, for somebody who wonders why it does what it does.

use netdb_core::node::Insides as NodeInsides;
use netdb_gossip_core::packet::Drops;

use crate::{
    command::COMMANDS,
    db::{NetDb, Stopped},
    driver::{Driver, MAX_QUESTIONS, MAX_UNSETTLED, MAX_WATCHES},
};

/// What goes on inside a node and around it.
#[derive(Clone, Debug)]
pub struct Insides {
    /// Tables, timers and links.
    pub node: NodeInsides,
    /// What waits at this moment, and how much may.
    pub queues: Vec<Queue>,
    /// Packets that were dropped, by reason.
    pub drops: Drops,
    /// Events handed to watchers so far.
    pub watch_events: u64,
}

/// Something that can pile up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// What waits, and for what.
    pub name: &'static str,
    /// How much of it.
    pub depth: usize,
    /// How much there may be; the longest of several where there is one for each peer.
    pub limit: Option<usize>,
}

impl NetDb {
    /// What goes on inside.
    pub async fn insides(&self) -> Result<Insides, Stopped> {
        self.call(|driver| {
            let node = driver.node.insides(driver.now());
            let queues = queues(driver, &node);
            let drops = driver.node.gossip().stats().drops;
            Insides { node, queues, drops, watch_events: driver.watch_events() }
        })
        .await
    }
}

fn queues(driver: &Driver, node: &NodeInsides) -> Vec<Queue> {
    let waiting = driver.queues();
    let queue = |name, depth, limit| Queue { name, depth, limit };
    let fullest = node.links.iter().map(|(_, link)| link.bytes).max().unwrap_or(0);
    vec![
        queue("calls for the node's task", waiting.calls, Some(COMMANDS)),
        queue("callers for the disk", waiting.callers, Some(MAX_UNSETTLED)),
        queue("records for the disk", waiting.records, None),
        queue("writes to be sent", node.outgoing.waiting, None),
        queue("writes until it is known to whom", node.outgoing.early, Some(node.outgoing.limit)),
        queue("bytes for the slowest peer", fullest, Some(node.queue_bytes)),
        queue("watches", driver.open_watches(), Some(MAX_WATCHES)),
        queue("watches that are behind", waiting.watches, Some(MAX_WATCHES)),
        queue("questions to members", driver.open_questions(), Some(MAX_QUESTIONS)),
    ]
}
