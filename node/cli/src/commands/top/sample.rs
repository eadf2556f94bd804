//! What a frame is made from.

use std::{collections::BTreeMap, time::Instant};

use netnode_api::{
    client::{Client, ClientError},
    debug::{Debug, Link, Queue},
    node::{Member, MemberState, Scope, Stats, Status},
};
use serde::Serialize;

/// Peers that are shown.
const SLOWEST: usize = 8;

/// One look at the node.
pub(super) struct Sample {
    pub(super) taken: Instant,
    pub(super) status: Status,
    pub(super) members: Vec<Member>,
    pub(super) stats: Stats,
    pub(super) debug: Debug,
}

impl Sample {
    pub(super) async fn take(client: &Client) -> Result<Self, ClientError> {
        Ok(Self {
            status: client.status().await?,
            members: client.members().await?,
            debug: client.debug().await?,
            stats: client.stats().await?,
            taken: Instant::now(),
        })
    }

    fn counter(&self, name: &str) -> u64 {
        self.stats.counters.get(name).copied().unwrap_or(0)
    }

    /// The sum of the counters whose names start so.
    fn counters(&self, prefix: &str) -> u64 {
        let all = self.stats.counters.iter().filter(|(name, _)| name.starts_with(prefix));
        all.map(|(_, count)| count).sum()
    }

    /// Writes of this node.
    fn written(&self) -> u64 {
        self.debug.networks.iter().map(|network| network.written).sum()
    }
}

/// What happened between two looks, and what the matter is at the second.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Frame {
    pub(super) elapsed_ms: u64,
    pub(super) members: BTreeMap<MemberState, usize>,
    pub(super) rates: Rates,
    /// The slowest first.
    pub(super) slowest: Vec<Peer>,
    pub(super) networks: Vec<Scope>,
    pub(super) queues: Vec<Queue>,
}

/// Per second.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Rates {
    pub(super) packets_in: f64,
    pub(super) packets_out: f64,
    pub(super) bytes_in: f64,
    pub(super) bytes_out: f64,
    pub(super) packets_dropped: f64,
    pub(super) writes_here: f64,
    pub(super) writes_received: f64,
    pub(super) watch_events: f64,
    pub(super) commits: f64,
}

/// Another member and the way to it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Peer {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) state: MemberState,
    pub(super) rtt_us: Option<u64>,
    pub(super) in_flight: usize,
    pub(super) late: usize,
    pub(super) bytes: usize,
}

