//! Which networks there are: the rows of the cluster and what this host has put together, with their clashes
//! settled.
//!
//! Every node comes to the same verdict from the same rows, without asking anybody: of two networks that
//! claim one thing the older creation keeps it. The other is marked and nothing of it is lost: it keeps
//! working where it runs, by its id. A host's own networks come after all others, so that a name means the
//! same on every host that does not use it for something of its own.

use alloc::{collections::BTreeMap, vec::Vec};
use core::{fmt, str::FromStr};

use ipnet::IpNet;
use netdb_gossip_core::identity::Name;

pub use crate::claims::FindError;
use crate::{
    claims::{self, Holders, find_id},
    records::{Driver, NetworkId, NetworkRecord},
};

/// Who has a network. In Docker's words: `swarm` and `local`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Every node of the cluster.
    Cluster,
    /// One host, which alone gives its addresses.
    Local,
}

/// Not a [`Scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected cluster (or swarm) or local")]
pub struct ParseScopeError;

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Cluster => "cluster",
            Self::Local => "local",
        })
    }
}

impl FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, ParseScopeError> {
        match text {
            "cluster" | "swarm" => Ok(Self::Cluster),
            "local" => Ok(Self::Local),
            _ => Err(ParseScopeError),
        }
    }
}

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

impl claims::Claim for Claim {
    type Place = Self;

    fn place(&self) -> Self {
        self.clone()
    }

    fn clashes(&self, other: &Self) -> bool {
        self == other
    }
}

/// An older network has what another claims.
pub type Conflict = claims::Conflict<Claim, NetworkId>;

/// One network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Who has it.
    pub scope: Scope,
    /// What it is.
    pub record: NetworkRecord,
    /// What it claims in vain.
    pub conflicts: Vec<Conflict>,
}

/// One address would be in two networks that share a wire, or a host's ways.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{subnet} overlaps {other} of network {name}")]
pub struct Overlap {
    /// The new one.
    pub subnet: IpNet,
    /// The other.
    pub other: IpNet,
    /// Whose the other is.
    pub name: Name,
}

/// All networks, by id.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    networks: BTreeMap<NetworkId, Listed>,
    holders: Holders<Claim, NetworkId>,
}

impl Catalog {
    /// Puts the rows of the cluster and this host's own networks together, in any order.
    pub fn new(
        rows: impl IntoIterator<Item = (NetworkId, NetworkRecord)>,
        own: impl IntoIterator<Item = (NetworkId, NetworkRecord)>,
    ) -> Self {
        let of = |scope| move |(id, record)| (id, (scope, record));
        let rows = rows.into_iter().map(of(Scope::Cluster));
        // An id is a network's for ever: a row of the cluster can't be this host's own.
        let all = own.into_iter().map(of(Scope::Local)).chain(rows);
        let all: BTreeMap<NetworkId, (Scope, NetworkRecord)> = all.collect();
        let claimants = all.iter().map(|(id, (scope, record))| {
            let age = (*scope, record.created_us);
            (age, *id, claims(record))
        });
        let (holders, mut in_vain) = Holders::settle(claimants);
        let list = |(id, (scope, record)): (NetworkId, (Scope, NetworkRecord))| {
            let conflicts = in_vain.remove(&id).unwrap_or_default();
            (id, Listed { scope, record, conflicts })
        };
        let networks = all.into_iter().map(list).collect();
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
        self.holders.holder(claim)
    }

    /// Whether the subnets of a new network may be beside those of the others: macvlans share the wire
    /// outside, and two bridges would each be the host's way to an address. Overlays are apart.
    ///
    /// # Errors
    /// The first that overlaps.
    pub fn check_overlaps(&self, record: &NetworkRecord) -> Result<(), Overlap> {
        if !matches!(record.driver, Driver::Bridge | Driver::Macvlan) {
            return Ok(());
        }
        let others = self.networks.values().map(|listed| &listed.record);
        for there in others.filter(|there| there.driver == record.driver) {
            for other in &there.subnets {
                if let Some(subnet) = record.subnets.iter().find(|subnet| subnet.overlaps(other)) {
                    let (subnet, other) = (subnet.prefix, other.prefix);
                    return Err(Overlap { subnet, other, name: there.name.clone() });
                }
            }
        }
        Ok(())
    }

    /// The network that people call so: by its name, or else by its id or at least
    /// [`MIN_ID_DIGITS`](crate::claims::MIN_ID_DIGITS) of its first digits.
    ///
    /// # Errors
    /// Nobody is meant, or more than one.
    pub fn find(&self, text: &str) -> Result<NetworkId, FindError> {
        let by_name = Name::new(text).ok().and_then(|name| self.holder(&Claim::Name(name)));
        if let Some(id) = by_name {
            return Ok(id);
        }
        find_id("network", self.networks.keys().copied(), text)
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
        let catalog = Catalog::new(rows, []);
        assert_eq!(catalog.find("web"), Ok(id(2)));
        let name = Claim::Name(Name::new("web").unwrap());
        let conflicts = |n| catalog.get(id(n)).unwrap().conflicts.clone();
        assert_eq!(conflicts(1), [Conflict { claim: name, with: id(2) }]);
        assert_eq!(conflicts(2), []);
        assert_eq!(conflicts(3), [Conflict { claim: Claim::Vni(8), with: id(2) }]);
    }

    #[test]
    fn a_name_is_the_clusters_before_it_is_this_hosts() {
        let own = [(id(1), network("web", None, 5)), (id(2), network("box", None, 5))];
        let catalog = Catalog::new([(id(3), network("web", None, 20))], own);
        assert_eq!((catalog.find("web"), catalog.find("box")), (Ok(id(3)), Ok(id(2))));
        let listed = catalog.get(id(1)).unwrap();
        assert_eq!((listed.scope, listed.conflicts.len()), (Scope::Local, 1));
        assert_eq!(catalog.get(id(3)).unwrap().scope, Scope::Cluster);
        assert_eq!("swarm".parse(), Ok(Scope::Cluster));
        assert_eq!("host".parse::<Scope>(), Err(ParseScopeError));
    }

    #[test]
    fn an_id_may_be_cut_short_if_one_is_meant() {
        let mut other = [0xab; 16];
        other[2] = 1;
        let rows = [
            (NetworkId([0xab; 16]), network("web", None, 1)),
            (NetworkId(other), network("db", None, 2)),
        ];
        let catalog = Catalog::new(rows, []);
        assert_eq!(catalog.find("ababab"), Ok(NetworkId([0xab; 16])));
        let kind = "network";
        let unknown = |text: &str| Err(FindError::Unknown { kind, text: text.into() });
        assert_eq!(catalog.find("aba"), unknown("aba"));
        let ambiguous = FindError::Ambiguous { kind, text: "abab".into(), count: 2 };
        assert_eq!(catalog.find("abab"), Err(ambiguous));
        assert_eq!(catalog.find("mail"), unknown("mail"));
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
            let (one, other) = (Catalog::new(rows.clone(), []), Catalog::new(turned, []));
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
