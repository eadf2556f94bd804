//! Published ports in our table: where what is for a port of this host goes.
//!
//! | set | what is in it |
//! | --- | --- |
//! | `ports-v4-N` | ports of all addresses that have N slots |
//! | `ports-v4` | such a port and a slot: the address and port that it leads to |
//! | `address-ports-v4-N`, `address-ports-v4` | the same for ports of one address |
//! | `link-ports-v4-N`, `link-ports-v4` | the same for ports of one link |
//!
//! As with virtual addresses (`balance.rs`) there is a rule for each number of slots, and no more for ten thousand
//! ports than for one. A port of one endpoint has one slot; one that leads nowhere has none, and is refused as a port
//! that nobody listens on.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec,
    vec::Vec,
};
use core::net::SocketAddr;

use super::{
    Backs, Bind, Expr, Family, Field, Front, Rule, Set, Verdict,
    render::{
        FIRST, address, address_field, end, keyed, link, number, port, protocol_number, translated,
    },
};

/// Published ports by how they are bound.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Ports {
    /// To one address.
    Address,
    /// To a link that they come by.
    Link,
    /// To nothing.
    All,
}

/// In the order in which they count.
const PORTS: [Ports; 3] = [Ports::Address, Ports::Link, Ports::All];

impl Ports {
    /// The map of their slots.
    fn name(self, family: Family) -> String {
        match (self, family) {
            (Self::Address, Family::V4) => "address-ports-v4",
            (Self::Address, Family::V6) => "address-ports-v6",
            (Self::Link, Family::V4) => "link-ports-v4",
            (Self::Link, Family::V6) => "link-ports-v6",
            (Self::All, Family::V4) => "ports-v4",
            (Self::All, Family::V6) => "ports-v6",
        }
        .into()
    }

    /// The set of those that have so many slots.
    fn tier(self, family: Family, slots: usize) -> String {
        format!("{}-{slots}", self.name(family))
    }

    fn key(self, family: Family) -> Vec<Field> {
        match self {
            Self::Address => vec![address_field(family), Field::Protocol, Field::Port],
            Self::Link => vec![Field::Link, Field::Protocol, Field::Port],
            Self::All => vec![Field::Protocol, Field::Port],
        }
    }

    /// A port as a key, if it is bound so.
    fn key_of(self, family: Family, front: &Front) -> Option<Vec<u8>> {
        let bound = match (self, &front.bind) {
            (Self::Address, Bind::Address(bound)) if Family::of(*bound) == family => {
                address(*bound)
            }
            (Self::Link, Bind::Link(name)) => link(name),
            (Self::All, Bind::Any) => Vec::new(),
            _ => return None,
        };
        Some([bound, protocol_number(front.protocol), port(front.port)].concat())
    }
}

impl Backs {
    /// Where the slots of one family lead to; `None` if it leads somewhere in the other alone.
    fn slots(&self, family: Family) -> Option<Vec<SocketAddr>> {
        let slots: Vec<SocketAddr> =
            self.iter().filter(|to| Family::of(to.ip()) == family).collect();
        (!slots.is_empty() || *self == Self::default()).then_some(slots)
    }
}

/// The sets and maps of published ports.
pub(super) fn sets(published: &BTreeMap<Front, Backs>) -> BTreeMap<String, Set> {
    let mut sets = BTreeMap::new();
    for (kind, family) in kinds() {
        let key = kind.key(family);
        let with_slot = [key.clone(), vec![Field::Mark]].concat();
        let mut map = Set::new(&with_slot, &[address_field(family), Field::Port]);
        for (front, backs) in published {
            let (Some(at), Some(slots)) = (kind.key_of(family, front), backs.slots(family)) else {
                continue;
            };
            let tier = sets.entry(kind.tier(family, slots.len()));
            let tier = tier.or_insert_with(|| Set::new(&key, &[]));
            tier.elements.insert(at.clone(), Vec::new());
            for (slot, to) in slots.into_iter().enumerate() {
                map.elements.insert([at.clone(), number(slot)].concat(), end(to));
            }
        }
        sets.insert(kind.name(family), map);
    }
    sets
}

/// A rule for each number of slots.
pub(super) fn rules(published: &BTreeMap<Front, Backs>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for (kind, family) in kinds() {
        let slots = published.iter().filter_map(|(front, backs)| {
            kind.key_of(family, front)?;
            Some(backs.slots(family)?.len())
        });
        let tiers: BTreeSet<usize> = slots.collect();
        rules.extend(tiers.into_iter().map(|slots| rule(kind, family, slots)));
    }
    rules
}

fn kinds() -> impl Iterator<Item = (Ports, Family)> {
    PORTS.into_iter().flat_map(|kind| Family::BOTH.map(|family| (kind, family)))
}

/// As `th dport . meta l4proto @ports-v4-N dnat ip to … . numgen random mod N map @ports-v4`.
fn rule(kind: Ports, of: Family, slots: usize) -> Rule {
    let (mut rule, at) = keyed(of, &kind.key(of));
    rule.push(Expr::Lookup { set: kind.tier(of, slots), key: FIRST, into: None });
    if slots == 0 {
        rule.push(Expr::Verdict(Verdict::Accept));
        return rule;
    }
    let modulus = u32::try_from(slots).unwrap_or(u32::MAX);
    rule.push(Expr::Random { modulus, into: at });
    rule.extend(translated(kind.name(of), of));
    rule
}
