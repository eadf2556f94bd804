//! What people ask for when they create a network, in Docker's words, and the record that it comes to.
//!
//! Options are told one by one, as on `docker network create`: which subnet a gateway, a range or an
//! auxiliary address belongs to is found out here.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};
use core::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use netdb_gossip_core::identity::Name;

use crate::{
    catalog::Scope,
    records::{
        Driver, MacvlanMode, NetworkError, NetworkOptions, NetworkRecord, Parent, Record, Subnet,
    },
};

/// A network that somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRequest {
    /// What it is to be called.
    pub name: Name,
    /// Who is to make it real.
    pub driver: Driver,
    /// Who is to have it; as the driver needs it if not said.
    pub scope: Option<Scope>,
    /// Its subnets.
    pub subnets: Vec<IpNet>,
    /// Where endpoints get addresses from, at most one in each subnet.
    pub ranges: Vec<IpNet>,
    /// Gateways, at most one in each subnet; the first address of each if not said.
    pub gateways: Vec<IpAddr>,
    /// Addresses in use by something else, by what it is called.
    pub aux: Vec<(Name, IpAddr)>,
    /// The driver's options, `-o NAME=VALUE`.
    pub options: Vec<(String, String)>,
    /// No way out.
    pub internal: bool,
    /// Endpoints of anybody may be attached.
    pub attachable: bool,
    /// What people note about it.
    pub labels: BTreeMap<String, String>,
}

/// What can't be made of a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// It lies in none of the subnets.
    #[error("{what} {place} is in none of the subnets; name its subnet with --subnet")]
    Homeless {
        /// Which option said so.
        what: &'static str,
        /// What it said.
        place: String,
    },
    /// One subnet has one of these.
    #[error("two of {what} for subnet {subnet}: {first} and {second}")]
    Twice {
        /// Which option said so.
        what: &'static str,
        /// The subnet.
        subnet: IpNet,
        /// The first.
        first: String,
        /// The other.
        second: String,
    },
    /// No driver knows it.
    #[error(
        "no driver has the option {0}; known are parent, macvlan_mode, mtu, vni, encrypted and masquerade"
    )]
    UnknownOption(String),
    /// Not what the option takes.
    #[error("option {option}={value}: {wanted} is expected")]
    Value {
        /// The option.
        option: &'static str,
        /// What it said.
        value: String,
        /// What it takes.
        wanted: &'static str,
    },
    /// The driver needs another scope.
    #[error("a network of the {driver} driver can't have the scope {scope}")]
    Scope {
        /// The driver.
        driver: Driver,
        /// What was asked for.
        scope: Scope,
    },
    /// The parts are well formed and don't fit together.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// Not the name of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected overlay, bridge, macvlan, host or none")]
pub struct ParseDriverError;

impl FromStr for Driver {
    type Err = ParseDriverError;

    fn from_str(text: &str) -> Result<Self, ParseDriverError> {
        let all = [Self::Overlay, Self::Bridge, Self::Macvlan, Self::Host, Self::None];
        all.into_iter().find(|driver| driver.to_string() == text).ok_or(ParseDriverError)
    }
}

impl NetworkRequest {
    /// One of which nothing more is said.
    pub fn new(name: Name, driver: Driver) -> Self {
        Self {
            name,
            driver,
            scope: None,
            subnets: Vec::new(),
            ranges: Vec::new(),
            gateways: Vec::new(),
            aux: Vec::new(),
            options: Vec::new(),
            internal: false,
            attachable: false,
            labels: BTreeMap::new(),
        }
    }

    /// Who is to have it: what was asked for, or what its driver does.
    ///
    /// # Errors
    /// The driver does not do what was asked for.
    pub fn scope(&self) -> Result<Scope, RequestError> {
        let driver = self.driver;
        match (driver, self.scope) {
            (Driver::Bridge, None) => Ok(Scope::Local),
            (Driver::Bridge, Some(scope @ Scope::Cluster))
            | (Driver::Overlay, Some(scope @ Scope::Local)) => {
                Err(RequestError::Scope { driver, scope })
            }
            (_, scope) => Ok(scope.unwrap_or(Scope::Cluster)),
        }
    }

    /// Whether a subnet of this family was named.
    pub fn names_subnet(&self, v6: bool) -> bool {
        self.subnets.iter().any(|subnet| subnet.addr().is_ipv6() == v6)
    }

    /// Whether its endpoints have addresses.
    pub fn is_addressed(&self) -> bool {
        !matches!(self.driver, Driver::Host | Driver::None)
    }

    /// The record of a network created at `created_us`, microseconds since the Unix epoch by cluster time.
    ///
    /// # Errors
    /// The first part that can't be, or doesn't fit the others.
    pub fn into_record(self, created_us: u64) -> Result<NetworkRecord, RequestError> {
        let subnets = self.place()?;
        let mut options = NetworkOptions {
            internal: self.internal,
            attachable: self.attachable,
            labels: self.labels,
            ..NetworkOptions::default()
        };
        for (name, value) in &self.options {
            set_option(&mut options, name, value)?;
        }
        let (name, driver) = (self.name, self.driver);
        let record = NetworkRecord { name, driver, subnets, options, created_us };
        record.check()?;
        Ok(record)
    }

