//! What a network is: the row that every node builds the same network from.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::fmt;

use ipnet::IpNet;
use netdb_gossip_core::identity::Name;
use serde::{Deserialize, Serialize};

use super::{LinkName, Record, Subnet, SubnetError};

/// The most subnets of a network.
pub const MAX_SUBNETS: usize = 16;
/// The most labels of a network or a service.
pub const MAX_LABELS: usize = 64;
/// The most bytes of a label, its key and its value each.
pub const MAX_LABEL: usize = 256;
/// The least MTU that IPv4 can live with (RFC 791), in bytes.
pub const MIN_MTU: u32 = 68;
/// The least MTU of a link that carries IPv6 (RFC 8200, section 5), in bytes.
pub const MIN_MTU_V6: u32 = 1280;
/// The most bytes in an IP packet.
pub const MAX_MTU: u32 = 65_535;
/// The highest VXLAN network identifier: 24 bits (RFC 7348, section 5).
pub const MAX_VNI: u32 = 0x00ff_ffff;
/// The highest id of an IEEE 802.1Q VLAN; 4095 is reserved, 0 means none.
const MAX_VLAN: u16 = 4094;

/// Who makes a network real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Driver {
    /// VXLAN between hosts.
    Overlay,
    /// One host's bridge.
    Bridge,
    /// Own hardware addresses on a host's interface.
    Macvlan,
    /// The host's own namespace.
    Host,
    /// Nothing but loopback.
    None,
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Overlay => "overlay",
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Host => "host",
            Self::None => "none",
        })
    }
}

/// How endpoints on one parent see each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MacvlanMode {
    /// Directly.
    #[default]
    Bridge,
    /// Not at all.
    Private,
    /// Over the switch outside, which has to reflect.
    Vepa,
}

impl fmt::Display for MacvlanMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bridge => "bridge",
            Self::Private => "private",
            Self::Vepa => "vepa",
        })
    }
}

/// A host's interface, and the VLAN on it if there is one: `eth0`, `eth0.41`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Parent {
    /// The interface as the options name it.
    pub name: LinkName,
    /// What it lies on and its VLAN id, when the name says so.
    pub vlan: Option<(LinkName, u16)>,
}

impl Parent {
    /// Reads the option: `NAME` or `NAME.VLAN`.
    ///
    /// # Errors
    /// [`NetworkError::Parent`] for what is neither.
    pub fn new(text: &str) -> Result<Self, NetworkError> {
        let bad = || NetworkError::Parent(text.into());
        let name = LinkName::new(text).map_err(|_| bad())?;
        let Some((below, id)) = text.rsplit_once('.') else { return Ok(Self { name, vlan: None }) };
        let id = id.parse().ok().filter(|id| (1..=MAX_VLAN).contains(id)).ok_or_else(bad)?;
        let below = LinkName::new(below).map_err(|_| bad())?;
        Ok(Self { name, vlan: Some((below, id)) })
    }
}

/// What can be set about a network beside its subnets.
#[allow(clippy::struct_excessive_bools, reason = "options, each on its own")]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkOptions {
    /// Bytes in an IP packet; as much as every node's underlay lets through if not said.
    pub mtu: Option<u32>,
    /// What tells an overlay's packets from another's.
    pub vni: Option<u32>,
    /// Packets between hosts are encrypted.
    pub encrypted: bool,
    /// What nodes lead to each other on it has their own addresses, not those of clients; of the routing mesh's network.
    pub masquerade: bool,
    /// No way out.
    pub internal: bool,
    /// Endpoints of anybody may be attached, not only those of services.
    pub attachable: bool,
    /// Whose hardware a macvlan lies on.
    pub parent: Option<Parent>,
    /// How a macvlan's endpoints see each other.
    pub mode: MacvlanMode,
    /// What people note about it.
    pub labels: BTreeMap<String, String>,
}

/// What a network is. Its key is its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRecord {
    /// What people call it; of two with one name the older creation wins.
    pub name: Name,
    /// Who makes it real.
    pub driver: Driver,
    /// Where endpoints get addresses from, at most [`MAX_SUBNETS`].
    pub subnets: Vec<Subnet>,
    /// Everything else that can be set.
    pub options: NetworkOptions,
    /// When it was created, microseconds since the Unix epoch by cluster time.
    pub created_us: u64,
}

