//! From a request to the row of a service, and from one row to the next.
//!
//! Whatever fails gives back what was taken before it.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use netdb::{Name, NameError, Stopped, WriteError};
use netnode_plan::{
    catalog::Scope,
    mesh::{self, INGRESS},
    records::{
        self, Driver, ExternalTraffic, NetworkId, NetworkRecord, Protocol, PublishMode,
        PublishedPort, Record, ServiceError, ServiceId, ServiceMode, ServiceRecord,
    },
    request::NetworkRequest,
    services::{Conflict, FindError, Listed},
};

use tokio::time::timeout;

use super::{
    Services,
    vips::{Taken, VipError},
};
use crate::{endpoints::Endpoints, kernel::has_v6, networks::CreateError};

/// How long the row of a network that another node makes may take to get here.
const HEARING: Duration = Duration::from_secs(5);

/// A service that somebody wants.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: Name,
    /// Its network's name, its id, or the start of that.
    pub(crate) network: String,
    pub(crate) mode: ServiceMode,
    /// Virtual addresses that it is to have, at most one of a family; others are chosen.
    pub(crate) vips: Vec<IpAddr>,
    pub(crate) ports: Vec<PublishedPort>,
    pub(crate) labels: BTreeMap<String, String>,
    /// Whoever asks for it gets a backend of the own node, as long as one is ready.
    pub(crate) prefers_local: bool,
    pub(crate) external: ExternalTraffic,
    /// The label of the nodes that open its ports.
    pub(crate) publish_on: Option<String>,
    pub(crate) health_port: Option<u16>,
}

/// What is to become different about a service.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    pub(crate) mode: Option<ServiceMode>,
    /// Virtual addresses that it is to have from now on.
    pub(crate) vips: Vec<IpAddr>,
    pub(crate) publish: Vec<PublishedPort>,
    /// By the port of the backends, as `docker service update` does.
    pub(crate) unpublish: Vec<(u16, Protocol)>,
    pub(crate) label: BTreeMap<String, String>,
    pub(crate) unlabel: Vec<String>,
    pub(crate) prefers_local: Option<bool>,
    pub(crate) external: Option<ExternalTraffic>,
    /// Empty: all nodes do.
    pub(crate) publish_on: Option<String>,
    /// 0: none any more.
    pub(crate) health_port: Option<u16>,
}

