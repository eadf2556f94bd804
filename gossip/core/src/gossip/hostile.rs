//! Packets that open and are wrong all the same: everything an insider or a confused peer may say.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::{
    Gossip, Member, MemberEvent, MemberState, Output,
    net::{Net, addr, gossip, id, keyring, member},
};
use crate::{
    config::Config,
    identity::{ClusterId, Generation, NodeId},
    link::{Kind, MAX_STRANGERS},
    membership::testing::{message, update_of},
    packet::{ClusterTag, Draft, DropReason},
    time::{Now, Time, Wall},
};

fn at(micros: u64) -> Now {
    Now { mono: Time(micros), wall: Wall(1_800_000_000_000_000 + micros) }
}

fn seal(from: &Member, number: u64, to: Option<NodeId>, frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut draft = Draft::new(9000, from.id, from.generation, number);
    for (kind, body) in frames {
        assert!(draft.push(*kind, body));
    }
    let mut entropy = ChaCha20Rng::seed_from_u64(number);
    draft.seal(keyring().primary(), ClusterTag::of(ClusterId([7; 16])), to, &mut entropy)
}

/// Node 0, which knows node 1.
fn victim(config: &Config) -> Gossip {
    let mut victim = gossip(config, member(0), 1, at(0));
    victim.contact(at(1), &[(member(1), MemberState::Alive)]);
    drain(&mut victim, at(1));
    victim
}

fn drain(gossip: &mut Gossip, now: Now) -> Vec<Output> {
    core::iter::from_fn(|| gossip.poll_output(now)).collect()
}

fn give(victim: &mut Gossip, now: Now, packet: Vec<u8>) -> Vec<Output> {
    let mut packet = packet;
    victim.handle_packet(now, addr(1), &mut packet);
    drain(victim, now)
}

fn membership(frame: Vec<u8>) -> (u8, Vec<u8>) {
    (Kind::Membership as u8, frame)
}

#[test]
fn what_is_wrong_with_a_packet_is_counted() {
    let mut victim = victim(&Config::lan());
    let gossip = [membership(message(member(1), member(0), 8, &[]))];
    let plain = [(Kind::Plain as u8, vec![1])];
    let old = Member { generation: Generation(1), ..member(1) };
    let cases = [
        (DropReason::OwnName, seal(&member(0), 1, Some(id(0)), &[])),
        (DropReason::Unaddressed, seal(&member(1), 1, None, &gossip)),
        (DropReason::Unaddressed, seal(&member(1), 2, None, &plain)),
        (DropReason::NotOpened, seal(&member(1), 3, Some(id(2)), &gossip)),
        (DropReason::StaleGeneration, seal(&old, 4, Some(id(0)), &[])),
    ];
    for (reason, packet) in cases {
        let before = victim.stats().drops;
        give(&mut victim, at(5), packet);
        assert_eq!(victim.stats().drops.get(reason), before.get(reason) + 1);
        assert_eq!(victim.stats().drops.total(), before.total() + 1);
    }
    let once = seal(&member(1), 9, Some(id(0)), &gossip);
    give(&mut victim, at(6), once.clone());
    assert_eq!(victim.stats().packets_received, 1);
    give(&mut victim, at(6), once);
    assert_eq!(victim.stats().drops.get(DropReason::Replayed), 1);
    // An announcement may come unaddressed, and its sender becomes a member.
    let new = membership(message(member(2), member(0), 6, &[]));
    give(&mut victim, at(7), seal(&member(2), 1, None, &[new]));
    assert_eq!(victim.member(id(2)), Some((&member(2), MemberState::Alive)));
}

