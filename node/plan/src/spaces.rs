//! Which spaces of numbers there are, and which address, subnet or identifier a number stands for.
//!
//! A [`ring`](crate::ring) gives numbers from 0; every node must read the same thing out of a number, so
//! nothing here depends on where it runs.

use alloc::{format, string::String, vec::Vec};
use core::{fmt, net::IpAddr, ops::RangeInclusive, str::FromStr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::{
    records::{MAX_VNI, NetworkId, Record, Subnet},
    ring::{Space, SpaceError},
};

/// The lowest VNI that is given unasked: lower ones are for people, as in Docker.
pub const FIRST_VNI: u32 = 4096;

/// One space of numbers, the same on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpaceId {
    /// Subnets out of the pool of IPv4.
    Pool4,
    /// Subnets out of the pool of IPv6.
    Pool6,
    /// VXLAN network identifiers.
    Vni,
    /// The addresses of a network's subnet, by its place among the network's subnets.
    Subnet(NetworkId, u8),
}

impl SpaceId {
    /// The bytes that stand for it in the keys of ranges.
    pub fn to_bytes(self) -> Vec<u8> {
        match self {
            Self::Pool4 => b"pool4".to_vec(),
            Self::Pool6 => b"pool6".to_vec(),
            Self::Vni => b"vni".to_vec(),
            Self::Subnet(NetworkId(id), place) => [id.as_slice(), &[place]].concat(),
        }
    }

    /// The space of such bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        match bytes {
            b"pool4" => Some(Self::Pool4),
            b"pool6" => Some(Self::Pool6),
            b"vni" => Some(Self::Vni),
            _ => {
                let (id, place) = bytes.split_first_chunk::<16>()?;
                let [place] = place else { return None };
                Some(Self::Subnet(NetworkId(*id), *place))
            }
        }
    }
}

/// The VNIs.
///
/// # Errors
/// None: the error is that of every space.
pub fn vnis() -> Result<Space, SpaceError> {
    let size = u128::from(MAX_VNI) + 1;
    Space::new(size, u128::from(FIRST_VNI)..size, [0])
}

/// The addresses of a subnet. Those of its range are given unasked; its own, its broadcast address, the
/// first of its range (which looks like a network's own to people, and to Docker), the gateway and the
/// auxiliary ones are never given.
///
/// # Errors
/// It is all of IPv6.
pub fn addresses(subnet: &Subnet) -> Result<Space, SpaceError> {
    let prefix = subnet.prefix;
    let size = size_of(&prefix).ok_or(SpaceError::Empty)?;
    let range = subnet.range.unwrap_or(prefix);
    let number = |address: IpAddr| number_in(&prefix, address).unwrap_or(0);
    let window = number(range.network())..number(range.broadcast()) + 1;
    let ends = [prefix.network(), prefix.broadcast()];
    let ends = ends.into_iter().filter(|address| !subnet.has_room_for(*address));
    let first = subnet.range.iter().filter(|range| has_own(range)).map(IpNet::network);
    let taken = subnet.gateway.into_iter().chain(subnet.aux.values().copied());
    Space::new(size, window, ends.chain(first).chain(taken).map(number))
}

/// Which number an address of a subnet has.
pub fn number_in(prefix: &IpNet, address: IpAddr) -> Option<u128> {
    if !prefix.contains(&address) {
        return None;
    }
    Some(bits(address) - bits(prefix.network()))
}

/// The address that a number stands for in a subnet.
pub fn address_in(prefix: &IpNet, number: u128) -> Option<IpAddr> {
    let address = bits(prefix.network()).checked_add(number)?;
    let address = match prefix {
        IpNet::V4(_) => IpAddr::V4(u32::try_from(address).ok()?.into()),
        IpNet::V6(_) => IpAddr::V6(address.into()),
    };
    prefix.contains(&address).then_some(address)
}

/// The most subnets of a pool, as a power of two.
const MAX_POOL_BITS: u8 = 16;

/// Addresses that are cut into subnets of one size, for networks that name none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    base: IpNet,
    len: u8,
}

/// Not a pool as a setting has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParsePoolError {
    /// Not of that form.
    #[error("expected ADDRESS/LENGTH/LENGTH OF SUBNETS, as in 10.0.0.0/8/20")]
    Form,
    /// It makes no sense.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

