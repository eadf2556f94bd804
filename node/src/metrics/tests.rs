//! The table is consistent, complete, and told in the right form.

use std::collections::BTreeSet;

use netdb::{
    ClusterId, DropReason, Drops, Generation, GossipStats, KeyId, KeyInfo, LinkStats, Member,
    MemberState, MembershipStats, MessageKind, Name, NodeId, NodeInfo, NodeStats, Queues,
    RotationStep, StorageState, StorageStats, Tallies, Times, TransportStats,
};
use netnode_api::metrics::{self, Sample};

use super::{table::METRICS, *};

/// Gives each figure a number of its own.
#[derive(Default)]
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 += 1;
        1000 + self.0
    }

    fn few(&mut self) -> usize {
        usize::try_from(self.next()).unwrap()
    }
}

/// Every field is named here, so that a counter which is added can't be forgotten in the table.
fn gossip(n: &mut Numbers) -> GossipStats {
    let mut drops = Drops::default();
    for reason in DropReason::ALL {
        (0..n.next()).for_each(|_| drops.count(reason));
    }
    GossipStats {
        packets_sent: n.next(),
        bytes_sent: n.next(),
        packets_received: n.next(),
        bytes_received: n.next(),
        drops,
        frames_ignored: n.next(),
        from_down: n.next(),
        membership: MembershipStats {
            malformed: n.next(),
            misdirected: n.next(),
            members_refused: n.next(),
            probes: n.next(),
            probes_failed: n.next(),
            accusations: n.next(),
            refutations: n.next(),
            differences: n.next(),
            renewals: n.next(),
        },
        link: LinkStats {
            frames_sent: n.next(),
            frames_repeated: n.next(),
            frames_acked: n.next(),
            frames_lost: n.next(),
            rtt_samples: n.next(),
            messages_dropped: n.next(),
            offset_samples: n.next(),
        },
    }
}

fn transport(n: &mut Numbers) -> TransportStats {
    TransportStats {
        packets_received: n.next(),
        packet_bytes_received: n.next(),
        packets_sent: n.next(),
        packet_bytes_sent: n.next(),
        packets_not_taken: n.next(),
        packets_not_sent: n.next(),
        packets_oversized: n.next(),
        packet_errors: n.next(),
        connections_turned_away: n.next(),
        handshakes_refused: n.next(),
        streams_accepted: n.next(),
        streams_opened: n.next(),
        streams_not_opened: n.next(),
        streams_cut: n.next(),
        messages_received: n.next(),
        message_bytes_received: n.next(),
        messages_delivered: n.next(),
        messages_sent: n.next(),
        message_bytes_sent: n.next(),
        joins_refused: n.next(),
        joins_answered: n.next(),
    }
}

fn tallies(n: &mut Numbers) -> Tallies {
    let mut tallies = Tallies::default();
    for kind in MessageKind::ALL {
        (0..n.next()).for_each(|_| tallies.count(&[1, kind as u8]));
    }
    tallies
}

fn times(count: u64) -> Times {
    let mut times = Times::default();
    (0..count).for_each(|_| times.add(Duration::from_millis(2)));
    times
}

fn stats(n: &mut Numbers) -> Stats {
    let transactions = n.next();
    let took = times(transactions);
    Stats {
        node: NodeStats {
            entries_fresh: n.next(),
            entries_known: n.next(),
            arrivals: times(n.next()),
            sent: tallies(n),
            received: tallies(n),
            entries_relayed: n.next(),
            takeovers: n.next(),
            compares: n.next(),
            differences: n.next(),
            rows_gone: n.next(),
            chunks_served: n.next(),
            unsent: n.next(),
            malformed: n.next(),
            requests_dropped: n.next(),
        },
        gossip: gossip(n),
        transport: transport(n),
        storage: StorageStats { commits: n.next(), transactions, failures: n.next(), times: took },
        watches: n.few(),
        queues: Queues {
            calls: n.few(),
            callers: n.few(),
            records: n.few(),
            link_bytes: n.few(),
            watches: n.few(),
            watch_lag: Duration::from_secs(n.next()),
        },
    }
}

