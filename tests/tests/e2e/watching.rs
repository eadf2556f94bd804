//! `netdbctl table watch` in a pipe: one line per event, at once and in order.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
};

use netdb_tests::{cluster::Cluster, rows::Table, wait::in_time};
use netnode_api::rows::{Operation, WatchEvent};
use tokio::sync::mpsc;

use crate::PATIENT;

/// Ends netdbctl when the test does, however that is.
struct Follower(Child);

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_one_by_one_in_order_and_end_with_the_node() {
    let mut cluster = Cluster::start(2, PATIENT).await.unwrap();
    cluster.attach("web", &[0, 1]).await.unwrap();
    let table = Table::owner("web", "t");
    table.put(cluster.nodes[0].client(), "before", "1").await.unwrap();
    netdb_tests::agreement::wait_agreed_on(&[&cluster.nodes[0], &cluster.nodes[1]], "web", 1)
        .await
        .unwrap();
    let words = ["table", "watch", "--network", "web", "--jsonl"];
    let mut command = cluster.nodes[1].netdbctl_command(&words);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut follower = Follower(command.spawn().unwrap());
    let mut lines = lines(&mut follower.0);
    let mut next = async || {
        let line = in_time("an event was told", lines.recv()).await.unwrap().unwrap();
        told(&serde_json::from_str(&line).unwrap())
    };
    assert_eq!(next().await, "created before=1");
    assert_eq!(next().await, "snapshot");
    let writer = cluster.nodes[0].client();
    // Each is waited for: a watcher may pass over what is undone before it looks.
    for round in 0..5 {
        let write = async |operation, value: Option<&str>| {
            table.write(writer, operation, "k", value).await.unwrap();
        };
        write(Operation::Create, Some("a")).await;
        assert_eq!(next().await, "created k=a", "round {round}");
        write(Operation::Update, Some("b")).await;
        assert_eq!(next().await, "updated k=b was a", "round {round}");
        write(Operation::Delete, None).await;
        assert_eq!(next().await, "deleted k=b: deleted", "round {round}");
    }
    cluster.nodes[1].terminate().await.unwrap();
    let status = follower.0.wait().unwrap();
    assert_eq!(status.code(), Some(4), "the node stopped: {status}");
}

/// The lines of a process, as they come.
fn lines(child: &mut Child) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(64);
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn told(event: &WatchEvent) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match event {
        WatchEvent::Created { row } => {
            format!("created {}={}", text(&row.key.0), text(&row.value.0))
        }
        WatchEvent::Updated { row, old } => {
            let (key, value) = (text(&row.key.0), text(&row.value.0));
            format!("updated {key}={value} was {}", text(&old.value.0))
        }
        WatchEvent::Deleted { row, reason } => {
            format!("deleted {}={}: {}", text(&row.key.0), text(&row.value.0), reason.as_str())
        }
        WatchEvent::Snapshot => "snapshot".to_owned(),
        WatchEvent::End => "end".to_owned(),
    }
}
