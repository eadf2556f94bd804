//! Load balancing in our table: where what is for a virtual address goes.
//!
//! | set or chain | what is in it |
//! | --- | --- |
//! | `services-v4-N` | virtual addresses that have N slots |
//! | `backends-v4` | a virtual address and a slot: the backend |
//! | `unserved-v4` | virtual addresses that nobody serves |
//! | `balance-in`, `balance-out` | send what is new to `balance-v4` or `balance-v6` |
//! | `balance-v4` | for each N translates what is for one of those addresses to the backend of one of N slots, by chance |
//! | `refuse-out`, `refuse-through` | refuse at once what nobody serves |
//!
//! All ports and protocols go the same way, and ports stay as they are. There is a rule for each number of slots, and
//! no more for ten thousand addresses than for one. A map from addresses to chains would be one rule for all numbers;
//! but whenever an element of such a map changes, the kernel looks again at all of them.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    sync::Arc,
    vec,
    vec::Vec,
};
use core::net::IpAddr;

use super::{
    Chain, Edit, Edits, Elements, Expr, Family, Field, Firewall, Hook, Kind, Layer, Refusal,
    Register, Rule, Set, Table, Verdict,
    render::{
        DSTNAT, FILTER, FIRST, address, address_field, after, chain, equals, family, load, number,
        protocol,
    },
};
use crate::{
    lb::{Balance, Spread},
    records::Protocol,
};

/// What a set is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sets {
    /// Addresses that have so many slots.
    Services(usize),
    Backends,
    Unserved,
}

impl Sets {
    fn name(self, family: Family) -> String {
        let family = suffix(family);
        match self {
            Self::Services(slots) => format!("services-{family}-{slots}"),
            Self::Backends => format!("backends-{family}"),
            Self::Unserved => format!("unserved-{family}"),
        }
    }

    fn empty(self, family: Family) -> Set {
        let at = address_field(family);
        match self {
            Self::Services(_) | Self::Unserved => Set::new(&[at], &[]),
            Self::Backends => Set::new(&[at, Field::Mark], &[at]),
        }
    }
}

fn suffix(family: Family) -> &'static str {
    match family {
        Family::V4 => "v4",
        Family::V6 => "v6",
    }
}

fn chain_name(family: Family) -> String {
    format!("balance-{}", suffix(family))
}

/// Puts what balances into a table.
pub(super) fn render(firewall: &Firewall, table: &mut Table) {
    let tiers = tiers(firewall);
    for family in Family::BOTH {
        for kind in [Sets::Backends, Sets::Unserved] {
            table.sets.insert(kind.name(family), kind.empty(family));
        }
        let rules = rules(&tiers, family);
        table.chains.insert(chain_name(family), Chain { base: None, rules });
    }
    for (family, slots) in tiers {
        let kind = Sets::Services(slots);
        table.sets.insert(kind.name(family), kind.empty(family));
    }
    for (vip, spread) in firewall.balances.values().flat_map(Balance::iter) {
        for (kind, key, value) in elements(vip, spread) {
            if let Some(set) = table.sets.get_mut(&kind.name(Family::of(vip))) {
                set.elements.insert(key, value);
            }
        }
    }
    let balance: Vec<Rule> = Family::BOTH.map(go_on).into();
    let refuse: Vec<Rule> = Family::BOTH.map(refuse).into_iter().flatten().collect();
    let chains = [
        ("balance-in", chain(Kind::Nat, Hook::Prerouting, DSTNAT, balance.clone())),
        ("balance-out", chain(Kind::Nat, Hook::Output, DSTNAT, balance)),
        ("refuse-out", chain(Kind::Filter, Hook::Output, FILTER, refuse.clone())),
        ("refuse-through", chain(Kind::Filter, Hook::Forward, FILTER, refuse)),
    ];
    table.chains.extend(chains.map(|(name, chain)| (name.into(), chain)));
}

