//! Transactions, their grouping, and what happens when they fail.

use std::fs;

use netdb_gossip_core::identity::ClusterId;

use super::*;

fn disk() -> (tempfile::TempDir, Disk) {
    let dir = tempfile::tempdir().unwrap();
    let (path, part) = (dir.path().join("netdb.redb"), dir.path().join("part"));
    Storage::create(&path, &part, ClusterId([1; 16]), Vec::new()).unwrap();
    let (storage, _) = Storage::open(&path).unwrap();
    (dir, Disk::new(storage))
}

fn set(key: u8, value: u8) -> Vec<DiskOp> {
    vec![DiskOp { key: vec![key], value: Some(vec![value]) }]
}

fn pairs(dir: &tempfile::TempDir) -> Vec<(Vec<u8>, Vec<u8>)> {
    Storage::open(&dir.path().join("netdb.redb")).unwrap().1.pairs
}

#[tokio::test]
async fn commits_that_wait_together_are_one_transaction() {
    let (dir, mut disk) = disk();
    disk.push(1, set(1, 1));
    disk.push(2, set(2, 2));
    disk.push(3, set(1, 3));
    assert_eq!(disk.settled().await, Settled::Durable(Ids { first: 1, last: 3 }));
    assert!(disk.is_idle());
    let counted = disk.stats();
    assert_eq!((counted.commits, counted.transactions, counted.failures), (3, 1, 0));
    assert_eq!(counted.times.count(), 1);
    assert!(!counted.times.sum().is_zero());
    disk.close(Duration::from_mins(1)).await.1.unwrap();
    assert_eq!(pairs(&dir), vec![(vec![1], vec![3]), (vec![2], vec![2])]);
}

#[tokio::test]
async fn what_comes_during_a_transaction_goes_with_the_next() {
    let (_dir, mut disk) = disk();
    disk.push(1, set(1, 1));
    disk.begin().await;
    assert!(disk.running.is_some());
    disk.push(2, set(2, 2));
    disk.push(3, set(3, 3));
    assert_eq!(disk.settled().await, Settled::Durable(Ids { first: 1, last: 1 }));
    assert!(!disk.is_idle());
    assert_eq!(disk.settled().await, Settled::Durable(Ids { first: 2, last: 3 }));
}

/// Takes the file away, so that the failed handle can't be opened again, and gives it back.
#[tokio::test(start_paused = true)]
async fn a_failure_is_tried_again_until_it_is_over_and_nothing_is_lost() {
    let (dir, mut disk) = disk();
    let (path, away) = (dir.path().join("netdb.redb"), dir.path().join("away"));
    let whole = disk.storage.take().unwrap();
    drop(whole);
    fs::rename(&path, &away).unwrap();
    disk.storage = Some(Storage::closed(&path));
    disk.push(1, set(1, 1));
    let Settled::Failed(error) = disk.settled().await else { panic!("it can't be written") };
    disk.push(2, set(1, 2));
    disk.push(3, set(2, 3));
    for _ in 0..8 {
        assert_eq!(disk.settled().await, Settled::Failed(error.clone()));
    }
    assert_eq!(disk.rest, RETRY_MAX);
    match disk.state() {
        StorageState::Failing { error: shown, unsaved, .. } => {
            assert_eq!((shown, unsaved), (error, 2), "the latest change to each record");
        }
        StorageState::Healthy => panic!("it fails"),
    }
    fs::rename(&away, &path).unwrap();
    assert_eq!(disk.settled().await, Settled::Durable(Ids { first: 1, last: 3 }));
    assert_eq!((disk.state(), disk.rest), (StorageState::Healthy, RETRY_MIN));
    disk.close(Duration::from_mins(1)).await.1.unwrap();
    assert_eq!(pairs(&dir), vec![(vec![1], vec![2]), (vec![2], vec![3])]);
}

#[tokio::test(start_paused = true)]
async fn closing_on_a_dead_disk_ends_and_says_so() {
    let (dir, mut disk) = disk();
    disk.storage = None;
    disk.storage = Some(Storage::closed(&dir.path().join("gone")));
    disk.push(1, set(1, 1));
    let (durable, result) = disk.close(Duration::from_secs(3)).await;
    assert!(durable.is_empty());
    result.unwrap_err();
}