/// Why a service is not as it was to be. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error(transparent)]
    Find(#[from] FindError),
    /// Only one host has it.
    #[error("network {0} is this host's alone: a service is on a network of all nodes")]
    Local(Name),
    /// It has no endpoints.
    #[error("a network of the {0} driver has no endpoints that could serve")]
    Driver(Driver),
    /// Its network was removed.
    #[error("the network of service {0} is not there any more")]
    NoNetwork(Name),
    /// The name is taken.
    #[error("a service of the name {name} exists already: {id}")]
    Exists { name: Name, id: ServiceId },
    /// A port or an address is.
    #[error("{} is taken by service {by}", .conflict.claim)]
    Taken { conflict: Box<Conflict>, by: Name },
    /// Ports could not lead to other nodes.
    #[error("nodes have no network {INGRESS} to lead ports to each other on: {0}")]
    Ingress(Box<CreateError>),
    /// There is nothing to take back.
    #[error("the service publishes no port that leads to {0}/{1}")]
    NotPublished(u16, Protocol),
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Record(#[from] ServiceError),
    #[error(transparent)]
    Vip(#[from] VipError),
    /// The system has no randomness to make an id of.
    #[error("no random id could be made: {0}")]
    Entropy(#[from] getrandom::Error),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a service was not removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl Services {
    /// Creates a service.
    pub(crate) async fn create(
        &self,
        endpoints: &Endpoints,
        wanted: Wanted,
    ) -> Result<(ServiceId, Listed), ChangeError> {
        let (network, listed) = self.networks.find(&wanted.network)?;
        if listed.scope == Scope::Local {
            return Err(ChangeError::Local(listed.record.name));
        }
        if matches!(listed.record.driver, Driver::Host | Driver::None) {
            return Err(ChangeError::Driver(listed.record.driver));
        }
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let id = ServiceId(id);
        let holder = ServiceId(self.names.claim(&wanted.name, id.0).await?);
        if holder != id {
            return Err(ChangeError::Exists { name: wanted.name, id: holder });
        }
        let (name, named) = (wanted.name.clone(), wanted.vips.clone());
        let record = ServiceRecord {
            name: wanted.name,
            network,
            mode: wanted.mode,
            vips: Vec::new(),
            ports: wanted.ports,
            labels: wanted.labels,
            prefers_local: wanted.prefers_local,
            external: wanted.external,
            publish_on: wanted.publish_on,
            health_port: wanted.health_port,
            created_us: self.db.cluster_time().await?.0,
        };
        let created = self.write(endpoints, (id, None), record, &named, &listed.record).await;
        if created.is_err() {
            self.names.forget(&name, id.0).await?;
        }
        created
    }

    /// Changes a service; what it is from now on.
    pub(crate) async fn update(
        &self,
        endpoints: &Endpoints,
        text: &str,
        change: Change,
    ) -> Result<(ServiceId, Listed), ChangeError> {
        let _changing = self.changing.lock().await;
        let (id, before) = self.find(text)?;
        let named = change.vips.clone();
        let record = changed(before.record.clone(), change)?;
        let network = self.networks.catalog().get(record.network).cloned();
        let network = network.ok_or_else(|| ChangeError::NoNetwork(record.name.clone()))?;
        self.write(endpoints, (id, Some(&before)), record, &named, &network.record).await
    }

    /// Writes the row of a service that has its addresses.
    async fn write(
        &self,
        endpoints: &Endpoints,
        (id, before): (ServiceId, Option<&Listed>),
        mut record: ServiceRecord,
        named: &[IpAddr],
        network: &NetworkRecord,
    ) -> Result<(ServiceId, Listed), ChangeError> {
        let mut taken = Taken::default();
        let on = (record.network, network);
        let written = async {
            let known = record.vips.clone();
            record.vips = match record.mode {
                ServiceMode::Vip => {
                    // What is wrong without an address is told before one is taken.
                    self.refuse_taken(id, before, &record)?;
                    self.take_vips(endpoints, on, named, &known, &mut taken).await?
                }
                ServiceMode::DnsRr => named.to_vec(),
            };
            record.check()?;
            self.refuse_taken(id, before, &record)?;
            if record.ports.iter().any(|port| port.mode == PublishMode::Ingress) {
                self.ensure_ingress().await?;
            }
            match before {
                None => self.table.create(id.0, records::encode(&record)).await?,
                Some(_) => self.table.update(id.0, records::encode(&record)).await?,
            };
            Ok::<(), ChangeError>(())
        };
        if let Err(error) = written.await {
            self.release(taken).await?;
            return Err(error);
        }
        self.settle(id, &record.vips, taken).await?;
        let conflicts = self.all().get(id).map(|listed| listed.conflicts.clone());
        Ok((id, Listed { record, conflicts: conflicts.unwrap_or_default() }))
    }

    /// Makes the network on which nodes lead ports to each other, unless it is there. Somebody may have made it with
    /// addresses of their choice.
    async fn ensure_ingress(&self) -> Result<(), ChangeError> {
        if mesh::network(&self.networks.catalog()).is_some() {
            return Ok(());
        }
        let request = NetworkRequest::new(Name::new(INGRESS)?, Driver::Overlay);
        let Err(error) = self.networks.create(request, has_v6()).await else { return Ok(()) };
        // Another node was faster, and its row is on the way.
        let mut catalog = self.networks.watch();
        let there = catalog.wait_for(|catalog| mesh::network(catalog).is_some());
        let exists = matches!(error, CreateError::Exists { .. });
        if exists && matches!(timeout(HEARING, there).await, Ok(Ok(_))) {
            return Ok(());
        }
        Err(ChangeError::Ingress(Box::new(error)))
    }

    /// What it claims anew must be free; what it claimed in vain before stays a conflict.
    fn refuse_taken(
        &self,
        id: ServiceId,
        before: Option<&Listed>,
        record: &ServiceRecord,
    ) -> Result<(), ChangeError> {
        let all = self.all();
        let is_old = |conflict: &Conflict| before.is_some_and(|b| b.conflicts.contains(conflict));
        let taken = all.taken(Some(id), record);
        let Some(conflict) = taken.into_iter().find(|conflict| !is_old(conflict)) else {
            return Ok(());
        };
        let by = all.get(conflict.with).map(|listed| listed.record.name.clone());
        let by = by.unwrap_or_else(|| record.name.clone());
        if by == record.name {
            return Err(ChangeError::Exists { name: by, id: conflict.with });
        }
        Err(ChangeError::Taken { conflict: Box::new(conflict), by })
    }

    /// Removes a service; its endpoints go on, and its addresses rest a while.
    pub(crate) async fn remove(&self, text: &str) -> Result<ServiceId, RemoveError> {
        let _changing = self.changing.lock().await;
        let (id, _) = self.find(text)?;
        self.table.delete(id.0).await?;
        Ok(id)
    }

    /// What services on a network are called.
    pub(crate) fn names_on(&self, network: NetworkId) -> Vec<Name> {
        self.all().on(network).map(|(_, listed)| listed.record.name.clone()).collect()
    }
}

/// A record after a change; its addresses as they were, if it goes on having some.
fn changed(mut record: ServiceRecord, change: Change) -> Result<ServiceRecord, ChangeError> {
    for (target, protocol) in change.unpublish {
        let before = record.ports.len();
        record.ports.retain(|port| (port.target, port.protocol) != (target, protocol));
        if record.ports.len() == before {
            return Err(ChangeError::NotPublished(target, protocol));
        }
    }
    record.ports.extend(change.publish);
    record.labels.retain(|name, _| !change.unlabel.contains(name));
    record.labels.extend(change.label);
    record.mode = change.mode.unwrap_or(record.mode);
    record.prefers_local = change.prefers_local.unwrap_or(record.prefers_local);
    record.external = change.external.unwrap_or(record.external);
    record.publish_on = match change.publish_on {
        Some(label) => Some(label).filter(|label| !label.is_empty()),
        None => record.publish_on,
    };
    record.health_port = match change.health_port {
        Some(0) => None,
        Some(port) => Some(port),
        None => record.health_port,
    };
    Ok(record)
}

#[cfg(test)]
mod tests {
    use netnode_plan::records::PublishMode;

    use super::*;

    fn port(published: u16, target: u16) -> PublishedPort {
        let (protocol, mode) = (Protocol::Tcp, PublishMode::Ingress);
        PublishedPort { protocol, published, target, mode, bind: None }
    }

    fn service() -> ServiceRecord {
        ServiceRecord {
            vips: vec!["10.0.0.9".parse().unwrap()],
            ports: vec![port(8080, 80), port(8443, 443)],
            labels: [("a".into(), "1".into()), ("b".into(), "2".into())].into(),
            created_us: 7,
            ..ServiceRecord::new(Name::new("web").unwrap(), NetworkId([1; 16]), ServiceMode::Vip)
        }
    }

    #[test]
    fn a_change_says_what_goes_and_what_comes() {
        let change = Change {
            publish: vec![port(80, 80)],
            unpublish: vec![(80, Protocol::Tcp)],
            label: [("c".into(), "3".into())].into(),
            unlabel: vec!["a".into()],
            ..Change::default()
        };
        let record = changed(service(), change).unwrap();
        assert_eq!(record.ports, [port(8443, 443), port(80, 80)]);
        assert_eq!(record.labels.keys().collect::<Vec<_>>(), ["b", "c"]);
        assert_eq!((record.mode, record.vips.len()), (ServiceMode::Vip, 1));
        let rr = Change { mode: Some(ServiceMode::DnsRr), ..Change::default() };
        assert_eq!(changed(service(), rr).unwrap().mode, ServiceMode::DnsRr);
    }

    #[test]
    fn what_is_not_published_can_not_be_taken_back() {
        let change = Change { unpublish: vec![(80, Protocol::Udp)], ..Change::default() };
        let told = changed(service(), change).unwrap_err().to_string();
        assert_eq!(told, "the service publishes no port that leads to 80/udp");
    }
}