fn dns(n: &mut Numbers) -> netnode_dns::Stats {
    netnode_dns::Stats {
        udp_queries: n.next(),
        tcp_queries: n.next(),
        answered_here: n.next(),
        answered_from_cache: n.next(),
        forwarded: n.next(),
        joined: n.next(),
        dropped_queries: n.next(),
        refused_by_share: n.next(),
        refused_by_load: n.next(),
        dropped_answers: n.next(),
        connections: n.next(),
        refused_connections: n.next(),
        cut_connections: n.next(),
        upstream_tries: n.next(),
        upstream_silent: n.next(),
        upstream_unreachable: n.next(),
        upstream_refused: n.next(),
        upstream_truncated: n.next(),
        upstream_strays: n.next(),
        failed: n.next(),
    }
}

fn snapshot(n: &mut Numbers) -> Snapshot {
    let addr = ([127, 0, 0, 1], 1).into();
    let member =
        Member { id: NodeId([7; 16]), generation: Generation(n.next()), revision: 0, addr };
    let other = Member { id: NodeId([8; 16]), ..member };
    let info = |member, state| MemberInfo { member, name: None, state, rtt: None, conflict: true };
    let rtt = Some(Duration::from_micros(1500));
    let network = NetworkInfo {
        name: Name::new("blue").unwrap(),
        synced: true,
        entries: n.few(),
        bytes: n.few(),
        tombstones: n.few(),
        aside: n.few(),
        hash: 0,
        peers: n.few(),
    };
    let key = KeyId([3; 8]);
    let waiting_for = vec![member.id; n.few()];
    Snapshot {
        uptime: Duration::from_secs(n.next()),
        info: Info {
            node: NodeInfo {
                cluster: ClusterId([9; 16]),
                member,
                name: Name::new("a").unwrap(),
                local_health: 3,
                clock_offset: -2_500_000,
                isolated: true,
            },
            listen: addr,
            state_dir: "/x".into(),
            storage: StorageState::Healthy,
        },
        members: vec![
            MemberInfo { rtt, ..info(other, MemberState::Suspect) },
            info(member, MemberState::Alive),
            info(member, MemberState::Alive),
        ],
        networks: vec![network],
        dns: dns(n),
        keys: KeysInfo {
            keys: vec![KeyInfo { id: key, epoch: n.next(), primary: true, held_by: 1 }],
            rotation: RotationStep::Using { key, waiting_for },
            live: 1,
        },
        stats: stats(n),
    }
}

fn samples(snapshot: &Snapshot) -> Vec<Sample> {
    let metrics = metrics::parse(&text(snapshot)).unwrap();
    assert_eq!(metrics.len(), METRICS.len());
    for (told, metric) in metrics.iter().zip(METRICS) {
        assert_eq!(told.name, format!("{}{}", text::PREFIX, metric.name));
        assert!(!told.samples.is_empty(), "{}", told.name);
        for sample in &told.samples {
            let known =
                |label: &&String| metric.labels.contains(&label.as_str()) || label.as_str() == "le";
            assert!(sample.labels.keys().all(|label| known(&label)), "{sample:?}");
        }
    }
    metrics.into_iter().flat_map(|metric| metric.samples).collect()
}

/// The one figure of this name whose labels' values are these.
fn figure(samples: &[Sample], name: &str, values: &[&str]) -> f64 {
    let fits = |sample: &&Sample| {
        sample.name.strip_prefix(text::PREFIX) == Some(name)
            && sample.labels.values().map(String::as_str).eq(values.iter().copied())
    };
    let found: Vec<_> = samples.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{name} {values:?}");
    found[0].value
}

#[test]
fn every_figure_of_a_snapshot_is_told_exactly_once() {
    let mut numbers = Numbers::default();
    let snapshot = snapshot(&mut numbers);
    let told = samples(&snapshot);
    let not_a_bucket = told.iter().filter(|sample| !sample.name.ends_with("_bucket"));
    let shown: Vec<String> = not_a_bucket.map(|sample| sample.value.to_string()).collect();
    for number in 1001..=1000 + numbers.0 {
        let times = shown.iter().filter(|value| **value == number.to_string()).count();
        assert_eq!(times, 1, "{number} is not told once");
    }
}

