//! What a service is: a name for a set of endpoints, and how it is reached from inside and outside.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::{fmt, net::IpAddr, str::FromStr};

use netdb_gossip_core::identity::Name;
use serde::{Deserialize, Serialize};

use super::{ExternalTraffic, MAX_LABEL, MAX_LABELS, NetworkId, Record, network::labels_fit};

/// The most ports that a service publishes.
pub const MAX_PORTS: usize = 64;

/// A service. Its key is its id; which endpoints serve it, they say themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// What people call it; of two with one name the older creation wins.
    pub name: Name,
    /// Where it is known by its name, and where its virtual addresses are.
    pub network: NetworkId,
    /// What its name comes to.
    pub mode: ServiceMode,
    /// Its virtual addresses: one, or one of each family; none of [`ServiceMode::DnsRr`].
    pub vips: Vec<IpAddr>,
    /// Ports at which hosts have it, at most [`MAX_PORTS`].
    pub ports: Vec<PublishedPort>,
    /// What people note about it.
    pub labels: BTreeMap<String, String>,
    /// Whoever asks for it gets a backend of the own node, as long as one is ready.
    pub prefers_local: bool,
    /// Which backends get what comes by its ports in the mode ingress.
    pub external: ExternalTraffic,
    /// The label, `NAME` or `NAME=VALUE`, of the nodes that open its ports in the mode ingress; all do if not said.
    pub publish_on: Option<String>,
    /// A port of TCP at which each node says by HTTP whether backends of its own take what comes from outside.
    pub health_port: Option<u16>,
    /// When it was created, microseconds since the Unix epoch by cluster time.
    pub created_us: u64,
}

/// What the name of a service comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ServiceMode {
    /// One virtual address of each family, behind which backends share what comes.
    Vip,
    /// The addresses of all backends, in any order.
    DnsRr,
}

/// A port of hosts that leads to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The hosts' port.
    pub published: u16,
    /// The backends' port.
    pub target: u16,
    /// Which hosts have it.
    pub mode: PublishMode,
    /// Which address of a host has it: all if not said; `0.0.0.0` and `::` are all of their family.
    pub bind: Option<IpAddr>,
}

/// Which hosts have a published port.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum PublishMode {
    /// Each, and it leads to all backends.
    #[default]
    Ingress,
    /// Those that a backend is on, and it leads to that.
    Host,
}

/// A protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// RFC 9293.
    Tcp,
    /// RFC 768.
    Udp,
}

/// What is wrong with a service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// Its name would come to nothing.
    #[error("a service with a virtual address needs one: its network has no subnets")]
    NoVip,
    /// Its name comes to the backends.
    #[error("a service of the mode dnsrr has no virtual address, and {0} is one")]
    UselessVip(IpAddr),
    /// Over one of a family.
    #[error("two virtual addresses of one family: {0} and {1}")]
    TwoVips(IpAddr, IpAddr),
    /// Not an address of one host.
    #[error("{0} is not the virtual address of a service")]
    Vip(IpAddr),
    /// Over [`MAX_PORTS`].
    #[error("{0} published ports, {MAX_PORTS} at most")]
    TooManyPorts(usize),
    /// Nothing has this number.
    #[error("{0}: a port is in 1..=65535")]
    Port(PublishedPort),
    /// No host has this address.
    #[error("{0} is not an address that a host has")]
    Bind(IpAddr),
    /// One packet would be meant for both.
    #[error("{0} and {1} are one port")]
    TwicePublished(PublishedPort, PublishedPort),
    /// All hosts lead to its virtual address, and there is none.
    #[error("{0}: a service of the mode dnsrr publishes ports in the mode host only")]
    IngressWithoutVip(PublishedPort),
    /// It is the service's own.
    #[error("port {0} can't say how the service is doing: it leads to it")]
    HealthPort(u16),
    /// Over [`MAX_LABELS`] or [`MAX_LABEL`].
    #[error("labels: {MAX_LABELS} at most, of {MAX_LABEL} bytes each")]
    Labels,
}

impl ServiceRecord {
    /// One of which nothing more is said.
    pub fn new(name: Name, network: NetworkId, mode: ServiceMode) -> Self {
        Self {
            name,
            network,
            mode,
            vips: Vec::new(),
            ports: Vec::new(),
            labels: BTreeMap::new(),
            prefers_local: false,
            external: ExternalTraffic::default(),
            publish_on: None,
            health_port: None,
            created_us: 0,
        }
    }

    fn check_vips(&self) -> Result<(), ServiceError> {
        if let (ServiceMode::DnsRr, Some(vip)) = (self.mode, self.vips.first()) {
            return Err(ServiceError::UselessVip(*vip));
        }
        if self.mode == ServiceMode::Vip && self.vips.is_empty() {
            return Err(ServiceError::NoVip);
        }
        for (place, vip) in self.vips.iter().enumerate() {
            if vip.is_multicast() || vip.is_unspecified() || vip.is_loopback() {
                return Err(ServiceError::Vip(*vip));
            }
            let mut before = self.vips.iter().take(place);
            if let Some(other) = before.find(|other| other.is_ipv4() == vip.is_ipv4()) {
                return Err(ServiceError::TwoVips(*other, *vip));
            }
        }
        Ok(())
    }

