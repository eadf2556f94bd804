//! Which networks there are: the rows of the cluster put together, with their clashes settled.
//!
//! Every node comes to the same verdict from the same rows, without asking anybody: of two networks that
//! claim one thing the older creation keeps it. The other is marked and nothing of it is lost: it keeps
//! working where it runs, by its id.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use netdb_gossip_core::identity::Name;

use crate::records::{NetworkId, NetworkRecord};

/// The fewest digits by which an id may be told.
pub const MIN_ID_DIGITS: usize = 4;

/// What two networks can't both have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// What people call it.
    Name(Name),
    /// The VXLAN network identifier: the same packets would be in both.
    Vni(u32),
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "the name {name}"),
            Self::Vni(vni) => write!(f, "VNI {vni}"),
        }
    }
}

/// An older network has what another claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What both claim.
    pub claim: Claim,
    /// Who has it.
    pub with: NetworkId,
}

/// One network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is.
    pub record: NetworkRecord,
    /// What it claims in vain.
    pub conflicts: Vec<Conflict>,
}

/// Nobody, or more than one, is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// No network is called so.
    #[error("no network has the name or id {0}")]
    Unknown(String),
    /// The start of several ids.
    #[error("{text} is the start of {count} ids; a longer start is needed")]
    Ambiguous {
        /// What was looked for.
        text: String,
        /// How many there are.
        count: usize,
    },
}

/// All networks, by id.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    networks: BTreeMap<NetworkId, Listed>,
    holders: BTreeMap<Claim, NetworkId>,
}

impl Catalog {
    /// Puts the rows together, in any order.
    pub fn new(rows: impl IntoIterator<Item = (NetworkId, NetworkRecord)>) -> Self {
        let rows: BTreeMap<NetworkId, NetworkRecord> = rows.into_iter().collect();
        let mut by_age: Vec<(u64, NetworkId)> =
            rows.iter().map(|(id, record)| (record.created_us, *id)).collect();
        by_age.sort_unstable();
        let mut holders = BTreeMap::new();
        for (_, id) in by_age {
            for claim in rows.get(&id).map(claims).into_iter().flatten() {
                holders.entry(claim).or_insert(id);
            }
        }
        let list = |(id, record): (NetworkId, NetworkRecord)| {
            let lost = claims(&record).into_iter().filter_map(|claim| {
                let with = holders.get(&claim).copied().filter(|holder| *holder != id)?;
                Some(Conflict { claim, with })
            });
            let conflicts = lost.collect();
            (id, Listed { record, conflicts })
        };
        let networks = rows.into_iter().map(list).collect();
        Self { networks, holders }
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (NetworkId, &Listed)> {
        self.networks.iter().map(|(id, listed)| (*id, listed))
    }

    /// One of them.
    pub fn get(&self, id: NetworkId) -> Option<&Listed> {
        self.networks.get(&id)
    }

    /// Who has what was claimed.
    pub fn holder(&self, claim: &Claim) -> Option<NetworkId> {
        self.holders.get(claim).copied()
    }

    /// The network that people call so: by its name, or else by its id or at least [`MIN_ID_DIGITS`] of its
    /// first digits.
    ///
    /// # Errors
    /// Nobody is meant, or more than one.
    pub fn find(&self, text: &str) -> Result<NetworkId, FindError> {
        let by_name = Name::new(text).ok().and_then(|name| self.holder(&Claim::Name(name)));
        if let Some(id) = by_name {
            return Ok(id);
        }
        let is_start = |id: &&NetworkId| alloc::format!("{id}").starts_with(text);
        let long_enough = text.len() >= MIN_ID_DIGITS;
        let mut meant = self.networks.keys().filter(is_start).filter(|_| long_enough);
        match (meant.next(), meant.count()) {
            (Some(id), 0) => Ok(*id),
            (None, _) => Err(FindError::Unknown(text.into())),
            (Some(_), others) => Err(FindError::Ambiguous { text: text.into(), count: others + 1 }),
        }
    }
}

fn claims(record: &NetworkRecord) -> Vec<Claim> {
    let vni = record.options.vni.map(Claim::Vni);
    core::iter::once(Claim::Name(record.name.clone())).chain(vni).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::records::{Driver, NetworkOptions};

    fn id(n: u8) -> NetworkId {
        NetworkId([n; 16])
    }

    fn network(name: &str, vni: Option<u32>, created_us: u64) -> NetworkRecord {
        let options = NetworkOptions { vni, ..NetworkOptions::default() };
        let (name, subnets) = (Name::new(name).unwrap(), Vec::new());
        NetworkRecord { name, driver: Driver::Overlay, subnets, options, created_us }
    }

    #[test]
    fn of_two_with_one_name_the_older_has_it() {
        let rows = [
            (id(1), network("web", Some(7), 20)),
            (id(2), network("web", Some(8), 10)),
            (id(3), network("db", Some(8), 30)),
        ];
        let catalog = Catalog::new(rows);
        assert_eq!(catalog.find("web"), Ok(id(2)));
        let name = Claim::Name(Name::new("web").unwrap());
        let conflicts = |n| catalog.get(id(n)).unwrap().conflicts.clone();
        assert_eq!(conflicts(1), [Conflict { claim: name, with: id(2) }]);
        assert_eq!(conflicts(2), []);
        assert_eq!(conflicts(3), [Conflict { claim: Claim::Vni(8), with: id(2) }]);
    }

    #[test]
    fn an_id_may_be_cut_short_if_one_is_meant() {
        let mut other = [0xab; 16];
        other[2] = 1;
        let rows = [
            (NetworkId([0xab; 16]), network("web", None, 1)),
            (NetworkId(other), network("db", None, 2)),
        ];
        let catalog = Catalog::new(rows);
        assert_eq!(catalog.find("ababab"), Ok(NetworkId([0xab; 16])));
        assert_eq!(catalog.find("aba"), Err(FindError::Unknown("aba".into())));
        let ambiguous = FindError::Ambiguous { text: "abab".into(), count: 2 };
        assert_eq!(catalog.find("abab"), Err(ambiguous));
        assert_eq!(catalog.find("mail"), Err(FindError::Unknown("mail".into())));
    }

    proptest! {
        #[test]
        fn every_claim_has_one_holder_whatever_the_order(
            rows in proptest::collection::vec(("[ab]", 0_u32..4, 0_u64..4), 1..12),
            turn in 0_usize..12,
        ) {
            let rows: Vec<_> = (0..)
                .zip(&rows)
                .map(|(n, (name, vni, at))| (id(n), network(name, (*vni > 0).then_some(*vni), *at)))
                .collect();
            let mut turned = rows.clone();
            turned.rotate_left(turn % rows.len());
            let (one, other) = (Catalog::new(rows.clone()), Catalog::new(turned));
            prop_assert_eq!(&one.networks, &other.networks);
            for (id, record) in &rows {
                for claim in claims(record) {
                    let (holder, listed) = (one.holder(&claim).unwrap(), one.get(*id).unwrap());
                    let lost = listed.conflicts.iter().any(|c| c.claim == claim);
                    prop_assert_eq!(lost, holder != *id);
                    let older = one.get(holder).unwrap().record.created_us;
                    prop_assert!((older, holder) <= (record.created_us, *id));
                }
            }
        }
    }
}
