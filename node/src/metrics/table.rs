//! The table of metrics. What stands here is told to whoever asks, and is in `docs/metrics.md`.
//!
//! Names end in their unit, and counters in `_total`. Label values come from small fixed sets, or are the
//! names of networks, of which a node has few: never a member, a table or a key.

use netdb::{MemberState, RotationStep, StorageState, Tallies, Tally};

use super::{Figure, Kind, Labelled, Metric, Read, Snapshot};

/// A figure of the [`Snapshot`], by its path.
macro_rules! counter {
    ($name:literal $($field:ident).+, $help:literal) => {
        Metric {
            name: $name,
            kind: Kind::Counter,
            labels: &[],
            help: $help,
            read: Read::One(|snapshot| Figure::Count(snapshot.stats.$($field).+)),
        }
    };
}

const fn gauge(name: &'static str, read: fn(&Snapshot) -> Figure, help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels: &[], help, read: Read::One(read) }
}

const fn each(
    (name, kind): (&'static str, Kind),
    labels: &'static [&'static str],
    read: fn(&Snapshot) -> Vec<Labelled>,
    help: &'static str,
) -> Metric {
    Metric { name, kind, labels, help, read: Read::Each(read) }
}

macro_rules! network {
    ($name:literal $field:ident, $help:literal) => {
        Metric {
            name: $name,
            kind: Kind::Gauge,
            labels: &["network"],
            help: $help,
            read: Read::Each(|snapshot| {
                let networks = snapshot.networks.iter();
                networks.map(|info| (vec![info.name.to_string()], info.$field.into())).collect()
            }),
        }
    };
}

