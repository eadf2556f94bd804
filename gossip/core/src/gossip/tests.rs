//! The whole core on a small virtual network.

use alloc::vec::Vec;
use core::time::Duration;

use super::{
    Member, MemberEvent, MemberState, SendError,
    net::{Net, addr, id, member},
};
use crate::{config::Config, identity::Generation};

const SECOND: Duration = Duration::from_secs(1);

fn lan(count: usize, seed: u64) -> Net {
    Net::joined(Config::lan(), count, seed)
}

fn all(net: &Net) -> Vec<usize> {
    (0..net.nodes.len()).collect()
}

fn but(net: &Net, out: usize) -> Vec<usize> {
    all(net).into_iter().filter(|index| *index != out).collect()
}

fn events_of(event: &MemberEvent, index: usize) -> bool {
    match event {
        MemberEvent::Up(m)
        | MemberEvent::Suspected(m)
        | MemberEvent::Trusted(m)
        | MemberEvent::Down(m)
        | MemberEvent::Renewed { new: m, .. } => m.id == id(index),
        _ => false,
    }
}

#[test]
fn two_and_ten_nodes_join() {
    for count in [2, 10] {
        let mut net = Net::new(Config::lan(), count, 1);
        (1..count).for_each(|index| net.join(index, 0));
        net.until(2 * SECOND, "joined", |net| net.agree(&all(net), &all(net), MemberState::Alive));
        net.run(30 * SECOND);
        for at in all(&net) {
            assert_eq!(net.count(at, |event| matches!(event, MemberEvent::Up(_))), count - 1);
            assert_eq!(net.nodes[at].events.len(), count - 1, "nothing but Up");
            assert_eq!(net.nodes[at].gossip.local_health(), 0);
            assert_eq!(net.nodes[at].gossip.stats().drops.total(), 0);
        }
    }
}

#[test]
fn a_killed_node_is_suspected_then_down_everywhere_and_returns() {
    let mut net = lan(25, 2);
    let others = but(&net, 7);
    net.nodes[7].up = false;
    let suspected = |net: &Net| {
        but(net, 7).iter().all(|at| {
            net.count(*at, |event| matches!(event, MemberEvent::Suspected(m) if m.id == id(7))) == 1
        })
    };
    net.until(3 * SECOND, "suspected", suspected);
    net.until(4 * SECOND, "down", |net| net.agree(&others, &[7], MemberState::Down));
    for at in &others {
        let told: Vec<_> = net.nodes[*at].events.iter().map(|(_, event)| *event).collect();
        assert_eq!(told, [MemberEvent::Suspected(member(7)), MemberEvent::Down(member(7))]);
    }
    let again = Member { generation: Generation(1_800_000_100), ..member(7) };
    net.nodes.remove(7);
    net.add(again);
    let last = net.nodes.len() - 1;
    net.join(last, 0);
    let up = |net: &Net| {
        (0..last)
            .all(|at| net.nodes[at].gossip.member(again.id) == Some((&again, MemberState::Alive)))
    };
    net.until(2 * SECOND, "up again", up);
    assert!(net.nodes[3].events.iter().any(|(_, event)| *event == MemberEvent::Up(again)));
}

#[test]
fn a_quick_restart_is_renewed_without_being_down() {
    let mut net = lan(5, 3);
    let old = *net.nodes[4].gossip.me();
    let new = Member { generation: Generation(1_800_000_100), ..old };
    net.nodes.pop();
    net.add(new);
    net.join(4, 0);
    net.run(10 * SECOND);
    for at in 0..4 {
        let told: Vec<_> = net.nodes[at].events.iter().map(|(_, event)| *event).collect();
        assert_eq!(told, [MemberEvent::Renewed { old, new }]);
    }
}

