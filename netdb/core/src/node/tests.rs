//! The first tests of the protocol: a few nodes on virtual time. The simulator does the rest.

mod diff;
mod laws;
mod learn;
mod net;
mod parity;
mod requests;

use alloc::{string::ToString, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::keyring::Key;

use self::net::{DELAY, Net, name};
use super::*;
use crate::{
    entry::{Dot, Entry, Lifetime, Writer},
    records::{self, KeyRecord, KeyStage},
    sync,
    view::{DeleteReason, EventKind, Filter},
    wire::{Part, PartContent, Unpacked},
};

#[test]
fn a_write_is_seen_by_all_in_a_few_hops() {
    let mut net = Net::new(10);
    net.attach_all();
    net.run(Duration::from_secs(3));
    net.write(3, Lifetime::Owner, "k", Operation::Create, b"v").unwrap();
    let took = net.until(Duration::from_secs(1), |net| (0..10).all(|i| net.values(i).len() == 1));
    assert_eq!(took, DELAY * 2);
    assert_eq!(
        net.write(3, Lifetime::Owner, "k", Operation::Create, b"v"),
        Err(WriteError::Exists)
    );
    assert_eq!(
        net.write(4, Lifetime::Owner, "k", Operation::Update, b"v"),
        Err(WriteError::NotFound)
    );
    net.write(3, Lifetime::Owner, "k", Operation::Delete, b"").unwrap();
    net.until(Duration::from_secs(1), |net| (0..10).all(|i| net.values(i).is_empty()));
    net.run(Duration::from_secs(3));
    assert!(net.agree());
}

#[test]
fn a_latecomer_is_served_in_chunks() {
    let mut net = Net::new(3);
    for index in 0..2 {
        net.call(index, |node, now| node.attach(now, &name("net"))).unwrap();
    }
    net.run(Duration::from_secs(1));
    for n in 0..3000 {
        net.write(0, Lifetime::Owner, &n.to_string(), Operation::Create, &[1; 100]).unwrap();
    }
    net.until(Duration::from_secs(5), |net| net.values(1).len() == 3000);
    net.call(2, |node, now| node.attach(now, &name("net"))).unwrap();
    assert!(!net.node(2).is_synced(&name("net")));
    let took = net.until(Duration::from_secs(5), |net| net.node(2).is_synced(&name("net")));
    assert_eq!(net.values(2).len(), 3000);
    assert!(took < Duration::from_millis(100), "{took:?}");
    let served: u64 = (0..2).map(|i| net.node(i).stats().chunks_served).sum();
    assert!(served >= 3, "several bounded chunks, not one: {served}");
}

#[test]
fn a_lost_last_copy_is_repaired() {
    let mut net = Net::new(5);
    net.attach_all();
    net.run(Duration::from_secs(3));
    let others = [0, 1, 3, 4];
    net.cut.extend(others.map(|i| (2, i)));
    net.write(2, Lifetime::Cluster, "k", Operation::Create, b"v").unwrap();
    net.run(Duration::from_millis(200));
    net.cut.clear();
    let took = net.until(Duration::from_secs(5), |net| (0..5).all(|i| net.values(i).len() == 1));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn a_dead_inner_node_is_routed_around() {
    let mut net = Net::new(30);
    net.attach_all();
    net.run(Duration::from_secs(3));
    for dead in [3, 9, 17, 25, 28] {
        net.hosts[dead].node = None;
    }
    net.write(0, Lifetime::Owner, "k", Operation::Create, b"v").unwrap();
    let alive = |net: &Net| {
        (0..30).filter(|i| net.hosts[*i].node.is_some()).all(|i| net.values(i).len() == 1)
    };
    let took = net.until(Duration::from_secs(2), alive);
    assert!(took < Duration::from_millis(100), "{took:?}");
}

#[test]
fn a_way_that_is_cut_in_one_direction_is_gone_around() {
    let mut net = Net::new(12);
    net.attach_all();
    net.run(Duration::from_secs(3));
    for other in 1..12 {
        net.cut.insert((0, other));
        net.write(0, Lifetime::Owner, &other.to_string(), Operation::Create, b"v").unwrap();
        let seen = |net: &Net| (0..12).all(|i| net.values(i).len() == other);
        let took = net.until(Duration::from_secs(5), seen);
        assert!(took < Duration::from_millis(100), "{took:?} without the way to {other}");
        net.cut.clear();
        net.run(Duration::from_millis(500));
    }
}

#[test]
fn failure_hides_and_return_restores() {
    let mut net = Net::new(4);
    net.attach_all();
    net.write(1, Lifetime::Owner, "owned", Operation::Create, b"1").unwrap();
    net.write(1, Lifetime::Cluster, "shared", Operation::Create, b"2").unwrap();
    net.until(Duration::from_secs(1), |net| net.values(0).len() == 2);
    let watch = net.call(0, |node, now| {
        node.watch(now, Filter { network: Some(name("net")), ..Filter::default() })
    });
    assert_eq!(net.poll(0, watch).len(), 3, "two rows and the end of the snapshot");
    let others = [0, 2, 3];
    for i in others {
        net.cut.extend([(1, i), (i, 1)]);
    }
    net.until(Duration::from_secs(10), |net| net.values(0).len() == 1);
    let events = net.poll(0, watch);
    assert!(matches!(
        events[..],
        [Event { kind: EventKind::Deleted { reason: DeleteReason::OwnerFailed, .. }, .. }]
    ));
    let failed = Filter { include_failed: true, network: Some(name("net")), ..Filter::default() };
    assert_eq!(net.node(0).rows(&failed).len(), 2);
    net.cut.clear();
    net.until(Duration::from_secs(10), |net| (0..4).all(|i| net.values(i).len() == 2));
    let events = net.poll(0, watch);
    assert!(matches!(events[..], [Event { kind: EventKind::Created { .. }, .. }]), "{events:?}");
}

#[test]
fn a_restart_that_publishes_the_same_is_not_noticed() {
    let mut net = Net::new(4);
    net.attach_all();
    for n in 0..40 {
        net.write(1, Lifetime::Owner, &n.to_string(), Operation::Create, b"1").unwrap();
    }
    net.until(Duration::from_secs(1), |net| (0..4).all(|i| net.values(i).len() == 40));
    let watch = net.call(0, |node, now| {
        node.watch(now, Filter { network: Some(name("net")), ..Filter::default() })
    });
    net.poll(0, watch);
    net.call(1, |node, now| node.farewell(now, Farewell::Restarting));
    net.run(Duration::from_millis(50));
    net.hosts[1].node = None;
    net.run(Duration::from_secs(8));
    let state = net.node(0).members().iter().find(|m| m.name == Some(name("n1"))).unwrap().state;
    assert_eq!(state, MemberState::Restarting);
    net.start(1);
    net.run(Duration::from_secs(1));
    for n in 0..39 {
        net.write(1, Lifetime::Owner, &n.to_string(), Operation::Create, b"1").unwrap();
    }
    net.run(Duration::from_secs(1));
    assert!(net.poll(0, watch).is_empty());
    net.call(1, |node, now| node.mark_complete(now, &name("net"))).unwrap();
    net.until(Duration::from_secs(3), |net| (0..4).all(|i| net.values(i).len() == 39));
    let events = net.poll(0, watch);
    assert!(matches!(
        events[..],
        [Event { kind: EventKind::Deleted { reason: DeleteReason::Deleted, .. }, .. }]
    ));
    net.run(Duration::from_secs(3));
    assert!(net.agree());
}

#[test]
fn a_crash_right_after_the_first_peer_came_leaves_nobody_alone() {
    let mut net = Net::with(1, |_| {});
    net.add(1);
    net.until(Duration::from_secs(1), |net| net.node(0).peers(&name(CLUSTER_NETWORK)).len() == 2);
    net.run(Duration::from_millis(10));
    net.hosts[0].node = None;
    net.cut.extend([(0, 1), (1, 0)]);
    net.start(0);
    net.run(Duration::from_millis(500));
    assert!(!net.node(0).is_synced(&name(CLUSTER_NETWORK)), "its peer may know more");
    net.cut.clear();
    net.until(Duration::from_secs(10), |net| net.node(0).is_synced(&name(CLUSTER_NETWORK)));
    assert_eq!(net.node(0).peers(&name(CLUSTER_NETWORK)).len(), 2);
}

#[test]
fn keys_rotate_and_sleepers_catch_up() {
    let mut net = Net::with(5, |config| config.key_retire_after = Duration::from_secs(1));
    let first = net.node(0).gossip().keyring().primary().id();
    let asleep = 4;
    for i in 0..4 {
        net.cut.extend([(asleep, i), (i, asleep)]);
    }
    net.until(Duration::from_secs(10), |net| net.node(0).peers(&name(CLUSTER_NETWORK)).len() == 4);
    for turn in 0..2 {
        net.call(turn, Node::rotate).unwrap();
        net.run(Duration::from_millis(1));
        assert_eq!(net.call(turn, Node::rotate), Err(RotateError::UnderWay));
        net.until(Duration::from_secs(20), |net| {
            (0..4).all(|i| net.node(i).keys().rotation == RotationStep::Idle)
        });
    }
    assert!((0..4).all(|i| net.node(i).gossip().keyring().get(first).is_none()));
    net.cut.clear();
    let took = net.until(Duration::from_secs(10), |net| {
        (0..5).all(|i| net.node(i).peers(&name(CLUSTER_NETWORK)).len() == 5)
    });
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_key_told_of_with_a_later_epoch_than_it_has_is_followed_by_one_rotation() {
    let mut net = Net::with(3, |config| config.key_retire_after = Duration::from_secs(1));
    let id = net.node(0).gossip().keyring().primary().id();
    let record = KeyRecord { epoch: 242, stage: KeyStage::RemoveOlder, made_at: 1 };
    net.call(1, |node, now| {
        node.write_record(now, records::KEYS, &id.0, Some(records::encode(&record)));
    });
    net.run(Duration::from_mins(2));
    for i in 0..3 {
        let keyring = net.node(i).gossip().keyring();
        assert_eq!(keyring.iter().map(Key::epoch).collect::<Vec<_>>(), [243], "n{i}");
    }
}

#[test]
fn who_is_not_admitted_begins_no_rotation() {
    let mut net = Net::new(2);
    let id = net.node(0).gossip().keyring().primary().id();
    // The last epoch that is believed: a key above it counts only where it is held.
    let epoch = 1 + (1 << 20);
    let record = KeyRecord { epoch, stage: KeyStage::RemoveOlder, made_at: 1 };
    let nodes = [net.id(0), net.id(1)];
    net.call(1, |node, now| {
        for admitted in nodes {
            node.write_record(now, records::ADMITTED, &admitted.0, None);
        }
        node.write_record(now, records::KEYS, &id.0, Some(records::encode(&record)));
    });
    net.run(Duration::from_mins(2));
    for i in 0..2 {
        assert_eq!(net.call(i, Node::rotate), Err(RotateError::NotAdmitted), "n{i}");
        assert_eq!(net.node(i).gossip().keyring().primary().id(), id, "n{i}");
    }
}

#[test]
fn leaving_takes_the_rows_along_at_once() {
    let mut net = Net::new(4);
    net.attach_all();
    net.write(2, Lifetime::Owner, "k", Operation::Create, b"1").unwrap();
    net.until(Duration::from_secs(1), |net| net.values(0).len() == 1);
    net.call(2, |node, now| node.farewell(now, Farewell::Leaving));
    let took = net
        .until(Duration::from_secs(1), |net| [0, 1, 3].iter().all(|i| net.values(*i).is_empty()));
    assert!(took < Duration::from_millis(100), "{took:?}");
    net.run(Duration::from_secs(1));
    assert!(net.hosts[2].node.as_ref().unwrap().is_drained());
    let public = net.hosts[2].identity.public();
    assert!(!net.node(0).is_admitted(&public));
    let members = net.node(0).members();
    assert_eq!(
        members.iter().find(|m| m.member.id == public.node_id()).unwrap().state,
        MemberState::Left
    );
}

#[test]
fn detaching_drops_and_reattaching_fetches() {
    let mut net = Net::new(3);
    net.attach_all();
    net.write(0, Lifetime::Owner, "a", Operation::Create, b"1").unwrap();
    net.write(0, Lifetime::Cluster, "shared", Operation::Create, b"1").unwrap();
    net.write(1, Lifetime::Owner, "b", Operation::Create, b"1").unwrap();
    net.until(Duration::from_secs(1), |net| (0..3).all(|i| net.values(i).len() == 3));
    net.call(0, |node, now| node.detach(now, &name("net"))).unwrap();
    assert!(net.values(0).is_empty());
    net.until(Duration::from_secs(1), |net| (1..3).all(|i| net.values(i).len() == 2));
    net.call(0, |node, now| node.attach(now, &name("net"))).unwrap();
    net.write(0, Lifetime::Owner, "c", Operation::Create, b"1").unwrap();
    net.until(Duration::from_secs(5), |net| (0..3).all(|i| net.values(i).len() == 3));
    let compares = |net: &Net| (0..3).map(|i| net.node(i).stats().compares).sum::<u64>();
    let before = compares(&net);
    net.run(Duration::from_secs(20));
    let count = compares(&net) - before;
    assert!(count < 60, "what it wrote before it left is settled: {count} comparisons");
    assert!(net.agree());
}

#[test]
fn what_is_written_before_the_node_knows_who_is_attached_reaches_all_at_once() {
    let mut net = Net::new(5);
    net.attach_all();
    net.run(Duration::from_secs(3));
    net.hosts[1].node = None;
    net.run(Duration::from_secs(1));
    net.start(1);
    for n in 0..40 {
        net.write(1, Lifetime::Owner, &n.to_string(), Operation::Create, b"1").unwrap();
    }
    let seen = |net: &Net| (0..5).all(|i| net.values(i).len() == 40);
    let took = net.until(Duration::from_secs(5), seen);
    assert!(took < Duration::from_millis(50), "{took:?}");
}

#[test]
fn a_delete_on_its_way_does_not_count_as_known() {
    let mut net = Net::new(2);
    net.attach_all();
    net.write(0, Lifetime::Cluster, "k", Operation::Create, b"1").unwrap();
    net.run(Duration::from_secs(3));
    net.cut.insert((0, 1));
    net.write(0, Lifetime::Cluster, "k", Operation::Delete, b"").unwrap();
    net.cut.clear();
    let network = name("net");
    let theirs = sync::held_items(&net.node(1).networks.get(&network).unwrap().replica);
    let part = Part { from: 0, through: u64::MAX, content: PartContent::Items(theirs) };
    let peer = net.id(1);
    net.call(0, |node, now| node.take_held(now, peer, &network, true, [part].into()));
    net.until(Duration::from_secs(1), |net| net.values(1).is_empty());
    // What is called gone leaves no tombstone behind that stands against older writes.
    assert_eq!(net.node(1).stats().rows_gone, 0);
    assert_eq!(net.node(1).networks()[1].tombstones, 1);
}

#[test]
fn a_delete_behind_a_gap_that_nobody_can_fill_reaches_the_others() {
    let mut net = Net::new(2);
    net.attach_all();
    net.write(0, Lifetime::Cluster, "k", Operation::Create, b"1").unwrap();
    net.run(Duration::from_secs(3));
    let peer = net.id(1);
    net.call(0, |node, now| {
        let network = node.networks.get(&name("net")).unwrap();
        let (network, replica) = (Arc::clone(&network.name), &network.replica);
        let standing = replica.rows_from(core::ops::Bound::Unbounded).next().unwrap();
        // What came before it died with its writer.
        let writer = Writer { generation: Generation(1), ..standing.dot.writer };
        let dot = Dot { writer, sequence: 5 };
        let entry = Arc::new(Entry::new(standing.row.clone(), dot, standing.at + 1, None));
        let row = Unpacked { entry, age: Duration::ZERO };
        node.take_rows(now, peer, &network, [row].into());
    });
    assert!(net.values(0).is_empty());
    net.until(Duration::from_secs(10), |net| net.values(1).is_empty());
    net.run(Duration::from_secs(3));
    assert!(net.agree());
}

#[test]
fn who_has_just_left_passes_on_what_was_sent_through_it() {
    let mut net = Net::new(12);
    net.attach_all();
    net.run(Duration::from_secs(3));
    for leaving in 1..9 {
        net.call(leaving, |node, now| node.detach(now, &name("net"))).unwrap();
    }
    net.write(0, Lifetime::Cluster, "k", Operation::Create, b"1").unwrap();
    let left = [0, 9, 10, 11];
    let took =
        net.until(Duration::from_secs(5), |net| left.iter().all(|i| net.values(*i).len() == 1));
    assert!(took < Duration::from_millis(20), "{took:?}");
}

#[test]
fn what_was_acknowledged_just_before_a_detach_is_not_lost() {
    let mut net = Net::new(3);
    net.attach_all();
    net.run(Duration::from_secs(3));
    net.call(1, |node, now| {
        let write = |key: &str| Write {
            network: name("net"),
            table: name("t"),
            lifetime: Lifetime::Cluster,
            key: key.into(),
            operation: Operation::Create,
            value: (*b"1").into(),
        };
        // The second one waits for company when the node detaches.
        node.write(now, &write("a")).unwrap();
        node.flush_outbox(now);
        node.write(now, &write("b")).unwrap();
        node.detach(now, &name("net")).unwrap();
    });
    net.until(Duration::from_secs(1), |net| net.values(0).len() == 2 && net.values(2).len() == 2);
}

#[test]
fn a_founder_whose_clock_is_ahead_keeps_nobody_out() {
    let mut net = Net::new(1);
    net.hosts[0].skew = 1_200_000_000;
    (1..4).for_each(|index| net.add(index));
    net.run(Duration::from_secs(2));
    let last = net.hosts[3].identity.public();
    assert!((0..4).all(|i| net.node(i).is_admitted(&last)));
    assert!((0..4).all(|i| net.node(i).networks()[0].aside == 0));
}

#[test]
fn what_is_refused_is_not_fetched_with_every_comparison() {
    let mut net = Net::new(2);
    net.attach_all();
    net.run(Duration::from_secs(3));
    // It writes before the probes can tell it how wrong its clock is.
    net.hosts[0].skew = 120_000_000;
    for n in 0..200 {
        net.write(0, Lifetime::Cluster, &n.to_string(), Operation::Create, b"1").unwrap();
    }
    net.run(Duration::from_secs(1));
    let served = |net: &Net| net.node(0).stats().chunks_served;
    assert!(net.node(1).networks()[1].aside >= 64);
    let before = served(&net);
    net.run(Duration::from_secs(20));
    assert!(served(&net) - before <= 2, "{} chunks", served(&net) - before);
    net.run(Duration::from_mins(3));
    assert_eq!(net.values(1).len(), 200);
    assert!(net.agree());
}

#[test]
fn rows_from_before_a_node_left_a_network_do_not_return_with_it() {
    let mut net = Net::new(2);
    net.attach_all();
    net.write(1, Lifetime::Owner, "old", Operation::Create, b"1").unwrap();
    net.run(Duration::from_secs(3));
    let filter = Filter { network: Some(name("net")), ..Filter::default() };
    let watch = net.call(0, |node, now| node.watch(now, filter));
    let old = net.owned(0, 1);
    net.call(1, |node, now| node.detach(now, &name("net"))).unwrap();
    net.until(Duration::from_secs(1), |net| net.values(0).is_empty());
    net.poll(0, watch);
    // A third one, which has not heard of it yet, tells of the row: now, and when it is back.
    net.tell(0, &old);
    net.call(1, |node, now| node.attach(now, &name("net"))).unwrap();
    net.write(1, Lifetime::Owner, "new", Operation::Create, b"1").unwrap();
    net.run(Duration::from_secs(3));
    net.tell(0, &old);
    assert!(net.agree());
    let told: Vec<_> = net.poll(0, watch).into_iter().map(|event| event.kind).collect();
    assert!(
        matches!(&told[..], [EventKind::Created { new }] if &*new.row.key == b"new"),
        "{told:?}"
    );
}

#[test]
fn rows_of_an_earlier_life_do_not_return_to_who_did_not_see_them_go() {
    let mut net = Net::new(3);
    net.attach_all();
    net.write(1, Lifetime::Owner, "old", Operation::Create, b"1").unwrap();
    net.run(Duration::from_secs(3));
    let old = net.owned(0, 1);
    net.start(1);
    net.run(Duration::from_secs(1));
    assert_eq!(net.values(0).len(), 1, "its set is not whole yet");
    // Nobody says that it is; and then somebody starts again and remembers nothing.
    net.run(net.config.replace_after);
    assert!(net.values(0).is_empty());
    net.start(0);
    net.run(Duration::from_secs(1));
    let filter = Filter { network: Some(name("net")), ..Filter::default() };
    let watch = net.call(0, |node, now| node.watch(now, filter));
    net.poll(0, watch);
    // A third one, which has heard nothing of all this, tells of the row.
    net.tell(0, &old);
    assert!(net.poll(0, watch).is_empty());
}

#[test]
fn rows_of_a_node_that_fails_amid_its_restart_are_remembered() {
    let mut net = Net::new(3);
    net.attach_all();
    net.write(1, Lifetime::Owner, "old", Operation::Create, b"1").unwrap();
    net.run(Duration::from_secs(3));
    net.start(1);
    net.run(Duration::from_secs(1));
    net.cut.extend([(0, 1), (1, 0), (2, 1), (1, 2)]);
    let failed = |net: &Net| net.node(0).presences.state(net.id(1)) == MemberState::Failed;
    net.until(Duration::from_secs(8), failed);
    net.run(net.config.replace_after);
    assert!(failed(&net) && net.values(0).is_empty());
    assert_eq!(net.owned(0, 1).len(), 1, "it may say the same again when it is back");
    net.cut.clear();
    net.until(Duration::from_mins(1), |net| net.owned(0, 1).is_empty() && net.agree());
}

#[test]
fn rows_of_a_node_that_shut_down_do_not_return_with_it() {
    let mut net = Net::new(2);
    net.attach_all();
    net.write(1, Lifetime::Owner, "old", Operation::Create, b"1").unwrap();
    net.run(Duration::from_secs(1));
    let filter = Filter { network: Some(name("net")), ..Filter::default() };
    let watch = net.call(0, |node, now| node.watch(now, filter));
    let old = net.owned(0, 1);
    net.call(1, |node, now| node.farewell(now, Farewell::ShuttingDown));
    net.until(Duration::from_secs(1), |net| net.values(0).is_empty());
    net.start(1);
    net.run(Duration::from_secs(1));
    net.poll(0, watch);
    // A third one, which was cut off when the node went, tells of the row.
    net.tell(0, &old);
    assert!(net.poll(0, watch).is_empty());
    net.write(1, Lifetime::Owner, "new", Operation::Create, b"1").unwrap();
    net.run(Duration::from_secs(1));
    assert_eq!(net.values(0).len(), 1);
}

#[test]
fn who_stopped_earlier_to_count_a_stream_is_in_sync() {
    let mut net = Net::new(2);
    net.attach_all();
    net.write(1, Lifetime::Cluster, "k", Operation::Create, b"v").unwrap();
    net.write(1, Lifetime::Cluster, "k", Operation::Delete, b"").unwrap();
    net.run(Duration::from_secs(3));
    net.start(1);
    net.write(1, Lifetime::Owner, "live", Operation::Create, b"v").unwrap();
    net.run(Duration::from_secs(3));
    let network = Arc::new(name("net"));
    net.call(0, |node, now| {
        let far = Time(now.mono.0 + 100_000_000_000);
        node.networks.get_mut(&network).unwrap().replica.purge(far);
        node.retire_writers(&network);
        node.networks.get_mut(&network).unwrap().synced = false;
    });
    let counted = [0, 1].map(|i| net.node(i).received(&network).len());
    assert!(counted[0] < counted[1], "{counted:?}");
    net.until(Duration::from_secs(5), |net| net.node(0).is_synced(&network));
}

#[test]
fn a_newcomer_is_told_once_to_who_watches_failed_nodes_too() {
    let mut net = Net::new(3);
    let filter = Filter { include_failed: true, ..Filter::default() };
    let watch = net.call(0, |node, now| node.watch(now, filter));
    net.poll(0, watch);
    net.add(3);
    net.run(Duration::from_secs(3));
    let mut seen = BTreeSet::new();
    for event in net.poll(0, watch) {
        if let EventKind::Created { new } = event.kind {
            assert!(seen.insert(new.row.clone()), "created twice: {:?}", new.row);
        }
    }
    assert!(!seen.is_empty());
}

#[test]
fn an_older_disk_put_back_does_no_harm() {
    let mut net = Net::new(3);
    net.attach_all();
    net.write(1, Lifetime::Cluster, "a", Operation::Create, b"old").unwrap();
    net.run(Duration::from_secs(2));
    let old = net.hosts[1].disk.clone();
    net.write(1, Lifetime::Cluster, "a", Operation::Update, b"new").unwrap();
    net.write(1, Lifetime::Cluster, "b", Operation::Create, b"new").unwrap();
    net.until(Duration::from_secs(1), |net| net.values(0).len() == 2);
    net.hosts[1].node = None;
    net.hosts[1].disk = old;
    net.run(Duration::from_secs(1));
    net.start(1);
    net.until(Duration::from_secs(5), |net| {
        (0..3).all(|i| net.values(i).iter().all(|(_, v)| v == b"new") && net.values(i).len() == 2)
    });
}

#[test]
fn deletes_survive_a_partition_longer_than_their_tombstones() {
    let mut net = Net::with(4, |config| config.tombstone_life = Duration::from_secs(5));
    net.run(Duration::from_secs(3));
    net.attach_all();
    for key in ["gone", "kept", "fresh"] {
        net.write(0, Lifetime::Cluster, key, Operation::Create, b"1").unwrap();
    }
    net.until(Duration::from_secs(2), |net| (0..4).all(|i| net.values(i).len() == 3));
    for (a, b) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
        net.cut.extend([(a, b), (b, a)]);
    }
    net.run(Duration::from_secs(10));
    net.write(0, Lifetime::Cluster, "gone", Operation::Delete, b"").unwrap();
    net.write(2, Lifetime::Cluster, "fresh", Operation::Update, b"2").unwrap();
    net.write(3, Lifetime::Cluster, "more", Operation::Create, b"3").unwrap();
    net.run(Duration::from_secs(40));
    assert_eq!(net.node(0).networks()[1].tombstones, 0, "forgotten by now");
    net.cut.clear();
    net.until(Duration::from_secs(30), |net| {
        let expected = [("fresh", "2"), ("kept", "1"), ("more", "3")];
        let expected: Vec<_> =
            expected.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())).collect();
        (0..4).all(|i| net.values(i) == expected)
    });
    net.run(Duration::from_secs(5));
    assert!(net.agree());
}
