//! A port of this host that leads to an endpoint, as people say it:
//! `[ADDRESS:|INTERFACE:]HOSTPORT:PORT[/tcp|udp]`.

use alloc::string::{String, ToString};
use core::{
    fmt,
    net::{IpAddr, SocketAddrV4, SocketAddrV6},
    str::FromStr,
};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    firewall::{Backs, Bind, Front, Protocol},
    records::{LinkName, PublishedPort},
};

/// The most ports of one endpoint.
pub const MAX_PUBLISHED: usize = 256;

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Published {
    /// Where it is on this host. `0.0.0.0` and `::` are all addresses of their family.
    pub front: Front,
    /// The endpoint's port.
    pub to: u16,
}

/// Not a [`Published`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Its parts are not there.
    #[error("{0:?} is not [ADDRESS:|INTERFACE:]HOSTPORT:PORT[/tcp|udp]")]
    Form(String),
    /// No port has this number.
    #[error("{0:?} is not a port in 1..=65535")]
    Port(String),
    /// Has no ports, or is not known.
    #[error("{0:?} is not a protocol with ports: tcp or udp is expected")]
    Protocol(String),
    /// Where is that?
    #[error("{0:?} is neither an address (of IPv6 in brackets) nor an interface")]
    Bind(String),
}

impl FromStr for Published {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        let form = || PublishError::Form(text.into());
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol: Protocol =
            protocol.parse().map_err(|_| PublishError::Protocol(protocol.into()))?;
        let (front, to) = ports.rsplit_once(':').ok_or_else(form)?;
        let (bind, host_port) = match front.rsplit_once(':') {
            Some((bind, host_port)) => (self::bind(bind)?, host_port),
            None => (Bind::Any, front),
        };
        let front = Front { bind, protocol, port: port(host_port)? };
        Ok(Self { front, to: port(to)? })
    }
}

fn port(text: &str) -> Result<u16, PublishError> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| PublishError::Port(text.into()))
}

fn bind(text: &str) -> Result<Bind, PublishError> {
    let bad = || PublishError::Bind(text.into());
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return Ok(Bind::Address(IpAddr::V6(address.parse().map_err(|_| bad())?)));
    }
    if let Ok(address) = text.parse() {
        return Ok(Bind::Address(IpAddr::V4(address)));
    }
    Ok(Bind::Link(LinkName::new(text).map_err(|_| bad())?))
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Front { bind, protocol, port } = &self.front;
        match bind {
            Bind::Any => {}
            Bind::Address(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            Bind::Address(address) => write!(f, "{address}:")?,
            Bind::Link(name) => write!(f, "{name}:")?,
        }
        write!(f, "{port}:{}/{protocol}", self.to)
    }
}

impl TryFrom<String> for Published {
    type Error = PublishError;

    fn try_from(text: String) -> Result<Self, PublishError> {
        text.parse()
    }
}

impl From<Published> for String {
    fn from(published: Published) -> Self {
        published.to_string()
    }
}

impl From<PublishedPort> for Published {
    /// What one host's part of it is.
    fn from(port: PublishedPort) -> Self {
        let bind = port.bind.map_or(Bind::Any, Bind::Address);
        let front = Front { bind, protocol: port.protocol, port: port.published };
        Self { front, to: port.target }
    }
}

impl Published {
    /// Whether some packet could be meant for both.
    pub fn clashes(&self, other: &Self) -> bool {
        let same = |a: &Front, b: &Front| (a.protocol, a.port) == (b.protocol, b.port);
        same(&self.front, &other.front) && overlap(&self.front.bind, &other.front.bind)
    }

