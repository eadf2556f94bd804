//! Networks, rows, tombstones, syncs and watches: the counterparts of `networkdb_test.go` and
//! `tableevent_test.go`.

use super::*;
use crate::entry::{Dot, RowKey};

const BOTH: [Lifetime; 2] = [Lifetime::Owner, Lifetime::Cluster];

#[test]
fn attachments_are_seen_by_nodes_that_share_no_network() {
    let mut net = Net::new(3);
    let networks: Vec<(usize, String)> =
        (0..2).flat_map(|node| (0..10).map(move |n| (node, format!("net-{node}-{n}")))).collect();
    for (node, network) in &networks {
        attach(&mut net, *node, network);
    }
    let attached = |net: &Net, (node, network): &(usize, String)| {
        (0..3).all(|i| net.node(i).peers(&name(network)) == [net.id(*node)])
    };
    net.until(secs(1), |net| networks.iter().all(|n| attached(net, n)));
    for (node, network) in &networks {
        detach(&mut net, *node, network);
    }
    net.until(secs(1), |net| (0..3).all(|i| net.node(i).known_networks().is_empty()));
}

#[test]
fn leaving_and_joining_in_one_instant_is_being_there() {
    let mut net = Net::new(2);
    net.attach_all();
    put(&mut net, 1, "old", "1");
    net.run(secs(1));
    net.call(1, |node, now| {
        node.detach(now, &name("net")).unwrap();
        node.attach(now, &name("net")).unwrap();
    });
    put(&mut net, 1, "new", "1");
    net.until(secs(3), |net| (0..2).all(|i| shown(net, i) == ["new=1"]));
    net.run(secs(3));
    assert!(
        (0..2).all(|i| net.node(i).peers(&name("net")).len() == 2 && shown(&net, i) == ["new=1"])
    );
}

#[test]
fn a_row_is_sent_to_attached_nodes_only() {
    let mut net = Net::new(3);
    attach(&mut net, 0, "net");
    attach(&mut net, 1, "net");
    net.run(secs(3));
    let received = |net: &Net| {
        let stats = net.node(2).stats();
        stats.entries_fresh + stats.entries_known
    };
    let before = received(&net);
    for lifetime in BOTH {
        net.write(0, lifetime, "k", Operation::Create, b"1").unwrap();
        net.until(secs(1), |net| shown(net, 1) == ["k=1"]);
        net.write(0, lifetime, "k", Operation::Update, b"2").unwrap();
        net.until(secs(1), |net| shown(net, 1) == ["k=2"]);
        delete(&mut net, 0, lifetime, "k").unwrap();
        net.until(secs(1), |net| shown(net, 1).is_empty());
    }
    net.run(secs(3));
    assert_eq!(received(&net), before, "nothing of it reached the third");
}

#[test]
fn a_tombstone_does_not_hold_its_key() {
    for lifetime in BOTH {
        let mut net = Net::new(2);
        net.attach_all();
        net.write(0, lifetime, "k", Operation::Create, b"1").unwrap();
        delete(&mut net, 0, lifetime, "k").unwrap();
        assert_eq!(counts(&net, 0), (0, 1));
        let update = net.write(0, lifetime, "k", Operation::Update, b"2");
        assert_eq!(update, Err(WriteError::NotFound));
        assert_eq!(delete(&mut net, 0, lifetime, "k"), Err(WriteError::NotFound));
        assert_eq!(counts(&net, 0), (0, 1), "what is refused changes nothing");
        net.write(0, lifetime, "k", Operation::Create, b"2").unwrap();
        assert_eq!(counts(&net, 0), (1, 0));
        let again = net.write(0, lifetime, "k", Operation::Create, b"3");
        assert_eq!(again, Err(WriteError::Exists));
        net.until(secs(1), |net| (0..2).all(|i| shown(net, i) == ["k=2"]));
    }
}

#[test]
fn of_many_creates_and_deletes_at_once_one_succeeds() {
    let mut net = Net::new(2);
    net.attach_all();
    for lifetime in BOTH {
        for operation in [Operation::Create, Operation::Delete] {
            let write = Write { operation, ..write_of("net", "t", lifetime, "k", "v") };
            // None of them is on disk, or sent, before the last is asked for.
            let done = net
                .call(0, |node, now| (0..20).filter(|_| node.write(now, &write).is_ok()).count());
            assert_eq!(done, 1, "{lifetime} {operation:?}");
        }
    }
}

