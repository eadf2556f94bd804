//! Rings among themselves: the ordinary cases here, everything that can go wrong in `laws`.

mod laws;
mod net;

use alloc::{vec, vec::Vec};
use core::time::Duration;

use self::net::{Net, node};
use super::*;

fn space(size: u128) -> Space {
    Space::plain(size).unwrap()
}

#[test]
fn numbers_come_in_order_and_rest_when_given_back() {
    // Docker's macvlan example: 192.168.0.0/16, range 192.168.41.0/24, gateway .41.1, auxiliary .41.2.
    let base = 41 * 256;
    let reserved = [0, base, base + 1, base + 2, base + 255, 65_535];
    let macnet = Space::new(65_536, base..base + 256, reserved).unwrap();
    let mut net = Net::new(1, &macnet);
    assert_eq!(net.take(0, Wish::Any), Ok(base + 3));
    assert_eq!(net.take(0, Wish::Any), Ok(base + 4));
    net.release(0, base + 3);
    assert_eq!(net.take(0, Wish::Any), Ok(base + 5));
    net.run(Duration::from_secs(61));
    assert_eq!(net.take(0, Wish::Any), Ok(base + 3));
    // Whoever names a number may have any of the subnet, and needs no rest.
    assert_eq!(net.take(0, Wish::Exact(7)), Ok(7));
    net.release(0, 7);
    assert_eq!(net.take(0, Wish::Exact(7)), Ok(7));
    assert_eq!(net.take(0, Wish::Exact(7)), Err(Refusal::Taken(node(0))));
    assert_eq!(net.take(0, Wish::Exact(base + 1)), Err(Refusal::Reserved));
    assert_eq!(net.take(0, Wish::Exact(65_536)), Err(Refusal::OutOfRange(65_536)));
}

#[test]
fn a_share_comes_in_one_round_trip_and_is_halved_at_most() {
    let mut net = Net::new(3, &space(100));
    assert_eq!(net.take(0, Wish::Any), Ok(0));
    assert_eq!(net.take(1, Wish::Any), Ok(67), "a third of it, from the end");
    assert_eq!(net.take(2, Wish::Any), Ok(34));
    assert_eq!(net.asks, 2);
    assert_eq!(net.ring(0).rows().count(), 3);
    net.check_whole();
    // What was promised is gone from what the holder gives.
    for n in 1..34 {
        assert_eq!(net.take(0, Wish::Any), Ok(n));
    }
    assert_eq!(net.take(0, Wish::Any), Ok(84), "half of what is left to the first other");
}

#[test]
fn a_number_that_another_holds_is_handed_over_or_refused() {
    let mut net = Net::new(2, &space(1 << 64));
    assert_eq!(net.take(1, Wish::Exact(500)), Ok(500));
    assert_eq!(net.take(0, Wish::Exact(500)), Err(Refusal::Taken(node(1))));
    assert_eq!(net.take(0, Wish::Any), Ok(0));
    assert_eq!(net.take(1, Wish::Exact(0)), Err(Refusal::Taken(node(0))));
    assert_eq!(net.ring(1).rows().count(), 3);
    net.check_whole();
    // Once it lies idle it goes back, and all is one range again.
    net.release(1, 500);
    net.run(Duration::from_mins(3));
    assert_eq!(net.ring(0).rows().count(), 1);
    net.check_whole();
}

#[test]
fn a_full_space_says_so_and_a_silent_holder_too() {
    let mut net = Net::new(3, &space(8));
    for _ in 0..8 {
        net.take(1, Wish::Any).unwrap();
    }
    let Err(Refusal::Full(figures)) = net.take(2, Wish::Any) else { panic!("not full") };
    assert_eq!((figures.size, figures.used), (8, 8));
    net.release(1, 3);
    assert!(matches!(net.take(2, Wish::Any), Err(Refusal::Unsettled(_))), "it rests");
    net.run(Duration::from_mins(1));
    assert_eq!(net.take(2, Wish::Any), Ok(3));
    net.release(1, 4);
    net.run(Duration::from_mins(1));
    net.cut(1, true);
    let refusal = net.take(2, Wish::Any).unwrap_err();
    assert!(matches!(refusal, Refusal::Silent { .. }), "{refusal}");
    assert_eq!(net.take(2, Wish::Exact(4)), Err(Refusal::HolderSilent(node(1))));
    assert_eq!(net.take(1, Wish::Any), Ok(4), "a cut-off node goes on with its share");
}

#[test]
fn at_99_percent_every_last_number_is_found() {
    let mut net = Net::new(5, &space(1000));
    for n in 0..1000 {
        net.take(n % 5, Wish::Any).unwrap();
    }
    assert!(matches!(net.take(2, Wish::Any), Err(Refusal::Full(_))));
    // Ten numbers all over the space, and one node that needs all of them.
    let freed: Vec<u128> = (0..10).map(|n| n * 97 + 5).collect();
    for n in &freed {
        net.release_anywhere(*n);
    }
    net.run(Duration::from_secs(61));
    let mut found: Vec<u128> = freed.iter().map(|_| net.take(2, Wish::Any).unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, freed);
    net.check_whole();
    assert!(net.ring(0).rows().count() < 40, "{}", net.ring(0).rows().count());
}

