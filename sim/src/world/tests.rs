//! The fabric, tried with processes of a few lines: they answer what they get.

use std::{net::SocketAddr, time::Duration};

use netdb_core::node::DiskOp;
use netdb_gossip_core::time::Time;

use super::{
    fabric::Fabric,
    link::Link,
    machine::{Delivery, Power, RECEIVE_BUFFER, RECEIVE_OVERHEAD},
    port::Rate,
    streams::{CONNECT_TIMEOUT, GIVE_UP, QUEUE_MESSAGES},
};
use crate::seed::{MILLION, Seed};

const MS: Duration = Duration::from_millis(1);

fn addr(host: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(host).unwrap()], 7946))
}

fn hosts(seed: u64, count: usize) -> Fabric {
    let mut fabric = Fabric::new(Seed(seed), Link::with_delay(MS), Rate::GIGABIT);
    for host in 0..count {
        fabric.add(addr(host));
        fabric.start(host);
    }
    fabric
}

/// Runs for `span`, admitting every stream; returns what was delivered.
fn run(fabric: &mut Fabric, span: Duration) -> Vec<(Time, usize, String)> {
    let limit = fabric.now() + span;
    let mut log = Vec::new();
    while let Some((host, delivery)) = fabric.next(limit) {
        let what = match delivery {
            Delivery::Datagram { bytes, .. } => format!("datagram {}", bytes.len()),
            Delivery::Stream { from, message } => format!("stream {from} {}", message[0]),
            Delivery::StreamFailed { to } => format!("failed {to}"),
            Delivery::Dialled { from, connection } => {
                fabric.answer(host, from, connection, true);
                continue;
            }
            Delivery::Committed(ids) => format!("durable {ids:?}"),
            Delivery::Timer => "timer".into(),
            Delivery::Action(id) => format!("action {id}"),
        };
        log.push((fabric.now(), host, what));
    }
    log
}

fn texts(log: &[(Time, usize, String)]) -> Vec<&str> {
    log.iter().map(|(_, _, what)| what.as_str()).collect()
}

#[test]
fn a_datagram_takes_the_link_s_latency() {
    let mut fabric = hosts(1, 2);
    fabric.send(0, addr(1), vec![0; 100]);
    let log = run(&mut fabric, MS * 10);
    assert_eq!(texts(&log), ["datagram 100"]);
    assert!((800..=1_202).contains(&log[0].0.0), "{:?}", log[0].0);
}

#[test]
fn loss_duplicates_and_order() {
    let mut fabric = hosts(2, 2);
    fabric.topology.link.loss = MILLION / 5;
    fabric.topology.link.duplicate = MILLION / 10;
    for n in 0..1_000 {
        fabric.send(0, addr(1), vec![0; n + 1]);
    }
    let log = run(&mut fabric, MS * 100);
    let mut kinds: Vec<&str> = texts(&log);
    let arrived = kinds.len();
    kinds.sort_unstable();
    kinds.dedup();
    assert!((750..850).contains(&kinds.len()), "{} of 1,000 at 20 % loss", kinds.len());
    assert!((50..120).contains(&(arrived - kinds.len())), "duplicates");
}

#[test]
fn too_large_for_the_path_is_lost() {
    let mut fabric = hosts(1, 2);
    fabric.send(0, addr(1), vec![0; 1472]);
    fabric.send(0, addr(1), vec![0; 1473]);
    assert_eq!(texts(&run(&mut fabric, MS * 10)), ["datagram 1472"]);
    assert_eq!(fabric.traffic(0).lost, 1);
}

#[test]
fn cuts_take_what_is_under_way_and_only_their_direction() {
    let mut fabric = hosts(1, 2);
    fabric.send(0, addr(1), vec![0; 10]);
    fabric.cuts.cut(0, 1);
    fabric.send(1, addr(0), vec![0; 20]);
    assert_eq!(texts(&run(&mut fabric, MS * 10)), ["datagram 20"]);
    fabric.cuts.heal();
    fabric.send(0, addr(1), vec![0; 30]);
    assert_eq!(texts(&run(&mut fabric, MS * 10)), ["datagram 30"]);
}

