//! Nodes that fail, return, leave and are replaced: the counterparts of `nodefail_rejoin_test.go`, and of
//! what `networkdb_test.go` asks of islands and of nodes at one address.

use super::*;
use crate::{node::Farewell, records};

/// Three nodes that see a row of the second, and a watch of the first that was told of it.
fn three() -> (Net, WatchId) {
    let mut net = Net::new(3);
    net.attach_all();
    put(&mut net, 1, "k", "v");
    net.until(secs(1), |net| (0..3).all(|i| shown(net, i) == ["k=v"]));
    let watch = watch(&mut net, 0, visible());
    assert_eq!(told(&mut net, 0, watch), ["+k=v", "."]);
    (net, watch)
}

#[test]
fn what_is_relayed_of_a_failed_node_is_remembered_and_shown_with_it() {
    let (mut net, watch) = three();
    fail(&mut net, 1);
    assert_eq!(told(&mut net, 0, watch), ["-k=v OwnerFailed"]);
    for value in ["relayed", "fresher"] {
        put(&mut net, 1, "k", value);
        let entry = written(&net, 1, "net", "t", "k");
        tell(&mut net, 0, "net", &[entry]);
        assert!(shown(&net, 0).is_empty());
        assert_eq!(rows(&net, 0, &remembered()), [(format!("k={value}"), OwnerState::Failed)]);
    }
    assert!(told(&mut net, 0, watch).is_empty(), "nothing of it shows");
    heal(&mut net);
    net.run(secs(3));
    assert_eq!(told(&mut net, 0, watch), ["+k=fresher"]);
    assert!((0..3).all(|i| shown(&net, i) == ["k=fresher"]));
}

#[test]
fn what_was_deleted_while_its_owner_was_failed_stays_deleted() {
    let (mut net, watch) = three();
    fail(&mut net, 1);
    assert_eq!(told(&mut net, 0, watch), ["-k=v OwnerFailed"]);
    delete(&mut net, 1, Lifetime::Owner, "k").unwrap();
    let tombstone = written(&net, 1, "net", "t", "k");
    tell(&mut net, 0, "net", &[tombstone]);
    assert!(rows(&net, 0, &remembered()).is_empty());
    heal(&mut net);
    net.run(secs(3));
    assert!(told(&mut net, 0, watch).is_empty(), "told once, and it does not come back");
    assert!((0..3).all(|i| rows(&net, i, &remembered()).is_empty()));
}

#[test]
fn what_its_owner_deleted_and_forgot_while_it_was_failed_goes_when_it_returns() {
    let mut net = Net::with(3, |config| config.tombstone_life = secs(5));
    net.attach_all();
    put(&mut net, 1, "gone", "v");
    put(&mut net, 1, "kept", "v");
    net.run(secs(3));
    fail(&mut net, 1);
    delete(&mut net, 1, Lifetime::Owner, "gone").unwrap();
    net.run(secs(20));
    assert_eq!((counts(&net, 0), counts(&net, 1)), ((2, 0), (1, 0)), "its tombstone is purged");
    heal(&mut net);
    net.until(secs(10), |net| (0..3).all(|i| shown(net, i) == ["kept=v"]));
    net.run(secs(5));
    assert!(net.agree());
}

#[test]
fn a_failed_node_that_left_is_forgotten_without_another_event() {
    let (mut net, watch) = three();
    fail(&mut net, 1);
    assert_eq!(told(&mut net, 0, watch), ["-k=v OwnerFailed"]);
    assert_eq!(counts(&net, 0), (1, 0), "remembered for its return");
    net.call(1, |node, now| node.farewell(now, Farewell::Leaving));
    let word = written(&net, 1, CLUSTER_NETWORK, records::NODES, "self");
    tell(&mut net, 0, CLUSTER_NETWORK, &[word]);
    assert_eq!(net.node(0).presences.state(net.id(1)), MemberState::Left);
    assert_eq!(counts(&net, 0), (0, 0));
    assert_eq!(net.node(0).known_networks(), [(name("net"), 2)]);
    net.run(secs(3));
    assert!(told(&mut net, 0, watch).is_empty());
}

#[test]
fn rows_of_a_failed_node_are_purged_in_time_and_news_again_with_it() {
    let mut net = Net::with(3, |config| config.purge_failed_after = secs(60));
    net.attach_all();
    put(&mut net, 1, "k", "v");
    net.run(secs(3));
    let watch = watch(&mut net, 0, visible());
    told(&mut net, 0, watch);
    fail(&mut net, 1);
    assert_eq!(told(&mut net, 0, watch), ["-k=v OwnerFailed"]);
    net.run(secs(40));
    assert_eq!(counts(&net, 0), (1, 0), "not before its time");
    net.run(secs(60));
    assert_eq!(counts(&net, 0), (0, 0));
    assert_eq!(net.node(0).known_networks(), [(name("net"), 2)]);
    assert!(net.node(0).members().iter().all(|m| m.member.id != net.id(1)));
    assert!(told(&mut net, 0, watch).is_empty(), "told when it failed");
    heal(&mut net);
    net.until(secs(5), |net| (0..3).all(|i| shown(net, i) == ["k=v"]));
    assert_eq!(told(&mut net, 0, watch), ["+k=v"]);
}

