//! A balance follows from the rows alone, whatever order they came in; each backend has its share of it; and what a
//! change makes of a table is what the whole would be.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format, vec,
    vec::Vec,
};
use core::net::IpAddr;

use netdb_core::view::OwnerState;
use netdb_gossip_core::identity::{Name, NodeId};
use proptest::prelude::*;

use super::{Balance, Balances, Idle, Kept, MAX_EXACT, Spread, slots};
use crate::{
    firewall::{Edits, Firewall, Layer, SeenFirewall, rebalance},
    records::{
        Backend, BackendState, EndpointId, EndpointRecord, Health, Mac, NetworkId, ServiceId,
        ServiceMode, ServiceRecord,
    },
    services::Services,
};

const NETWORK: NetworkId = NetworkId([1; 16]);
const HERE: NodeId = NodeId([0; 16]);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn at(last: usize) -> IpAddr {
    let [.., high, low] = last.to_be_bytes();
    [10, 0, high, low].into()
}

fn service(number: u8, prefers_local: bool) -> (ServiceId, ServiceRecord) {
    let vips = vec![[10, 1, 0, number].into(), format!("fd00::1:{number}").parse().unwrap()];
    let record = ServiceRecord {
        vips,
        prefers_local,
        created_us: u64::from(number),
        ..ServiceRecord::new(name(&format!("s{number}")), NETWORK, ServiceMode::Vip)
    };
    (ServiceId([number; 16]), record)
}

fn endpoint(number: u8, backend: Option<Backend>, moves: u32) -> EndpointRecord {
    let v6 = format!("fd00::{number}/64").parse().unwrap();
    EndpointRecord {
        network: NETWORK,
        name: name(&format!("e{number}")),
        aliases: vec![],
        addresses: vec![format!("10.0.0.{number}/16").parse().unwrap(), v6],
        mac: Mac([2, 0, 0, 0, 0, number]),
        sandbox: "x".into(),
        tunnels: vec![],
        moves,
        mtu: 1450,
        backend,
    }
}

fn backend(service: u8, weight: u16) -> Backend {
    let service = name(&format!("s{service}"));
    Backend { weight, ..Backend::new(service.clone(), service) }
}

fn ready(number: u8) -> EndpointRecord {
    endpoint(number, Some(backend(1, 1)), 0)
}

fn balances(rows: &[(u8, &EndpointRecord, OwnerState)], local: bool) -> Balances {
    let mut balances = Balances::new(HERE);
    balances.put_services(&Services::new([service(1, local)]));
    for (node, record, state) in rows {
        let id = EndpointId([record.mac.0[5]; 16]);
        balances.put_endpoint(NETWORK, NodeId([*node; 16]), id, Some((record, *state)));
    }
    balances
}

/// Who gets what is new, by the last number of the address.
fn served(balances: &Balances) -> Vec<u8> {
    let balance = balances.of(NETWORK);
    let mut all: Vec<u8> = Vec::new();
    for vip in &service(1, false).1.vips {
        let slots = balance.get(*vip).unwrap().slots().iter();
        let mut of: Vec<u8> = slots
            .map(|slot| match slot {
                IpAddr::V4(address) => address.octets()[3],
                IpAddr::V6(address) => address.octets()[15],
            })
            .collect();
        of.sort_unstable();
        assert!(all.is_empty() || all == of, "both families alike");
        all = of;
    }
    all
}

#[test]
fn only_those_that_may_get_what_is_new() {
    use OwnerState::{Alive, Failed, Restarting, Suspect};
    let (one, two) = (ready(1), ready(2));
    assert_eq!(served(&balances(&[], false)), [0_u8; 0]);
    assert_eq!(served(&balances(&[(1, &one, Alive), (2, &two, Restarting)], false)), [1, 2]);
    assert_eq!(served(&balances(&[(1, &one, Alive), (2, &two, Suspect)], false)), [1]);
    assert_eq!(served(&balances(&[(1, &one, Failed), (2, &two, Suspect)], false)), [2]);
    assert_eq!(served(&balances(&[(1, &one, Failed)], false)), [0_u8; 0]);
    let but = |change: &dyn Fn(&mut Backend)| {
        let mut backend = backend(1, 1);
        change(&mut backend);
        let other = endpoint(2, Some(backend), 0);
        served(&balances(&[(1, &one, Alive), (2, &other, Alive)], false))
    };
    assert_eq!(but(&|b| b.weight = 2), [1, 2, 2]);
    assert_eq!(but(&|b| b.weight = 0), [1]);
    assert_eq!(but(&|b| b.health = Health::Unhealthy), [1]);
    assert_eq!(but(&|b| b.state = BackendState::Draining), [1]);
    assert_eq!(but(&|b| b.state = BackendState::Disabled), [1]);
    assert_eq!(but(&|b| b.service = name("else")), [1]);
}