#[test]
fn a_pause_holds_everything_back_in_order_and_the_kernel_keeps_only_so_much() {
    let mut fabric = hosts(1, 2);
    fabric.set_timer(1, Some(Time(2_000)));
    fabric.pause(1, MS * 50);
    let size = 1_000;
    let fits = RECEIVE_BUFFER / (size + RECEIVE_OVERHEAD);
    for _ in 0..=fits {
        fabric.send(0, addr(1), vec![0; size]);
        run(&mut fabric, Duration::from_micros(9));
    }
    assert!(run(&mut fabric, MS).is_empty());
    let log = run(&mut fabric, MS * 100);
    assert_eq!(log.len(), fits + 1, "the last datagram found the buffer full");
    assert_eq!(log.last().unwrap().2, "timer");
}

#[test]
fn a_slow_process_does_one_thing_after_the_other_and_keeps_their_order() {
    let mut fabric = hosts(1, 2);
    fabric.slow_down(1, MS * 10);
    for size in 1..=5 {
        fabric.send(0, addr(1), vec![0; size]);
        run(&mut fabric, Duration::from_micros(500));
    }
    fabric.pause(1, MS * 100);
    for size in 6..=8 {
        fabric.send(0, addr(1), vec![0; size]);
        run(&mut fabric, Duration::from_micros(500));
    }
    let log = run(&mut fabric, MS * 300);
    let sizes: Vec<String> = (2..=8).map(|size| format!("datagram {size}")).collect();
    assert_eq!(texts(&log), sizes, "the first came before the pause");
    let gaps = log.windows(2).map(|pair| pair[1].0.since(pair[0].0));
    assert!(gaps.clone().all(|gap| gap >= MS * 10), "{:?}", gaps.collect::<Vec<_>>());
    fabric.slow_down(1, Duration::ZERO);
    fabric.send(0, addr(1), vec![0; 9]);
    assert_eq!(run(&mut fabric, MS * 3).len(), 1);
}

#[test]
fn a_deadline_can_move_both_ways() {
    let mut fabric = hosts(1, 1);
    fabric.set_timer(0, Some(Time(5_000)));
    fabric.set_timer(0, Some(Time(9_000)));
    fabric.set_timer(0, Some(Time(7_000)));
    let log = run(&mut fabric, MS * 20);
    assert_eq!((log.len(), log[0].0), (1, Time(7_000)));
    fabric.set_timer(0, Some(Time(30_000)));
    fabric.set_timer(0, Some(Time(25_000)));
    assert_eq!(run(&mut fabric, MS * 20)[0].0, Time(25_000));
    assert!(run(&mut fabric, MS * 20).is_empty());
}

#[test]
fn streams_keep_order_and_open_once() {
    let mut fabric = hosts(1, 2);
    for n in 0..5 {
        fabric.send_stream(0, 1, vec![n; 10]);
    }
    let log = run(&mut fabric, MS * 50);
    assert_eq!(texts(&log), ["stream 0 0", "stream 0 1", "stream 0 2", "stream 0 3", "stream 0 4"]);
    assert!((6_500..=7_500).contains(&log[0].0.0), "three round trips and a way: {:?}", log[0].0);
    let asked = fabric.now();
    fabric.send_stream(1, 0, vec![9; 10]);
    let log = run(&mut fabric, MS * 50);
    assert_eq!(texts(&log), ["stream 1 9"]);
    assert!(log[0].0.since(asked) < MS * 2, "the open connection is used");
}

#[test]
fn large_messages_pay_for_bandwidth_and_window() {
    let mut fabric = hosts(1, 2);
    fabric.send_stream(0, 1, vec![0; 1]);
    run(&mut fabric, MS * 50);
    let asked = fabric.now();
    fabric.send_stream(0, 1, vec![1; 1 << 20]);
    let first = run(&mut fabric, MS * 500)[0].0.since(asked);
    let asked = fabric.now();
    fabric.send_stream(0, 1, vec![1; 1 << 20]);
    let second = run(&mut fabric, MS * 500)[0].0.since(asked);
    assert!(first > MS * 20 && first < MS * 30, "slow start: {first:?}");
    assert!(second > MS * 9 && second < MS * 12, "a gigabit: {second:?}");
}

