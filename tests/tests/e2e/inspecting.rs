//! Looking into a cluster from outside: in what two nodes differ, what goes on inside one, and the live view.

use std::time::Duration;

use anyhow::ensure;
use netdb_tests::{cluster::Cluster, node::Node, rows::Table, wait::until};
use netnode_api::diff::{Diff, Verdict};
use nix::sys::signal::Signal;
use serde_json::Value;

const ROWS: usize = 300;

/// Compares two nodes as seen by the first of the cluster; also the exit code.
async fn compared(cluster: &Cluster, left: &Node, right: &Node) -> (Diff, Option<i32>) {
    let words = ["diff", left.name(), right.name(), "--network", "web", "--json"];
    let ended = cluster.nodes[0].netdbctl(&words).await.unwrap();
    let diff =
        serde_json::from_str(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    (diff, ended.code)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_are_compared_by_a_third() {
    let cluster = Cluster::start(3, &[]).await.unwrap();
    // The node that asks holds no copy itself.
    cluster.attach("web", &[1, 2]).await.unwrap();
    let [_, second, third] = &cluster.nodes[..] else { panic!("three nodes were started") };
    let table = Table::cluster("web", "t");
    let rows = (0..ROWS).map(|n| (format!("k{n:03}"), "v".to_owned()));
    assert_eq!(table.load(second.client(), rows).await.unwrap(), ROWS);
    let found = until("both hold the same", async || {
        let (diff, code) = compared(&cluster, second, third).await;
        ensure!(diff.verdict == Verdict::Equal && code == Some(0), "{code:?} {diff:?}");
        Ok(diff)
    })
    .await
    .unwrap();
    let network = &found.networks[0];
    assert_eq!(network.left, network.right);
    assert_eq!(network.left.rows, 300);
    assert!(network.rows.is_empty() && network.writers.is_empty(), "{network:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_can_not_be_asked_is_named() {
    let cluster = Cluster::start(3, &[]).await.unwrap();
    cluster.attach("web", &[0, 1]).await.unwrap();
    let [first, second, third] = &cluster.nodes[..] else { panic!("three nodes were started") };
    let refused = async |words: &[&str], told: &str| {
        let ended = first.netdbctl(&[&["diff"], words].concat()).await.unwrap();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains(told), "{ended:?}");
    };
    let both = [second.name(), third.name()];
    refused(&[both[0], "nobody"], "no member is called nobody").await;
    refused(&[both[0], both[0]], "name two different members").await;
    let not_attached = format!("{} is not attached to network web", both[1]);
    refused(&[both[0], both[1], "--network", "web"], &not_attached).await;
    third.signal(Signal::SIGSTOP).unwrap();
    // Alive for a moment longer, then suspected, then failed: in no state does it answer.
    refused(&both, &format!("error: {} ", both[1])).await;
    until("it has failed", async || {
        let ended = first.netdbctl(&["diff", both[0], both[1]]).await?;
        ensure!(ended.stderr.contains(&format!("{} is failed", both[1])), "{ended:?}");
        Ok(())
    })
    .await
    .unwrap();
    third.signal(Signal::SIGCONT).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_writes_all_the_time_does_not_differ() {
    let cluster = Cluster::start(2, &[]).await.unwrap();
    cluster.attach("web", &[0, 1]).await.unwrap();
    let [first, second] = &cluster.nodes[..] else { panic!("two nodes were started") };
    let table = Table::cluster("web", "t");
    let writes = async {
        for n in 0..2000 {
            table.put(first.client(), &format!("k{}", n % 100), &n.to_string()).await.unwrap();
        }
    };
    let compares = async {
        let mut seen = Vec::new();
        for _ in 0..10 {
            let (diff, code) = compared(&cluster, second, first).await;
            assert!(code == Some(0), "{diff:?}");
            seen.push(diff.verdict);
        }
        seen
    };
    let ((), seen) = tokio::join!(writes, compares);
    assert_eq!(seen.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inside_of_a_node_shows_what_goes_on() {
    let cluster = Cluster::start(3, &["--fanout", "2"]).await.unwrap();
    cluster.attach("web", &[0, 1, 2]).await.unwrap();
    let [first, others @ ..] = &cluster.nodes[..] else { panic!("three nodes were started") };
    Table::owner("web", "t").put(first.client(), "k", "v").await.unwrap();
    let debug = first.client().debug().await.unwrap();
    let web = debug.networks.iter().find(|network| network.name == "web").unwrap();
    let children: Vec<_> = web.children.iter().filter_map(|c| c.node.name.as_deref()).collect();
    assert!(others.iter().all(|node| children.contains(&node.name())), "{children:?}");
    assert_eq!((web.written, web.writers.len()), (1, 1));
    assert_eq!(web.writers[0].contiguous, 1);
    assert!(debug.links.iter().filter(|link| link.rtt_us.is_some()).count() == 2, "{debug:?}");
    assert!(debug.timers.iter().any(|timer| timer.network.as_deref() == Some("web")));
    let text = first.netdbctl(&["debug"]).await.unwrap().succeeded().unwrap().stdout;
    for part in ["calls for the node's task", "where this node's writes go", "links", "timers"] {
        assert!(text.contains(part), "no {part} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_view_counts_what_happens_between_two_frames() {
    let cluster = Cluster::start(2, &[]).await.unwrap();
    cluster.attach("web", &[0, 1]).await.unwrap();
    let [first, second] = &cluster.nodes[..] else { panic!("two nodes were started") };
    let table = Table::owner("web", "t");
    let writes = async {
        for n in 0..100 {
            table.put(first.client(), &format!("k{n}"), "v").await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let words = ["top", "--once", "--interval", "1", "--json"];
    let (ended, ()) = tokio::join!(first.netdbctl(&words), writes);
    let frame: Value = serde_json::from_str(&ended.unwrap().succeeded().unwrap().stdout).unwrap();
    assert!(frame["rates"]["writes_here"].as_f64() > Some(1.0), "{frame}");
    assert!(frame["rates"]["packets_out"].as_f64() > Some(0.0), "{frame}");
    assert_eq!(frame["slowest"][0]["name"], second.name());
    let text = first.netdbctl(&["top", "--once", "--interval", "1"]).await.unwrap();
    let text = text.succeeded().unwrap().stdout;
    assert!(text.contains("2 alive") && !text.contains('\u{1b}'), "{text}");
}
