//! Which address of this host other nodes should send to, when nobody says so.
//!
//! Must never send anything: the system is only asked which way it would send.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use nix::ifaddrs::getifaddrs;

use crate::config::{Config, ConfigError};

/// Addresses kept for documentation: what leaves for the world would leave for them too.
const ANYWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

/// The address to tell other nodes, of a node that listens at `local`. Of several routes, the one to
/// the first of `peers` counts.
pub(crate) fn advertised(
    config: &Config,
    local: SocketAddr,
    peers: &[SocketAddr],
) -> Result<SocketAddr, ConfigError> {
    if let Some(advertise) = config.advertise {
        return Ok(advertise);
    }
    if !local.ip().is_unspecified() {
        return Ok(local);
    }
    let anywhere = ANYWHERE.map(|ip| SocketAddr::new(ip, 9));
    let routed = peers.iter().chain(&anywhere).find_map(|peer| source(*peer));
    routed
        .or_else(only_address)
        .map(|ip| SocketAddr::new(ip, local.port()))
        .ok_or(ConfigError::NoAddress)
}

/// The address that packets to `peer` leave from.
fn source(peer: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Connecting a UDP socket only looks up the route.
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    socket.connect(peer).ok()?;
    let source = socket.local_addr().ok()?.ip();
    (!source.is_unspecified()).then_some(source)
}

/// The address of a host that has only one besides loopback, as in a network without a router.
fn only_address() -> Option<IpAddr> {
    let ours = getifaddrs().ok()?.filter_map(|interface| {
        let address = interface.address?;
        let ip = match address.as_sockaddr_in() {
            Some(v4) => IpAddr::V4(v4.ip()),
            None => IpAddr::V6(address.as_sockaddr_in6()?.ip()),
        };
        let usable = match ip {
            IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
            IpAddr::V6(v6) => !v6.is_loopback() && !v6.is_unicast_link_local(),
        };
        usable.then_some(ip)
    });
    let ours: BTreeSet<IpAddr> = ours.collect();
    let first = ours.first().copied()?;
    (ours.len() == 1).then_some(first)
}

#[cfg(test)]
mod tests {
    use netdb_gossip_core::identity::Name;

    use super::*;

    #[test]
    fn what_is_said_comes_before_what_is_found() {
        let config = Config::local("x", Name::new("a").unwrap());
        let local: SocketAddr = "127.0.0.1:77".parse().unwrap();
        assert_eq!(advertised(&config, local, &[]), Ok(local));
        let everywhere: SocketAddr = "0.0.0.0:77".parse().unwrap();
        let peer: SocketAddr = "127.0.0.9:1".parse().unwrap();
        let found = advertised(&config, everywhere, &[peer]).unwrap();
        assert!(found.ip().is_loopback() && found.port() == 77, "{found}");
        let said: SocketAddr = "10.0.0.1:5".parse().unwrap();
        let config = Config { advertise: Some(said), ..config };
        assert_eq!(advertised(&config, everywhere, &[peer]), Ok(said));
    }
}
