//! What goes on inside the node, as the API's words.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Json, extract::State};
use netdb::{Entry, LinkInfo, NetworkInsides, NodeId, WriterInsides};
use netnode_api::{
    Payload,
    debug::{Aside, Child, Debug, Gap, Link, Missing, NetworkDebug, Pull, Queue, Timer, Writer},
};

use super::{
    Control,
    convert::{self, cluster_time},
    names::Names,
    problem::Refused,
};

pub(super) async fn debug(State(control): State<Arc<Control>>) -> Result<Json<Debug>, Refused> {
    let names = Names::ask(&control.db).await?;
    let now_us = cluster_time(control.db.info().await?.node.clock_offset);
    let netdb::Insides { node, queues, drops, watch_events } = control.db.insides().await?;
    let queue = |queue: &netdb::Queue| Queue {
        name: queue.name.to_owned(),
        depth: queue.depth,
        limit: queue.limit,
    };
    let timer = |due: &netdb::Due| Timer {
        what: due.what.to_owned(),
        network: due.network.as_ref().map(ToString::to_string),
        within_us: micros(due.within),
    };
    let drops: BTreeMap<String, u64> =
        drops.iter().map(|(reason, count)| (reason.name().to_owned(), count)).collect();
    let shown = Shown { names: &names, now_us, bytes_limit: node.queue_bytes };
    Ok(Json(Debug {
        queues: queues.iter().map(queue).collect(),
        drops,
        watch_events,
        networks: node.networks.iter().map(|network| shown.network(network)).collect(),
        links: node.links.iter().map(|(id, link)| shown.link(*id, link)).collect(),
        timers: node.timers.iter().map(timer).collect(),
        timer_count: node.timer_count,
        next_deadline_us: node.next_deadline.map(micros),
    }))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What the inside is shown against.
struct Shown<'a> {
    names: &'a Names,
    now_us: u64,
    bytes_limit: usize,
}

impl Shown<'_> {
    fn network(&self, network: &NetworkInsides) -> NetworkDebug {
        let (next_compare, interval) = network.compare;
        let child = |child: &netdb::Child| Child {
            node: self.names.who(child.node),
            passes_on_to: child.passes_on_to,
            trusted: child.trusted,
        };
        let pull = |pull: &netdb::PullInsides| Pull {
            from: self.names.who(pull.from),
            all: pull.all,
            patience_us: micros(pull.patience),
        };
        let gap = |(from, within): (NodeId, Duration)| Gap {
            from: self.names.who(from),
            within_us: micros(within),
        };
        NetworkDebug {
            name: network.name.to_string(),
            synced: network.synced,
            attachment: network.attachment,
            written: network.written,
            received: format!("{:016x}", network.received),
            held: format!("{:016x}", network.held),
            writers: network.writers.iter().map(|writer| self.writer(writer)).collect(),
            writer_count: network.writer_count,
            retired: network.retired,
            aside: network.aside.iter().map(|entry| self.aside(entry)).collect(),
            aside_count: network.aside_count,
            children: network.children.iter().map(child).collect(),
            next_compare_us: micros(next_compare),
            compare_interval_us: micros(interval),
            pull: network.pull.as_ref().map(pull),
            gap: network.gap.map(gap),
        }
    }

    fn writer(&self, shown: &WriterInsides) -> Writer {
        let missing = |(after, through)| Missing { from: after + 1, through };
        Writer {
            writer: self.names.who(shown.writer.node),
            lifetime: convert::lifetime(shown.writer.lifetime),
            generation: shown.writer.generation.0,
            attachment: shown.writer.attachment,
            contiguous: shown.contiguous,
            missing: shown.gap.map(missing),
            purged: shown.purged,
        }
    }

    fn aside(&self, entry: &Entry) -> Aside {
        Aside {
            table: entry.row.table.to_string(),
            key: Payload::from(&*entry.row.key),
            dot: convert::dot(entry.dot),
            stamp_us: entry.at,
            ahead_ms: entry.at.saturating_sub(self.now_us) / 1000,
        }
    }

    fn link(&self, id: NodeId, link: &LinkInfo) -> Link {
        Link {
            node: self.names.who(id),
            queued: link.queued,
            bytes: link.bytes,
            bytes_limit: self.bytes_limit,
            in_flight: link.in_flight,
            window: link.window,
            rtt_us: link.rtt.map(micros),
            late: link.late,
            responsive: link.responsive,
        }
    }
}
