//! Load balancing in our table: where what is for a virtual address goes.
//!
//! | set or chain | what is in it |
//! | --- | --- |
//! | `services-v4` | a virtual address: the chain that chooses among as many slots as it has |
//! | `spread-v4-N` | translates to the backend of one of N slots, by chance |
//! | `backends-v4` | a virtual address and a slot: the backend |
//! | `unserved-v4` | a virtual address that nobody serves |
//! | `balance-in`, `balance-out` | send what is for a virtual address through `services-v4` |
//! | `refuse-out`, `refuse-through` | refuse at once what nobody serves |
//!
//! All ports and protocols go the same way, and ports stay as they are. The rules are the same for one address and
//! for ten thousand.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec,
    vec::Vec,
};
use core::net::IpAddr;

use super::{
    Chain, Edit, Elements, Expr, Family, Field, Firewall, Hook, Kind, Refusal, Register, Rule, Set,
    Table, Verdict, Verdicts,
    render::{
        DSTNAT, FILTER, FIRST, address, address_field, after, chain, equals, family, load, protocol,
    },
};
use crate::{
    lb::{Balance, Spread},
    records::Protocol,
};

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Names of sets, with that of the family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sets {
    Services,
    Backends,
    Unserved,
}

impl Sets {
    fn name(self, family: Family) -> String {
        let what = match self {
            Self::Services => "services",
            Self::Backends => "backends",
            Self::Unserved => "unserved",
        };
        format!("{what}-{}", suffix(family))
    }
}

fn suffix(family: Family) -> &'static str {
    match family {
        Family::V4 => "v4",
        Family::V6 => "v6",
    }
}

fn spread_name(family: Family, slots: usize) -> String {
    format!("spread-{}-{slots}", suffix(family))
}

/// Puts what balances into a table.
pub(super) fn render(firewall: &Firewall, table: &mut Table) {
    for family in FAMILIES {
        let at = address_field(family);
        let sets = [
            (Sets::Services, Set::new(&[at], &[Field::Verdict])),
            (Sets::Backends, Set::new(&[at, Field::Mark], &[at])),
            (Sets::Unserved, Set::new(&[at], &[])),
        ];
        table.sets.extend(sets.map(|(kind, set)| (kind.name(family), set)));
    }
    for (vip, spread) in firewall.balances.values().flat_map(Balance::iter) {
        let family = Family::of(vip);
        if let Some(set) = table.sets.get_mut(&Sets::Services.name(family)) {
            set.verdicts.extend(service(vip, spread));
        }
        for (kind, key, value) in elements(vip, spread) {
            if let Some(set) = table.sets.get_mut(&kind.name(family)) {
                set.elements.insert(key, value);
            }
        }
    }
    for (family, slots) in tiers(firewall) {
        let rules = vec![spread(family, slots)];
        table.chains.insert(spread_name(family, slots), Chain { base: None, rules });
    }
    let choose: Vec<Rule> = FAMILIES.map(choose).into();
    let refuse: Vec<Rule> = FAMILIES.map(refuse).into_iter().flatten().collect();
    let chains = [
        ("balance-in", chain(Kind::Nat, Hook::Prerouting, DSTNAT, choose.clone())),
        ("balance-out", chain(Kind::Nat, Hook::Output, DSTNAT, choose)),
        ("refuse-out", chain(Kind::Filter, Hook::Output, FILTER, refuse.clone())),
        ("refuse-through", chain(Kind::Filter, Hook::Forward, FILTER, refuse)),
    ];
    table.chains.extend(chains.map(|(name, chain)| (name.into(), chain)));
}