#[test]
fn a_sync_whose_peer_dies_is_asked_of_another() {
    let mut net = Net::new(3);
    attach(&mut net, 0, "net");
    attach(&mut net, 1, "net");
    net.run(secs(1));
    for n in 0..3000 {
        put(&mut net, 0, &n.to_string(), "v");
    }
    net.until(secs(5), |net| counts(net, 1).0 == 3000);
    attach(&mut net, 2, "net");
    let asked = |net: &Net| {
        let network = net.node(2).networks.get(&name("net"))?;
        network.pull.as_ref().map(|pull| pull.from)
    };
    net.until(secs(1), |net| asked(net).is_some());
    let peer = (0..2).find(|i| Some(net.id(*i)) == asked(&net)).unwrap();
    net.hosts[peer].node = None;
    assert!(!net.node(2).is_synced(&name("net")));
    net.until(secs(15), |net| net.node(2).is_synced(&name("net")));
    assert_eq!(counts(&net, 2).0, 3000);
}

#[test]
fn syncs_asked_for_at_once_are_one() {
    let mut net = Net::new(5);
    (0..4).for_each(|i| attach(&mut net, i, "net"));
    net.run(secs(1));
    for n in 0..3000 {
        put(&mut net, 0, &n.to_string(), "v");
    }
    net.until(secs(5), |net| (0..4).all(|i| counts(net, i).0 == 3000));
    let before: Vec<u64> = (0..4).map(|i| net.node(i).stats().chunks_served).collect();
    let peers: Vec<_> = (0..4).map(|i| net.id(i)).collect();
    net.call(4, |node, now| {
        let network = name("net");
        node.attach(now, &network).unwrap();
        for peer in peers {
            node.compare_with(now, &Arc::new(network.clone()), peer);
        }
    });
    let took = net.until(secs(5), |net| net.node(4).is_synced(&name("net")));
    assert!(took < Duration::from_millis(100), "nothing was waited for: {took:?}");
    assert_eq!(counts(&net, 4).0, 3000);
    let served = (0..4).filter(|i| net.node(*i).stats().chunks_served > before[*i]).count();
    assert_eq!(served, 1, "nodes that sent all of it");
    net.run(secs(10));
    assert!(net.node(4).networks.get(&name("net")).unwrap().pull.is_none());
}

#[test]
fn a_latecomer_keeps_tombstones_no_longer_than_the_others() {
    let mut net = Net::with(3, |config| config.tombstone_life = secs(30));
    attach(&mut net, 0, "net");
    attach(&mut net, 1, "net");
    net.run(secs(1));
    let key = |n: usize| (n % 2, BOTH[n / 2 % 2], n.to_string());
    for (node, lifetime, key) in (0..8).map(key) {
        net.write(node, lifetime, &key, Operation::Create, b"v").unwrap();
    }
    net.run(secs(1));
    for (node, lifetime, key) in (0..8).map(key) {
        delete(&mut net, node, lifetime, &key).unwrap();
    }
    let over = net.now + secs(31);
    net.run(secs(20));
    attach(&mut net, 2, "net");
    net.until(secs(2), |net| net.node(2).is_synced(&name("net")));
    assert_eq!((0..3).map(|i| counts(&net, i)).collect::<Vec<_>>(), [(0, 8); 3]);
    net.run(over.since(net.now));
    assert_eq!((0..3).map(|i| counts(&net, i)).collect::<Vec<_>>(), [(0, 0); 3]);
    net.run(secs(60));
    assert_eq!((0..3).map(|i| counts(&net, i)).collect::<Vec<_>>(), [(0, 0); 3]);
    assert!(net.agree());
}