#[test]
fn figures_that_are_worked_out_are_right() {
    let told = samples(&snapshot(&mut Numbers::default()));
    let (cluster, node) = ("09".repeat(16), "07".repeat(16));
    let expected: &[(&str, &[&str], f64)] = &[
        ("members", &["alive"], 2.0),
        ("members", &["suspect"], 1.0),
        ("members", &["left"], 0.0),
        ("members_in_conflict", &[], 3.0),
        ("slowest_round_trip_seconds", &[], 0.0015),
        ("local_health", &[], 3.0),
        ("clock_offset_seconds", &[], -2.5),
        ("isolated", &[], 1.0),
        ("disk_failing", &[], 0.0),
        ("network_synced", &["blue"], 1.0),
        ("keys", &[], 1.0),
        ("key_rotation", &["using"], 1.0),
        ("key_rotation", &["idle"], 0.0),
        ("info", &[&cluster, "a", &node, env!("CARGO_PKG_VERSION")], 1.0),
    ];
    for (name, values, value) in expected {
        let got = figure(&told, name, values);
        assert!((got - value).abs() < 1e-9, "{name} {values:?}: {got}");
    }
    for direction in ["sent", "received"] {
        let of_push = |what| figure(&told, &format!("table_messages_{direction}{what}"), &["push"]);
        assert!((of_push("_bytes_total") - 2.0 * of_push("_total")).abs() < 1e-9);
    }
    let count = figure(&told, "transaction_seconds_count", &[]);
    assert!((figure(&told, "transaction_seconds_bucket", &["0.001"])).abs() < 1e-9);
    for bound in ["0.0025", "10", "+Inf"] {
        let within = figure(&told, "transaction_seconds_bucket", &[bound]);
        assert!((within - count).abs() < 1e-9, "{bound}");
    }
    let sum = figure(&told, "transaction_seconds_sum", &[]);
    assert!((sum - count * 0.002).abs() < 1e-6, "{sum}");
}

#[test]
fn a_disk_that_fails_shows() {
    let mut snapshot = snapshot(&mut Numbers::default());
    let error = netdb::StorageError::DiskFull("/x".into());
    snapshot.info.storage = StorageState::Failing { error, since: netdb::Wall(1), unsaved: 1 };
    assert!((figure(&samples(&snapshot), "disk_failing", &[]) - 1.0).abs() < 1e-9);
}

#[test]
fn seconds_are_exact() {
    let shown =
        [0, 1, -1, 1_500_000, -20_000_000, i64::MAX].map(|us| Figure::Micros(us).to_string());
    assert_eq!(shown, ["0", "0.000001", "-0.000001", "1.5", "-20", "9223372036854.775807"]);
}

#[test]
fn label_values_are_escaped() {
    const NASTY: &str = "a \"b\"\\n\\\nü} 5";
    let metric = Metric {
        name: "x",
        kind: Kind::Gauge,
        labels: &["l", "m"],
        help: "a \\ and a\nline",
        read: Read::Each(|_| vec![(vec![NASTY.to_owned(), String::new()], Figure::Count(1))]),
    };
    let mut out = String::new();
    text::write(&mut out, &metric, &snapshot(&mut Numbers::default())).unwrap();
    let metrics = metrics::parse(&out).unwrap();
    assert_eq!(metrics[0].samples[0].labels["l"], NASTY);
    assert_eq!(metrics[0].help, metric.help);
}

#[test]
fn names_follow_the_conventions() {
    let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(names.len(), METRICS.len());
    for metric in METRICS {
        let Metric { name, kind, help, .. } = metric;
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        assert!(*kind != Kind::Histogram || name.ends_with("_seconds"), "{name}");
        assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{name}");
        assert!(!help.contains('|') && !help.ends_with('.') && !help.is_empty(), "{name}");
        assert_eq!(metric.labels.is_empty(), !matches!(metric.read, Read::Each(_)), "{name}");
    }
}

#[test]
fn the_page_is_up_to_date() {
    let there = include_str!("../../../docs/metrics.md");
    assert!(there == page(), "docs/metrics.md is out of date: netnode metrics > docs/metrics.md");
}
