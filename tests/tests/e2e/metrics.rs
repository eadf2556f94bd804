//! Metrics of a cluster that has lived through something: all are told, in good form, and are set.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    net::{TcpStream, UdpSocket},
};

use anyhow::{Result, ensure};
use netdb_tests::{agreement::wait_agreed, cluster::Cluster, node::Node, rows::Table, wait::until};
use netnode_api::{
    keys::RotateToken,
    metrics::{Kind, Metric, parse},
    node::MemberState,
};
use nix::sys::signal::Signal;

/// A test of netnode holds this page to the code.
const PAGE: &str = include_str!("../../../docs/metrics.md");

/// Enough that writes are passed on.
const NODES: usize = 5;
const FLAGS: &[&str] = &["--fanout", "2"];

const ROWS: usize = 40;
/// More than the buffers on the way to a watcher that takes nothing; and they go by stream.
const LARGE_ROWS: usize = 200;
const VALUE_BYTES: usize = 16 * 1024;

/// What this test can't bring about at will: peers that break the rules from inside the cluster, a full
/// disk, clocks that are off, and what is over before anybody looks. Every other metric must be set.
const MAY_STAY_ZERO: &[&str] = &[
    "netnode_isolated",
    "netnode_local_health",
    "netnode_members_in_conflict",
    "netnode_membership_differences_total",
    "netnode_membership_malformed_total",
    "netnode_membership_misdirected_total",
    "netnode_members_refused_total",
    "netnode_packets_from_down_total",
    "netnode_frames_ignored_total",
    "netnode_link_messages_dropped_total",
    "netnode_network_aside_entries",
    "netnode_requests_dropped_total",
    "netnode_rows_gone_total",
    "netnode_table_messages_unsent_total",
    "netnode_table_messages_malformed_total",
    "netnode_calls_waiting",
    "netnode_callers_waiting_for_disk",
    "netnode_records_waiting_for_disk",
    "netnode_transactions_failed_total",
    "netnode_disk_failing",
    "netnode_key_rotation_waiting_nodes",
    "netnode_socket_packets_not_taken_total",
    "netnode_socket_packets_not_sent_total",
    "netnode_socket_errors_total",
    "netnode_connections_turned_away_total",
    "netnode_streams_not_opened_total",
    "netnode_streams_cut_total",
    // Nobody is plugged in here; the tests of the data plane look at these.
    "netnode_dns_events_total",
];

/// What metrics have told so far.
struct Watched {
    /// Names and kinds of all metrics, as the page has them.
    expected: BTreeMap<String, String>,
    /// Those that were anything but zero on some node at some time.
    set: BTreeSet<String>,
    /// The last figures of counters, by node, name and labels.
    counted: BTreeMap<String, f64>,
}