impl Frame {
    pub(super) fn between(before: &Sample, now: &Sample) -> Self {
        let elapsed = now.taken.saturating_duration_since(before.taken);
        let seconds = elapsed.as_secs_f64().max(0.001);
        let rate = |of: &dyn Fn(&Sample) -> u64| {
            // Counters begin anew with the node.
            per_second(of(now).saturating_sub(of(before)), seconds)
        };
        let counter = |name: &str| rate(&|sample| sample.counter(name));
        let rates = Rates {
            packets_in: counter("packets_received"),
            packets_out: counter("packets_sent"),
            bytes_in: counter("packets_received_bytes"),
            bytes_out: counter("packets_sent_bytes"),
            packets_dropped: rate(&|sample| sample.counters("packets_dropped_")),
            writes_here: rate(&Sample::written),
            writes_received: counter("tables_entries_fresh"),
            watch_events: rate(&|sample| sample.debug.watch_events),
            commits: counter("storage_commits"),
        };
        Self {
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            members: now.status.members.clone(),
            rates,
            slowest: slowest(&now.members, &now.debug.links),
            networks: now.status.networks.clone(),
            queues: now.debug.queues.clone(),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate is shown with two digits")]
fn per_second(count: u64, seconds: f64) -> f64 {
    (count as f64 / seconds * 10.0).round() / 10.0
}

/// Those that don't answer, then those that answer late.
fn slowest(members: &[Member], links: &[Link]) -> Vec<Peer> {
    let others = members.iter().filter(|member| !member.is_self);
    let mut peers: Vec<Peer> = others
        .filter(|member| member.state != MemberState::Left)
        .map(|member| {
            let link = links.iter().find(|link| link.node.id == member.id);
            Peer {
                id: member.id.clone(),
                name: member.name.clone(),
                state: member.state,
                rtt_us: member.rtt_us,
                in_flight: link.map_or(0, |link| link.in_flight),
                late: link.map_or(0, |link| link.late),
                bytes: link.map_or(0, |link| link.bytes),
            }
        })
        .collect();
    peers.sort_by_key(|peer| {
        let well = peer.state == MemberState::Alive;
        (well, std::cmp::Reverse((peer.late > 0, peer.rtt_us)), peer.id.clone())
    });
    peers.truncate(SLOWEST);
    peers
}

#[cfg(test)]
pub(super) mod tests {
    use netnode_api::{
        debug::NetworkDebug,
        keys::{Keys, Rotation},
        node::Who,
    };

    use super::*;

    pub(in super::super) fn member(name: &str, state: MemberState, rtt_us: Option<u64>) -> Member {
        Member {
            id: format!("{name:0<32}"),
            name: Some(name.to_owned()),
            address: "127.0.0.1:1".to_owned(),
            state,
            generation: 1,
            rtt_us,
            conflict: false,
            is_self: name == "me",
        }
    }

    fn link(name: &str, late: usize) -> Link {
        Link {
            node: Who { id: format!("{name:0<32}"), name: Some(name.to_owned()) },
            queued: 0,
            bytes: 0,
            bytes_limit: 1,
            in_flight: 1,
            window: 16,
            rtt_us: None,
            late,
            responsive: true,
        }
    }

    pub(in super::super) fn sample(counts: &[(&str, u64)], written: u64) -> Sample {
        let network = NetworkDebug {
            name: "blue".to_owned(),
            synced: true,
            attachment: 1,
            written,
            received: String::new(),
            held: String::new(),
            writers: Vec::new(),
            writer_count: 0,
            retired: 0,
            aside: Vec::new(),
            aside_count: 0,
            children: Vec::new(),
            next_compare_us: 0,
            compare_interval_us: 0,
            pull: None,
            gap: None,
        };
        let queue = Queue { name: "calls".to_owned(), depth: 3, limit: Some(10) };
        let states = [MemberState::Alive, MemberState::Failed];
        Sample {
            taken: Instant::now(),
            status: Status {
                version: "1".to_owned(),
                node: "me".to_owned(),
                name: "me".to_owned(),
                cluster: "c".repeat(32),
                address: String::new(),
                generation: 1,
                uptime_ms: 60_000,
                members: states.map(|state| (state, 2)).into(),
                networks: Vec::new(),
                keys: Keys { keys: Vec::new(), rotation: Rotation::Idle, live: 1 },
                local_health: 0,
                clock_offset_us: 0,
                warnings: vec!["look at this".to_owned()],
            },
            members: vec![
                member("me", MemberState::Alive, None),
                member("quick", MemberState::Alive, Some(100)),
                member("slow", MemberState::Alive, Some(90_000)),
                member("late", MemberState::Alive, Some(50)),
                member("dead", MemberState::Failed, Some(1)),
                member("gone", MemberState::Left, None),
            ],
            stats: Stats {
                counters: counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect(),
            },
            debug: Debug {
                queues: vec![queue],
                drops: BTreeMap::new(),
                watch_events: written * 2,
                networks: vec![network],
                links: vec![link("quick", 0), link("slow", 0), link("late", 2)],
                timers: Vec::new(),
                timer_count: 0,
                next_deadline_us: None,
            },
        }
    }

    #[test]
    fn rates_are_what_changed_in_the_time_between() {
        let before = sample(&[("packets_sent", 100), ("packets_dropped_replayed", 1)], 5);
        let counts = [
            ("packets_sent", 300),
            ("packets_received_bytes", 1000),
            ("packets_dropped_replayed", 3),
            ("packets_dropped_malformed", 2),
        ];
        let mut now = sample(&counts, 25);
        now.taken = before.taken + std::time::Duration::from_secs(2);
        let Frame { rates, elapsed_ms, .. } = Frame::between(&before, &now);
        assert_eq!(elapsed_ms, 2000);
        let shown = [
            rates.packets_out,
            rates.bytes_in,
            rates.packets_dropped,
            rates.writes_here,
            rates.watch_events,
        ];
        let told: Vec<String> = shown.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["100", "500", "2", "10", "20"]);
        // The node was started anew: nothing is below zero.
        assert!(Frame::between(&now, &before).rates.packets_out.abs() < f64::EPSILON);
    }

    #[test]
    fn those_that_dont_answer_come_first_then_the_late_then_the_slow() {
        let now = sample(&[], 0);
        let frame = Frame::between(&now, &now);
        let order: Vec<_> = frame.slowest.iter().filter_map(|peer| peer.name.as_deref()).collect();
        assert_eq!(order, ["dead", "late", "slow", "quick"]);
    }
}