/// What is wrong with a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Over [`MAX_SUBNETS`].
    #[error("{0} subnets, {MAX_SUBNETS} at most")]
    TooManySubnets(usize),
    /// The driver gives addresses, and there are none.
    #[error("a network of the {0} driver needs a subnet")]
    NoSubnet(Driver),
    /// The driver gives no addresses.
    #[error("a network of the {0} driver has no subnets")]
    UselessSubnet(Driver),
    /// One of the subnets.
    #[error(transparent)]
    Subnet(#[from] SubnetError),
    /// An address would be in two subnets.
    #[error("{0} and {1} overlap")]
    Overlap(IpNet, IpNet),
    /// No link has such an MTU.
    #[error("MTU {mtu} is not in {least}..={MAX_MTU}{why}", why = if *.least == MIN_MTU_V6 { ", as IPv6 needs" } else { "" })]
    Mtu {
        /// What was asked for.
        mtu: u32,
        /// The least that works.
        least: u32,
    },
    /// Outside 24 bits, or 0, which the kernel takes for any.
    #[error("VNI {0} is not in 1..={MAX_VNI}")]
    Vni(u32),
    /// The option belongs to another driver.
    #[error("the option {option} means nothing to the {driver} driver")]
    Meaningless {
        /// The option's name.
        option: &'static str,
        /// The network's driver.
        driver: Driver,
    },
    /// Neither an interface nor a VLAN on one.
    #[error("parent {0:?} is neither an interface nor INTERFACE.VLAN with a VLAN in 1..=4094")]
    Parent(String),
    /// Over [`MAX_LABELS`] or [`MAX_LABEL`].
    #[error("labels: {MAX_LABELS} at most, of {MAX_LABEL} bytes each")]
    Labels,
}

impl NetworkRecord {
    /// Whether the network has addresses of IPv6.
    pub fn has_v6(&self) -> bool {
        self.subnets.iter().any(|subnet| subnet.prefix.addr().is_ipv6())
    }

    fn check_subnets(&self) -> Result<(), NetworkError> {
        let addressed = !matches!(self.driver, Driver::Host | Driver::None);
        match self.subnets.len() {
            0 if addressed => return Err(NetworkError::NoSubnet(self.driver)),
            1.. if !addressed => return Err(NetworkError::UselessSubnet(self.driver)),
            count if count > MAX_SUBNETS => return Err(NetworkError::TooManySubnets(count)),
            _ => {}
        }
        for (place, subnet) in self.subnets.iter().enumerate() {
            subnet.check()?;
            if let Some(other) =
                self.subnets.iter().take(place).find(|other| other.overlaps(subnet))
            {
                return Err(NetworkError::Overlap(other.prefix, subnet.prefix));
            }
        }
        Ok(())
    }

    fn check_options(&self) -> Result<(), NetworkError> {
        let NetworkOptions { mtu, vni, parent, labels, encrypted, mode, .. } = &self.options;
        let masquerade = self.options.masquerade;
        let least = if self.has_v6() { MIN_MTU_V6 } else { MIN_MTU };
        if let Some(mtu) = mtu.filter(|mtu| !(least..=MAX_MTU).contains(mtu)) {
            return Err(NetworkError::Mtu { mtu, least });
        }
        if let Some(vni) = vni.filter(|vni| !(1..=MAX_VNI).contains(vni)) {
            return Err(NetworkError::Vni(vni));
        }
        if let Some(parent) = parent
            && Parent::new(parent.name.as_str()).as_ref() != Ok(parent)
        {
            return Err(NetworkError::Parent(parent.name.as_str().into()));
        }
        let set = [
            ("vni", vni.is_some(), Driver::Overlay),
            ("encrypted", *encrypted, Driver::Overlay),
            ("masquerade", masquerade, Driver::Overlay),
            ("parent", parent.is_some(), Driver::Macvlan),
            ("macvlan_mode", *mode != MacvlanMode::default(), Driver::Macvlan),
        ];
        for (option, set, driver) in set {
            if set && driver != self.driver {
                return Err(NetworkError::Meaningless { option, driver: self.driver });
            }
        }
        if labels_fit(labels) { Ok(()) } else { Err(NetworkError::Labels) }
    }
}

/// Whether there are no more than [`MAX_LABELS`], and none is over [`MAX_LABEL`].
pub(super) fn labels_fit(labels: &BTreeMap<String, String>) -> bool {
    let fits = |label: &String| label.len() <= MAX_LABEL;
    labels.len() <= MAX_LABELS && labels.iter().all(|(key, value)| fits(key) && fits(value))
}

impl Record for NetworkRecord {
    type Error = NetworkError;

    fn check(&self) -> Result<(), NetworkError> {
        self.check_subnets()?;
        self.check_options()
    }
}