impl FromStr for Pool {
    type Err = ParsePoolError;

    fn from_str(text: &str) -> Result<Self, ParsePoolError> {
        let (base, len) = text.rsplit_once('/').ok_or(ParsePoolError::Form)?;
        let base = base.parse().map_err(|_| ParsePoolError::Form)?;
        Ok(Self::new(base, len.parse().map_err(|_| ParsePoolError::Form)?)?)
    }
}

impl Record for Pool {
    type Error = PoolError;

    fn check(&self) -> Result<(), PoolError> {
        Self::new(self.base, self.len).map(|_| ())
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in /{}", self.base, self.len)
    }
}

/// Why a pool makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Longer than an address, or shorter than the pool's own prefix.
    #[error("subnets of /{len} can't be cut out of {base}")]
    Length {
        /// All of it.
        base: IpNet,
        /// What they were to be.
        len: u8,
    },
    /// More than 65,536 of them.
    #[error("{base} has too many subnets of /{len}: 65536 at most")]
    TooMany {
        /// All of it.
        base: IpNet,
        /// What they were to be.
        len: u8,
    },
}

impl Pool {
    /// The subnets with prefixes of `len` bits in `base`.
    ///
    /// # Errors
    /// See [`PoolError`].
    pub fn new(base: IpNet, len: u8) -> Result<Self, PoolError> {
        let base = base.trunc();
        let spare = base.max_prefix_len().saturating_sub(2);
        match len.checked_sub(base.prefix_len()) {
            Some(bits) if len <= spare && bits <= MAX_POOL_BITS => Ok(Self { base, len }),
            Some(_) if len <= spare => Err(PoolError::TooMany { base, len }),
            _ => Err(PoolError::Length { base, len }),
        }
    }

    /// All of it.
    pub fn base(&self) -> IpNet {
        self.base
    }

    /// It as a setting has it: `10.0.0.0/8/20`.
    pub fn to_setting(&self) -> String {
        format!("{}/{}", self.base, self.len)
    }

    /// How many subnets it has.
    ///
    /// # Errors
    /// None: the error is that of every space.
    pub fn space(&self) -> Result<Space, SpaceError> {
        Space::plain(1 << (self.len - self.base.prefix_len()))
    }

    /// The subnet that a number stands for.
    pub fn subnet(&self, number: u128) -> Option<IpNet> {
        let step = self.base.max_prefix_len() - self.len;
        let address = bits(self.base.network()).checked_add(number.checked_shl(step.into())?)?;
        let subnet = match self.base {
            IpNet::V4(_) => {
                Ipv4Net::new(u32::try_from(address).ok()?.into(), self.len).ok()?.into()
            }
            IpNet::V6(_) => IpNet::from(Ipv6Net::new(address.into(), self.len).ok()?),
        };
        self.base.contains(&subnet).then_some(subnet)
    }

    /// The numbers of all subnets that share addresses with `taken`.
    pub fn touched_by(&self, taken: &IpNet) -> Option<RangeInclusive<u128>> {
        let taken = if taken.contains(&self.base) { self.base } else { *taken };
        if !self.base.contains(&taken) {
            return None;
        }
        let step = self.base.max_prefix_len() - self.len;
        let number = |address| number_in(&self.base, address).map(|n| n >> step);
        Some(number(taken.network())?..=number(taken.broadcast())?)
    }
}

/// Whether the first of these addresses stands for all of them.
fn has_own(range: &IpNet) -> bool {
    range.prefix_len() + 1 < range.max_prefix_len()
}

