//! Whatever happens: no number is given twice while it is in use, and in the end every number has one holder.

use alloc::vec;
use core::time::Duration;

use proptest::prelude::*;

use super::net::{Message, Net};
use crate::ring::*;

const HOSTS: usize = 4;
const SIZE: u128 = 24;

#[derive(Clone, Copy, Debug)]
enum Step {
    Take(usize),
    Exact(usize, u128),
    Release(usize, usize),
    /// A message arrives, not in order.
    Deliver(usize),
    /// The same, and it is repeated later.
    Repeat(usize),
    Lose(usize),
    Durable(usize),
    Kill(usize),
    Restart(usize),
    Sync(usize),
    Cut(usize),
    Heal,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let host = 0..HOSTS;
    let any = 0..64usize;
    prop_oneof![
        8 => host.clone().prop_map(Step::Take),
        2 => (host.clone(), 0..SIZE).prop_map(|(h, n)| Step::Exact(h, n)),
        3 => (host.clone(), any.clone()).prop_map(|(h, n)| Step::Release(h, n)),
        30 => any.clone().prop_map(Step::Deliver),
        2 => any.clone().prop_map(Step::Repeat),
        3 => any.prop_map(Step::Lose),
        12 => host.clone().prop_map(Step::Durable),
        2 => host.clone().prop_map(Step::Kill),
        4 => host.clone().prop_map(Step::Restart),
        4 => host.clone().prop_map(Step::Sync),
        1 => host.prop_map(Step::Cut),
        1 => Just(Step::Heal),
        6 => (1..20_000u64).prop_map(Step::Wait),
    ]
}

fn act(net: &mut Net, step: Step) {
    let runs = |net: &Net, host: usize| net.hosts[host].ring.is_some();
    match step {
        Step::Take(host) if runs(net, host) => {
            net.with(host, |ring, now| ring.take(now, Wish::Any));
        }
        Step::Exact(host, n) if runs(net, host) => {
            net.with(host, |ring, now| ring.take(now, Wish::Exact(n)));
        }
        Step::Release(host, n) if runs(net, host) => {
            let given = net.given(host);
            if let Some(n) = given.get(n % given.len().max(1)) {
                net.release(host, *n);
            }
        }
        Step::Deliver(n) | Step::Repeat(n) | Step::Lose(n) if !net.wire.is_empty() => {
            let n = n % net.wire.len();
            let (from, to, message) = net.wire.remove(n).unwrap();
            match (step, &message) {
                (Step::Lose(_), Message::Ask(id, _)) => {
                    net.wire.push_back((from, from, Message::Answer(*id, None)));
                }
                // Who asked is told in the end that there is no answer.
                (Step::Lose(_), Message::Answer(id, _)) => {
                    net.wire.push_back((to, to, Message::Answer(*id, None)));
                }
                (Step::Lose(_), Message::Entry(..)) => {}
                (Step::Repeat(_), _) => {
                    net.wire.push_back((from, to, message.clone()));
                    net.deliver(from, to, message);
                }
                _ => net.deliver(from, to, message),
            }
        }
        Step::Durable(host) => net.fsync(host),
        Step::Kill(host) => net.kill(host),
        Step::Restart(host) if !runs(net, host) => net.restart(host),
        Step::Sync(host) if runs(net, host) => net.sync(host),
        Step::Cut(host) => net.cut(host, true),
        Step::Heal => (0..HOSTS).for_each(|host| net.cut(host, false)),
        Step::Wait(ms) => {
            net.now += Duration::from_millis(ms);
            net.timeouts();
        }
        _ => {}
    }
}

fn mend(net: &mut Net) {
    net.manual = false;
    for host in 0..HOSTS {
        net.cut(host, false);
        if net.hosts[host].ring.is_none() {
            net.restart(host);
        }
    }
    // Small ranges that lie idle may go from neighbour to neighbour, but not for ever.
    net.run(Duration::from_mins(4));
    for _ in 0..20 {
        if !net.moves() {
            break;
        }
        net.run(Duration::from_mins(1));
    }
    net.check_whole();
}

proptest! {
    #[test]
    fn no_number_is_given_twice(steps in prop::collection::vec(step(), 0..400)) {
        // `Net` looks at every number that is given.
        let mut net = Net::new(HOSTS, &Space::plain(SIZE).unwrap());
        net.manual = true;
        for step in steps {
            act(&mut net, step);
        }
        mend(&mut net);
        // And every number that nobody uses can be had, by anybody.
        let used: usize = net.hosts.iter().map(|host| host.given.len()).sum();
        for n in used..usize::try_from(SIZE).unwrap() {
            let taken = net.take(n % HOSTS, Wish::Any);
            prop_assert!(taken.is_ok(), "{taken:?} {:#?}", net.ring(n % HOSTS));
        }
        prop_assert!(matches!(net.take(0, Wish::Any), Err(Refusal::Full(_))));
    }
}