    fn check_ports(&self) -> Result<(), ServiceError> {
        if self.ports.len() > MAX_PORTS {
            return Err(ServiceError::TooManyPorts(self.ports.len()));
        }
        for (place, port) in self.ports.iter().enumerate() {
            if port.published == 0 || port.target == 0 {
                return Err(ServiceError::Port(*port));
            }
            if let Some(bind) = port.bind.filter(IpAddr::is_multicast) {
                return Err(ServiceError::Bind(bind));
            }
            if self.mode == ServiceMode::DnsRr && port.mode == PublishMode::Ingress {
                return Err(ServiceError::IngressWithoutVip(*port));
            }
            let mut before = self.ports.iter().take(place);
            if let Some(other) = before.find(|other| other.clashes(port)) {
                return Err(ServiceError::TwicePublished(*other, *port));
            }
        }
        Ok(())
    }
}

impl ServiceRecord {
    /// The port at which nodes say how it is doing, as one that every node has.
    pub fn health(&self) -> Option<PublishedPort> {
        let number = self.health_port?;
        let (protocol, mode) = (Protocol::Tcp, PublishMode::Ingress);
        Some(PublishedPort { protocol, published: number, target: number, mode, bind: None })
    }
}

impl Record for ServiceRecord {
    type Error = ServiceError;

    fn check(&self) -> Result<(), ServiceError> {
        self.check_vips()?;
        self.check_ports()?;
        if let (Some(number), Some(health)) = (self.health_port, self.health()) {
            if number == 0 {
                return Err(ServiceError::Port(health));
            }
            if self.ports.iter().any(|port| port.clashes(&health)) {
                return Err(ServiceError::HealthPort(number));
            }
        }
        let bad = |label: &String| label.is_empty() || label.len() > MAX_LABEL;
        if self.publish_on.as_ref().is_some_and(bad) {
            return Err(ServiceError::Labels);
        }
        if labels_fit(&self.labels) { Ok(()) } else { Err(ServiceError::Labels) }
    }
}

impl PublishedPort {
    /// Whether some packet to a host could be meant for both.
    pub fn clashes(&self, other: &Self) -> bool {
        let same = (self.protocol, self.published) == (other.protocol, other.published);
        same && match (self.bind, other.bind) {
            (None, _) | (_, None) => true,
            (Some(one), Some(other)) => {
                let all = one.is_unspecified() || other.is_unspecified();
                one == other || (all && one.is_ipv4() == other.is_ipv4())
            }
        }
    }
}

impl Protocol {
    /// IANA's number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

/// Not a [`ServiceMode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected vip or dnsrr")]
pub struct ParseServiceModeError;

/// Not a [`PublishMode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ingress or host")]
pub struct ParsePublishModeError;

/// Not a [`Protocol`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected tcp or udp")]
pub struct ParseProtocolError;

impl fmt::Display for ServiceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vip => "vip",
            Self::DnsRr => "dnsrr",
        })
    }
}

impl FromStr for ServiceMode {
    type Err = ParseServiceModeError;

    fn from_str(text: &str) -> Result<Self, ParseServiceModeError> {
        match text {
            "vip" => Ok(Self::Vip),
            "dnsrr" => Ok(Self::DnsRr),
            _ => Err(ParseServiceModeError),
        }
    }
}

impl fmt::Display for PublishMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ingress => "ingress",
            Self::Host => "host",
        })
    }
}

impl FromStr for PublishMode {
    type Err = ParsePublishModeError;

    fn from_str(text: &str) -> Result<Self, ParsePublishModeError> {
        match text {
            "ingress" => Ok(Self::Ingress),
            "host" => Ok(Self::Host),
            _ => Err(ParsePublishModeError),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl FromStr for Protocol {
    type Err = ParseProtocolError;

    fn from_str(text: &str) -> Result<Self, ParseProtocolError> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => Err(ParseProtocolError),
        }
    }
}

/// As people say it: `[BIND:]PUBLISHED:TARGET/PROTOCOL`.
impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bind {
            None => {}
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
        }
        write!(f, "{}:{}/{}", self.published, self.target, self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec};

    use super::*;
    use crate::records::{RecordError, decode, encode};

    fn port(published: u16) -> PublishedPort {
        let (protocol, mode) = (Protocol::Tcp, PublishMode::Ingress);
        PublishedPort { protocol, published, target: 80, mode, bind: None }
    }