/// What makes a table that balances as one wanted `before` balance as another is wanted `now`: only what moved is
/// looked at. `None` if that is not all that differs.
pub fn rebalance(before: &Firewall, now: &Firewall) -> Option<Edits> {
    let balances = |firewall: &Firewall| !firewall.balances.values().all(Balance::is_empty);
    let apart = before.bridges != now.bridges
        || before.published != now.published
        || before.tunnels != now.tunnels
        || before.mesh != now.mesh
        || before.names != now.names
        || !balances(before)
        || !balances(now)
        || !before.balances.keys().eq(now.balances.keys());
    if apart {
        return None;
    }
    // What goes and what comes.
    let mut changes: BTreeMap<(Sets, Family), (Elements, Elements)> = BTreeMap::new();
    for (network, balance) in &now.balances {
        let others = || now.balances.iter().chain(&before.balances).filter(|(n, _)| *n != network);
        for (vip, old, new) in balance.moved(before.balances.get(network)?) {
            // Of networks whose subnets overlap, one has the address: that is seen by looking at all of it.
            if others().any(|(_, other)| other.get(vip).is_some()) {
                return None;
            }
            let of = |spread: Option<&Arc<Spread>>| -> BTreeSet<_> {
                spread.map(|spread| elements(vip, spread)).unwrap_or_default().into_iter().collect()
            };
            let (old, new) = (of(old), of(new));
            for (kind, key, value) in old.difference(&new).cloned() {
                changes.entry((kind, Family::of(vip))).or_default().0.insert(key, value);
            }
            for (kind, key, value) in new.difference(&old).cloned() {
                changes.entry((kind, Family::of(vip))).or_default().1.insert(key, value);
            }
        }
    }
    let (old, new) = (tiers(before), tiers(now));
    let mut edits = Vec::new();
    for (family, slots) in new.difference(&old).copied() {
        let kind = Sets::Services(slots);
        edits.push(Edit::AddSet(kind.name(family), kind.empty(family)));
    }
    for ((kind, family), (gone, come)) in changes {
        // One that leads elsewhere goes first: its key is taken until then.
        edits.push(Edit::RemoveElements(kind.name(family), gone));
        edits.push(Edit::AddElements(kind.name(family), come));
    }
    // The kernel takes no empty list.
    edits.retain(|edit| edit.elements() > 0 || matches!(edit, Edit::AddSet(..)));
    let anew: BTreeSet<Family> = old.symmetric_difference(&new).map(|(of, _)| *of).collect();
    edits.extend(anew.into_iter().map(|of| Edit::SetRules(chain_name(of), rules(&new, of))));
    let stale = old.difference(&new).copied();
    edits.extend(stale.map(|(of, slots)| Edit::RemoveSet(Sets::Services(slots).name(of))));
    Some((!edits.is_empty()).then_some((Layer::Packets, edits)).into_iter().collect())
}

/// The numbers of slots that are used.
fn tiers(firewall: &Firewall) -> BTreeSet<(Family, usize)> {
    firewall.balances.values().flat_map(Balance::tiers).collect()
}

/// A virtual address as elements of sets.
fn elements(vip: IpAddr, spread: &Spread) -> Vec<(Sets, Vec<u8>, Vec<u8>)> {
    let slots = spread.slots();
    if slots.is_empty() {
        return vec![(Sets::Unserved, address(vip), Vec::new())];
    }
    let backend = |(slot, to): (usize, &IpAddr)| {
        (Sets::Backends, [address(vip), number(slot)].concat(), address(*to))
    };
    let service = (Sets::Services(slots.len()), address(vip), Vec::new());
    core::iter::once(service).chain(slots.iter().enumerate().map(backend)).collect()
}

fn go_on(of: Family) -> Rule {
    [family(of), vec![Expr::Verdict(Verdict::Goto(chain_name(of)))]].concat()
}

fn rules(tiers: &BTreeSet<(Family, usize)>, of: Family) -> Vec<Rule> {
    let tiers = tiers.iter().filter(|(family, _)| *family == of);
    tiers.map(|(_, slots)| spread(of, *slots)).collect()
}

/// `ip daddr @services-v4-N dnat ip to ip daddr . numgen random mod N map @backends-v4`
fn spread(of: Family, slots: usize) -> Rule {
    let at = address_field(of);
    let slot: Register = after(FIRST, at);
    let modulus = u32::try_from(slots).unwrap_or(u32::MAX);
    vec![
        load(at, FIRST),
        Expr::Lookup { set: Sets::Services(slots).name(of), key: FIRST, into: None },
        load(at, FIRST),
        Expr::Random { modulus, into: slot },
        Expr::Lookup { set: Sets::Backends.name(of), key: FIRST, into: Some(FIRST) },
        Expr::Dnat { family: of, address: FIRST, port: None },
    ]
}

/// What nobody serves is refused as a port that nobody listens on.
fn refuse(of: Family) -> [Rule; 2] {
    let mut unserved = family(of);
    unserved.push(load(address_field(of), FIRST));
    unserved.push(Expr::Lookup { set: Sets::Unserved.name(of), key: FIRST, into: None });
    let mut tcp = unserved.clone();
    tcp.push(protocol(FIRST));
    tcp.push(equals(vec![Protocol::Tcp.number()]));
    tcp.push(Expr::Reject(Refusal::Reset));
    unserved.push(Expr::Reject(Refusal::Unreachable));
    [tcp, unserved]
}
