//! What comes of a request for a network of this host alone: its name and subnets must be free here.

use alloc::vec::Vec;

use ipnet::IpNet;
use netdb_gossip_core::identity::Name;

use crate::{
    catalog::{Catalog, Claim, Overlap},
    records::{NetworkId, NetworkRecord},
    request::{NetworkRequest, RequestError},
    spaces::Pool,
};

/// Where subnets come from that nobody named, and what of them is in use by others.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Of IPv4.
    pub v4: Pool,
    /// Of IPv6.
    pub v6: Pool,
    /// What the host has addresses in, or ways to.
    pub taken: Vec<IpNet>,
}

/// Why a network can't be had on this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// Its parts don't fit together.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The name is taken, here or in the cluster.
    #[error("a network of the name {name} exists already: {id}")]
    Exists {
        /// The name.
        name: Name,
        /// Who has it.
        id: NetworkId,
    },
    /// One address would be in two networks.
    #[error(transparent)]
    Overlaps(#[from] Overlap),
    /// All of the pool is taken.
    #[error("no subnet of {0} is free on this host; name one with --subnet")]
    NoSubnet(IpNet),
}

/// The record of a new network of this host, created at `created_us`; with `ipv6` it has a subnet of IPv6 also
/// if none is named.
///
/// # Errors
/// See [`LocalError`].
pub fn record(
    mut request: NetworkRequest,
    ipv6: bool,
    ground: &Ground,
    catalog: &Catalog,
    created_us: u64,
) -> Result<NetworkRecord, LocalError> {
    let name = request.name.clone();
    if let Some(id) = catalog.holder(&Claim::Name(name.clone())) {
        return Err(LocalError::Exists { name, id });
    }
    if request.is_addressed() {
        let (wants_v4, wants_v6) =
            (request.subnets.is_empty(), ipv6 && !request.names_subnet(true));
        for pool in [(ground.v4, wants_v4), (ground.v6, wants_v6)]
            .into_iter()
            .filter_map(|(pool, wanted)| wanted.then_some(pool))
        {
            let free = free(&pool, &ground.taken, catalog);
            request.subnets.push(free.ok_or(LocalError::NoSubnet(pool.base()))?);
        }
    }
    let record = request.into_record(created_us)?;
    catalog.check_overlaps(&record)?;
    Ok(record)
}

/// The first subnet of a pool that nothing on this host uses.
fn free(pool: &Pool, taken: &[IpNet], catalog: &Catalog) -> Option<IpNet> {
    let subnets = catalog.iter().flat_map(|(_, listed)| &listed.record.subnets);
    let taken = subnets.map(|subnet| subnet.prefix).chain(taken.iter().copied());
    let mut taken: Vec<_> = taken.filter_map(|net| pool.touched_by(&net)).collect();
    taken.sort_unstable_by_key(|touched| *touched.start());
    let mut first = 0;
    for touched in taken {
        if first < *touched.start() {
            break;
        }
        first = first.max(touched.end() + 1);
    }
    pool.subnet(first)
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use super::*;
    use crate::{catalog::Scope, records::Driver};

    fn request(name: &str, driver: Driver, subnets: &[&str]) -> NetworkRequest {
        let scope = Some(Scope::Local);
        let subnets = subnets.iter().map(|subnet| subnet.parse().unwrap()).collect();
        NetworkRequest { scope, subnets, ..NetworkRequest::new(Name::new(name).unwrap(), driver) }
    }

    fn ground(taken: &[&str]) -> Ground {
        Ground {
            v4: Pool::new("172.16.0.0/12".parse().unwrap(), 20).unwrap(),
            v6: Pool::new("fd00:1::/48".parse().unwrap(), 64).unwrap(),
            taken: taken.iter().map(|net| net.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn subnets_are_chosen_beside_what_is_taken() {
        let ground = ground(&["172.16.0.0/16", "172.17.0.0/16", "10.0.0.0/8"]);
        let none = Catalog::default();
        let first = record(request("one", Driver::Bridge, &[]), true, &ground, &none, 1).unwrap();
        let prefixes = |record: &NetworkRecord| -> Vec<_> {
            record.subnets.iter().map(|subnet| subnet.prefix.to_string()).collect()
        };
        assert_eq!(prefixes(&first), ["172.18.0.0/20", "fd00:1::/64"]);
        let catalog = Catalog::new([], [(NetworkId([1; 16]), first)]);
        let next = record(request("two", Driver::Bridge, &[]), true, &ground, &catalog, 2).unwrap();
        assert_eq!(prefixes(&next), ["172.18.16.0/20", "fd00:1:0:1::/64"]);
        let all = Ground { taken: vec!["172.0.0.0/8".parse().unwrap()], ..ground };
        let told = record(request("two", Driver::Bridge, &[]), false, &all, &catalog, 2);
        let told = told.unwrap_err().to_string();
        assert_eq!(told, "no subnet of 172.16.0.0/12 is free on this host; name one with --subnet");
    }

    #[test]
    fn a_name_or_a_subnet_that_is_taken_is_told() {
        let (none, ground) = (Catalog::default(), ground(&[]));
        let one = request("one", Driver::Bridge, &["10.1.0.0/24"]);
        let one = record(one, false, &ground, &none, 1).unwrap();
        let shared = NetworkRecord { name: Name::new("web").unwrap(), ..one.clone() };
        let id = NetworkId([7; 16]);
        let catalog = Catalog::new([(id, shared)], [(NetworkId([1; 16]), one)]);
        let told = |name, driver, subnet| {
            let wanted = request(name, driver, &[subnet]);
            record(wanted, false, &ground, &catalog, 2).map(drop).map_err(|e| e.to_string())
        };
        assert!(told("web", Driver::Bridge, "10.2.0.0/24").unwrap_err().contains(&id.to_string()));
        assert_eq!(
            told("two", Driver::Bridge, "10.1.0.0/16"),
            Err("10.1.0.0/16 overlaps 10.1.0.0/24 of network one".into())
        );
        assert_eq!(told("two", Driver::Bridge, "10.2.0.0/24"), Ok(()));
        assert_eq!(told("two", Driver::Macvlan, "10.1.0.0/24"), Ok(()));
    }
}
