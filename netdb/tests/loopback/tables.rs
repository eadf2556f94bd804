//! Rows between three nodes: written, changed, deleted, watched.

use crate::cluster::{
    BOTH, Cluster, attach_all, next, short, soon, text, until, until_value, value,
};
use netdb::{
    AttachError, AttachRefused, Farewell, Filter, Lifetime, MAX_KEY, MAX_VALUE, MAX_WATCHES,
    SyncError, WatchError, WriteError, WriteRefused,
};

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_created_changed_deleted_and_watched_on_every_node() {
    let cluster = Cluster::start(3).await;
    let networks = attach_all(&cluster.nodes, "web").await;
    for lifetime in BOTH {
        let tables: Vec<_> =
            networks.iter().map(|network| network.table("t", lifetime).unwrap()).collect();
        let mut watches = Vec::new();
        for table in &tables {
            let mut watch = table.watch().await.unwrap();
            assert_eq!(short(&next(&mut watch).await), ".");
            watches.push(watch);
        }
        tables[0].create("k", "1").await.unwrap();
        for watch in &mut watches {
            assert_eq!(short(&next(watch).await), "+k=1");
        }
        for table in &tables {
            until_value(table, "k", Some("1")).await;
        }
        tables[0].update("k", "2").await.unwrap();
        for watch in &mut watches {
            assert_eq!(short(&next(watch).await), "~k=1>2");
        }
        tables[0].delete("k").await.unwrap();
        for watch in &mut watches {
            assert_eq!(short(&next(watch).await), "-k=2 Deleted");
        }
        for table in &tables {
            until_value(table, "k", None).await;
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_table_holds_a_row_per_owner_and_a_cluster_table_one() {
    let cluster = Cluster::start(2).await;
    let networks = attach_all(&cluster.nodes, "web").await;
    for (lifetime, rows) in [(Lifetime::Owner, 2), (Lifetime::Cluster, 1)] {
        let tables: Vec<_> =
            networks.iter().map(|network| network.table("t", lifetime).unwrap()).collect();
        for (table, value) in tables.iter().zip(["one", "two"]) {
            table.upsert("key", value).await.unwrap();
            table.upsert("key-longer", value).await.unwrap();
        }
        for table in &tables {
            until("rows", async || {
                let found = table.get("key").await.unwrap();
                found.len() == rows && table.list("key").await.unwrap().len() == 2 * rows
            })
            .await;
        }
    }
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why_and_changes_nothing() {
    let cluster = Cluster::start(1).await;
    let network = cluster.nodes[0].attach("web").await.unwrap();
    let table = network.table("t", Lifetime::Cluster).unwrap();
    let refused = |result: Result<netdb::Receipt, WriteError>| match result {
        Err(WriteError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(table.update("k", "v").await), WriteRefused::NotFound);
    assert_eq!(refused(table.delete("k").await), WriteRefused::NotFound);
    table.create("k", "v").await.unwrap();
    assert_eq!(refused(table.create("k", "w").await), WriteRefused::Exists);
    assert_eq!(value(&table, "k").await.as_deref(), Some("v"));
    assert_eq!(refused(table.create("", "v").await), WriteRefused::KeyLength(0));
    let key = "k".repeat(MAX_KEY);
    table.create(&key, "v").await.unwrap();
    assert_eq!(refused(table.create(key + "k", "v").await), WriteRefused::KeyLength(MAX_KEY + 1));
    let large = vec![b'v'; MAX_VALUE];
    table.create("large", &large).await.unwrap();
    let larger = vec![b'v'; MAX_VALUE + 1];
    let error = refused(table.create("larger", &larger).await);
    assert_eq!(error, WriteRefused::ValueTooLarge(MAX_VALUE + 1));
    assert!(network.table("no/name", Lifetime::Owner).is_err());
    let again = cluster.nodes[0].attach("web").await.unwrap_err();
    assert!(matches!(again, AttachError::Refused(AttachRefused::Attached(_))), "{again}");
    cluster.nodes[0].ensure_attached("web").await.unwrap();
    assert!(matches!(cluster.nodes[0].attach("a b").await, Err(AttachError::Name(_))));
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_rows_are_listed_whole_and_in_order() {
    let cluster = Cluster::start(2).await;
    let networks = attach_all(&cluster.nodes, "web").await;
    let tables: Vec<_> =
        networks.iter().map(|network| network.table("t", Lifetime::Owner).unwrap()).collect();
    let count = 2 * netdb::MAX_PAGE + 7;
    for n in 0..count {
        tables[0].create(format!("{n:06}"), n.to_string()).await.unwrap();
    }
    for table in &tables {
        until("all rows", async || table.list("").await.unwrap().len() == count).await;
        let keys: Vec<String> =
            table.list("").await.unwrap().iter().map(|row| text(&row.entry.row.key)).collect();
        assert!(keys.is_sorted() && keys.len() == count);
        assert_eq!(table.list("00000").await.unwrap().len(), 10);
    }
    let page = cluster.nodes[1].rows_page(&Filter::default(), None, usize::MAX).await.unwrap();
    assert_eq!(page.len(), netdb::MAX_PAGE, "however many were asked for");
    cluster.stop().await;
}

/// A watcher that does not take its events holds nobody up, and sees the outcome when it wakes.
#[tokio::test(flavor = "multi_thread")]
async fn a_sleeping_watcher_costs_nothing_and_sees_the_outcome() {
    const KEYS: usize = 200;
    const ROUNDS: usize = 20;
    let cluster = Cluster::start(1).await;
    let network = cluster.nodes[0].attach("web").await.unwrap();
    let table = network.table("t", Lifetime::Owner).unwrap();
    let mut watch = table.watch().await.unwrap();
    for round in 0..ROUNDS {
        for key in 0..KEYS {
            table.upsert(key.to_string(), round.to_string()).await.unwrap();
        }
    }
    table.create("end", "").await.unwrap();
    let mut last = std::collections::BTreeMap::new();
    let mut events = 0;
    loop {
        let event = next(&mut watch).await;
        events += 1;
        if let netdb::EventKind::Created { new } | netdb::EventKind::Updated { new, .. } =
            event.kind
        {
            let (key, value) = (text(&new.row.key), text(new.value.as_deref().unwrap()));
            if key == "end" {
                break;
            }
            last.insert(key, value);
        }
    }
    let expected = (ROUNDS - 1).to_string();
    assert_eq!(last.len(), KEYS);
    assert!(last.values().all(|value| *value == expected), "{last:?}");
    assert!(events < KEYS * ROUNDS / 2, "{events} events for a watcher that slept");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_watch_is_closed() {
    let cluster = Cluster::start(1).await;
    let db = &cluster.nodes[0];
    let network = db.attach("web").await.unwrap();
    let table = network.table("t", Lifetime::Owner).unwrap();
    for _ in 0..10 {
        drop(table.watch().await.unwrap());
    }
    let mut kept = table.watch().await.unwrap();
    assert_eq!(db.stats().await.unwrap().watches, 1);
    assert_eq!(short(&next(&mut kept).await), ".");
    drop(kept);
    table.create("k", "v").await.unwrap();
    until("the watch is closed", async || db.stats().await.unwrap().watches == 0).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_as_many_watches_as_may_be() {
    let cluster = Cluster::start(1).await;
    let table = cluster.nodes[0].attach("web").await.unwrap().table("t", Lifetime::Owner).unwrap();
    let mut watches = Vec::new();
    for _ in 0..MAX_WATCHES {
        watches.push(table.watch().await.unwrap());
    }
    assert_eq!(table.watch().await.unwrap_err(), WatchError::TooMany(MAX_WATCHES));
    drop(watches.pop());
    table.watch().await.expect("there is room for one again");
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alone_is_in_sync_and_a_newcomer_gets_everything() {
    let mut cluster = Cluster::start(1).await;
    let first = cluster.nodes[0].attach("web").await.unwrap();
    soon("alone in sync", first.wait_synced()).await.unwrap();
    let table = first.table("t", Lifetime::Cluster).unwrap();
    for n in 0..500 {
        table.create(n.to_string(), "v").await.unwrap();
    }
    cluster.add().await;
    cluster.meet().await;
    let second = cluster.nodes[1].attach("web").await.unwrap();
    soon("in sync", second.wait_synced()).await.unwrap();
    let rows = second.table("t", Lifetime::Cluster).unwrap().list("").await.unwrap();
    assert_eq!(rows.len(), 500, "in sync means that everything is there");
    let name = second.name().clone();
    second.clone().detach().await.unwrap();
    assert_eq!(second.wait_synced().await, Err(SyncError::NotAttached(name)));
    until("the peer has left", async || first.peers().await.unwrap().len() == 1).await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_node_that_leaves_a_network_or_dies_leave_the_view() {
    let mut cluster = Cluster::start(3).await;
    let networks = attach_all(&cluster.nodes, "web").await;
    for (network, key) in networks.iter().zip(["a", "b", "c"]) {
        network.table("t", Lifetime::Owner).unwrap().create(key, "v").await.unwrap();
    }
    let seen = networks[0].table("t", Lifetime::Owner).unwrap();
    until("all rows", async || seen.list("").await.unwrap().len() == 3).await;
    let mut watch = seen.watch().await.unwrap();
    while short(&next(&mut watch).await) != "." {}
    networks[1].clone().detach().await.unwrap();
    assert_eq!(short(&next(&mut watch).await), "-b=v Detached");
    // Every handle of the third node goes, and the node with them, without a word.
    drop(cluster.nodes.pop());
    drop(networks);
    loop {
        match short(&next(&mut watch).await).as_str() {
            "-c=v OwnerFailed" => break,
            // First it is suspected.
            "~c=v>v" => {}
            other => panic!("{other}"),
        }
    }
    let all = Filter { include_failed: true, ..seen.filter(b"") };
    assert_eq!(
        cluster.nodes[0].rows(all).await.unwrap().len(),
        2,
        "remembered, and shown on request"
    );
    cluster.nodes[0].stop(Farewell::ShuttingDown).await.unwrap();
}
