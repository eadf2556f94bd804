//! Ports of services in the mode `host`: which of this host's endpoints each of them leads to.
//!
//! A host has a port once. What an endpoint publishes by itself comes first; then who had the port keeps it as
//! long as it takes what is new; then the first by name has it. Whoever gets none is told why.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use ipnet::IpNet;
use netdb_gossip_core::identity::Name;

use crate::{
    publish::Published,
    records::{Backend, Driver, EndpointId, NetworkId, PublishMode, PublishedPort},
    services::Services,
};

/// An endpoint of this host.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// What it is called.
    pub name: &'a Name,
    /// Its network.
    pub network: NetworkId,
    /// What it is to a service, if it serves one.
    pub backend: Option<&'a Backend>,
    /// Ports that it has by itself.
    pub published: &'a [Published],
    /// Its addresses that ports of the host can lead to.
    pub reached: Result<&'a [IpNet], NoWay>,
}

/// Why no port of the host leads to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    /// The host has no way to it.
    #[error("endpoints of the {0} driver are reached where they are")]
    Driver(Driver),
    /// Nobody outside is to reach it.
    #[error("its network is internal")]
    Internal,
    /// Answers would go elsewhere.
    #[error("its sandbox's way out leads over another endpoint")]
    Elsewhere,
}

/// Why an endpoint does not have a port of its service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Another of this host has it.
    #[error("{port} of service {service} leads to endpoint {to} of this host, by {by}")]
    Taken {
        /// The port.
        port: PublishedPort,
        /// The service.
        service: Name,
        /// Who has it.
        to: Name,
        /// As what.
        by: Published,
    },
    /// None can.
    #[error("{port} of service {service} can't lead to it: {why}")]
    NoWay {
        /// The port.
        port: PublishedPort,
        /// The service.
        service: Name,
        /// Why.
        why: NoWay,
    },
    /// It has no address of the port's family.
    #[error("{port} of service {service} can't lead to it: it has no address of that family")]
    Family {
        /// The port.
        port: PublishedPort,
        /// The service.
        service: Name,
    },
}

/// Who has which ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostPorts {
    /// Beside what each publishes by itself.
    pub given: BTreeMap<EndpointId, Vec<Published>>,
    /// Why an endpoint lacks one, the first of its service's ports.
    pub denied: BTreeMap<EndpointId, Denied>,
}

impl HostPorts {
    /// Gives them out. `before` is who had which.
    pub fn settle(
        services: &Services,
        all: &BTreeMap<EndpointId, Candidate<'_>>,
        before: &Self,
    ) -> Self {
        let mut ports = Self::default();
        let by_name: BTreeSet<(&Name, EndpointId)> =
            all.iter().map(|(id, candidate)| (candidate.name, *id)).collect();
        for had in [true, false] {
            for (_, id) in &by_name {
                if let Some(candidate) = all.get(id) {
                    ports.give(services, all, before, (*id, candidate), had);
                }
            }
        }
        ports
    }

