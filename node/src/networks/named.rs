//! What people call the spaces of numbers.

use std::fmt;

use ipnet::IpNet;
use netdb::Name;
use netnode_plan::{
    catalog::Catalog,
    records::NetworkId,
    spaces::{Pool, SpaceId},
};

use super::Pools;

/// A space, and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) id: SpaceId,
    pub(crate) what: What,
}

/// What a space is.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// The addresses of a network's subnet.
    Subnet { network: NetworkId, name: Name, subnet: IpNet },
    /// Subnets for networks that name none.
    Pool(Pool),
    /// VXLAN network identifiers.
    Vni,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subnet { name, subnet, .. } => write!(f, "subnet {subnet} of network {name}"),
            Self::Pool(pool) => write!(f, "the pool of subnets {pool}"),
            Self::Vni => f.write_str("the VNIs"),
        }
    }
}

/// The spaces of one network; or of all of them by their names, then the pools.
pub(super) fn list(catalog: &Catalog, pools: Option<Pools>, only: Option<NetworkId>) -> Vec<Named> {
    let mut networks: Vec<_> =
        catalog.iter().filter(|(id, _)| only.is_none_or(|only| only == *id)).collect();
    networks.sort_by(|(a, one), (b, other)| (&one.record.name, a).cmp(&(&other.record.name, b)));
    let mut all = Vec::new();
    for (network, listed) in networks {
        for (place, subnet) in (0..).zip(&listed.record.subnets) {
            let (name, subnet) = (listed.record.name.clone(), subnet.prefix);
            let what = What::Subnet { network, name, subnet };
            all.push(Named { id: SpaceId::Subnet(network, place), what });
        }
    }
    if only.is_none() {
        if let Some(Pools { v4, v6 }) = pools {
            all.push(Named { id: SpaceId::Pool4, what: What::Pool(v4) });
            all.push(Named { id: SpaceId::Pool6, what: What::Pool(v6) });
        }
        all.push(Named { id: SpaceId::Vni, what: What::Vni });
    }
    all
}