#[test]
fn who_leaves_hands_everything_over() {
    let mut net = Net::new(4, &space(1 << 16));
    for n in 0..4 {
        net.take(n, Wish::Any).unwrap();
    }
    let mine = net.given(0);
    for n in mine {
        net.release(0, n);
    }
    net.leave(0);
    net.run(Duration::from_secs(2));
    assert!(net.ring(0).is_drained());
    assert_eq!(net.take(0, Wish::Any), Err(Refusal::Leaving));
    net.check_whole();
    assert!(net.ring(1).rows().all(|(_, row)| row.holder != node(0)));
}

#[test]
fn what_a_leaver_used_rests_wherever_it_goes() {
    let mut net = Net::new(3, &space(64));
    let used = net.take(0, Wish::Any).unwrap();
    net.leave(0);
    net.run(Duration::from_secs(2));
    assert!(net.ring(0).is_drained());
    // Who took it may leave in its turn, long before all of it has rested.
    net.leave(1);
    net.run(Duration::from_secs(2));
    assert!(net.ring(1).is_drained());
    assert!(matches!(net.take(2, Wish::Any), Err(Refusal::Unsettled(_))), "it rests");
    net.run(Duration::from_secs(61));
    assert_eq!(net.take(2, Wish::Exact(used)), Err(Refusal::Taken(node(0))));
    net.release(0, used);
    net.run(Duration::from_secs(61));
    assert_eq!(net.take(2, Wish::Exact(used)), Ok(used));
    net.check_whole();
}

#[test]
fn two_administrators_reclaim_at_once() {
    let mut net = Net::new(5, &space(1 << 16));
    let used: Vec<u128> = (0..5).map(|n| net.take(n, Wish::Any).unwrap()).collect();
    net.run(Duration::from_secs(31));
    assert_eq!(net.reclaim(1, &[0], Heir::Anyone), Err(TakeoverError::Alive(node(0))));
    net.kill(0);
    net.kill(4);
    net.run(Duration::from_secs(1));
    assert_eq!(net.reclaim(1, &[0], Heir::Anyone), Err(TakeoverError::Absent(vec![node(4)])));
    assert_eq!(net.ring(1).inherited().count(), 0);
    net.restart(4);
    net.run(Duration::from_secs(1));
    net.manual = true;
    assert!(net.reclaim(1, &[0], Heir::Anyone).unwrap() > 0);
    assert!(net.reclaim(2, &[0], Heir::Anyone).unwrap() > 0);
    net.manual = false;
    net.settle();
    net.run(Duration::from_secs(20));
    assert!(net.ring(3).rows().any(|(_, row)| row.state != State::Held), "the heir waits");
    let heirs: Vec<NodeId> = net.ring(3).inherited().map(|range| range.heir).collect();
    assert!(net.ring(1).inherited().all(|range| range.from == node(0)));
    assert!(!heirs.is_empty() && !heirs.contains(&node(0)), "{heirs:?}");
    net.run(Duration::from_mins(2));
    net.check_whole();
    assert!(net.ring(3).rows().all(|(_, row)| row.holder != node(0)));
    // What its endpoint still names stays reserved.
    assert_eq!(net.take(3, Wish::Exact(used[0])), Err(Refusal::Taken(node(0))));
    // And it sees that it holds nothing.
    net.restart(0);
    net.run(Duration::from_secs(1));
    assert_eq!(net.ring(0).free(), 0);
    assert!(net.take(0, Wish::Any).is_ok(), "it is given a share as any node");
}

#[test]
fn a_host_installed_anew_takes_over_its_own() {
    let mut net = Net::new(3, &space(1 << 16));
    net.take(1, Wish::Any).unwrap();
    net.kill(0);
    net.run(Duration::from_secs(31));
    assert!(net.reclaim(2, &[0], Heir::Me).unwrap() > 0);
    net.run(Duration::from_mins(2));
    net.check_whole();
    assert!(net.ring(2).free() > 40_000);
}

#[test]
fn nothing_is_given_before_a_peer_was_heard() {
    let mut net = Net::new(2, &space(256));
    net.take(1, Wish::Any).unwrap();
    net.cut(1, true);
    net.kill(1);
    net.restart(1);
    assert_eq!(net.take(1, Wish::Any), Err(Refusal::NotSynced));
    net.cut(1, false);
    net.run(Duration::from_secs(1));
    assert!(net.take(1, Wish::Any).is_ok());
}

#[test]
fn bounds_hold() {
    let mut ring = Ring::new(node(0), space(16), Config::default(), Time(0), []);
    for _ in 0..=MAX_WAITING {
        ring.take(Time(0), Wish::Any);
    }
    let refused = core::iter::from_fn(|| ring.poll_output());
    let refused: Vec<Output> = refused.collect();
    assert!(matches!(refused[..], [Output::Refused { why: Refusal::Busy, .. }]), "{refused:?}");
    // Rows that reach beyond the space, and questions that are none.
    let row = |end| Row { end, version: 1, holder: node(1), state: State::Held, free_bits: 0 };
    ring.handle_row(Time(0), 4, Some(row(17)));
    ring.handle_row(Time(0), 4, Some(row(4)));
    assert_eq!(ring.rows().count(), 0);
    ring.handle_ask(Time(0), node(1), &[9; 40], 1);
    assert!(matches!(ring.poll_output(), Some(Output::Reply { .. })));
    ring.handle_answer(Time(0), 99, Some(&[1, 2, 3]));
    for version in 0..2_000 {
        let take = Ask::Take { start: u128::from(version % 16), version, rests: false };
        ring.handle_ask(Time(0), node(1), &take.encode(), 1);
    }
    assert!(ring.words.len() <= 16);
}