    /// Gives an endpoint those that it had, or the others.
    fn give(
        &mut self,
        services: &Services,
        all: &BTreeMap<EndpointId, Candidate<'_>>,
        before: &Self,
        (id, candidate): (EndpointId, &Candidate<'_>),
        had: bool,
    ) {
        let Some(backend) = candidate.backend.filter(|backend| backend.takes_new()) else { return };
        let service = &backend.service;
        let named = services.named(service).map(|(_, listed)| &listed.record);
        let Some(record) = named.filter(|record| record.network == candidate.network) else {
            return;
        };
        for port in record.ports.iter().filter(|port| port.mode == PublishMode::Host) {
            let published = Published::from(*port);
            let is_own = |ports: &BTreeMap<EndpointId, Vec<Published>>| {
                ports.get(&id).is_some_and(|own| own.contains(&published))
            };
            if is_own(&before.given) != had || is_own(&self.given) {
                continue;
            }
            let (port, service) = (*port, service.clone());
            let denied = match candidate.reached {
                Err(why) => Some(Denied::NoWay { port, service, why }),
                Ok(at) if published.lead_to(at).is_none() => Some(Denied::Family { port, service }),
                Ok(_) => self.holder(all, &published).map(|(to, by)| {
                    let (to, by) = (to.clone(), by.clone());
                    Denied::Taken { port, service, to, by }
                }),
            };
            match denied {
                None => self.given.entry(id).or_default().push(published),
                Some(denied) => drop(self.denied.entry(id).or_insert(denied)),
            }
        }
    }

    /// Who has a port that this one clashes with.
    fn holder<'a>(
        &'a self,
        all: &'a BTreeMap<EndpointId, Candidate<'_>>,
        port: &Published,
    ) -> Option<(&'a Name, &'a Published)> {
        all.iter().find_map(|(id, candidate)| {
            let given = self.given.get(id).into_iter().flatten();
            let clash = candidate.published.iter().chain(given).find(|there| there.clashes(port));
            Some((candidate.name, clash?))
        })
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use super::*;
    use crate::records::{BackendState, Protocol, ServiceId, ServiceMode, ServiceRecord};

    const NET: NetworkId = NetworkId([1; 16]);

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn port(published: u16, mode: PublishMode, bind: Option<&str>) -> PublishedPort {
        let bind = bind.map(|address| address.parse().unwrap());
        let (protocol, target) = (Protocol::Tcp, published - 8000);
        PublishedPort { protocol, published, target, mode, bind }
    }

    fn services(ports: &[PublishedPort]) -> Services {
        let record = ServiceRecord {
            ports: ports.to_vec(),
            created_us: 1,
            ..ServiceRecord::new(name("web"), NET, ServiceMode::DnsRr)
        };
        Services::new([(ServiceId([1; 16]), record)])
    }

    struct One(Name, Backend, Vec<Published>, Vec<IpNet>, Option<NoWay>);

    fn one(text: &str) -> One {
        let backend = Backend::new(name("web"), name(text));
        One(name(text), backend, vec![], vec!["172.18.0.2/16".parse().unwrap()], None)
    }

    fn settle(services: &Services, all: &[One], before: &HostPorts) -> HostPorts {
        let candidates = (0..).zip(all).map(|(n, One(name, backend, published, at, no_way))| {
            let reached = no_way.map_or(Ok(&at[..]), Err);
            let backend = Some(backend);
            (EndpointId([n; 16]), Candidate { name, network: NET, backend, published, reached })
        });
        HostPorts::settle(services, &candidates.collect(), before)
    }

    fn shown(ports: &HostPorts) -> Vec<(u8, Vec<alloc::string::String>)> {
        let given = ports.given.iter();
        given.map(|(id, own)| (id.0[0], own.iter().map(ToString::to_string).collect())).collect()
    }

    fn ports() -> [PublishedPort; 2] {
        [port(8080, PublishMode::Host, None), port(8443, PublishMode::Ingress, None)]
    }

    #[test]
    fn each_host_leads_to_one_of_its_own_and_to_another_when_that_takes_nothing_new() {
        let services = services(&ports());
        let mut all = [one("web-2"), one("web-3")];
        let first = settle(&services, &all, &HostPorts::default());
        assert_eq!(shown(&first), [(0, vec!["8080:80/tcp".into()])]);
        let told = first.denied[&EndpointId([1; 16])].to_string();
        assert!(told.contains("of service web leads to endpoint web-2 of this host"), "{told}");
        // One that comes later takes nothing away.
        all[1] = one("web-1");
        let later = settle(&services, &all, &first);
        assert_eq!(shown(&later), shown(&first));
        all[0].1.state = BackendState::Draining;
        let drained = settle(&services, &all, &later);
        assert_eq!(shown(&drained), [(1, vec!["8080:80/tcp".into()])]);
        assert!(drained.denied.is_empty());
    }

    #[test]
    fn what_an_endpoint_publishes_by_itself_comes_first() {
        let services = services(&ports());
        let mut all = [one("web-1"), one("web-2")];
        all[1].2.push("192.0.2.1:8080:90".parse().unwrap());
        let ports = settle(&services, &all, &HostPorts::default());
        assert!(ports.given.is_empty());
        let told = ports.denied[&EndpointId([0; 16])].to_string();
        assert!(told.ends_with("endpoint web-2 of this host, by 192.0.2.1:8080:90/tcp"), "{told}");
    }

    #[test]
    fn who_can_not_be_reached_is_told() {
        let v6 = port(8080, PublishMode::Host, Some("::"));
        let mut all = [one("web-1")];
        let denied = |ports: &[PublishedPort], all: &[One]| {
            let ports = settle(&services(ports), all, &HostPorts::default());
            assert!(ports.given.is_empty());
            ports.denied[&EndpointId([0; 16])].to_string()
        };
        assert!(denied(&[v6], &all).ends_with("no address of that family"));
        all[0].4 = Some(NoWay::Internal);
        assert!(denied(&ports(), &all).ends_with("its network is internal"));
    }
}