#[test]
fn who_leaves_is_down_at_once_and_may_return() {
    let mut net = lan(10, 4);
    net.with(3, super::Gossip::leave);
    let others = but(&net, 3);
    net.until(SECOND, "gone", |net| net.agree(&others, &[3], MemberState::Down));
    net.run(20 * SECOND);
    assert!(net.agree(&others, &[3], MemberState::Down), "stays away");
    let again = Generation(1_800_000_100);
    net.with(3, |gossip, now| gossip.renew(now, again));
    net.join(3, 0);
    net.until(2 * SECOND, "back", |net| net.agree(&others, &[3], MemberState::Alive));
    net.run(10 * SECOND);
    assert!(net.agree(&all(&net), &all(&net), MemberState::Alive));
}

#[test]
fn a_false_suspicion_is_refuted() {
    let mut net = lan(10, 5);
    // Deaf for less than suspicion lasts.
    net.nodes[6].group = 1;
    let others = but(&net, 6);
    net.until(4 * SECOND, "suspected", |net| {
        others.iter().all(|at| net.state(*at, 6) == Some(MemberState::Suspect))
    });
    net.nodes[6].group = 0;
    net.until(2 * SECOND, "trusted", |net| net.agree(&others, &[6], MemberState::Alive));
    net.run(10 * SECOND);
    for at in others {
        let told: Vec<_> = net.nodes[at].events.iter().map(|(_, event)| *event).collect();
        assert_eq!(
            told.iter().filter(|event| events_of(event, 6)).copied().collect::<Vec<_>>(),
            [MemberEvent::Suspected(member(6)), MemberEvent::Trusted(member(6))]
        );
    }
    assert!(net.nodes[6].gossip.stats().membership.refutations > 0);
}

#[test]
fn a_node_called_down_renews_itself() {
    let mut net = lan(10, 6);
    net.nodes[6].group = 1;
    let others = but(&net, 6);
    net.until(10 * SECOND, "down", |net| net.agree(&others, &[6], MemberState::Down));
    net.nodes[6].group = 0;
    net.until(35 * SECOND, "up", |net| net.agree(&all(net), &all(net), MemberState::Alive));
    let me = *net.nodes[6].gossip.me();
    assert_eq!(me.generation, member(6).generation);
    assert!(me.revision > 0);
}

#[test]
fn a_partition_heals() {
    for seed in 0..5 {
        let mut net = lan(10, 100 + seed);
        (5..10).for_each(|index| net.nodes[index].group = 1);
        let (left, right): (Vec<_>, Vec<_>) = ((0..5).collect(), (5..10).collect());
        net.until(20 * SECOND, "split", |net| {
            net.agree(&left, &right, MemberState::Down)
                && net.agree(&right, &left, MemberState::Down)
        });
        assert!(net.agree(&left, &left, MemberState::Alive));
        net.run(60 * SECOND);
        net.nodes.iter_mut().for_each(|node| node.group = 0);
        net.until(10 * SECOND, "healed", |net| net.agree(&all(net), &all(net), MemberState::Alive));
    }
}

#[test]
fn two_nodes_at_one_address_are_told_of_and_stay() {
    let mut net = lan(4, 8);
    net.add(Member { addr: addr(2), ..member(4) });
    net.join(4, 0);
    net.run(150 * SECOND);
    let conflict = |event: &MemberEvent| {
        let pair = [id(2).min(id(4)), id(2).max(id(4))];
        matches!(event, MemberEvent::AddressConflict { address, one, other }
            if *address == addr(2) && [*one, *other] == pair)
    };
    for at in all(&net) {
        assert_eq!(net.count(at, conflict), 3, "once a minute at {at}");
        assert_eq!(net.count(at, |event| matches!(event, MemberEvent::Down(_))), 0);
    }
    assert!(net.agree(&all(&net), &all(&net), MemberState::Alive));
}

#[test]
fn an_address_changes_without_a_gap() {
    let mut net = lan(6, 9);
    net.with(2, |gossip, now| gossip.change_address(now, addr(200)));
    net.until(3 * SECOND, "known", |net| {
        but(net, 2).iter().all(|at| {
            net.nodes[*at].gossip.member(id(2)).is_some_and(|(member, _)| member.addr == addr(200))
        })
    });
    net.run(20 * SECOND);
    for at in but(&net, 2) {
        let told: Vec<_> = net.nodes[at].events.iter().map(|(_, event)| *event).collect();
        assert!(matches!(told.as_slice(), [MemberEvent::Renewed { .. }]), "{told:?}");
    }
}

