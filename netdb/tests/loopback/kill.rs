//! A process that is killed at any moment loses nothing that it had acknowledged.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::cluster::{config, value};
use netdb::{Farewell, Lifetime, NetDb, StorageState};

/// Names the state's parent to the child process.
const CHILD: &str = "NETDB_TEST_KILL_CHILD";

/// The child: writes rows for ever, from several tasks, and prints each key once it is acknowledged. As
/// a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_writes_until_it_is_killed() {
    let Some(root) = std::env::var_os(CHILD) else { return };
    let db = NetDb::open(config(Path::new(&root), 0)).await.unwrap();
    let network = db.ensure_attached("web").await.unwrap();
    let generation = db.info().await.unwrap().node.member.generation.0;
    let writers = (0..4).map(|writer| {
        let table = network.table("t", Lifetime::Cluster).unwrap();
        tokio::spawn(async move {
            for n in 0.. {
                let key = format!("{generation}-{writer}-{n}");
                table.create(&key, &key).await.unwrap();
                // One write each, so that a kill never leaves half a key in the pipe.
                std::io::stdout().write_all(format!("acknowledged {key}\n").as_bytes()).unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

fn spawn(root: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child_that_writes_until_it_is_killed", "--nocapture"])
        .env(CHILD, root)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Lets a child write until it has acknowledged `count` rows, kills it, and returns all keys that it
/// acknowledged, those still in the pipe included.
fn write_and_kill(root: &Path, count: usize) -> Vec<String> {
    let mut child = spawn(root);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut keys = Vec::new();
    let key = |line: String| line.strip_prefix("acknowledged ").map(str::to_owned);
    while keys.len() < count {
        keys.extend(key(lines.next().expect("the child ended by itself")));
    }
    child.kill().unwrap();
    keys.extend(lines.filter_map(key));
    child.wait().unwrap();
    keys
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_by_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    NetDb::init(&config(dir.path(), 0)).await.unwrap();
    let mut acknowledged = Vec::new();
    for count in [1, 3, 40, 111, 400] {
        let root = dir.path().to_owned();
        let keys = tokio::task::spawn_blocking(move || write_and_kill(&root, count)).await.unwrap();
        assert!(keys.len() >= count);
        acknowledged.extend(keys);
        let db = NetDb::open(config(dir.path(), 0)).await.unwrap();
        let network = db.network("web").await.unwrap().expect("the attachment was acknowledged");
        let table = network.table("t", Lifetime::Cluster).unwrap();
        for key in &acknowledged {
            assert_eq!(value(&table, key).await.as_deref(), Some(key.as_str()));
        }
        assert_eq!(db.info().await.unwrap().storage, StorageState::Healthy);
        db.stop(Farewell::Restarting).await.unwrap();
    }
}
