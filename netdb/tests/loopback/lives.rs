//! A node's lives: made, joined, stopped, opened again, left; and everything that stands in its way.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
};

use crate::cluster::{
    Cluster, address, attach_all, config, next, short, soon, until, until_value, value,
};
use netdb::{
    Config, Farewell, InitError, JoinAttemptError, JoinError, Lifetime, NetDb, OpenError,
    StateDirError, Stopped, StorageError, StorageState, WriteError,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_cluster_rows_and_attachments_and_peers_notice_nothing() {
    let mut cluster = Cluster::start(2).await;
    let networks = attach_all(&cluster.nodes, "web").await;
    let mine = networks[0].table("mine", Lifetime::Owner).unwrap();
    let shared = networks[0].table("shared", Lifetime::Cluster).unwrap();
    mine.create("k", "v").await.unwrap();
    shared.create("k", "v").await.unwrap();
    let there = networks[1].table("mine", Lifetime::Owner).unwrap();
    until_value(&there, "k", Some("v")).await;
    let mut watch = there.watch().await.unwrap();
    assert_eq!(short(&next(&mut watch).await), "+k=v");
    assert_eq!(short(&next(&mut watch).await), ".");
    let generation = cluster.nodes[0].info().await.unwrap().node.member.generation;

    cluster.restart(0, Farewell::Restarting).await;
    let node = &cluster.nodes[0];
    assert!(node.info().await.unwrap().node.member.generation > generation);
    let network = node.network("web").await.unwrap().expect("attached from before");
    let shared = network.table("shared", Lifetime::Cluster).unwrap();
    assert_eq!(value(&shared, "k").await.as_deref(), Some("v"));
    let mine = network.table("mine", Lifetime::Owner).unwrap();
    assert_eq!(mine.list("").await.unwrap().len(), 0, "in memory only");
    mine.create("k", "v").await.unwrap();
    network.mark_complete().await.unwrap();
    mine.create("last", "v").await.unwrap();
    let mut seen = Vec::new();
    while seen.last().is_none_or(|event| event != "+last=v") {
        let event = next(&mut watch).await;
        // The state of the owner is news, the value is not.
        if !matches!(&event.kind, netdb::EventKind::Updated { old, new } if old.value == new.value)
        {
            seen.push(short(&event));
        }
    }
    assert_eq!(seen, ["+last=v"]);
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_cluster_that_was_down_comes_back() {
    let mut cluster = Cluster::start(3).await;
    let networks = attach_all(&cluster.nodes, "web").await;
    for (n, network) in networks.iter().enumerate() {
        let table = network.table("t", Lifetime::Cluster).unwrap();
        table.create(n.to_string(), "v").await.unwrap();
    }
    drop(networks);
    for node in &cluster.nodes {
        node.stop(Farewell::Restarting).await.unwrap();
    }
    for index in 0..3 {
        cluster.reopen(index).await;
    }
    cluster.meet().await;
    for node in &cluster.nodes {
        let network = node.network("web").await.unwrap().unwrap();
        soon("in sync", network.wait_synced()).await.unwrap();
        let table = network.table("t", Lifetime::Cluster).unwrap();
        until("all rows", async || table.list("").await.unwrap().len() == 3).await;
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_is_stopped_for_every_handle_and_frees_everything() {
    let cluster = Cluster::start(1).await;
    let db = cluster.nodes[0].clone();
    let network = db.attach("web").await.unwrap();
    let table = network.table("t", Lifetime::Cluster).unwrap();
    let mut watch = table.watch().await.unwrap();
    let mut events = db.events().await.unwrap();
    assert_eq!(short(&next(&mut watch).await), ".");
    db.stop(Farewell::Restarting).await.unwrap();
    db.stop(Farewell::Restarting).await.expect("stopping twice is no error");
    assert_eq!(table.create("k", "v").await, Err(WriteError::Stopped(Stopped)));
    assert_eq!(db.members().await.unwrap_err(), Stopped);
    assert!(watch.next().await.is_none());
    while events.next().await != Err(netdb::EventsError::Stopped(Stopped)) {}
    let again = Config { listen: db.local_addr(), ..cluster.config(0) };
    let again = NetDb::open(again).await.expect("port and directory are free");
    again.stop(Farewell::Restarting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_the_last_handle_stops_quietly_and_loses_nothing() {
    let mut cluster = Cluster::start(1).await;
    let db = cluster.nodes.pop().unwrap();
    let network = db.attach("web").await.unwrap();
    network.table("t", Lifetime::Cluster).unwrap().create("k", "v").await.unwrap();
    drop(network);
    drop(db);
    let mut again = None;
    until("the directory is free", async || {
        again = NetDb::open(cluster.config(0)).await.ok();
        again.is_some()
    })
    .await;
    let again = again.unwrap();
    let network = again.network("web").await.unwrap().unwrap();
    let table = network.table("t", Lifetime::Cluster).unwrap();
    assert_eq!(value(&table, "k").await.as_deref(), Some("v"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_used_by_one_node_at_a_time() {
    let cluster = Cluster::start(1).await;
    let error = NetDb::open(cluster.config(0)).await.unwrap_err();
    let pid = Some(std::process::id());
    let OpenError::StateDir(StateDirError::Locked { pid: holder, .. }) = error else {
        panic!("{error}");
    };
    assert_eq!(holder, pid);
    let error = NetDb::init(&cluster.config(0)).await.unwrap_err();
    assert!(matches!(error, InitError::AlreadyMember(_)), "{error}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_and_the_directory_stays_free() {
    let cluster = Cluster::start(1).await;
    let dir = tempfile::tempdir().unwrap();
    let wrong = Config { listen: cluster.nodes[0].local_addr(), ..config(dir.path(), 1) };
    NetDb::init(&wrong).await.unwrap();
    let error = NetDb::open(wrong.clone()).await.unwrap_err();
    assert!(matches!(error, OpenError::Bind(netdb::BindError::InUse { .. })), "{error}");
    let right = Config { listen: address("127.0.0.1:0"), ..wrong };
    let mut opened = None;
    // A process that another test is just starting has for a moment what this one has open.
    let open = async || {
        opened = NetDb::open(right.clone()).await.ok();
        opened.is_some()
    };
    until("the directory is free", open).await;
    opened.unwrap().stop(Farewell::Leaving).await.unwrap();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_private() {
    let cluster = Cluster::start(1).await;
    let dir = cluster.state_dir(0);
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
    for file in fs::read_dir(&dir).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
    }
    cluster.nodes[0].stop(Farewell::Restarting).await.unwrap();
    for (path, bad, good) in [
        (dir.join("netdb.redb"), 0o604, 0o600),
        (dir.join("identity"), 0o660, 0o600),
        (dir, 0o755, 0o700),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bad)).unwrap();
        let error = NetDb::open(cluster.config(0)).await.unwrap_err();
        let OpenError::StateDir(StateDirError::Permissions { path: named, wanted, .. }) = error
        else {
            panic!("{error}");
        };
        assert_eq!((named, wanted), (path.clone(), good));
        fs::set_permissions(&path, fs::Permissions::from_mode(good)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_writes_nothing() {
    let cluster = Cluster::start(1).await;
    let other = Cluster::start(1).await;
    let here = [cluster.nodes[0].local_addr()];
    let dir = tempfile::tempdir().unwrap();
    let joiner = config(dir.path(), 9);
    let refused = async |token: &str| match NetDb::join(&joiner, token, &here).await.unwrap_err() {
        JoinError::NotAdmitted(attempts) => attempts.0.into_iter().next().unwrap().1,
        other => panic!("{other}"),
    };
    assert!(matches!(refused(&other.token).await, JoinAttemptError::OtherCluster(_)));
    let old = cluster.token.clone();
    let new = cluster.nodes[0].rotate_token(None).await.unwrap();
    assert!(matches!(refused(&old).await, JoinAttemptError::TokenUnknown));
    let mistyped = NetDb::join(&joiner, &old[..20], &here).await.unwrap_err();
    assert!(matches!(mistyped, JoinError::Token(_)), "{mistyped}");
    let nobody = NetDb::join(&joiner, &new.text, &[]).await.unwrap_err();
    assert!(matches!(nobody, JoinError::NoPeers), "{nobody}");
    assert!(!joiner.state_dir.exists(), "nothing is written");
    // The second member that is asked lets it in.
    let free = address("127.0.0.1:1");
    let member = NetDb::join(&joiner, &new.text, &[free, here[0]]).await.unwrap();
    assert_eq!((member.clock_off, member.name_taken), (None, false));
    assert_eq!(member.cluster, cluster.nodes[0].cluster());
    let twice = NetDb::join(&joiner, &new.text, &here).await.unwrap_err();
    assert!(matches!(twice, JoinError::AlreadyMember(_)), "{twice}");
    cluster.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_admits_nobody() {
    let cluster = Cluster::start(1).await;
    let token = cluster.nodes[0].rotate_token(Some(std::time::Duration::ZERO)).await.unwrap();
    assert!(token.expires.is_some());
    let dir = tempfile::tempdir().unwrap();
    let here = [cluster.nodes[0].local_addr()];
    let error = NetDb::join(&config(dir.path(), 9), &token.text, &here).await.unwrap_err();
    let JoinError::NotAdmitted(attempts) = error else { panic!("{error}") };
    assert!(matches!(attempts.telling(), Some(JoinAttemptError::TokenExpired)), "{attempts}");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_left_is_gone_and_may_join_again() {
    let mut cluster = Cluster::start(2).await;
    let gone = cluster.nodes.pop().unwrap();
    gone.leave().await.unwrap();
    let first = &cluster.nodes[0];
    until("it is gone", async || {
        let members = first.members().await.unwrap();
        members.iter().all(|m| m.member.id != gone.id() || m.state == netdb::MemberState::Left)
    })
    .await;
    let error = NetDb::open(cluster.config(1)).await.unwrap_err();
    assert!(matches!(error, OpenError::NotAMember(_)), "{error}");
    cluster.add().await;
    cluster.meet().await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_and_missing_files_are_named_and_left_alone() {
    let cluster = Cluster::start(1).await;
    cluster.nodes[0].stop(Farewell::Restarting).await.unwrap();
    let dir = cluster.state_dir(0);
    let (identity, store) = (dir.join("identity"), dir.join("netdb.redb"));
    for path in [&identity, &store] {
        let whole = fs::read(path).unwrap();
        for damage in [Vec::new(), whole[..whole.len() / 2].to_vec(), b"something else".to_vec()] {
            fs::write(path, &damage).unwrap();
            let error = NetDb::open(cluster.config(0)).await.unwrap_err();
            let named = match &error {
                OpenError::StateDir(StateDirError::IdentityDamaged { path, .. })
                | OpenError::Storage(StorageError::Damaged { path, .. }) => path,
                other => panic!("{other}"),
            };
            assert_eq!(named, path);
            let text = error.to_string();
            assert!(text.contains("put back a copy") && text.contains("join again"), "{text}");
            NetDb::init(&cluster.config(0)).await.unwrap_err();
            assert_eq!(fs::read(path).unwrap(), damage, "nothing is deleted or written over");
        }
        fs::write(path, &whole).unwrap();
    }
    let away = dir.join("away");
    fs::rename(&identity, &away).unwrap();
    let error = NetDb::open(cluster.config(0)).await.unwrap_err();
    assert!(matches!(error, OpenError::StateDir(StateDirError::IdentityMissing { .. })), "{error}");
    fs::rename(&away, &identity).unwrap();
    fs::rename(&store, &away).unwrap();
    let error = NetDb::open(cluster.config(0)).await.unwrap_err();
    assert!(matches!(error, OpenError::NotAMember(_)), "{error}");
    fs::rename(&away, &store).unwrap();
    let db = NetDb::open(cluster.config(0)).await.unwrap();
    assert_eq!(db.info().await.unwrap().storage, StorageState::Healthy);
}

/// What a join that was killed between its two files leaves: keys, and no tables yet.
#[tokio::test(flavor = "multi_thread")]
async fn keys_without_tables_are_used_again() {
    let cluster = Cluster::start(1).await;
    let dir = tempfile::tempdir().unwrap();
    let joiner = config(dir.path(), 9);
    let here = [cluster.nodes[0].local_addr()];
    let first = NetDb::join(&joiner, &cluster.token, &here).await.unwrap();
    fs::remove_file(joiner.state_dir.join("netdb.redb")).unwrap();
    fs::write(joiner.state_dir.join("netdb.redb.new"), b"half a file").unwrap();
    let error = NetDb::open(joiner.clone()).await.unwrap_err();
    assert!(matches!(error, OpenError::NotAMember(_)), "{error}");
    let second = NetDb::join(&joiner, &cluster.token, &here).await.unwrap();
    assert_eq!(second.node, first.node);
    NetDb::open(joiner).await.unwrap().stop(Farewell::Leaving).await.unwrap();
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_must_be_a_node_to_open() {
    let dir = tempfile::tempdir().unwrap();
    let error = NetDb::open(config(dir.path(), 0)).await.unwrap_err();
    assert!(matches!(error, OpenError::NotAMember(_)), "{error}");
    assert!(error.to_string().contains("init"), "{error}");
    assert!(!config(dir.path(), 0).state_dir.exists());
}

/// Rule 5: a node that meets writes of its own that it does not remember takes a new generation.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_copy_of_the_state_put_back_does_no_harm() {
    let mut cluster = Cluster::start(2).await;
    let networks = attach_all(&cluster.nodes, "web").await;
    let table = networks[0].table("t", Lifetime::Cluster).unwrap();
    table.create("before", "v").await.unwrap();
    table.create("deleted", "v").await.unwrap();
    drop(table);
    let there = networks[1].table("t", Lifetime::Cluster).unwrap();
    until_value(&there, "deleted", Some("v")).await;
    cluster.nodes[0].stop(Farewell::Restarting).await.unwrap();
    let store = cluster.state_dir(0).join("netdb.redb");
    let copy = fs::read(&store).unwrap();
    cluster.reopen(0).await;
    let network = cluster.nodes[0].network("web").await.unwrap().unwrap();
    let table = network.table("t", Lifetime::Cluster).unwrap();
    table.create("after", "v").await.unwrap();
    table.delete("deleted").await.unwrap();
    until_value(&there, "after", Some("v")).await;
    until_value(&there, "deleted", None).await;
    cluster.nodes[0].stop(Farewell::Restarting).await.unwrap();
    fs::write(&store, copy).unwrap();
    cluster.reopen(0).await;
    let network = cluster.nodes[0].network("web").await.unwrap().unwrap();
    let table = network.table("t", Lifetime::Cluster).unwrap();
    until_value(&table, "after", Some("v")).await;
    until_value(&table, "deleted", None).await;
    table.upsert("before", "w").await.unwrap();
    until_value(&there, "before", Some("w")).await;
    until_value(&there, "deleted", None).await;
    cluster.stop().await;
}