#[test]
fn a_restored_snapshot_learns_of_its_later_generation() {
    let mut net = lan(5, 10);
    net.with(1, |gossip, now| gossip.renew(now, Generation(1_900_000_000)));
    net.run(5 * SECOND);
    let known: Vec<_> =
        net.nodes[0].gossip.members().map(|(member, state)| (*member, state)).collect();
    // The same node from an older copy of its disk.
    net.nodes.remove(1);
    net.add(member(1));
    let last = net.nodes.len() - 1;
    net.with(last, |gossip, now| gossip.contact(now, &known));
    let seen = MemberEvent::GenerationSeen(Generation(1_900_000_000));
    net.until(2 * SECOND, "told", |net| net.count(last, |event| *event == seen) == 1);
    net.with(last, |gossip, now| gossip.renew(now, Generation(1_900_000_001)));
    net.until(2 * SECOND, "back", |net| {
        (0..last).all(|at| {
            net.nodes[at].gossip.member(id(1)).is_some_and(|(m, state)| {
                m.generation == Generation(1_900_000_001) && state == MemberState::Alive
            })
        })
    });
}

#[test]
fn a_copy_at_another_address_is_noticed_by_the_original() {
    let mut net = lan(5, 10);
    let known: Vec<_> =
        net.nodes[0].gossip.members().map(|(member, state)| (*member, state)).collect();
    // A copy of the state of node 1 starts on another host: a later generation there.
    let copy = Generation(1_900_000_000);
    net.add(Member { generation: copy, addr: addr(77), ..member(1) });
    let last = net.nodes.len() - 1;
    net.with(last, |gossip, now| gossip.contact(now, &known));
    let seen = MemberEvent::GenerationSeen(copy);
    net.until(5 * SECOND, "told", |net| net.count(1, |event| *event == seen) > 0);
}

#[test]
fn a_deaf_node_doubts_itself_and_recovers() {
    let mut net = lan(10, 11);
    net.nodes[4].group = 1;
    let worst = net.until(30 * SECOND, "doubt", |net| net.nodes[4].gossip.local_health() >= 2);
    assert!(worst > Duration::ZERO);
    net.nodes[4].group = 0;
    net.until(120 * SECOND, "health", |net| net.nodes[4].gossip.local_health() == 0);
    net.until(60 * SECOND, "together", |net| net.agree(&all(net), &all(net), MemberState::Alive));
}

#[test]
fn a_paused_node_accuses_nobody_when_it_wakes() {
    for seed in 0..10 {
        let mut net = lan(10, 200 + seed);
        net.pause(3);
        net.run(20 * SECOND);
        net.wake(3);
        net.until(10 * SECOND, "together", |net| {
            net.agree(&all(net), &all(net), MemberState::Alive)
        });
        net.run(5 * SECOND);
        for at in all(&net) {
            let wrong = |event: &MemberEvent| matches!(event, MemberEvent::Suspected(m) | MemberEvent::Down(m) if m.id != id(3));
            assert_eq!(net.count(at, wrong), 0);
        }
    }
}

#[test]
fn who_missed_a_refutation_asks_before_it_judges() {
    for seed in 0..10 {
        let mut net = lan(10, 300 + seed);
        net.pause(3);
        net.until(2 * SECOND, "suspected", |net| {
            but(net, 3).iter().all(|at| {
                net.nodes[*at].gossip.member(id(3)).is_some_and(|(_, s)| s == MemberState::Suspect)
            })
        });
        net.nodes[6].group = 1;
        net.wake(3);
        net.run(SECOND / 3);
        net.nodes[6].group = 0;
        net.run(5 * SECOND);
        for at in all(&net) {
            let down = |event: &MemberEvent| matches!(event, MemberEvent::Down(m) if m.id == id(3));
            assert_eq!(net.count(at, down), 0, "seed {seed}, node {at}");
        }
    }
}