    /// Puts everything into its subnet.
    fn place(&self) -> Result<Vec<Subnet>, RequestError> {
        let mut subnets: Vec<Subnet> = self.subnets.iter().copied().map(Subnet::of).collect();
        for range in &self.ranges {
            let subnet = home(&mut subnets, "--ip-range", range, |prefix| prefix.contains(range))?;
            once("--ip-range", subnet.prefix, &mut subnet.range, *range)?;
        }
        for gateway in &self.gateways {
            let inside = |prefix: &IpNet| prefix.contains(gateway);
            let subnet = home(&mut subnets, "--gateway", gateway, inside)?;
            once("--gateway", subnet.prefix, &mut subnet.gateway, *gateway)?;
        }
        for (name, address) in &self.aux {
            let inside = |prefix: &IpNet| prefix.contains(address);
            let subnet = home(&mut subnets, "--aux-address", address, inside)?;
            let mut before = subnet.aux.get(name).copied();
            once("--aux-address", subnet.prefix, &mut before, *address)?;
            subnet.aux.insert(name.clone(), *address);
        }
        for subnet in &mut subnets {
            subnet.gateway = subnet.gateway.or_else(|| first_free(subnet));
        }
        Ok(subnets)
    }
}

fn home<'a>(
    subnets: &'a mut [Subnet],
    what: &'static str,
    place: &dyn fmt::Display,
    inside: impl Fn(&IpNet) -> bool,
) -> Result<&'a mut Subnet, RequestError> {
    let found = subnets.iter_mut().find(|subnet| inside(&subnet.prefix));
    found.ok_or_else(|| RequestError::Homeless { what, place: place.to_string() })
}

fn once<T: fmt::Display>(
    what: &'static str,
    subnet: IpNet,
    slot: &mut Option<T>,
    value: T,
) -> Result<(), RequestError> {
    if let Some(first) = slot {
        let (first, second) = (first.to_string(), value.to_string());
        return Err(RequestError::Twice { what, subnet, first, second });
    }
    *slot = Some(value);
    Ok(())
}

/// The first address of a subnet that nothing else has.
fn first_free(subnet: &Subnet) -> Option<IpAddr> {
    let taken = |address: &IpAddr| subnet.aux.values().any(|aux| aux == address);
    let mut addresses = subnet.prefix.hosts().take(subnet.aux.len() + 2);
    addresses.find(|address| subnet.has_room_for(*address) && !taken(address))
}

/// Takes one option, by our name for it or by Docker's.
fn set_option(options: &mut NetworkOptions, name: &str, value: &str) -> Result<(), RequestError> {
    let bad = |option, wanted| RequestError::Value { option, value: value.into(), wanted };
    match name {
        "parent" => options.parent = Some(Parent::new(value)?),
        "macvlan_mode" => {
            let all = [MacvlanMode::Bridge, MacvlanMode::Private, MacvlanMode::Vepa];
            let found = all.into_iter().find(|mode| mode.to_string() == value);
            options.mode = found.ok_or(bad("macvlan_mode", "bridge, private or vepa"))?;
        }
        "mtu" | "com.docker.network.driver.mtu" => {
            options.mtu = Some(value.parse().map_err(|_| bad("mtu", "a number of bytes"))?);
        }
        "vni" | "com.docker.network.driver.overlay.vxlanid_list" => {
            options.vni = Some(value.parse().map_err(|_| bad("vni", "a number"))?);
        }
        "encrypted" | "masquerade" => {
            let (option, flag) = match name {
                "encrypted" => ("encrypted", &mut options.encrypted),
                _ => ("masquerade", &mut options.masquerade),
            };
            *flag = match value {
                "" | "true" => true,
                "false" => false,
                _ => return Err(bad(option, "nothing, true or false")),
            }
        }
        _ => return Err(RequestError::UnknownOption(name.into())),
    }
    Ok(())
}

