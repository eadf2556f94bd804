//! Two nodes and the frames between them.

use alloc::{collections::BTreeSet, sync::Arc, vec, vec::Vec};
use core::time::Duration;

use crate::{
    config::Config,
    gossip::{
        Gossip, Member, MemberState, Output, SendError,
        net::{Net, addr, gossip, id, member},
    },
    identity::Generation,
    time::{Now, Time, Wall},
};

const MS: Duration = Duration::from_millis(1);

fn pair(seed: u64) -> Net {
    Net::joined(Config::lan(), 2, seed)
}

fn frame(token: u64) -> Arc<[u8]> {
    token.to_le_bytes().into()
}

fn send(net: &mut Net, token: u64) -> Result<(), SendError> {
    net.with(0, |gossip, now| gossip.send(now, id(1), frame(token), token, true))
}

fn arrived(net: &Net) -> BTreeSet<u64> {
    let number = |frame: &[u8]| u64::from_le_bytes(frame.try_into().unwrap());
    net.nodes[1].received.iter().map(|(_, frame)| number(frame)).collect()
}

#[test]
fn every_frame_arrives_through_loss() {
    for seed in 0..5 {
        let mut net = pair(seed);
        net.loss_percent = 20;
        let wanted: BTreeSet<u64> = (0..2_000).collect();
        for token in &wanted {
            send(&mut net, *token).unwrap();
            net.run(MS / 4);
        }
        for _ in 0..20 {
            net.run(500 * MS);
            // What was given up is the upper layer's to send again.
            for (to, token, lost) in core::mem::take(&mut net.nodes[0].lost) {
                assert_eq!((to, &*lost), (id(1), &*frame(token)));
                send(&mut net, token).unwrap();
            }
        }
        assert_eq!(arrived(&net), wanted);
        assert_eq!(net.nodes[0].gossip.queued(id(1)), 0);
        let stats = net.nodes[0].gossip.stats().link;
        assert!(stats.frames_repeated > 200, "{stats:?}");
    }
}

#[test]
fn without_loss_nothing_is_repeated_and_frames_share_packets() {
    let mut net = pair(1);
    let before = net.packets;
    net.with(0, |gossip, now| {
        (0..40).for_each(|token| gossip.send(now, id(1), frame(token), token, true).unwrap());
    });
    assert_eq!(net.packets - before, 1);
    net.run(10 * MS);
    assert_eq!(net.packets - before, 2, "and one ack");
    assert_eq!(arrived(&net).len(), 40);
    let stats = net.nodes[0].gossip.stats().link;
    assert_eq!((stats.frames_acked, stats.frames_repeated), (40, 0));
}

#[test]
fn an_answer_carries_the_ack() {
    let now = Now { mono: Time(1), wall: Wall(1) };
    let [mut one, mut two] = [0, 1].map(|index| {
        let mut gossip = gossip(&Config::lan(), member(index), 1, now);
        gossip.contact(now, &[(member(1 - index), MemberState::Alive)]);
        packets(&mut gossip, now);
        gossip
    });
    one.send(now, id(1), frame(1), 1, true).unwrap();
    let [mut question] = packets(&mut one, now).try_into().unwrap();
    two.handle_packet(now, addr(0), &mut question);
    two.send(now, id(0), frame(2), 2, true).unwrap();
    let [mut answer] = packets(&mut two, now).try_into().unwrap();
    one.handle_packet(now, addr(1), &mut answer);
    assert_eq!(one.stats().link.frames_acked, 1);
    assert_eq!(
        one.poll_output(now),
        Some(Output::Received { from: id(1), frame: frame(2).to_vec() })
    );
}

fn packets(gossip: &mut Gossip, now: Now) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut kept = Vec::new();
    while let Some(output) = gossip.poll_output(now) {
        match output {
            Output::Packet { bytes, .. } => packets.push(bytes),
            other => kept.push(other),
        }
    }
    assert!(kept.iter().all(|output| !matches!(output, Output::Lost { .. })));
    packets
}

#[test]
fn what_a_peer_said_while_it_was_taken_for_dead_is_not_acknowledged() {
    for seed in 0..10 {
        let mut net = Net::joined(Config::lan(), 12, 40 + seed);
        let last = 11;
        net.nodes[last].up = false;
        net.until(10_000 * MS, "down", |net| {
            (0..last).all(|at| net.state(at, last) == Some(MemberState::Down))
        });
        net.nodes.pop();
        net.add(Member { generation: Generation(1_800_000_100), ..member(last) });
        let others: Vec<_> = (0..last).map(|at| (member(at), MemberState::Alive)).collect();
        net.with(last, |gossip, now| gossip.contact(now, &others));
        for token in 0..40 {
            net.with(last, |gossip, now| {
                (0..last)
                    .for_each(|at| gossip.send(now, id(at), frame(token), token, true).unwrap());
            });
            net.run(3 * MS);
        }
        net.run(5_000 * MS);
        for (at, token) in (0..last).flat_map(|at| (0..40).map(move |token| (at, token))) {
            let told =
                net.nodes[last].lost.iter().any(|(to, lost, _)| (*to, *lost) == (id(at), token));
            let taken = net.nodes[at].received.iter().any(|(_, got)| **got == *frame(token));
            assert!(
                told || taken,
                "seed {seed}, node {at}: frame {token} was dropped, and acknowledged"
            );
        }
    }
}