#[test]
fn a_short_cut_delays_a_stream_and_a_long_one_breaks_it() {
    let mut fabric = hosts(1, 2);
    fabric.send_stream(0, 1, vec![0; 1]);
    run(&mut fabric, MS * 50);
    fabric.cuts.partition(&[vec![0]]);
    fabric.send_stream(0, 1, vec![1; 1]);
    assert!(run(&mut fabric, MS * 2_000).is_empty());
    fabric.cuts.heal();
    assert_eq!(texts(&run(&mut fabric, MS * 2_000)), ["stream 0 1"]);
    fabric.cuts.partition(&[vec![0]]);
    fabric.send_stream(0, 1, vec![2; 1]);
    fabric.send_stream(0, 1, vec![3; 1]);
    let asked = fabric.now();
    let log = run(&mut fabric, GIVE_UP * 2);
    assert_eq!(texts(&log), ["failed 1"], "told once for both messages");
    assert!(log[0].0.since(asked) >= GIVE_UP);
}

#[test]
fn unreachable_and_refusing_hosts_fail_in_their_own_time() {
    let mut fabric = hosts(1, 3);
    fabric.stop(1, Power::Off, false);
    fabric.stop(2, Power::Dead, false);
    fabric.send_stream(0, 1, vec![1; 1]);
    fabric.send_stream(0, 2, vec![2; 1]);
    let log = run(&mut fabric, CONNECT_TIMEOUT * 2);
    assert_eq!(texts(&log), ["failed 2", "failed 1"]);
    assert!(log[0].0 < Time(3_000), "refused at once");
    assert!(log[1].0.since(Time(0)) >= CONNECT_TIMEOUT);
}

#[test]
fn a_killed_process_breaks_its_streams_and_forgets_what_was_meant_for_it() {
    let mut fabric = hosts(1, 2);
    fabric.send_stream(0, 1, vec![0; 1]);
    run(&mut fabric, MS * 50);
    fabric.send_stream(0, 1, vec![1; 1]);
    fabric.send_stream(1, 0, vec![2; 1]);
    fabric.stop(1, Power::Dead, false);
    fabric.start(1);
    let log = run(&mut fabric, MS * 5_000);
    assert!(!texts(&log).contains(&"stream 0 1"), "{log:?}");
    assert!(texts(&log).contains(&"failed 1"), "{log:?}");
    fabric.send_stream(1, 0, vec![3; 1]);
    assert_eq!(texts(&run(&mut fabric, MS * 50)), ["stream 1 3"]);
}

#[test]
fn one_more_than_the_queue_takes_fails_at_once() {
    let mut fabric = hosts(1, 2);
    for n in 0..=QUEUE_MESSAGES {
        fabric.send_stream(0, 1, vec![u8::try_from(n).unwrap(); 1]);
    }
    let log = run(&mut fabric, MS * 50);
    assert_eq!(log[0].2, "failed 1");
    assert_eq!(log.len(), QUEUE_MESSAGES + 1);
}

#[test]
fn commits_survive_an_orderly_stop_and_only_durable_ones_a_kill() {
    let put = |key: u8| vec![DiskOp { key: vec![key], value: Some(vec![key]) }];
    let mut fabric = hosts(1, 2);
    fabric.commit(0, 1, put(1));
    fabric.commit(0, 2, put(2));
    assert_eq!(texts(&run(&mut fabric, MS * 100)), ["durable [1]", "durable [2]"]);
    fabric.commit(0, 3, put(3));
    fabric.stop(0, Power::Dead, true);
    assert_eq!(fabric.machines[0].disk.content().len(), 3);
    fabric.commit(1, 1, put(1));
    fabric.commit(1, 2, put(2));
    fabric.stop(1, Power::Dead, false);
    fabric.start(1);
    assert!(run(&mut fabric, MS * 100).is_empty(), "nobody is told of an earlier life's commits");
    assert!(fabric.machines[1].disk.content().len() <= 1);
}

#[test]
fn one_seed_one_trace() {
    let trace = |seed| {
        let mut fabric = hosts(seed, 3);
        fabric.topology.link.loss = MILLION / 10;
        for n in 0..50 {
            fabric.send(0, addr(1 + n % 2), vec![0; n]);
            fabric.send_stream(1, 2, vec![0; n + 1]);
        }
        run(&mut fabric, MS * 500);
        fabric.trace.hash()
    };
    assert_eq!(trace(1), trace(1));
    assert_ne!(trace(1), trace(2));
}