#[test]
fn unknown_kinds_and_bodies_are_ignored_and_the_rest_is_used() {
    let mut victim = victim(&Config::lan());
    let frames = [
        (99, vec![1]),
        (Kind::Ack as u8, vec![]),
        (Kind::Ack as u8, vec![member(0).generation.0.to_le_bytes()[0], 100, 0, 0]),
        (Kind::TimeReply as u8, vec![0; 10]),
        (Kind::TimeProbe as u8, vec![0; 7]),
        membership(vec![77; 30]),
        (Kind::Plain as u8, vec![5]),
    ];
    let outputs = give(&mut victim, at(5), seal(&member(1), 1, Some(id(0)), &frames));
    assert!(outputs.contains(&Output::Received { from: id(1), frame: vec![5] }));
    assert_eq!(victim.stats().frames_ignored, 5);
    assert_eq!(victim.stats().membership.malformed, 1);
}

#[test]
fn claims_about_our_own_id_never_make_it_a_member() {
    let mut victim = victim(&Config::lan());
    let later = Member { generation: Generation(1_800_000_009), ..member(0) };
    let revised = Member { revision: 7, addr: addr(9), ..member(0) };
    let older = Member { generation: Generation(3), ..member(0) };
    let mut seen = Vec::new();
    for (number, claim) in [later, later, revised, older].into_iter().enumerate() {
        for (state, offset) in [(0, 0), (1, 1), (2, 2)] {
            let number = (number * 3 + offset + 1) as u64;
            let frame = message(member(1), *victim.me(), 8, &[update_of(claim, 3, state)]);
            seen.append(&mut give(
                &mut victim,
                at(number * 10),
                seal(&member(1), number, Some(id(0)), &[membership(frame)]),
            ));
        }
    }
    victim.handle_timeout(at(1_000_000));
    drain(&mut victim, at(1_000_000));
    let told =
        |output: &&Output| **output == Output::Event(MemberEvent::GenerationSeen(later.generation));
    assert_eq!(seen.iter().filter(told).count(), 1, "once");
    assert_eq!(victim.members().count(), 1);
    assert_eq!(victim.me().revision, 8, "above whatever is claimed");
    // No revision left: only a new generation helps.
    let last = Member { revision: u16::MAX, ..member(0) };
    let frame = message(member(1), *victim.me(), 8, &[update_of(last, 0, 0)]);
    give(&mut victim, at(1_000_001), seal(&member(1), 50, Some(id(0)), &[membership(frame)]));
    victim.handle_timeout(at(60_000_000));
    let outputs = drain(&mut victim, at(60_000_000));
    let own = MemberEvent::GenerationSeen(victim.me().generation);
    assert!(outputs.contains(&Output::Event(own)));
}

#[test]
fn being_called_down_again_and_again_renews_ever_more_rarely() {
    let mut victim = victim(&Config::lan());
    for step in 0..6_000 {
        let now = at(step * 100_000);
        victim.handle_timeout(now);
        let frame = message(member(1), *victim.me(), 9, &[]);
        give(&mut victim, now, seal(&member(1), step + 1, Some(id(0)), &[membership(frame)]));
    }
    // Ten minutes at one per 30 s, and the first few faster.
    assert!((20..40).contains(&victim.stats().membership.renewals));
}

#[test]
fn members_and_strangers_are_bounded() {
    let config = Config { max_members: 8, ..Config::lan() };
    let mut victim = victim(&config);
    for n in 2..200usize {
        let news: Vec<_> = (2..20).map(|k| update_of(member((n + k) % 255), 0, 0)).collect();
        let frame = message(member(1), *victim.me(), 8, &news);
        give(
            &mut victim,
            at(n as u64),
            seal(&member(1), n as u64, Some(id(0)), &[membership(frame)]),
        );
        let stranger = message(member(n), *victim.me(), 6, &[]);
        give(&mut victim, at(n as u64), seal(&member(n), 1, Some(id(0)), &[membership(stranger)]));
    }
    assert_eq!(victim.members().count(), 8);
    assert!(victim.stats().membership.members_refused > 100);
    for n in 0..u16::MAX / 32 {
        let [a, b] = n.to_le_bytes();
        let mut stranger = member(3);
        stranger.id.0[7] = a;
        stranger.id.0[8] = b;
        give(
            &mut victim,
            at(1_000),
            seal(&stranger, 1, Some(id(0)), &[(Kind::Acked as u8, vec![1])]),
        );
    }
    assert!(victim.links.len() <= MAX_STRANGERS + 8 + 1);
}