impl Watched {
    fn new() -> Self {
        let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `netnode_"));
        let row = |row: &str| {
            let (name, rest) = row.split_once("` | ").unwrap();
            (format!("netnode_{name}"), rest.split(" |").next().unwrap().to_owned())
        };
        let expected: BTreeMap<String, String> = rows.map(row).collect();
        for name in MAY_STAY_ZERO {
            assert!(expected.contains_key(*name), "{name} is no metric");
        }
        Self { expected, set: BTreeSet::new(), counted: BTreeMap::new() }
    }

    /// Reads the metrics of all nodes.
    async fn look(&mut self, nodes: &[Node]) -> Result<()> {
        for node in nodes {
            let text = node.client().metrics().await?;
            let metrics = parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
            self.take(node.name(), &metrics);
        }
        Ok(())
    }

    fn take(&mut self, node: &str, metrics: &[Metric]) {
        let kind = |kind| match kind {
            Kind::Counter => "counter".to_owned(),
            Kind::Gauge => "gauge".to_owned(),
            Kind::Histogram => "histogram".to_owned(),
        };
        let told: BTreeMap<_, _> =
            metrics.iter().map(|metric| (metric.name.clone(), kind(metric.kind))).collect();
        assert_eq!(told, self.expected);
        for metric in metrics {
            assert!(!metric.samples.is_empty(), "{} has no figure on {node}", metric.name);
            if metric.samples.iter().any(|sample| sample.value != 0.0) {
                self.set.insert(metric.name.clone());
            }
            for sample in metric.samples.iter().filter(|_| metric.kind != Kind::Gauge) {
                let key = format!("{node} {} {:?}", sample.name, sample.labels);
                let before = self.counted.insert(key.clone(), sample.value).unwrap_or(0.0);
                assert!(before <= sample.value, "{key} went from {before} to {}", sample.value);
            }
        }
    }

    fn missing(&self) -> Vec<&str> {
        let names = self.expected.keys().map(String::as_str);
        names.filter(|name| !self.set.contains(*name) && !MAY_STAY_ZERO.contains(name)).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_told_and_set() {
    let mut watched = Watched::new();
    let mut cluster = Cluster::start(NODES, FLAGS).await.unwrap();
    cluster.attach("web", &[0, 1, 2, 3, 4]).await.unwrap();
    let (mine, ours) = (Table::owner("web", "t"), Table::cluster("web", "t"));
    let first = cluster.nodes[0].client().clone();
    let _watch = ours.follow(&first).await.unwrap();
    let _untaken = first.watch(&ours.query()).await.unwrap();
    for n in 0..ROWS {
        mine.put(&first, &format!("k{n}"), "v").await.unwrap();
        ours.put(&first, &format!("k{n}"), "v").await.unwrap();
    }
    ours.delete(&first, "k0").await.unwrap();
    watched.look(&cluster.nodes).await.unwrap();

    freeze_until_failed(&cluster, &mut watched).await.unwrap();
    wait_agreed(&cluster.nodes.iter().collect::<Vec<_>>(), "web").await.unwrap();
    until("a suspicion is refuted", async || {
        freeze_until_suspected(&cluster).await?;
        watched.look(&cluster.nodes).await?;
        ensure!(watched.set.contains("netnode_refutations_total"), "it was taken for failed");
        Ok(())
    })
    .await
    .unwrap();

    strangers(&mut cluster).await.unwrap();
    first.rotate_keys().await.unwrap();
    until("every metric was set", async || {
        watched.look(&cluster.nodes).await?;
        ensure!(watched.missing().is_empty(), "not set: {:?}", watched.missing());
        Ok(())
    })
    .await
    .unwrap();
    drops_are_told_by_reason(&cluster.nodes[0]).await;
}

/// The last node is silent until all take it for failed; what is written meanwhile it gets later.
async fn freeze_until_failed(cluster: &Cluster, watched: &mut Watched) -> Result<()> {
    let (frozen, others) = cluster.nodes.split_last().unwrap();
    frozen.signal(Signal::SIGSTOP)?;
    write_some(others).await?;
    let value = "v".repeat(VALUE_BYTES);
    let rows = (0..LARGE_ROWS).map(|n| (format!("large {n}"), value.clone()));
    Table::cluster("web", "t").load(others[0].client(), rows).await?;
    until("it is taken for failed", async || {
        watched.look(others).await?;
        for node in others {
            let state = node.state_of(frozen.name()).await?;
            ensure!(state == Some(MemberState::Failed), "{} says {state:?}", node.name());
        }
        Ok(())
    })
    .await?;
    frozen.signal(Signal::SIGCONT)?;
    cluster.wait_whole().await
}

/// It wakes as soon as one of the others suspects it.
async fn freeze_until_suspected(cluster: &Cluster) -> Result<()> {
    let (frozen, others) = cluster.nodes.split_last().unwrap();
    frozen.signal(Signal::SIGSTOP)?;
    write_some(others).await?;
    let suspected = until("it is suspected", async || {
        let state = others[0].state_of(frozen.name()).await?;
        ensure!(state != Some(MemberState::Alive), "it is still alive");
        Ok(())
    });
    let suspected = suspected.await;
    frozen.signal(Signal::SIGCONT)?;
    suspected?;
    cluster.wait_whole().await
}

/// Small writes, which go by packets.
async fn write_some(nodes: &[Node]) -> Result<()> {
    for node in nodes {
        for n in 0..ROWS {
            Table::owner("web", "t").put(node.client(), &format!("k{n}"), "again").await?;
        }
    }
    Ok(())
}

/// Packets and connections of nobody, and a join with a token that is no longer good.
async fn strangers(cluster: &mut Cluster) -> Result<()> {
    let target = cluster.nodes[0].address();
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.send_to(&[1], target)?;
    socket.send_to(&[1; 9_500], target)?;
    let mut stream = TcpStream::connect(target)?;
    stream.write_all(&[0xff; 512])?;
    drop(stream);
    let request = RotateToken { expires_after_secs: None };
    cluster.nodes[0].client().rotate_token(&request).await?;
    let late = cluster.prepare_as("late")?;
    late.try_join(cluster.token(), &[target]).await?.failed_with(1)?;
    Ok(())
}

async fn drops_are_told_by_reason(node: &Node) {
    let text = node.netdbctl(&["metrics"]).await.unwrap().succeeded().unwrap().stdout;
    let dropped: Vec<&str> = text.lines().filter(|line| line.contains("_dropped_total{")).collect();
    assert!(
        dropped.contains(&"netnode_packets_dropped_total{reason=\"truncated\"} 1"),
        "{dropped:?}"
    );
    let json = node.netdbctl(&["metrics", "--json"]).await.unwrap().succeeded().unwrap().stdout;
    let told: serde_json::Value = serde_json::from_str(&json).unwrap();
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    let of_json: Vec<&str> =
        told.as_array().unwrap().iter().map(|metric| metric["name"].as_str().unwrap()).collect();
    assert_eq!(of_json, names);
}