/// Every metric, in the order in which it is shown.
pub(super) const METRICS: &[Metric] = &[
    // The node.
    each(
        ("info", Kind::Gauge),
        &["version", "cluster", "node", "name"],
        info,
        "Always 1; who this is",
    ),
    gauge("uptime_seconds", |s| s.uptime.into(), "Time since netnode started"),
    gauge(
        "generation",
        |s| s.info.node.member.generation.0.into(),
        "Which start of the node this is; it grows with each",
    ),
    gauge(
        "local_health",
        |s| u64::from(s.info.node.local_health).into(),
        "0 is well, 8 is very late with everything",
    ),
    gauge(
        "clock_offset_seconds",
        |s| Figure::Micros(s.info.node.clock_offset),
        "How far the own clock is from cluster time: positive if it is behind",
    ),
    gauge(
        "isolated",
        |s| s.info.node.isolated.into(),
        "1 if the node is cut off: it knows other nodes and none answers",
    ),
    // Members.
    each(("members", Kind::Gauge), &["state"], members, "Members by state, this node among them"),
    gauge(
        "members_in_conflict",
        |s| s.members.iter().filter(|member| member.conflict).count().into(),
        "Members that share their name or address with another live one",
    ),
    gauge(
        "slowest_round_trip_seconds",
        slowest,
        "The longest smoothed round trip to a member, 0 before one is measured",
    ),
    counter!("probes_total" gossip.membership.probes, "Probes of members begun"),
    counter!("probes_failed_total" gossip.membership.probes_failed, "Probes that nobody answered"),
    counter!("accusations_total" gossip.membership.accusations, "Members that this node was the first to suspect"),
    counter!("refutations_total" gossip.membership.refutations, "Suspicions of this node that it refuted"),
    counter!("renewals_total" gossip.membership.renewals, "Times that the node renewed its membership because it was told that it is down"),
    counter!("membership_differences_total" gossip.membership.differences, "Times that a peer knew other members for longer than news takes to spread"),
    counter!("membership_malformed_total" gossip.membership.malformed, "Membership messages that can't be understood"),
    counter!("membership_misdirected_total" gossip.membership.misdirected, "Membership messages for an earlier life of this node"),
    counter!("members_refused_total" gossip.membership.members_refused, "News of further members, dropped because `max_members` are known"),
    // Packets.
    counter!("packets_sent_total" gossip.packets_sent, "Packets sealed and handed to the transport"),
    counter!("packets_sent_bytes_total" gossip.bytes_sent, "Their bytes"),
    counter!("packets_received_total" gossip.packets_received, "Packets that opened and were used"),
    counter!("packets_received_bytes_total" gossip.bytes_received, "Their bytes"),
    each(
        ("packets_dropped_total", Kind::Counter),
        &["reason"],
        drops,
        "Packets received and dropped, by reason",
    ),
    counter!("packets_from_down_total" gossip.from_down, "Packets of members that are down here; they are told so"),
    counter!("frames_ignored_total" gossip.frames_ignored, "Frames in good packets of an unknown kind or an ill form"),
    // Links.
    counter!("frames_sent_total" gossip.link.frames_sent, "Frames that ask for an acknowledgement, sent for the first time"),
    counter!("frames_acknowledged_total" gossip.link.frames_acked, "Frames that were acknowledged"),
    counter!("frames_repeated_total" gossip.link.frames_repeated, "Frames sent again"),
    counter!("frames_lost_total" gossip.link.frames_lost, "Frames given up"),
    counter!("link_messages_dropped_total" gossip.link.messages_dropped, "Membership messages dropped because too many waited for one peer"),
    counter!("round_trips_measured_total" gossip.link.rtt_samples, "Round trips measured"),
    counter!("clock_offsets_measured_total" gossip.link.offset_samples, "Clock offsets measured"),
    // Tables.
    network!("network_entries" entries, "Rows held, those of failed nodes included"),
    network!("network_bytes" bytes, "Bytes of their keys and values"),
    network!("network_tombstones" tombstones, "Deletes remembered"),
    network!("network_aside_entries" aside, "Writes kept aside because they are stamped too far ahead"),
    network!("network_peers" peers, "Other live nodes attached"),
    network!("network_synced" synced, "1 if the tables here hold what the peers hold"),
    counter!("entries_fresh_total" node.entries_fresh, "Entries received that were news"),
    counter!("entries_known_total" node.entries_known, "Entries received that were known"),
    Metric {
        name: "propagation_seconds",
        kind: Kind::Histogram,
        labels: &[],
        help: "How long after they were written entries arrived that were news: from the writer's stamp to here, by cluster time. What a network fetches before it is in sync does not count",
        read: Read::Times(|snapshot| snapshot.stats.node.arrivals),
    },
    counter!("entries_relayed_total" node.entries_relayed, "Entries of others pushed on"),
    counter!("takeovers_total" node.takeovers, "Frames that a peer did not take and that were routed around it"),
    counter!("compares_total" node.compares, "Comparisons of a network with a peer begun"),
    counter!("compares_different_total" node.differences, "Comparisons that found a difference"),
    counter!("pulled_chunks_served_total" node.chunks_served, "Chunks of rows served to peers that pulled them"),
    counter!("rows_gone_total" node.rows_gone, "Rows dropped because a peer knew them gone"),
    each(
        ("table_messages_sent_total", Kind::Counter),
        &["kind"],
        |s| by_kind(&s.stats.node.sent, |tally| tally.messages),
        "Messages about tables and keys sent, in frames or on streams, by kind",
    ),
    each(
        ("table_messages_sent_bytes_total", Kind::Counter),
        &["kind"],
        |s| by_kind(&s.stats.node.sent, |tally| tally.bytes),
        "Their bytes",
    ),
    each(
        ("table_messages_received_total", Kind::Counter),
        &["kind"],
        |s| by_kind(&s.stats.node.received, |tally| tally.messages),
        "Messages about tables and keys received, by kind",
    ),
    each(
        ("table_messages_received_bytes_total", Kind::Counter),
        &["kind"],
        |s| by_kind(&s.stats.node.received, |tally| tally.bytes),
        "Their bytes",
    ),
    counter!("table_messages_unsent_total" node.unsent, "Messages that could not be sent: the peer is unknown or down, or its queue full"),
    counter!("table_messages_malformed_total" node.malformed, "Messages of members that can't be understood or broke a limit"),
    counter!("requests_dropped_total" node.requests_dropped, "Requests of nodes that were over a limit or from somebody unknown, and answers that nobody waited for"),
    // Watches and queues.
    gauge("watches", |s| s.stats.watches.into(), "Watches open now"),
    gauge(
        "watches_behind",
        |s| s.stats.queues.watches.into(),
        "Watches whose watcher has not taken what it was handed",
    ),
    gauge(
        "watch_lag_seconds",
        |s| s.stats.queues.watch_lag.into(),
        "For how long the slowest watcher has left what it was handed",
    ),
    gauge("calls_waiting", |s| s.stats.queues.calls.into(), "Calls that wait for the node"),
    gauge(
        "callers_waiting_for_disk",
        |s| s.stats.queues.callers.into(),
        "Callers who wait until their change is on disk",
    ),
    gauge(
        "records_waiting_for_disk",
        |s| s.stats.queues.records.into(),
        "Changed records that wait for the next transaction",
    ),
    gauge(
        "link_queue_bytes",
        |s| s.stats.queues.link_bytes.into(),
        "Bytes of frames queued for peers or in flight to them",
    ),
    // Disk.
    counter!("commits_total" storage.commits, "Commits asked for"),
    Metric {
        name: "transaction_seconds",
        kind: Kind::Histogram,
        labels: &[],
        help: "How long the transactions took that made commits durable",
        read: Read::Times(|snapshot| snapshot.stats.storage.times),
    },
    counter!("transactions_failed_total" storage.failures, "Transactions that failed; each is tried again"),
    gauge(
        "disk_failing",
        |s| matches!(s.info.storage, StorageState::Failing { .. }).into(),
        "1 if changes don't reach the disk at present",
    ),
    // Keys.
    gauge("keys", |s| s.keys.keys.len().into(), "Keys that this node holds"),
    gauge(
        "key_epoch",
        |s| s.keys.keys.iter().find(|key| key.primary).map_or(0, |key| key.epoch).into(),
        "Epoch of the key that this node seals with; it grows with each rotation",
    ),
    each(
        ("key_rotation", Kind::Gauge),
        &["step"],
        rotation,
        "1 for the step that the rotation is at, `idle` if none runs",
    ),
    gauge(
        "key_rotation_waiting_nodes",
        |s| waiting(&s.keys.rotation).into(),
        "Live nodes that the running step of a rotation waits for",
    ),
    // Transport.
    counter!("socket_packets_sent_total" transport.packets_sent, "Packets that the system took"),
    counter!("socket_packets_sent_bytes_total" transport.packet_bytes_sent, "Their bytes"),
    counter!("socket_packets_received_total" transport.packets_received, "Packets taken from the socket, those of strangers among them"),
    counter!("socket_packets_received_bytes_total" transport.packet_bytes_received, "Their bytes"),
    counter!("socket_packets_not_taken_total" transport.packets_not_taken, "Packets dropped because the node was too slow to take them"),
    counter!("socket_packets_not_sent_total" transport.packets_not_sent, "Packets dropped because the socket was full"),
    counter!("socket_packets_oversized_total" transport.packets_oversized, "Packets dropped because they were larger than a datagram may be"),
    counter!("socket_errors_total" transport.packet_errors, "Packets that the system refused to send, and failures to receive"),
    counter!("connections_turned_away_total" transport.connections_turned_away, "Connections closed before their handshake because there were too many"),
    counter!("handshakes_refused_total" transport.handshakes_refused, "Handshakes of peers that failed: wrong keys, silence, or not admitted"),
    counter!("streams_accepted_total" transport.streams_accepted, "Streams that peers opened"),
    counter!("streams_opened_total" transport.streams_opened, "Streams that this node opened"),
    counter!("streams_not_opened_total" transport.streams_not_opened, "Attempts to open a stream that failed"),
    counter!("streams_cut_total" transport.streams_cut, "Streams cut because the peer was too slow, silent, or broke the rules"),
    counter!("stream_messages_received_total" transport.messages_received, "Messages received whole on streams"),
    counter!("stream_messages_received_bytes_total" transport.message_bytes_received, "Their bytes"),
    counter!("stream_messages_sent_total" transport.messages_sent, "Messages begun on streams"),
    counter!("stream_messages_sent_bytes_total" transport.message_bytes_sent, "Their bytes"),
    counter!("stream_messages_delivered_total" transport.messages_delivered, "Messages on streams that the peer confirmed"),
    counter!("joins_answered_total" transport.joins_answered, "Joins answered"),
    counter!("joins_refused_total" transport.joins_refused, "Joins refused"),
    // Names.
    each(
        ("dns_events_total", Kind::Counter),
        &["event"],
        |s| s.dns.named().map(|(event, count)| (vec![event.to_owned()], count.into())).collect(),
        "Queries of this host's sandboxes, and what became of them and of the questions to its resolvers",
    ),
];