/// What makes a table that balances as one wanted `before` balance as another is wanted `now`: only what moved is
/// looked at. `None` if that is not all that differs.
pub fn rebalance(before: &Firewall, now: &Firewall) -> Option<Vec<Edit>> {
    let balances = |firewall: &Firewall| !firewall.balances.values().all(Balance::is_empty);
    let apart = before.bridges != now.bridges
        || before.published != now.published
        || before.tunnels != now.tunnels
        || !balances(before)
        || !balances(now)
        || !before.balances.keys().eq(now.balances.keys());
    if apart {
        return None;
    }
    let mut changes = Changes::default();
    for (network, balance) in &now.balances {
        let others = || now.balances.iter().chain(&before.balances).filter(|(n, _)| *n != network);
        for (vip, old, new) in balance.moved(before.balances.get(network)?) {
            // Of networks whose subnets overlap, one has the address: that is seen by looking at all of it.
            if others().any(|(_, other)| other.get(vip).is_some()) {
                return None;
            }
            changes.note(vip, old.map(|old| &**old), new.map(|new| &**new));
        }
    }
    let (old, new) = (tiers(before), tiers(now));
    let mut edits = Vec::new();
    for (family, slots) in new.difference(&old).copied() {
        let name = spread_name(family, slots);
        edits.push(Edit::AddChain(name.clone(), None));
        edits.push(Edit::SetRules(name, vec![spread(family, slots)]));
    }
    edits.extend(changes.edits());
    for (family, slots) in old.difference(&new).copied() {
        edits.push(Edit::RemoveChain(spread_name(family, slots)));
    }
    Some(edits)
}

/// Elements that go, and those that come.
#[derive(Default)]
struct Changes {
    verdicts: BTreeMap<Family, (Verdicts, Verdicts)>,
    elements: BTreeMap<(Sets, Family), (Elements, Elements)>,
}

impl Changes {
    fn note(&mut self, vip: IpAddr, old: Option<&Spread>, new: Option<&Spread>) {
        let family = Family::of(vip);
        let of = |spread: Option<&Spread>| spread.and_then(|spread| service(vip, spread));
        let (gone, come) = (of(old), of(new));
        if gone != come {
            let verdicts = self.verdicts.entry(family).or_default();
            verdicts.0.extend(gone);
            verdicts.1.extend(come);
        }
        let of = |spread: Option<&Spread>| -> BTreeSet<_> {
            spread.map(|spread| elements(vip, spread)).unwrap_or_default().into_iter().collect()
        };
        let (old, new) = (of(old), of(new));
        for (kind, key, value) in old.difference(&new).cloned() {
            self.elements.entry((kind, family)).or_default().0.insert(key, value);
        }
        for (kind, key, value) in new.difference(&old).cloned() {
            self.elements.entry((kind, family)).or_default().1.insert(key, value);
        }
    }

    /// One that leads elsewhere goes first: its key is taken until then.
    fn edits(self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for (family, (gone, come)) in self.verdicts {
            let name = Sets::Services.name(family);
            edits.push(Edit::RemoveVerdicts(name.clone(), gone));
            edits.push(Edit::AddVerdicts(name, come));
        }
        for ((kind, family), (gone, come)) in self.elements {
            let name = kind.name(family);
            edits.push(Edit::RemoveElements(name.clone(), gone));
            edits.push(Edit::AddElements(name, come));
        }
        // The kernel takes no empty list.
        edits.retain(|edit| edit.elements() > 0);
        edits
    }
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
        (Sets::Backends, [address(vip), mark(slot)].concat(), address(*to))
    };
    slots.iter().enumerate().map(backend).collect()
}

/// A number as the kernel keeps marks.
fn mark(number: usize) -> Vec<u8> {
    u32::try_from(number).unwrap_or(u32::MAX).to_ne_bytes().into()
}

/// Where a virtual address is chosen for, if somebody serves it.
fn service(vip: IpAddr, spread: &Spread) -> Option<(Vec<u8>, Verdict)> {
    let to = |slots| Verdict::Goto(spread_name(Family::of(vip), slots));
    let slots = Some(spread.slots().len()).filter(|slots| *slots > 0);
    slots.map(|slots| (address(vip), to(slots)))
}

/// `ip daddr vmap @services-v4`
fn choose(of: Family) -> Rule {
    let mut rule = family(of);
    rule.push(load(address_field(of), FIRST));
    rule.push(Expr::Decide { map: Sets::Services.name(of), key: FIRST });
    rule
}

/// `dnat ip to ip daddr . numgen random mod N map @backends-v4`
fn spread(of: Family, slots: usize) -> Rule {
    let at = address_field(of);
    let slot: Register = after(FIRST, at);
    let modulus = u32::try_from(slots).unwrap_or(u32::MAX);
    vec![
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