#[test]
fn who_prefers_its_own_node_gets_that_as_long_as_it_serves() {
    use OwnerState::{Alive, Suspect};
    let (one, two) = (ready(1), ready(2));
    assert_eq!(served(&balances(&[(0, &one, Alive), (2, &two, Alive)], true)), [1]);
    assert_eq!(served(&balances(&[(0, &one, Alive), (2, &two, Alive)], false)), [1, 2]);
    let drains = Backend { state: BackendState::Draining, ..backend(1, 1) };
    let drains = endpoint(1, Some(drains), 0);
    assert_eq!(served(&balances(&[(0, &drains, Alive), (2, &two, Alive)], true)), [2]);
    assert_eq!(served(&balances(&[(0, &drains, Alive), (2, &two, Suspect)], true)), [2]);
}

#[test]
fn of_who_moves_the_later_place_serves() {
    use OwnerState::{Alive, Failed};
    let (old, new) = (ready(1), endpoint(1, Some(backend(1, 1)), 1));
    assert_eq!(served(&balances(&[(2, &old, Alive), (1, &new, Alive)], false)), [1]);
    assert_eq!(served(&balances(&[(2, &old, Alive), (1, &new, Failed)], false)), [0_u8; 0]);
    let idle = endpoint(1, None, 1);
    assert_eq!(served(&balances(&[(2, &old, Alive), (1, &idle, Alive)], false)), [0_u8; 0]);
}

#[test]
fn it_is_told_why_one_gets_nothing() {
    use OwnerState::{Alive, Suspect};
    let heavy = endpoint(3, Some(backend(1, 3)), 0);
    let (one, two) = (ready(1), ready(2));
    let all = balances(&[(1, &one, Alive), (2, &two, Suspect), (3, &heavy, Alive)], false);
    let told = all.explain(service(1, false).0);
    assert_eq!(told.len(), 2);
    for of in told {
        let shares: Vec<_> = of.shares.iter().map(|share| (share.slots, share.idle)).collect();
        assert_eq!(shares, [((1, 4), None), ((0, 4), Some(Idle::Suspected)), ((3, 4), None)]);
    }
    assert_eq!(all.explain(ServiceId([9; 16])), []);
}

#[test]
fn what_goes_on_is_less_and_less() {
    let (a, b) = (at(1), at(2));
    let spread = |keeps: &[(IpAddr, Kept)]| {
        Spread::new(None, &BTreeMap::new(), keeps.iter().copied().collect())
    };
    let mut before = Balance::default();
    before.put(at(9), Some(spread(&[(a, Kept::All), (b, Kept::Connections)])));
    let (both, none) = ((true, true), (false, false));
    let keeps =
        |balance: &Balance, to| (balance.keeps(at(9), to, true), balance.keeps(at(9), to, false));
    assert_eq!(
        (keeps(&before, a), keeps(&before, b), keeps(&before, at(3))),
        (both, (true, false), none)
    );
    let then = |keeps: &[(IpAddr, Kept)]| {
        let mut after = before.clone();
        after.put(at(9), Some(spread(keeps)));
        after.ends_of(&before)
    };
    assert!(!then(&[(a, Kept::All), (b, Kept::All)]));
    assert!(then(&[(a, Kept::Connections), (b, Kept::Connections)]) && then(&[(a, Kept::All)]));
    // What is not balanced is nobody's business, nor is what is not any more.
    assert_eq!(keeps(&Balance::default(), a), both);
    assert!(!Balance::default().ends_of(&before));
}

#[test]
fn one_backend_more_or_less_moves_few_slots() {
    let weights = |many: usize| (0..many).map(|n| (at(n), 1)).collect::<BTreeMap<_, _>>();
    let ten = Spread::new(None, &weights(10), BTreeMap::new());
    let mut less = weights(10);
    less.remove(&at(4));
    let nine = Spread::new(Some(&ten), &less, BTreeMap::new());
    let moved = nine.slots().iter().zip(ten.slots()).filter(|(now, was)| now != was).count();
    assert_eq!((nine.slots().len(), moved), (9, 1));
    let again = Spread::new(Some(&nine), &weights(10), BTreeMap::new());
    assert_eq!(again.slots().iter().zip(nine.slots()).filter(|(now, was)| now != was).count(), 0);
}