#[test]
fn what_follows_to_a_silent_peer_is_late_the_first_time() {
    let mut net = pair(3);
    (0..50).for_each(|token| {
        send(&mut net, token).unwrap();
        net.run(5 * MS);
    });
    net.nodes[1].up = false;
    send(&mut net, 98).unwrap();
    net.until(100 * MS, "late", |net| net.nodes[0].late == [(id(1), 98)]);
    send(&mut net, 99).unwrap();
    let took = net.until(200 * MS, "late", |net| net.nodes[0].late.len() == 2);
    assert_eq!(took, Duration::ZERO);
    net.run(300 * MS);
    assert_eq!(net.nodes[0].late.len(), 2, "told once");
}

#[test]
fn frames_to_a_dead_peer_are_lost_after_backing_off() {
    let mut net = pair(3);
    (0..50).for_each(|token| {
        send(&mut net, token).unwrap();
        net.run(5 * MS);
    });
    assert!(net.nodes[0].gossip.rtt(id(1)).unwrap() < 5 * MS);
    net.nodes[1].up = false;
    let before = net.packets;
    send(&mut net, 99).unwrap();
    let took = net.until(2000 * MS, "lost", |net| net.nodes[0].lost.len() == 1);
    // 5 + 5 + 10 + 20 + 40 + 80 + 160 + 320 ms.
    assert_eq!(took, 640 * MS);
    assert!((8..12).contains(&(net.packets - before)));
    assert_eq!(net.nodes[0].lost[0], (id(1), 99, frame(99)));
    assert_eq!(net.nodes[0].late, [(id(1), 99)], "told once, while it was still repeated");
    assert!(!net.nodes[0].gossip.is_responsive(id(1)));
    assert_eq!(net.nodes[0].gossip.queued(id(1)), 0);
}

#[test]
fn frames_to_a_member_that_goes_down_or_starts_anew_are_lost_at_once() {
    let mut net = Net::joined(Config { max_retries: 16, ..Config::lan() }, 2, 4);
    net.nodes[1].up = false;
    send(&mut net, 1).unwrap();
    net.until(20_000 * MS, "down", |net| net.state(0, 1) == Some(MemberState::Down));
    assert_eq!(net.nodes[0].lost.len(), 1);

    let mut net = Net::joined(Config { max_retries: 16, ..Config::lan() }, 2, 5);
    net.loss_percent = 100;
    send(&mut net, 1).unwrap();
    net.run(MS);
    net.loss_percent = 0;
    net.with(1, |gossip, now| gossip.renew(now, Generation(1_900_000_000)));
    net.run(2 * MS);
    assert_eq!(net.nodes[0].lost.len(), 1);
}

#[test]
fn the_window_and_the_queue_are_bounded() {
    let config = Config { queue_bytes: 64 * 1024, ..Config::lan() };
    let mut net = Net::joined(config, 2, 6);
    net.nodes[1].up = false;
    let before = net.packets;
    let big: Arc<[u8]> = vec![7; net.nodes[0].gossip.max_frame()].into();
    let mut taken = 0;
    while net.with(0, |gossip, now| gossip.send(now, id(1), big.clone(), 0, true)).is_ok() {
        taken += 1;
    }
    assert_eq!(taken, 64 * 1024 / (big.len() + 3));
    assert_eq!(net.packets - before, 16, "the first window");
    let queued = net.nodes[0].gossip.queued(id(1));
    assert!(queued <= 64 * 1024 && queued > 60 * 1024);
    let full = net.with(0, |gossip, now| gossip.send(now, id(1), big.clone(), 0, true));
    assert_eq!(full, Err(SendError::Full));
}

#[test]
fn the_window_grows_to_its_limit_and_no_further() {
    let mut net = pair(7);
    let big: Arc<[u8]> = vec![7; net.nodes[0].gossip.max_frame()].into();
    for _ in 0..200 {
        net.with(0, |gossip, now| {
            gossip.send(now, id(1), big.clone(), 0, true).unwrap();
        });
        net.run(MS / 10);
    }
    net.run(50 * MS);
    let before = net.packets;
    net.nodes[1].up = false;
    net.with(0, |gossip, now| {
        (0..200).for_each(|_| gossip.send(now, id(1), big.clone(), 0, true).unwrap());
    });
    assert_eq!(net.packets - before, 64);
}

#[test]
fn unacknowledged_frames_are_sent_once() {
    let mut net = pair(8);
    net.loss_percent = 100;
    net.with(0, |gossip, now| gossip.send(now, id(1), frame(1), 1, false).unwrap());
    net.loss_percent = 0;
    net.with(0, |gossip, now| gossip.send(now, id(1), frame(2), 2, false).unwrap());
    net.run(300 * MS);
    assert_eq!(arrived(&net), BTreeSet::from([2]));
    assert!(net.nodes[0].lost.is_empty());
    assert_eq!(net.nodes[0].gossip.queued(id(1)), 0);
}

#[test]
fn a_new_life_of_the_sender_is_not_taken_for_a_replay() {
    let mut net = pair(9);
    (0..100).for_each(|token| send(&mut net, token).unwrap());
    net.run(50 * MS);
    net.with(0, |gossip, now| Gossip::renew(gossip, now, Generation(1_900_000_000)));
    (100..200).for_each(|token| send(&mut net, token).unwrap());
    net.run(50 * MS);
    assert_eq!(arrived(&net), (0..200).collect());
    let drops: Vec<_> = net.nodes[1].gossip.stats().drops.iter().filter(|(_, n)| *n > 0).collect();
    assert!(drops.is_empty(), "{drops:?}");
}
