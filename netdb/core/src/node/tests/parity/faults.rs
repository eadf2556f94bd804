//! Faults that `NetworkDB` had: each as a test that would show it here.

use alloc::{collections::BTreeMap, vec};

use super::*;
use crate::{
    node::{Farewell, MAX_STREAM_MESSAGE},
    records,
    replica::Change,
};

#[test]
fn a_row_that_overtakes_word_of_a_new_attachment_is_shown() {
    let mut net = Net::new(3);
    net.attach_all();
    put(&mut net, 1, "old", "v");
    net.run(secs(3));
    net.cut.extend([(1, 0), (1, 2), (0, 1), (2, 1)]);
    let attachment = |net: &Net| written(net, 1, CLUSTER_NETWORK, records::ATTACHMENTS, "net");
    detach(&mut net, 1, "net");
    let left = attachment(&net);
    attach(&mut net, 1, "net");
    let back = attachment(&net);
    put(&mut net, 1, "new", "v");
    let row = written(&net, 1, "net", "t", "new");
    assert!(left.is_tombstone() && !back.is_tombstone());
    tell(&mut net, 0, "net", &[Arc::clone(&row)]);
    tell(&mut net, 0, CLUSTER_NETWORK, &[left, back]);
    // Somebody passes it on again.
    tell(&mut net, 0, "net", &[row]);
    assert_eq!(shown(&net, 0), ["new=v"]);
}

/// A life ends with its rows as a whole, the attachment among them, and word of the next life's attachment may
/// still be under way. Found by the simulator's scenario `moves`.
#[test]
fn what_a_new_life_deleted_stays_so_when_the_old_lifes_attachment_goes() {
    let mut net = Net::new(3);
    net.attach_all();
    put(&mut net, 1, "k", "v");
    net.run(secs(3));
    let attachment = |net: &Net| written(net, 1, CLUSTER_NETWORK, records::ATTACHMENTS, "net");
    let old = Some(attachment(&net));
    net.cut.extend([(1, 0), (1, 2), (0, 1), (2, 1)]);
    net.start(1);
    net.run(secs(1));
    put(&mut net, 1, "k", "v");
    let row = written(&net, 1, "net", "t", "k");
    delete(&mut net, 1, Lifetime::Owner, "k").unwrap();
    let grave = written(&net, 1, "net", "t", "k");
    assert!(grave.is_tombstone() && row.dot.writer == grave.dot.writer);
    tell(&mut net, 0, "net", &[Arc::clone(&row), grave]);
    net.call(0, |node, now| node.attachment_changed(now, &Change { old, new: None }));
    let new = attachment(&net);
    tell(&mut net, 0, CLUSTER_NETWORK, &[new]);
    // Somebody passes it on late.
    tell(&mut net, 0, "net", &[row]);
    assert!(shown(&net, 0).is_empty(), "{:?}", shown(&net, 0));
}

#[test]
fn a_row_that_comes_before_its_owners_attachment_is_kept_and_shown_with_it() {
    let mut net = Net::new(3);
    attach(&mut net, 0, "net");
    net.run(secs(1));
    let watch = watch(&mut net, 0, visible());
    assert_eq!(told(&mut net, 0, watch), ["."]);
    net.cut.extend([(1, 0), (1, 2)]);
    attach(&mut net, 1, "net");
    put(&mut net, 1, "k", "v");
    let row = written(&net, 1, "net", "t", "k");
    tell(&mut net, 0, "net", &[row]);
    assert_eq!((shown(&net, 0).len(), counts(&net, 0)), (0, (1, 0)), "kept, not shown");
    assert!(told(&mut net, 0, watch).is_empty());
    let attachment = written(&net, 1, CLUSTER_NETWORK, records::ATTACHMENTS, "net");
    tell(&mut net, 0, CLUSTER_NETWORK, &[attachment]);
    assert_eq!(shown(&net, 0), ["k=v"]);
    assert_eq!(told(&mut net, 0, watch), ["+k=v"]);
}

#[test]
fn rows_that_go_with_their_owner_leave_no_tombstones() {
    let mut net = Net::new(3);
    net.attach_all();
    for round in ["1", "2"] {
        for n in 0..5 {
            put(&mut net, 1, &n.to_string(), round);
        }
        net.until(secs(3), |net| (0..3).all(|i| shown(net, i).len() == 5));
        assert!(shown(&net, 0).iter().all(|row| row.ends_with(round)));
        detach(&mut net, 1, "net");
        net.until(secs(1), |net| [0, 2].iter().all(|i| counts(net, *i).0 == 0));
        assert_eq!([0, 2].map(|i| counts(&net, i)), [(0, 0); 2]);
        attach(&mut net, 1, "net");
    }
    put(&mut net, 1, "0", "3");
    net.until(secs(3), |net| (0..3).all(|i| shown(net, i) == ["0=3"]));
    net.call(1, |node, now| node.farewell(now, Farewell::Leaving));
    net.until(secs(1), |net| [0, 2].iter().all(|i| counts(net, *i).0 == 0));
    assert_eq!([0, 2].map(|i| counts(&net, i)), [(0, 0); 2]);
}