/// The driver's options that were set, by our names, as a request would say them.
pub fn options_of(options: &NetworkOptions) -> BTreeMap<String, String> {
    let mode = (options.mode != MacvlanMode::default()).then(|| options.mode.to_string());
    let set = [
        ("parent", options.parent.as_ref().map(|parent| parent.name.to_string())),
        ("macvlan_mode", mode),
        ("mtu", options.mtu.map(|mtu| mtu.to_string())),
        ("vni", options.vni.map(|vni| vni.to_string())),
        ("encrypted", options.encrypted.then(|| "true".into())),
        ("masquerade", options.masquerade.then(|| "true".into())),
    ];
    set.into_iter().filter_map(|(name, value)| Some((name.into(), value?))).collect()
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn request(driver: Driver, subnets: &[&str]) -> NetworkRequest {
        let subnets = subnets.iter().map(|subnet| subnet.parse().unwrap()).collect();
        NetworkRequest { subnets, ..NetworkRequest::new(Name::new("web").unwrap(), driver) }
    }

    fn option(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn dockers_example_of_a_macvlan_works_as_it_stands() {
        let mut wanted = request(Driver::Macvlan, &["192.168.0.0/16"]);
        wanted.ranges = vec!["192.168.41.0/24".parse().unwrap()];
        wanted.gateways = vec!["192.168.41.1".parse().unwrap()];
        let favorite = Name::new("favorite_ip_ever").unwrap();
        wanted.aux = vec![(favorite.clone(), "192.168.41.2".parse().unwrap())];
        wanted.options = vec![option("parent", "eth0.41")];
        let record = wanted.into_record(7).unwrap();
        let [subnet] = record.subnets.as_slice() else { panic!("{record:?}") };
        assert_eq!(subnet.range.unwrap().to_string(), "192.168.41.0/24");
        assert_eq!(subnet.gateway.unwrap().to_string(), "192.168.41.1");
        assert_eq!(subnet.aux[&favorite].to_string(), "192.168.41.2");
        let parent = record.options.parent.unwrap();
        assert_eq!(
            parent.vlan.map(|(below, id)| (below.to_string(), id)),
            Some(("eth0".into(), 41))
        );
        assert_eq!(record.created_us, 7);
    }

    #[test]
    fn each_part_finds_its_subnet() {
        let mut wanted = request(Driver::Overlay, &["10.1.0.0/24", "fd00:1::/64"]);
        wanted.gateways = vec!["fd00:1::9".parse().unwrap()];
        wanted.aux = vec![(Name::new("router").unwrap(), "10.1.0.1".parse().unwrap())];
        let record = wanted.clone().into_record(1).unwrap();
        let gateways: Vec<String> =
            record.subnets.iter().map(|subnet| subnet.gateway.unwrap().to_string()).collect();
        assert_eq!(gateways, ["10.1.0.2", "fd00:1::9"], "the router has the first");
        wanted.gateways.push("10.2.0.1".parse().unwrap());
        let told = wanted.clone().into_record(1).unwrap_err().to_string();
        assert_eq!(
            told,
            "--gateway 10.2.0.1 is in none of the subnets; name its subnet with --subnet"
        );
        wanted.gateways = vec!["10.1.0.3".parse().unwrap(), "10.1.0.4".parse().unwrap()];
        let told = wanted.into_record(1).unwrap_err().to_string();
        assert_eq!(told, "two of --gateway for subnet 10.1.0.0/24: 10.1.0.3 and 10.1.0.4");
    }

    #[test]
    fn options_have_our_names_and_dockers() {
        let with = |options: Vec<(String, String)>| {
            NetworkRequest { options, ..request(Driver::Overlay, &["10.1.0.0/24"]) }.into_record(1)
        };
        let vxlanid = "com.docker.network.driver.overlay.vxlanid_list";
        let record = with(vec![option(vxlanid, "4097"), option("encrypted", "")]).unwrap();
        assert_eq!((record.options.vni, record.options.encrypted), (Some(4097), true));
        let told = |name, value| with(vec![option(name, value)]).unwrap_err().to_string();
        assert_eq!(told("mtu", "big"), "option mtu=big: a number of bytes is expected");
        assert!(told("parnet", "eth0").contains("known are parent"));
        assert_eq!(told("parent", "eth0"), "the option parent means nothing to the overlay driver");
    }

    #[test]
    fn what_was_set_is_said_again_as_it_was_asked_for() {
        let asked = [
            ("encrypted", "true"),
            ("macvlan_mode", "vepa"),
            ("masquerade", "true"),
            ("mtu", "1400"),
            ("parent", "eth0.41"),
            ("vni", "4097"),
        ];
        let mut options = NetworkOptions::default();
        for (name, value) in asked {
            set_option(&mut options, name, value).unwrap();
        }
        let said = options_of(&options);
        assert!(said.iter().map(|(name, value)| (&**name, &**value)).eq(asked), "{said:?}");
        assert!(options_of(&NetworkOptions::default()).is_empty());
    }

    #[test]
    fn a_bridge_is_one_hosts_and_an_overlay_is_not() {
        let scope = |driver, scope| NetworkRequest { scope, ..request(driver, &[]) }.scope();
        assert_eq!(scope(Driver::Bridge, None), Ok(Scope::Local));
        assert_eq!(scope(Driver::Macvlan, None), Ok(Scope::Cluster));
        assert_eq!(scope(Driver::Macvlan, Some(Scope::Local)), Ok(Scope::Local));
        let told = scope(Driver::Bridge, Some(Scope::Cluster)).unwrap_err().to_string();
        assert_eq!(told, "a network of the bridge driver can't have the scope cluster");
        assert!(scope(Driver::Overlay, Some(Scope::Local)).is_err());
    }

    #[test]
    fn drivers_are_called_by_their_names() {
        for driver in [Driver::Overlay, Driver::Bridge, Driver::Macvlan, Driver::Host, Driver::None]
        {
            assert_eq!(driver.to_string().parse(), Ok(driver));
        }
        assert_eq!("ipvlan".parse::<Driver>(), Err(ParseDriverError));
    }
}