fn size_of(prefix: &IpNet) -> Option<u128> {
    1_u128.checked_shl((prefix.max_prefix_len() - prefix.prefix_len()).into())
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use netdb_gossip_core::identity::Name;
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn a_subnet_keeps_what_is_not_for_endpoints() {
        let mut subnet = Subnet::of(net("192.168.0.0/16"));
        subnet.range = Some(net("192.168.41.0/24"));
        subnet.gateway = Some("192.168.41.1".parse().unwrap());
        let name = Name::new("favorite_ip_ever").unwrap();
        subnet.aux.insert(name, "192.168.41.2".parse().unwrap());
        let space = addresses(&subnet).unwrap();
        assert_eq!((space.size(), space.dynamic()), (65_536, 253));
        let reserved: Vec<_> = space.reserved().iter().copied().collect();
        assert_eq!(reserved, [0, 0x2900, 0x2901, 0x2902, 0xffff]);
        assert_eq!(address_in(&subnet.prefix, 0x2903), "192.168.41.3".parse().ok());
    }

    #[test]
    fn a_subnet_of_ipv6_has_no_broadcast() {
        let space = addresses(&Subnet::of(net("fd00::/64"))).unwrap();
        assert_eq!(space.reserved().iter().copied().collect::<Vec<_>>(), [0]);
        assert_eq!(space.size(), 1 << 64);
        assert!(addresses(&Subnet::of(net("::/1"))).is_ok());
        assert_eq!(addresses(&Subnet::of(net("10.0.0.0/31"))).unwrap().reserved().len(), 0);
    }

    #[test]
    fn a_pool_is_cut_into_equal_subnets() {
        let pool = Pool::new(net("10.0.0.0/8"), 20).unwrap();
        assert_eq!(pool.space().unwrap().size(), 4096);
        assert_eq!(pool.subnet(1).unwrap().to_string(), "10.0.16.0/20");
        assert_eq!(pool.subnet(4096), None);
        assert_eq!(pool.to_string(), "10.0.0.0/8 in /20");
        assert_eq!(pool.touched_by(&net("10.0.8.0/24")), Some(0..=0));
        assert_eq!(pool.touched_by(&net("10.1.0.0/16")), Some(16..=31));
        assert_eq!(pool.touched_by(&net("0.0.0.0/1")), Some(0..=4095));
        assert_eq!(pool.touched_by(&net("192.168.0.0/16")), None);
        assert_eq!(pool.touched_by(&net("fd00::/8")), None);
        let told = Pool::new(net("10.0.0.0/8"), 4).unwrap_err().to_string();
        assert_eq!(told, "subnets of /4 can't be cut out of 10.0.0.0/8");
        assert!(matches!(Pool::new(net("fc00::/7"), 64), Err(PoolError::TooMany { .. })));
        assert!(matches!(Pool::new(net("fd00::/47"), 64), Err(PoolError::TooMany { .. })));
    }

    #[test]
    fn a_pool_is_read_as_it_is_shown() {
        for text in ["10.0.0.0/8/20", "fd00:1::/48/64"] {
            assert_eq!(text.parse::<Pool>().unwrap().to_setting(), text);
        }
        for wrong in ["10.0.0.0/8", "10.0.0.0", "/8/20", "10.0.0.0/8/x", ""] {
            assert_eq!(wrong.parse::<Pool>(), Err(ParsePoolError::Form), "{wrong}");
        }
        assert!(matches!("10.0.0.0/8/4".parse::<Pool>(), Err(ParsePoolError::Pool(_))));
    }

    #[test]
    fn ids_survive_their_bytes() {
        let subnet = SpaceId::Subnet(NetworkId([7; 16]), 3);
        for id in [SpaceId::Pool4, SpaceId::Pool6, SpaceId::Vni, subnet] {
            assert_eq!(SpaceId::from_bytes(&id.to_bytes()), Some(id));
        }
        assert_eq!(SpaceId::from_bytes(b"pool5"), None);
        assert_eq!(SpaceId::from_bytes(&[0; 18]), None);
        assert_eq!(vnis().unwrap().dynamic(), (1 << 24) - 4096);
    }

    proptest! {
        #[test]
        fn numbers_and_addresses_are_one_to_one(
            address in any::<u128>(), len in 1_u8..=127, number in any::<u128>(), v4 in any::<bool>(),
        ) {
            let prefix = if v4 {
                let address = u32::try_from(address & u128::from(u32::MAX)).unwrap();
                IpNet::new(IpAddr::V4(address.into()), len % 31 + 1).unwrap().trunc()
            } else {
                IpNet::new(IpAddr::V6(address.into()), len).unwrap().trunc()
            };
            let size = size_of(&prefix).unwrap();
            let inside = number % size;
            let address = address_in(&prefix, inside).unwrap();
            prop_assert_eq!(number_in(&prefix, address), Some(inside));
            prop_assert_eq!(address_in(&prefix, size), None);
        }
    }
}
