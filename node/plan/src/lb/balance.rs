//! The virtual addresses of one network, and where each leads to.
//!
//! They lie in a fixed number of shelves that copies share. So a copy is cheap, a change makes one shelf anew, and
//! two copies are compared by what they do not share.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec,
    vec::Vec,
};
use core::{fmt, net::IpAddr};

use super::slots;
use crate::firewall::Family;

/// Shelves: with 10,000 addresses a change makes 40 entries anew.
const SHELVES: usize = 256;

/// Where one virtual address leads to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    slots: Vec<IpAddr>,
    keeps: BTreeMap<IpAddr, Kept>,
}

/// What of what leads to a backend goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    /// Connections of TCP: whoever does not answer now may do so again. Without connections, as in UDP, a client
    /// would never turn to somebody else.
    Connections,
    /// All of it.
    All,
}

impl Spread {
    /// Slots by weight, and what goes on. Slots stay with whoever had them `before` as far as that can be.
    pub fn new(
        before: Option<&Self>,
        weights: &BTreeMap<IpAddr, u16>,
        keeps: BTreeMap<IpAddr, Kept>,
    ) -> Self {
        let before = before.map(|before| before.slots.as_slice()).unwrap_or_default();
        let weights = weights.iter().map(|(at, weight)| (*at, usize::from(*weight))).collect();
        Self { slots: slots::give(before, slots::counts(&weights)), keeps }
    }

    /// Who gets what is new: each slot as likely as every other. None: what is new is refused.
    pub fn slots(&self) -> &[IpAddr] {
        &self.slots
    }

    /// How many of them lead to an address.
    pub fn count(&self, to: IpAddr) -> usize {
        self.slots.iter().filter(|slot| **slot == to).count()
    }

    /// Whether something that leads there goes on.
    pub fn keeps(&self, to: IpAddr, is_connection: bool) -> bool {
        match self.keeps.get(&to) {
            Some(Kept::All) => true,
            Some(Kept::Connections) => is_connection,
            None => false,
        }
    }

    /// Whether something that may have gone on before must end now.
    fn ends_of(&self, before: &Self) -> bool {
        before.keeps.iter().any(|(at, kept)| self.keeps.get(at).is_none_or(|now| now < kept))
    }
}

type Shelf = Arc<BTreeMap<IpAddr, Arc<Spread>>>;

/// Where the virtual addresses of a network lead to.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Balance {
    /// None, or all of them.
    shelves: Vec<Shelf>,
    /// For each number of slots how many addresses have it. 0: they have nobody.
    tiers: BTreeMap<(Family, usize), usize>,
}

impl fmt::Debug for Balance {
    /// There may be thousands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Balance({} addresses)", self.len())
    }
}

/// An address, where it led to and where it leads to.
pub type Moved<'a> = (IpAddr, Option<&'a Arc<Spread>>, Option<&'a Arc<Spread>>);

impl Balance {
    /// Whether there is no virtual address.
    pub fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// How many virtual addresses there are.
    pub fn len(&self) -> usize {
        self.tiers.values().sum()
    }

    /// Where one leads to.
    pub fn get(&self, address: IpAddr) -> Option<&Arc<Spread>> {
        self.shelves.get(shelf_of(address))?.get(&address)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (IpAddr, &Arc<Spread>)> {
        self.shelves.iter().flat_map(|shelf| shelf.iter()).map(|(at, spread)| (*at, spread))
    }

    /// The numbers of slots that there are.
    pub fn tiers(&self) -> impl Iterator<Item = (Family, usize)> {
        self.tiers.keys().copied().filter(|(_, slots)| *slots > 0)
    }

    /// Leads an address somewhere, or nowhere any more.
    pub fn put(&mut self, address: IpAddr, spread: Option<Spread>) {
        let before = self.get(address);
        if before.map(|before| &**before) == spread.as_ref() {
            return;
        }
        let tier = |spread: &Spread| (Family::of(address), spread.slots.len());
        if let Some(tier) = before.map(|before| tier(before))
            && let Some(count) = self.tiers.get_mut(&tier)
        {
            *count -= 1;
            if *count == 0 {
                self.tiers.remove(&tier);
            }
        }
        if self.shelves.is_empty() {
            self.shelves = vec![Shelf::default(); SHELVES];
        }
        let Some(entries) = self.shelves.get_mut(shelf_of(address)).map(Arc::make_mut) else {
            return;
        };
        match spread {
            Some(spread) => {
                *self.tiers.entry(tier(&spread)).or_default() += 1;
                entries.insert(address, Arc::new(spread));
            }
            None => drop(entries.remove(&address)),
        }
    }

    /// What is not as it was `before`.
    pub fn moved<'a>(&'a self, before: &'a Self) -> Vec<Moved<'a>> {
        let mut moved = Vec::new();
        for place in 0..SHELVES {
            let there = |balance: &'a Self| balance.shelves.get(place);
            let (old, new) = (there(before), there(self));
            if old.map(Arc::as_ptr) == new.map(Arc::as_ptr) {
                continue;
            }
            let addresses = old.into_iter().chain(new).flat_map(|shelf| shelf.keys().copied());
            for address in addresses.collect::<BTreeSet<IpAddr>>() {
                let of = |shelf: Option<&'a Shelf>| shelf.and_then(|shelf| shelf.get(&address));
                let (old, new) = (of(old), of(new));
                if old != new {
                    moved.push((address, old, new));
                }
            }
        }
        moved
    }

    /// Whether something that went on `before` must end now.
    pub fn ends_of(&self, before: &Self) -> bool {
        self.moved(before).iter().any(|(_, old, new)| match (old, new) {
            (Some(old), Some(new)) => new.ends_of(old),
            _ => false,
        })
    }

    /// Whether something that came for an address and was led `to` another goes on. What is not balanced here is
    /// nobody's business here.
    pub fn keeps(&self, address: IpAddr, to: IpAddr, is_connection: bool) -> bool {
        self.get(address).is_none_or(|spread| spread.keeps(to, is_connection))
    }
}

fn shelf_of(address: IpAddr) -> usize {
    let last = match address {
        IpAddr::V4(address) => address.octets().last().copied(),
        IpAddr::V6(address) => address.octets().last().copied(),
    };
    usize::from(last.unwrap_or(0)) % SHELVES
}
