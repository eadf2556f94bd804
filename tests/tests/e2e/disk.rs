//! A disk that is full or read-only: writers are told, the node goes on, and recovers by itself.
//!
//! The disk is a small tmpfs in a mount namespace of a child process, which needs no more rights than
//! those of a user namespace. Where a machine allows neither, these tests say so and are left out.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use netdb_tests::{cluster::Cluster, node::Node, rows::Table, skips::left_out, wait::until};
use netnode_api::{client::ClientError, error::Code};

use crate::PATIENT;

/// Names the disk to the child process.
const DISK: &str = "NETDB_TEST_DISK";
const SCRIPT: &str = r#"mount -t tmpfs -o size=6m,mode=0700 none "$1" && shift && exec "$@""#;

#[test]
fn a_full_disk() {
    on_small_disk("disk::child_on_a_full_disk");
}

#[test]
fn a_read_only_disk() {
    on_small_disk("disk::child_on_a_read_only_disk");
}

/// As a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child_on_a_full_disk() {
    let Some(disk) = disk() else { return };
    let (cluster, second) = two_nodes(&disk).await;
    let filler = disk.join("filler");
    fill(&filler);
    let (mine, ours) = (Table::owner("web", "mine"), Table::cluster("web", "ours"));
    let large = "x".repeat(32 * 1024);
    // Pages that are free in the file may still take a few.
    let mut acknowledged = vec!["before".to_owned()];
    let error = loop {
        let key = format!("k{}", acknowledged.len());
        match ours.put(second.client(), &key, &large).await {
            Ok(_) => acknowledged.push(key),
            Err(error) => break error,
        }
    };
    let Some(ClientError::Refused(problem)) = error.downcast_ref() else { panic!("{error:#}") };
    assert_eq!(problem.code, Code::Storage, "{problem:?}");
    // What needs no disk goes on, and the node says what is wrong with it.
    mine.put(second.client(), "k", "v").await.unwrap();
    let row = [("k".to_owned(), "v".to_owned())].into();
    mine.wait_for(cluster.nodes[0].client(), &row).await.unwrap();
    let status = second.netdbctl(&["status"]).await.unwrap().succeeded().unwrap();
    assert!(status.stdout.contains("not on disk"), "{}", status.told());
    second.wait_alive(2).await.unwrap();

    fs::remove_file(&filler).unwrap();
    until("the warning is gone", async || {
        let warnings = second.client().status().await?.warnings;
        anyhow::ensure!(warnings.is_empty(), "{warnings:?}");
        Ok(())
    })
    .await
    .unwrap();
    ours.put(second.client(), "after", "v").await.unwrap();
    acknowledged.push("after".to_owned());
    restarted_holds(second, &acknowledged).await;
}

/// As a test of its own it does nothing.
#[tokio::test(flavor = "multi_thread")]
async fn child_on_a_read_only_disk() {
    let Some(disk) = disk() else { return };
    let (cluster, mut second) = two_nodes(&disk).await;
    second.terminate().await.unwrap();
    remount(&disk, "ro");
    let run = second.netnode(&["run"]).await.unwrap().failed_with(1).unwrap();
    let path = second.state_dir().display().to_string();
    assert!(run.stderr.contains(&path) && run.stderr.contains("Read-only"), "{}", run.told());
    let mut stranger = Node::new(
        netdb_tests::binaries::Binaries::find().unwrap(),
        cluster.directory(),
        "stranger",
        second.address(),
        PATIENT,
    );
    stranger.set_state_dir(disk.join("stranger"));
    let peers = [cluster.nodes[0].address()];
    for ended in [
        stranger.try_join(cluster.token(), &peers).await.unwrap(),
        stranger.netnode(&["init"]).await.unwrap(),
    ] {
        let ended = ended.failed_with(1).unwrap();
        assert!(ended.stderr.contains("Read-only"), "{}", ended.told());
    }
    remount(&disk, "rw");
    second.start().await.unwrap();
    restarted_holds(second, &["before".to_owned()]).await;
}

/// Runs one of these tests where a small disk of its own is mounted.
fn on_small_disk(test: &str) {
    let disk = tempfile::tempdir().unwrap();
    let in_namespace = |words: &[&std::ffi::OsStr]| {
        let mut command = Command::new("unshare");
        command.args(["-Urm", "--", "sh", "-c", SCRIPT, "sh"]).arg(disk.path()).args(words);
        command
    };
    if !in_namespace(&["true".as_ref()]).output().is_ok_and(|output| output.status.success()) {
        return left_out(test, "no user namespace with a tmpfs on this machine");
    }
    let program = env::current_exe().unwrap();
    let words = [program.as_os_str(), "--exact".as_ref(), test.as_ref(), "--nocapture".as_ref()];
    let output = in_namespace(&words).env(DISK, disk.path()).output().unwrap();
    let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (told(&output.stdout), told(&output.stderr));
    assert!(output.status.success() && stdout.contains("1 passed"), "{stdout}\n{stderr}");
}

fn disk() -> Option<PathBuf> {
    env::var_os(DISK).map(PathBuf::from)
}

/// A cluster of two, of which the second has its state on the disk.
async fn two_nodes(disk: &Path) -> (Cluster, Node) {
    let mut cluster = Cluster::start(1, PATIENT).await.unwrap();
    let mut second = cluster.prepare().unwrap();
    second.set_state_dir(disk.join("state"));
    second.join(cluster.token(), &[cluster.nodes[0].address()]).await.unwrap();
    second.start().await.unwrap();
    cluster.attach("web", &[0]).await.unwrap();
    second.client().attach("web").await.unwrap();
    Table::cluster("web", "ours").put(second.client(), "before", "v").await.unwrap();
    (cluster, second)
}

/// What was acknowledged is there after a `kill -9`.
async fn restarted_holds(mut node: Node, keys: &[String]) {
    // It stopped in good order before, or was never told to.
    node.kill().unwrap();
    node.start().await.unwrap();
    let found = Table::cluster("web", "ours").read(node.client()).await.unwrap();
    for key in keys {
        assert!(found.contains_key(key), "{key} was acknowledged and is gone");
    }
}

/// Down to the last byte: a large block fails long before a small one does.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [64 * 1024, 4096, 1] {
        let block = vec![0; size];
        while file.write_all(&block).is_ok() {}
    }
}

fn remount(disk: &Path, mode: &str) {
    let mut mount = Command::new("mount");
    let mounted = mount.args(["-o", &format!("remount,{mode}")]).arg(disk).status().unwrap();
    assert!(mounted.success());
}
