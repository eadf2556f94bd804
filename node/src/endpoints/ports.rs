//! Published ports: which an endpoint may have, and that nothing else of this host listens there; and who has those
//! of services.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket},
};

use ipnet::IpNet;
use netdb::Name;
use netnode_plan::{
    firewall::{Bind, Front, Protocol},
    host_ports::{Candidate, Denied, HostPorts, NoWay},
    publish::{MAX_PUBLISHED, Published},
    records::{Driver, NetworkRecord},
};

use super::{
    board::{Board, State},
    store::Local,
};

/// Why ports can't be published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    #[error("{0} published ports, {MAX_PUBLISHED} at most")]
    TooMany(usize),
    #[error("{0} and {1} are published at once")]
    Twice(Published, Published),
    #[error("endpoints of the {0} driver are reached where they are: they publish no ports")]
    Driver(Driver),
    #[error("endpoints of an internal network publish no ports")]
    Internal,
    #[error("the sandbox's way out leads over another of its endpoints: publish ports there")]
    NoWayOut,
    #[error(
        "the sandbox's way out leads over its endpoint {0}, which publishes ports there: detach that \
         first, or give this one no higher priority"
    )]
    WayOutInUse(Name),
    #[error("{0} leads nowhere: the endpoint has no address of that family")]
    Family(Published),
    #[error("{port} can't be published on this host: {error}")]
    InUse { port: Published, error: io::Error },
}

impl Board {
    /// Says anew which endpoints have the ports of their services. Who lacks one is blamed.
    pub(super) fn settle_ports(&mut self) {
        let (catalog, services) = (self.catalog.borrow().clone(), self.services.borrow().clone());
        let mut all = BTreeMap::new();
        for (id, local) in &self.locals {
            let Some(listed) = catalog.get(local.network) else { continue };
            let (name, network, backend) = (&local.name, local.network, local.backend.as_ref());
            let (published, reached) = (&*local.published, reached(&listed.record, local));
            all.insert(*id, Candidate { name, network, backend, published, reached });
        }
        let mut ports = HostPorts::settle(&services, &all, &self.ports);
        let mut held = Vec::new();
        for (id, given) in &mut ports.given {
            let had = self.ports.given.get(id).cloned().unwrap_or_default();
            given.retain(|port| {
                let free = if had.contains(port) { Ok(()) } else { is_free(port) };
                held.extend(free.as_ref().err().map(|error| (*id, error.to_string())));
                free.is_ok()
            });
        }
        for (id, denied) in &ports.denied {
            let state = match denied {
                Denied::Taken { .. } => State::Conflict(denied.to_string()),
                Denied::NoWay { .. } | Denied::Family { .. } => State::Error(denied.to_string()),
            };
            self.faults.insert(*id, state);
        }
        self.faults.extend(held.into_iter().map(|(id, why)| (id, State::Conflict(why))));
        self.ports = ports;
    }
}

/// The addresses of an endpoint that ports of the host can lead to.
pub(super) fn reached<'a>(network: &NetworkRecord, local: &'a Local) -> Result<&'a [IpNet], NoWay> {
    match network.driver {
        _ if network.options.internal => Err(NoWay::Internal),
        Driver::Bridge => Ok(&local.addresses),
        Driver::Overlay => match &local.way_out {
            Some(out) => Ok(&out.addresses),
            None => Err(NoWay::Elsewhere),
        },
        driver => Err(NoWay::Driver(driver)),
    }
}

/// Whether an endpoint of such a network may publish these ports.
pub(super) fn check(network: &NetworkRecord, ports: &[Published]) -> Result<(), PortError> {
    if ports.is_empty() {
        return Ok(());
    }
    if ports.len() > MAX_PUBLISHED {
        return Err(PortError::TooMany(ports.len()));
    }
    if !matches!(network.driver, Driver::Bridge | Driver::Overlay) {
        return Err(PortError::Driver(network.driver));
    }
    if network.options.internal {
        return Err(PortError::Internal);
    }
    for (place, port) in ports.iter().enumerate() {
        if let Some(other) = ports.iter().take(place).find(|other| other.clashes(port)) {
            return Err(PortError::Twice(other.clone(), port.clone()));
        }
    }
    ports.iter().try_for_each(is_free)
}

/// Whether each leads to one of these addresses.
pub(super) fn check_addresses(ports: &[Published], addresses: &[IpNet]) -> Result<(), PortError> {
    match ports.iter().find(|port| port.lead_to(addresses).is_none()) {
        Some(port) => Err(PortError::Family(port.clone())),
        None => Ok(()),
    }
}

/// Whether nothing of this host has it; somebody who listens there would hear nothing any more.
pub(super) fn is_free(port: &Published) -> Result<(), PortError> {
    let Front { bind, protocol, port: number } = &port.front;
    let attempt = |address: IpAddr| {
        let at = SocketAddr::new(address, *number);
        match protocol {
            Protocol::Tcp => TcpListener::bind(at).map(drop),
            Protocol::Udp => UdpSocket::bind(at).map(drop),
        }
    };
    let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    let went = match bind {
        Bind::Address(address) => attempt(*address),
        // The kernel may lack a family.
        Bind::Any => all.into_iter().try_for_each(|address| match attempt(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
            _ => Ok(()),
        }),
        // What listens there may do so for other links alone.
        Bind::Link(_) => Ok(()),
    };
    went.map_err(|error| PortError::InUse { port: port.clone(), error })
}

#[cfg(test)]
mod tests {
    use netdb::Name;
    use netnode_plan::records::NetworkOptions;

    use super::*;

    fn network(driver: Driver, internal: bool) -> NetworkRecord {
        let options = NetworkOptions { internal, ..NetworkOptions::default() };
        let (name, subnets) = (Name::new("web").unwrap(), Vec::new());
        NetworkRecord { name, driver, subnets, options, created_us: 1 }
    }

    fn ports(texts: &[&str]) -> Vec<Published> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_can_not_be_published_is_told() {
        let told = |driver, internal, texts: &[&str]| {
            check(&network(driver, internal), &ports(texts)).unwrap_err().to_string()
        };
        assert!(told(Driver::Macvlan, false, &["9:9"]).contains("publish no ports"));
        assert!(told(Driver::Bridge, true, &["9:9"]).contains("internal"));
        assert_eq!(
            told(Driver::Bridge, false, &["9:9", "127.0.0.1:9:8"]),
            "9:9/tcp and 127.0.0.1:9:8/tcp are published at once"
        );
        let many = vec![ports(&["9:9"])[0].clone(); MAX_PUBLISHED + 1];
        let told = check(&network(Driver::Bridge, false), &many).unwrap_err().to_string();
        assert_eq!(told, "257 published ports, 256 at most");
        assert!(check(&network(Driver::Macvlan, true), &[]).is_ok());
        let v4 = ["172.18.0.2/20".parse().unwrap()];
        assert!(check_addresses(&ports(&["[::1]:9:9"]), &v4).is_err());
    }

    #[test]
    fn a_port_that_somebody_listens_on_is_not_free() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let number = listener.local_addr().unwrap().port();
        let free = |text: String| check(&network(Driver::Bridge, false), &ports(&[&text])).is_ok();
        assert!(!free(format!("{number}:80")) && !free(format!("127.0.0.1:{number}:80")));
        assert!(free(format!("eth0:{number}:80")));
        drop(listener);
        assert!(free(format!("127.0.0.1:{number}:80")));
    }
}