    fn service() -> ServiceRecord {
        ServiceRecord {
            vips: vec!["10.0.0.9".parse().unwrap(), "fd00::9".parse().unwrap()],
            ports: vec![port(8080)],
            labels: [("tier".into(), "front".into())].into(),
            created_us: 7,
            ..ServiceRecord::new(Name::new("web").unwrap(), NetworkId([1; 16]), ServiceMode::Vip)
        }
    }

    fn refused(change: impl Fn(&mut ServiceRecord)) -> String {
        let mut record = service();
        change(&mut record);
        let error = record.check().unwrap_err();
        assert_eq!(decode::<ServiceRecord>(&encode(&record)), Err(error.clone().into()));
        error.to_string()
    }

    #[test]
    fn a_name_comes_to_one_address_of_each_family_or_to_the_backends() {
        assert_eq!(decode(&encode(&service())), Ok(service()));
        let rr = ServiceRecord {
            mode: ServiceMode::DnsRr,
            vips: vec![],
            ports: vec![PublishedPort { mode: PublishMode::Host, ..port(80) }],
            ..service()
        };
        assert_eq!(decode(&encode(&rr)), Ok(rr));
        assert!(refused(|s| s.vips.clear()).contains("needs one"));
        assert!(refused(|s| s.mode = ServiceMode::DnsRr).contains("no virtual address"));
        let two = refused(|s| s.vips.push("10.0.0.8".parse().unwrap()));
        assert_eq!(two, "two virtual addresses of one family: 10.0.0.9 and 10.0.0.8");
        for bad in ["0.0.0.0", "127.0.0.1", "ff02::1"] {
            assert!(refused(|s| s.vips = vec![bad.parse().unwrap()]).starts_with(bad));
        }
    }

    #[test]
    fn ports_are_bounded_and_no_two_are_one() {
        let many = |count: u16| (1..=count).map(port).collect::<Vec<_>>();
        let most = u16::try_from(MAX_PORTS).unwrap();
        let full = ServiceRecord { ports: many(most), ..service() };
        assert_eq!(full.check(), Ok(()));
        assert_eq!(refused(|s| s.ports = many(most + 1)), "65 published ports, 64 at most");
        assert_eq!(refused(|s| s.ports = vec![port(0)]), "0:80/tcp: a port is in 1..=65535");
        let no_target = PublishedPort { target: 0, ..port(80) };
        assert!(refused(|s| s.ports = vec![no_target]).starts_with("80:0/tcp"));
        let bound = PublishedPort { bind: Some("192.0.2.1".parse().unwrap()), ..port(8080) };
        let told = refused(|s| s.ports.push(bound));
        assert_eq!(told, "8080:80/tcp and 192.0.2.1:8080:80/tcp are one port");
        let group = PublishedPort { bind: Some("ff02::1".parse().unwrap()), ..port(80) };
        assert!(refused(|s| s.ports = vec![group]).contains("not an address that a host has"));
        let told = refused(|s| (s.mode, s.vips) = (ServiceMode::DnsRr, vec![]));
        assert!(told.contains("in the mode host only"), "{told}");
    }

    #[test]
    fn labels_are_bounded() {
        let labels = |count: usize| (0..count).map(|n| (format!("{n}"), String::new())).collect();
        let full = ServiceRecord { labels: labels(MAX_LABELS), ..service() };
        assert_eq!(full.check(), Ok(()));
        assert!(refused(|s| s.labels = labels(MAX_LABELS + 1)).starts_with("labels"));
        let long = "x".repeat(MAX_LABEL + 1);
        assert!(refused(|s| s.labels = [("k".into(), long.clone())].into()).starts_with("labels"));
        let error = RecordError::Service(ServiceError::Labels);
        assert!(error.to_string().contains("64 at most"));
    }

    #[test]
    fn ports_clash_where_a_packet_could_be_meant_for_both() {
        let at = |bind: &str| PublishedPort { bind: bind.parse().ok(), ..port(80) };
        let clash = |one: PublishedPort, other: PublishedPort| {
            assert_eq!(one.clashes(&other), other.clashes(&one));
            one.clashes(&other)
        };
        assert!(clash(at("any"), at("192.0.2.1")) && clash(at("0.0.0.0"), at("192.0.2.1")));
        assert!(clash(at("::1"), at("::1")) && clash(at("any"), at("::")));
        assert!(!clash(at("192.0.2.1"), at("192.0.2.2")) && !clash(at("0.0.0.0"), at("::1")));
        let udp = PublishedPort { protocol: Protocol::Udp, ..port(80) };
        assert!(!clash(port(80), udp) && !clash(port(80), port(81)));
    }

    #[test]
    fn words_are_read_as_they_are_said() {
        for mode in [ServiceMode::Vip, ServiceMode::DnsRr] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for mode in [PublishMode::Ingress, PublishMode::Host] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
        assert_eq!("rr".parse::<ServiceMode>(), Err(ParseServiceModeError));
        assert_eq!("any".parse::<PublishMode>(), Err(ParsePublishModeError));
        assert_eq!("sctp".parse::<Protocol>(), Err(ParseProtocolError));
    }
}