#[test]
fn events_of_writes_out_of_order_are_those_of_the_newest() {
    let mut net = Net::new(2);
    net.attach_all();
    let generation = net.node(1).gossip().me().generation;
    let network = net.node(1).networks.get(&name("net")).unwrap();
    let writer = network.writer(net.id(1), generation, Lifetime::Owner);
    let entry = |sequence, key: &str, value: Option<&str>| {
        let row = RowKey::of(&name("t"), Lifetime::Owner, key.as_bytes(), writer.node);
        let value = value.map(|value| value.as_bytes().into());
        Arc::new(Entry::new(row, Dot { writer, sequence }, 0, value))
    };
    let before = [entry(1, "dead", Some("a")), entry(2, "dead", None), entry(3, "key1", Some("a"))];
    tell(&mut net, 0, "net", &before);
    let watch = watch(&mut net, 0, visible());
    assert_eq!(told(&mut net, 0, watch), ["+key1=a", "."]);
    // Each with what is missing before it, or behind what was written after it.
    let steps: [(u64, &str, Option<&str>, &[&str]); 12] = [
        (4, "key2", Some("a"), &["+key2=a"]),
        (6, "key2", None, &["-key2=a Deleted"]),
        (8, "key2", None, &[]),
        (10, "key2", Some("d"), &["+key2=d"]),
        (12, "key3", Some("b"), &["+key3=b"]),
        (11, "key3", Some("a"), &[]),
        (14, "key4", Some("b"), &["+key4=b"]),
        (15, "key4", Some("c"), &["~key4=b>c"]),
        (17, "key5", None, &[]),
        (16, "key5", Some("a"), &[]),
        (19, "key5", None, &[]),
        (19, "key5", None, &[]),
    ];
    for (sequence, key, value, expected) in steps {
        tell(&mut net, 0, "net", &[entry(sequence, key, value)]);
        assert_eq!(told(&mut net, 0, watch), expected, "after {sequence}");
    }
}

/// Where the rows of the next test are.
const PLACES: [(&str, &str); 4] = [("net", "t1"), ("net", "t2"), ("other", "t1"), ("other", "t2")];

/// Has the first node write a row, or delete it, in each of the places.
fn everywhere(net: &mut Net, operation: Operation, key: &str, value: &str) {
    for (network, table) in PLACES {
        let key = format!("{network}.{table}.{key}");
        let write = write_of(network, table, Lifetime::Owner, &key, value);
        let write = Write { operation, ..write };
        net.call(0, |node, now| node.write(now, &write)).unwrap();
    }
}

#[test]
fn watches_see_what_their_filters_select() {
    let mut net = Net::new(2);
    for (index, network) in [(0, "net"), (1, "net"), (0, "other"), (1, "other")] {
        attach(&mut net, index, network);
    }
    net.run(secs(1));
    everywhere(&mut net, Operation::Create, "dead", "1");
    everywhere(&mut net, Operation::Delete, "dead", "");
    everywhere(&mut net, Operation::Create, "changed", "1");
    everywhere(&mut net, Operation::Create, "plain", "1");
    everywhere(&mut net, Operation::Update, "changed", "2");
    net.run(secs(1));
    let all = Filter::default();
    let (network, table) = (Some(name("net")), Some(name("t1")));
    let cases: [(Filter, &[usize]); 7] = [
        (all.clone(), &[0, 1, 2, 3]),
        (Filter { network: network.clone(), ..all.clone() }, &[0, 1]),
        (Filter { table: table.clone(), ..all.clone() }, &[0, 2]),
        (Filter { network, table, ..all.clone() }, &[0]),
        (Filter { prefix: b"other.t2".into(), ..all.clone() }, &[3]),
        (Filter { owner: Some(net.id(1)), ..all.clone() }, &[]),
        (Filter { lifetime: Some(Lifetime::Cluster), ..all }, &[]),
    ];
    for (filter, mine) in cases {
        let watch = watch(&mut net, 1, filter);
        // The nodes' own tables have keys without dots.
        let news = |net: &mut Net| -> Vec<String> {
            told(net, 1, watch).into_iter().filter(|row| row.contains('.')).collect()
        };
        let row = |change: &str, place: &usize, row: &str| {
            let (network, table) = PLACES[*place];
            format!("{change}{network}.{table}.{row}")
        };
        let there = |place| [row("+", place, "changed=2"), row("+", place, "plain=1")];
        let snapshot = mine.iter().flat_map(there).chain([".".to_string()]);
        assert_eq!(news(&mut net), snapshot.collect::<Vec<_>>());
        everywhere(&mut net, Operation::Create, "live", "1");
        net.run(secs(1));
        let live: Vec<_> = mine.iter().map(|place| row("+", place, "live=1")).collect();
        assert_eq!(news(&mut net), live);
        everywhere(&mut net, Operation::Delete, "live", "");
        net.run(secs(1));
        let gone: Vec<_> = mine.iter().map(|place| row("-", place, "live=1 Deleted")).collect();
        assert_eq!(news(&mut net), gone);
    }
}