#[test]
fn weights_are_exact_until_there_are_too_many_slots() {
    let counts = |weights: &[u16]| -> Vec<usize> {
        let weights = weights.iter().map(|weight| usize::from(*weight));
        let weights = weights.enumerate().map(|(n, weight)| (at(n), weight)).collect();
        slots::counts(&weights).into_values().collect()
    };
    assert_eq!(counts(&[]), []);
    assert_eq!(counts(&[7]), [1]);
    assert_eq!(counts(&[0, 5]), [1]);
    assert_eq!(counts(&[10, 20, 30]), [1, 2, 3]);
    assert_eq!(counts(&[255, 1]), [255, 1]);
    assert_eq!(counts(&[1; 300]), [1; 300]);
    let some = counts(&[256, 255, 1]);
    assert_eq!((some.iter().sum::<usize>(), some[2]), (MAX_EXACT, 1));
}

proptest! {
    #[test]
    fn each_weight_has_its_share(weights in proptest::collection::vec(0_u16..=256, 1..40)) {
        let weights = weights.iter().map(|weight| usize::from(*weight));
        let all: BTreeMap<IpAddr, usize> =
            weights.enumerate().map(|(n, weight)| (at(n), weight)).collect();
        let counts = slots::counts(&all);
        let total: usize = counts.values().sum();
        let sum: usize = all.values().sum();
        let some = all.values().filter(|weight| **weight > 0).count();
        prop_assert_eq!(counts.len(), some);
        prop_assert!(total <= MAX_EXACT.max(2 * some));
        for (at, count) in counts {
            // So many slots would be right; each gets one at least, at the others' cost.
            let right = all[&at] * total / sum;
            prop_assert!(count >= 1);
            prop_assert!(count <= right + 1, "{} for {}", count, right);
            prop_assert!(count + some > right, "{} for {}", count, right);
        }
    }

    #[test]
    fn the_rows_alone_decide_and_a_change_makes_what_the_whole_would_be(
        steps in proptest::collection::vec((0_u8..6, 0_u8..3, 0_u8..9), 1..40),
    ) {
        let states =
            [OwnerState::Alive, OwnerState::Suspect, OwnerState::Restarting, OwnerState::Failed];
        let mut rows: BTreeMap<(u8, u8), (EndpointRecord, OwnerState)> = BTreeMap::new();
        let mut services: BTreeSet<u8> = [1].into();
        let mut all = Balances::new(HERE);
        all.put_services(&Services::new([service(1, false)]));
        let mut seen = SeenFirewall::default();
        let firewall = |all: &Balances| Firewall {
            balances: [(NETWORK, all.of(NETWORK))].into(),
            ..Firewall::default()
        };
        let first = crate::firewall::edits(&firewall(&all), &seen, &BTreeMap::new());
        seen = seen.edited(0, &first).unwrap();
        for (number, node, how) in steps {
            let before = firewall(&all);
            if how == 8 {
                if !services.remove(&number) {
                    services.insert(number);
                }
                services.insert(1);
                all.put_services(&Services::new(services.iter().map(|n| service(*n, *n == 2))));
            } else {
                let backend = backend(1 + number % 2, u16::from(how));
                let record = endpoint(number, Some(backend), u32::from(node));
                let state = states[usize::from(how) % 4];
                let row = (how > 0).then_some((record, state));
                let id = EndpointId([number; 16]);
                let told = row.as_ref().map(|(record, state)| (record, *state));
                all.put_endpoint(NETWORK, NodeId([node; 16]), id, told);
                match row {
                    Some(row) => drop(rows.insert((number, node), row)),
                    None => drop(rows.remove(&(number, node))),
                }
            }
            let after = firewall(&all);
            let edits = rebalance(&before, &after).unwrap();
            seen = seen.edited(seen.generation, &edits).unwrap();
            let whole = after.table();
            prop_assert_eq!(seen.ours.get(&Layer::Packets), whole.as_ref());
            let none = BTreeMap::new();
            prop_assert_eq!(crate::firewall::edits(&after, &seen, &none), Edits::new());
        }
        // In another order, and all at once.
        let mut anew = Balances::new(HERE);
        for ((number, node), (record, state)) in rows.iter().rev() {
            let id = EndpointId([*number; 16]);
            anew.put_endpoint(NETWORK, NodeId([*node; 16]), id, Some((record, *state)));
        }
        anew.put_services(&Services::new(services.iter().map(|n| service(*n, *n == 2))));
        for number in services {
            prop_assert_eq!(anew.explain(service(number, false).0), all.explain(service(number, false).0));
        }
        prop_assert_eq!(anew.of(NETWORK).len(), all.of(NETWORK).len());
    }
}