#[test]
fn loss_of_a_fifth_downs_nobody() {
    let mut net = lan(10, 12);
    net.loss_percent = 20;
    net.run(300 * SECOND);
    for at in all(&net) {
        assert_eq!(net.count(at, |event| matches!(event, MemberEvent::Down(_))), 0);
    }
}

#[test]
fn clocks_settle_on_the_median() {
    let mut net = lan(5, 13);
    for (index, ahead) in [0, 2_000_000, -3_000_000, 500_000, 40_000_000].into_iter().enumerate() {
        net.nodes[index].ahead = ahead;
    }
    net.run(300 * SECOND);
    for at in all(&net) {
        let cluster = net.nodes[at].ahead + net.nodes[at].gossip.cluster_offset();
        assert!((cluster - 500_000).abs() < 1_000, "{at}: {cluster}");
    }
}

#[test]
fn sending_is_refused_with_a_reason() {
    let mut net = lan(2, 14);
    let max = net.nodes[0].gossip.max_frame();
    let mut send = |to, len: usize| {
        net.with(0, |gossip, now| gossip.send(now, id(to), alloc::vec![0; len].into(), 0, true))
    };
    assert_eq!(send(9, 1), Err(SendError::Unknown));
    assert_eq!(send(0, 1), Err(SendError::Unknown));
    assert_eq!(send(1, max + 1), Err(SendError::TooLarge { len: max + 1, max }));
    assert_eq!(send(1, max), Ok(()));
    net.run(SECOND);
    assert_eq!(net.nodes[1].received.len(), 1);
    assert!(net.largest <= 1400);
    net.nodes[1].up = false;
    net.until(20 * SECOND, "down", |net| net.state(0, 1) == Some(MemberState::Down));
    let refused = net.with(0, |gossip, now| gossip.send(now, id(1), [1u8][..].into(), 0, true));
    assert_eq!(refused, Err(SendError::Down));
}

#[test]
fn one_seed_is_one_history() {
    let history = |seed| {
        let mut net = lan(8, seed);
        net.loss_percent = 10;
        net.nodes[2].group = 1;
        net.run(20 * SECOND);
        net.nodes[2].group = 0;
        net.run(20 * SECOND);
        (net.packets, net.nodes.iter().map(|node| node.events.clone()).collect::<Vec<_>>())
    };
    assert_eq!(history(15), history(15));
    assert_ne!(history(15).0, history(16).0);
}

#[test]
fn a_rumour_that_missed_a_node_is_noticed() {
    let mut net = lan(10, 17);
    // Node 4 hears nothing while another joins, and is back before anybody minds.
    net.nodes[4].group = 1;
    net.add(member(10));
    net.join(10, 0);
    net.run(SECOND / 3);
    assert_eq!(net.state(0, 10), Some(MemberState::Alive));
    net.nodes[4].group = 0;
    net.until(10 * SECOND, "told", |net| net.agree(&all(net), &all(net), MemberState::Alive));
    let noticed = |at: &usize| net.nodes[*at].gossip.stats().membership.differences > 0;
    assert!(all(&net).iter().any(noticed), "by comparing, not by chance");
}

#[test]
fn down_members_are_forgotten_in_time() {
    let config = Config { forget_down_after: 120 * SECOND, ..Config::lan() };
    let mut net = Net::joined(config, 4, 18);
    net.nodes[3].up = false;
    net.run(100 * SECOND);
    assert!(net.agree(&[0, 1, 2], &[3], MemberState::Down));
    net.run(120 * SECOND);
    assert!((0..3).all(|at| net.state(at, 3).is_none()));
    let quiet = net.packets;
    net.run(10 * SECOND);
    assert!(net.packets - quiet < 100, "nobody calls it any more");
}

#[test]
fn the_core_may_move_to_the_task_that_owns_it() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<super::Gossip>();
}