    /// What it comes to for an endpoint with these addresses; `None` if it has none of the family that the
    /// port is bound to.
    pub fn lead_to(&self, addresses: &[IpNet]) -> Option<(Front, Backs)> {
        let mut front = self.front.clone();
        let (mut v4, mut v6) = (true, true);
        if let Bind::Address(bound) = front.bind {
            (v4, v6) = (bound.is_ipv4(), bound.is_ipv6());
            if bound.is_unspecified() {
                front.bind = Bind::Any;
            }
        }
        let of = |address: &IpNet| address.addr();
        let v4 = addresses.iter().map(of).find_map(|address| match address {
            IpAddr::V4(address) if v4 => Some((address, self.to)),
            _ => None,
        });
        let v6 = addresses.iter().map(of).find_map(|address| match address {
            IpAddr::V6(address) if v6 => Some((address, self.to)),
            _ => None,
        });
        let v4 = v4.map(|(address, port)| SocketAddrV4::new(address, port));
        let v6 = v6.map(|(address, port)| SocketAddrV6::new(address, port, 0, 0));
        let backs = Backs { v4: v4.into_iter().collect(), v6: v6.into_iter().collect() };
        (backs != Backs::default()).then_some((front, backs))
    }
}

fn overlap(one: &Bind, other: &Bind) -> bool {
    match (one, other) {
        (Bind::Any | Bind::Link(_), Bind::Any)
        | (Bind::Any, Bind::Link(_) | Bind::Address(_))
        | (Bind::Address(_), Bind::Any | Bind::Link(_))
        | (Bind::Link(_), Bind::Address(_)) => true,
        (Bind::Link(one), Bind::Link(other)) => one == other,
        (Bind::Address(one), Bind::Address(other)) => {
            let all = one.is_unspecified() || other.is_unspecified();
            one == other || (all && one.is_ipv4() == other.is_ipv4())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(text: &str) -> Published {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_said_is_read_and_said_again() {
        for text in [
            "8080:80/tcp",
            "192.0.2.1:53:53/udp",
            "[2001:db8::1]:443:8443/tcp",
            "eth0.41:80:80/tcp",
            "0.0.0.0:80:80/tcp",
        ] {
            assert_eq!(published(text).to_string(), text);
        }
        assert_eq!(published("8080:80").to_string(), "8080:80/tcp");
    }

    #[test]
    fn what_can_not_be_is_told() {
        let told = |text: &str| text.parse::<Published>().unwrap_err().to_string();
        assert_eq!(told("80"), "\"80\" is not [ADDRESS:|INTERFACE:]HOSTPORT:PORT[/tcp|udp]");
        assert_eq!(told("0:80"), "\"0\" is not a port in 1..=65535");
        assert_eq!(told("80:65536"), "\"65536\" is not a port in 1..=65535");
        assert!(told("80:80/sctp").starts_with("\"sctp\" is not a protocol"));
        for text in ["::1:80:80", ":80:80", "[192.0.2.1]:80:80", "a b:80:80"] {
            assert!(told(text).contains("neither an address"), "{text}");
        }
    }

    #[test]
    fn ports_clash_where_a_packet_could_be_meant_for_both() {
        let clash = |one, other| {
            let clash = published(one).clashes(&published(other));
            assert_eq!(published(other).clashes(&published(one)), clash);
            clash
        };
        assert!(clash("80:1", "80:2"));
        assert!(clash("80:1", "192.0.2.1:80:2") && clash("eth0:80:1", "192.0.2.1:80:2"));
        assert!(clash("80:1", "eth0:80:1") && clash("0.0.0.0:80:1", "192.0.2.1:80:2"));
        assert!(!clash("80:1", "81:1") && !clash("80:1", "80:1/udp"));
        assert!(!clash("eth0:80:1", "eth1:80:1") && !clash("192.0.2.1:80:1", "192.0.2.2:80:1"));
        assert!(!clash("0.0.0.0:80:1", "[::1]:80:1"));
    }

    #[test]
    fn it_leads_to_addresses_of_its_family() {
        let v4 = ["172.18.0.2/20".parse().unwrap()];
        let both = [v4[0], "fd00::2/64".parse().unwrap()];
        let back = |text, addresses: &[IpNet]| {
            let (front, backs) = published(text).lead_to(addresses)?;
            Some((front.bind, !backs.v4.is_empty(), !backs.v6.is_empty()))
        };
        assert_eq!(back("80:80", &both), Some((Bind::Any, true, true)));
        assert_eq!(back("80:80", &v4), Some((Bind::Any, true, false)));
        assert_eq!(back("[::]:80:80", &both), Some((Bind::Any, false, true)));
        assert_eq!(back("[::1]:80:80", &v4), None);
    }
}
