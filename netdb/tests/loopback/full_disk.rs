//! A disk that is full or read-only: writers are told, the node goes on, and recovers by itself.
//!
//! The disk is a small tmpfs in a mount namespace of a child process, which needs no other rights than
//! those of a user namespace. Where the system allows neither, the tests say so and are left out.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use crate::cluster::{config, until, value};
use netdb::{
    Farewell, Lifetime, NetDb, OpenError, StateDirError, StorageError, StorageState, Table,
    WriteError,
};

/// Names the mounted disk to the child process.
const CHILD: &str = "NETDB_TEST_DISK";

/// Runs one of this file's tests in a mount namespace with a disk of its own.
fn on_small_disk(test: &str) {
    let disk = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=6m,mode=0700 none "$1" && shift && exec "$@""#;
    let in_namespace = |script: &str, args: &[&std::ffi::OsStr]| {
        let mut command = Command::new("unshare");
        command.args(["-Urm", "--", "sh", "-c", script, "sh"]).args(args);
        command
    };
    let try_mount = in_namespace(script, &[disk.path().as_os_str(), "true".as_ref()]).output();
    if !try_mount.is_ok_and(|output| output.status.success()) {
        return left_out(test, "no user namespace with a tmpfs");
    }
    let exe = std::env::current_exe().unwrap();
    let args = [disk.path().as_os_str(), exe.as_os_str(), "--exact".as_ref(), test.as_ref()];
    let output = in_namespace(script, &args).env(CHILD, disk.path()).output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The lane that runs the tests shows what was left out.
fn left_out(test: &str, why: &str) {
    let Some(skips) = std::env::var_os("NETDB_SKIPS") else { return };
    let skips = fs::OpenOptions::new().append(true).create(true).open(skips);
    skips.and_then(|mut file| writeln!(file, "netdb {test}: {why}")).unwrap();
}

fn disk() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

async fn node(disk: &Path) -> (NetDb, Table, Table) {
    let config = config(disk, 0);
    NetDb::init(&config).await.unwrap();
    let db = NetDb::open(config).await.unwrap();
    let network = db.attach("web").await.unwrap();
    let shared = network.table("shared", Lifetime::Cluster).unwrap();
    let mine = network.table("mine", Lifetime::Owner).unwrap();
    shared.create("before", "v").await.unwrap();
    (db, shared, mine)
}

fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    // Down to the last byte: a large block fails long before a small one does.
    for size in [64 * 1024, 4096, 1] {
        let block = vec![0; size];
        while file.write_all(&block).is_ok() {}
    }
}

async fn is_failing(db: &NetDb, expected: impl Fn(&StorageError) -> bool) -> bool {
    match db.info().await.unwrap().storage {
        StorageState::Failing { error, .. } => expected(&error),
        StorageState::Healthy => false,
    }
}

/// Reopens the node and looks that all acknowledged rows are there.
async fn check_after_restart(disk: &Path, db: NetDb, keys: &[String]) {
    db.stop(Farewell::Restarting).await.unwrap();
    let db = NetDb::open(config(disk, 0)).await.unwrap();
    let table = db.network("web").await.unwrap().unwrap();
    let table = table.table("shared", Lifetime::Cluster).unwrap();
    for key in keys.iter().map(String::as_str).chain(["before", "after"]) {
        assert!(value(&table, key).await.is_some(), "{key}");
    }
}

#[test]
fn a_full_disk() {
    on_small_disk("full_disk::child_on_a_full_disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn child_on_a_full_disk() {
    let Some(disk) = disk() else { return };
    let (db, shared, mine) = node(&disk).await;
    let filler = disk.join("filler");
    fill(&filler);
    let large = vec![7; 32 * 1024];
    let mut acknowledged = Vec::new();
    // Room within the file may last for a few.
    let error = loop {
        let key = format!("k{}", acknowledged.len());
        match shared.create(&key, &large).await {
            Ok(_) => acknowledged.push(key),
            Err(error) => break error,
        }
    };
    let WriteError::NotDurable { error: cause, .. } = &error else { panic!("{error}") };
    assert!(matches!(cause, StorageError::DiskFull(_)), "{error}");
    assert!(is_failing(&db, |error| matches!(error, StorageError::DiskFull(_))).await);
    let refused = shared.create("refused", "v").await.unwrap_err();
    assert!(matches!(refused, WriteError::Storage(StorageError::DiskFull(_))), "{refused}");
    assert!(value(&shared, "refused").await.is_none(), "refused means that nothing changed");
    mine.create("k", "v").await.expect("what needs no disk goes on");
    fs::remove_file(&filler).unwrap();
    until("it recovers by itself", async || {
        db.info().await.unwrap().storage == StorageState::Healthy
    })
    .await;
    shared.create("after", "v").await.unwrap();
    acknowledged.push(format!("k{}", acknowledged.len()));
    check_after_restart(&disk, db, &acknowledged).await;
}

#[test]
fn a_read_only_disk() {
    on_small_disk("full_disk::child_on_a_read_only_disk");
}

fn remount(disk: &Path, mode: &str) {
    let mount = Command::new("mount").args(["-o", &format!("remount,{mode}")]).arg(disk).status();
    assert!(mount.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn child_on_a_read_only_disk() {
    let Some(disk) = disk() else { return };
    let (db, ..) = node(&disk).await;
    db.stop(Farewell::Restarting).await.unwrap();
    remount(&disk, "ro");
    let error = NetDb::open(config(&disk, 0)).await.unwrap_err();
    let OpenError::StateDir(StateDirError::Io { kind, .. }) = &error else { panic!("{error}") };
    assert_eq!(*kind, std::io::ErrorKind::ReadOnlyFilesystem, "{error}");
    let error = NetDb::init(&config(&disk, 1)).await.unwrap_err();
    assert!(error.to_string().contains("Read-only"), "{error}");
    remount(&disk, "rw");
    let db = NetDb::open(config(&disk, 0)).await.unwrap();
    let table = db.network("web").await.unwrap().unwrap();
    let table = table.table("shared", Lifetime::Cluster).unwrap();
    table.create("after", "v").await.unwrap();
    check_after_restart(&disk, db, &[]).await;
}