#[test]
fn what_was_learnt_by_comparing_is_not_spread_again() {
    let mut net = Net::new(4);
    (0..3).for_each(|i| attach(&mut net, i, "net"));
    net.run(secs(1));
    for n in 0..500 {
        put(&mut net, 0, &n.to_string(), "v");
    }
    net.until(secs(5), |net| (0..3).all(|i| counts(net, i).0 == 500));
    net.run(secs(3));
    let repeated = |net: &Net| (0..3).map(|i| net.node(i).stats().entries_known).sum::<u64>();
    let before = repeated(&net);
    attach(&mut net, 3, "net");
    net.until(secs(3), |net| counts(net, 3).0 == 500);
    net.run(secs(3));
    let after = repeated(&net) - before;
    assert!(after < 20, "writes that the others knew: {after}");
}

#[test]
fn a_state_larger_than_any_message_is_fetched_in_pieces() {
    const ROWS: usize = 320;
    let mut net = Net::new(2);
    attach(&mut net, 0, "net");
    net.run(secs(1));
    let value = "v".repeat(crate::entry::MAX_VALUE);
    for n in 0..ROWS {
        put(&mut net, 0, &n.to_string(), &value);
    }
    attach(&mut net, 1, "net");
    net.until(secs(10), |net| net.node(1).is_synced(&name("net")));
    assert_eq!(counts(&net, 1).0, ROWS);
    let served = usize::try_from(net.node(0).stats().chunks_served).unwrap();
    let all = ROWS * value.len();
    assert!(served >= all / MAX_STREAM_MESSAGE, "{all} bytes in {served} messages");
}

#[test]
fn a_node_that_relays_much_sends_its_own_at_once() {
    let mut net = Net::with(8, |config| config.fanout = 2);
    net.attach_all();
    net.run(secs(3));
    for n in 0..20_000 {
        put(&mut net, 0, &n.to_string(), "v");
    }
    let relayed = |net: &Net, index: usize| net.node(index).stats().entries_relayed;
    net.until(secs(5), |net| (1..8).any(|i| relayed(net, i) > 5_000));
    let busy = (1..8).find(|i| relayed(&net, *i) > 5_000).unwrap();
    net.write(busy, Lifetime::Cluster, "own", Operation::Create, b"v").unwrap();
    let own = Filter { lifetime: Some(Lifetime::Cluster), ..visible() };
    let seen = |net: &Net| (0..8).all(|i| net.node(i).rows(&own).len() == 1);
    let took = net.until(secs(5), seen);
    let behind = (1..8).filter(|i| counts(&net, *i).0 < 20_001).count();
    assert!(took < Duration::from_millis(20), "{took:?}");
    assert!(behind > 0, "it did not wait for the others' rows to be through");
}

#[test]
fn peers_are_chosen_without_bias() {
    const DRAWS: u32 = 9_000;
    let mut net = Net::new(10);
    net.attach_all();
    let mut drawn: BTreeMap<_, u32> = BTreeMap::new();
    net.call(0, |node, _| {
        let targets = node.targets(&name("net"));
        assert_eq!(targets.len(), 9);
        for _ in 0..DRAWS {
            *drawn.entry(node.pick(&targets).unwrap()).or_default() += 1;
        }
    });
    assert!(!drawn.contains_key(&net.id(0)), "never itself");
    assert_eq!(drawn.len(), 9);
    // Four standard deviations of a fair choice are 119.
    assert!(drawn.values().all(|count| count.abs_diff(DRAWS / 9) < 119), "{drawn:?}");
}

#[test]
fn concurrent_writes_under_one_time_agree() {
    let mut net = Net::new(4);
    net.attach_all();
    net.run(secs(3));
    let mut ties = 0;
    for n in 0..100 {
        let key = n.to_string();
        let mut stamps = vec![];
        for (index, value) in [(n % 4, b"a"), ((n + 1) % 4, b"b")] {
            let receipt = net.write(index, Lifetime::Cluster, &key, Operation::Create, value);
            stamps.push(receipt.unwrap().at);
        }
        ties += usize::from(stamps[0] == stamps[1]);
        net.run(Duration::from_millis(5));
    }
    assert!(ties > 10, "equal times are what this is about: {ties}");
    net.run(secs(3));
    assert!(net.agree());
    assert!((1..4).all(|i| shown(&net, i) == shown(&net, 0)));
    assert_eq!(shown(&net, 0).len(), 100);
}