#[test]
fn who_comes_during_a_failure_sees_the_living_and_remembers_the_failed() {
    let mut net = Net::new(4);
    (0..3).for_each(|i| attach(&mut net, i, "net"));
    put(&mut net, 1, "failed", "v");
    put(&mut net, 2, "living", "v");
    net.until(secs(3), |net| (0..3).all(|i| shown(net, i).len() == 2));
    fail(&mut net, 1);
    let watch = watch(&mut net, 0, visible());
    assert_eq!(told(&mut net, 0, watch), ["+living=v", "."]);
    attach(&mut net, 3, "net");
    net.until(secs(3), |net| net.node(3).is_synced(&name("net")));
    assert_eq!(shown(&net, 3), ["living=v"]);
    let mut all = rows(&net, 3, &remembered());
    all.sort();
    let expected = [("failed=v", OwnerState::Failed), ("living=v", OwnerState::Alive)];
    assert_eq!(all, expected.map(|(row, state)| (row.to_string(), state)));
    heal(&mut net);
    net.until(secs(3), |net| shown(net, 3).len() == 2);
    assert_eq!(told(&mut net, 0, watch), ["+failed=v"]);
}

#[test]
fn a_hidden_row_holds_no_key_and_is_written_by_nobody_else() {
    let (mut net, _) = three();
    put(&mut net, 1, "other", "v");
    net.until(secs(1), |net| shown(net, 0).len() == 2);
    fail(&mut net, 1);
    let update = net.write(0, Lifetime::Owner, "other", Operation::Update, b"mine");
    assert_eq!(update, Err(WriteError::NotFound));
    assert_eq!(delete(&mut net, 0, Lifetime::Owner, "other"), Err(WriteError::NotFound));
    net.write(0, Lifetime::Owner, "k", Operation::Create, b"mine").unwrap();
    assert_eq!(shown(&net, 0), ["k=mine"]);
    heal(&mut net);
    net.run(secs(3));
    for index in 0..3 {
        let mut shown = shown(&net, index);
        shown.sort();
        assert_eq!(shown, ["k=mine", "k=v", "other=v"], "each owner has its own");
    }
}

#[test]
fn nodes_through_which_all_joined_come_back_without_joining() {
    let mut net = Net::new(5);
    net.attach_all();
    for index in 3..5 {
        put(&mut net, index, &index.to_string(), "v");
    }
    net.run(secs(2));
    (0..3).for_each(|i| net.hosts[i].node = None);
    let cluster = name(CLUSTER_NETWORK);
    net.until(secs(30), |net| (3..5).all(|i| net.node(i).peers(&cluster).len() == 2));
    net.run(secs(120));
    (0..3).for_each(|i| net.start(i));
    net.until(secs(2), |net| {
        (0..5).all(|i| net.node(i).peers(&cluster).len() == 5 && shown(net, i) == ["3=v", "4=v"])
    });
}

#[test]
fn a_node_at_the_address_of_a_dead_one_evicts_nobody() {
    let mut net = Net::new(4);
    net.attach_all();
    for index in 0..4 {
        put(&mut net, index, &index.to_string(), "v");
    }
    net.run(secs(2));
    let watch = watch(&mut net, 0, visible());
    told(&mut net, 0, watch);
    // The second dies, and the third starts again where that one was: nobody has noticed yet.
    net.hosts[1].node = None;
    net.hosts[2].node = None;
    net.hosts[2].addr = net.hosts[1].addr;
    net.hosts[1].addr = core::net::SocketAddr::from(([10, 9, 9, 9], 7946));
    net.run(Duration::from_millis(1100));
    net.start(2);
    put(&mut net, 2, "2", "v");
    net.call(2, |node, now| node.mark_complete(now, &name("net"))).unwrap();
    let (dead, moved) = (net.id(1), net.id(2));
    let living = ["0=v", "2=v", "3=v"].map(String::from);
    net.until(secs(20), |net| {
        [0, 2, 3].iter().all(|i| {
            let presences = &net.node(*i).presences;
            let mut shown = shown(net, *i);
            shown.sort();
            presences.state(dead) == MemberState::Failed
                && presences.state(moved) == MemberState::Alive
                && shown == living
        })
    });
    net.run(secs(60));
    assert_eq!(told(&mut net, 0, watch), ["-1=v OwnerFailed"]);
    assert_eq!(net.node(0).peers(&name("net")).len(), 3);
}