#[test]
fn frames_of_a_down_sender_are_not_delivered_and_it_is_told() {
    let mut victim = victim(&Config::lan());
    victim.contact(at(2), &[(member(1), MemberState::Down), (member(2), MemberState::Alive)]);
    drain(&mut victim, at(2));
    let packet = seal(&member(1), 1, Some(id(0)), &[(Kind::Acked as u8, vec![1])]);
    let outputs = give(&mut victim, at(3), packet);
    assert!(!outputs.iter().any(|output| matches!(output, Output::Received { .. })));
    assert!(outputs.iter().any(|o| matches!(o, Output::Packet { to, .. } if *to == addr(1))));
    assert_eq!(victim.stats().from_down, 1);
}

#[test]
fn nodes_with_different_packet_sizes_understand_each_other() {
    let mut net = Net::new(Config { mtu: 9000, ..Config::lan() }, 30, 1);
    for index in (0..30).step_by(2) {
        let small = Config { mtu: 576, ..Config::lan() };
        net.nodes[index].gossip = gossip(&small, member(index), index as u64, at(1_000_000));
    }
    (1..30).for_each(|index| net.join(index, 0));
    let all: Vec<usize> = (0..30).collect();
    let limit = Duration::from_secs(10);
    net.until(limit, "joined", |net| net.agree(&all, &all, MemberState::Alive));
    for index in all {
        assert_eq!(net.nodes[index].gossip.stats().membership.malformed, 0);
    }
}

prop_compose! {
    fn any_member()(node in 0usize..5, generation in 1_799_999_999u64..1_800_000_002,
                    revision in prop_oneof![Just(0u16), Just(1), Just(u16::MAX)], at in 0usize..5)
        -> Member {
        Member { generation: Generation(generation), revision, addr: addr(at), ..member(node) }
    }
}

fn any_frame() -> impl Strategy<Value = (u8, Vec<u8>)> {
    let update = (any_member(), prop_oneof![0u16..3, Just(u16::MAX)], 0u8..3)
        .prop_map(|(member, incarnation, state)| update_of(member, incarnation, state))
        .boxed();
    let speech = (any_member(), any_member(), 0u8..11, prop::collection::vec(update, 0..6))
        .prop_map(|(src, dst, kind, updates)| membership(message(src, dst, kind, &updates)))
        .boxed();
    let noise = (0u8..9, prop::collection::vec(any::<u8>(), 0..60));
    let cut = (speech.clone(), any::<prop::sample::Index>()).prop_map(|((kind, mut body), at)| {
        body.truncate(at.index(body.len() + 1));
        (kind, body)
    });
    prop_oneof![4 => speech, 1 => noise, 1 => cut]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever authenticated peers say in whatever order: no panic, bounds kept, never itself among
    /// its members, every deadline in the future.
    #[test]
    fn anything_may_be_said(
        packets in prop::collection::vec(
            (any_member(), prop::collection::vec(any_frame(), 0..4), 0u64..700_000), 1..60)
    ) {
        let mut victim = victim(&Config { max_members: 4, ..Config::lan() });
        let mut now = 10;
        for (number, (sender, frames, pause)) in packets.into_iter().enumerate() {
            now += pause;
            let packet = seal(&sender, number as u64 + 1, Some(id(0)), &frames);
            give(&mut victim, at(now), packet);
            while victim.poll_timeout().is_some_and(|due| due.0 <= now) {
                victim.handle_timeout(at(now));
                drain(&mut victim, at(now));
            }
            prop_assert!(victim.members().count() <= 4);
            prop_assert!(victim.member(id(0)).is_none());
            prop_assert_eq!(victim.me().generation, member(0).generation);
        }
    }
}