fn info(snapshot: &Snapshot) -> Vec<Labelled> {
    let node = &snapshot.info.node;
    let (cluster, id) = (node.cluster.to_string(), node.member.id.to_string());
    let version = env!("CARGO_PKG_VERSION").to_owned();
    vec![(vec![version, cluster, id, node.name.to_string()], Figure::Count(1))]
}

/// Every state, so that a state which nobody is in any more goes back to 0.
fn members(snapshot: &Snapshot) -> Vec<Labelled> {
    let states = [
        ("alive", MemberState::Alive),
        ("suspect", MemberState::Suspect),
        ("restarting", MemberState::Restarting),
        ("failed", MemberState::Failed),
        ("left", MemberState::Left),
    ];
    let count = |state| snapshot.members.iter().filter(|info| info.state == state).count();
    states.into_iter().map(|(name, state)| (vec![name.to_owned()], count(state).into())).collect()
}

fn slowest(snapshot: &Snapshot) -> Figure {
    let measured = snapshot.members.iter().filter_map(|member| member.rtt);
    measured.max().unwrap_or_default().into()
}

fn drops(snapshot: &Snapshot) -> Vec<Labelled> {
    let drops = snapshot.stats.gossip.drops;
    drops.iter().map(|(reason, count)| (vec![reason.name().to_owned()], count.into())).collect()
}

fn by_kind(tallies: &Tallies, of: impl Fn(Tally) -> u64) -> Vec<Labelled> {
    tallies.iter().map(|(kind, tally)| (vec![kind.name().to_owned()], of(tally).into())).collect()
}

fn rotation(snapshot: &Snapshot) -> Vec<Labelled> {
    let now = match snapshot.keys.rotation {
        RotationStep::Idle => "idle",
        RotationStep::Installing { .. } => "installing",
        RotationStep::Using { .. } => "using",
        RotationStep::Removing { .. } => "removing",
    };
    let steps = ["idle", "installing", "using", "removing"];
    steps.into_iter().map(|step| (vec![step.to_owned()], (step == now).into())).collect()
}

fn waiting(rotation: &RotationStep) -> usize {
    match rotation {
        RotationStep::Idle => 0,
        RotationStep::Installing { waiting_for, .. }
        | RotationStep::Using { waiting_for, .. }
        | RotationStep::Removing { waiting_for, .. } => waiting_for.len(),
    }
}
