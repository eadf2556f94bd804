//! Which services there are: the rows of the cluster with their clashes settled, and how each of them stands.
//!
//! A service is the set of endpoints that name it, whoever started them: its row says how it is reached, and
//! there may be endpoints without one. Of two services that claim one thing the older creation has it on
//! every node; the other shows with what it clashes, and nothing of it is lost.

use alloc::{collections::BTreeMap, vec::Vec};
use core::{fmt, net::IpAddr};

use netdb_gossip_core::identity::Name;

pub use crate::claims::FindError;
use crate::{
    claims::{self, Holders, find_id},
    records::{Backend, NetworkId, Protocol, PublishMode, PublishedPort, ServiceId, ServiceRecord},
};

/// What two services can't both have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// What people call it, in all networks.
    Name(Name),
    /// A virtual address on a network.
    Vip(NetworkId, IpAddr),
    /// A port that all hosts have. Ports in the mode host are a host's own business.
    Port(PublishedPort),
}

/// Where a claim may clash with others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// One name.
    Name(Name),
    /// One address.
    Vip(NetworkId, IpAddr),
    /// One port, at whatever address.
    Port(Protocol, u16),
}

impl claims::Claim for Claim {
    type Place = Place;

    fn place(&self) -> Place {
        match self {
            Self::Name(name) => Place::Name(name.clone()),
            Self::Vip(network, address) => Place::Vip(*network, *address),
            Self::Port(port) => Place::Port(port.protocol, port.published),
        }
    }

    fn clashes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Port(one), Self::Port(other)) => one.clashes(other),
            _ => self == other,
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "the name {name}"),
            Self::Vip(_, address) => write!(f, "the address {address}"),
            Self::Port(port) => write!(f, "port {port}"),
        }
    }
}

/// An older service has what another claims.
pub type Conflict = claims::Conflict<Claim, ServiceId>;

/// One service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// What it is.
    pub record: ServiceRecord,
    /// What it claims in vain.
    pub conflicts: Vec<Conflict>,
}

/// All services, by id.
#[derive(Clone, Debug, Default)]
pub struct Services {
    services: BTreeMap<ServiceId, Listed>,
    holders: Holders<Claim, ServiceId>,
}

impl Services {
    /// Settles what the rows claim, in any order.
    pub fn new(rows: impl IntoIterator<Item = (ServiceId, ServiceRecord)>) -> Self {
        let all: BTreeMap<ServiceId, ServiceRecord> = rows.into_iter().collect();
        let claimants = all.iter().map(|(id, record)| (record.created_us, *id, claims(record)));
        let (holders, mut in_vain) = Holders::settle(claimants);
        let list = |(id, record)| {
            let conflicts = in_vain.remove(&id).unwrap_or_default();
            (id, Listed { record, conflicts })
        };
        Self { services: all.into_iter().map(list).collect(), holders }
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = (ServiceId, &Listed)> {
        self.services.iter().map(|(id, listed)| (*id, listed))
    }

    /// One of them.
    pub fn get(&self, id: ServiceId) -> Option<&Listed> {
        self.services.get(&id)
    }

    /// Who has what was claimed, or what clashes with it.
    pub fn holder(&self, claim: &Claim) -> Option<ServiceId> {
        self.holders.holder(claim)
    }

    /// The service that has a name.
    pub fn named(&self, name: &Name) -> Option<(ServiceId, &Listed)> {
        let id = self.holder(&Claim::Name(name.clone()))?;
        Some((id, self.services.get(&id)?))
    }

    /// Those that are on a network.
    pub fn on(&self, network: NetworkId) -> impl Iterator<Item = (ServiceId, &Listed)> {
        self.iter().filter(move |(_, listed)| listed.record.network == network)
    }

    /// What of this a service claims that another has: `id` is itself, if it is there already.
    pub fn taken(&self, id: Option<ServiceId>, record: &ServiceRecord) -> Vec<Conflict> {
        let lost = claims(record).into_iter().filter_map(|claim| {
            let with = self.holder(&claim).filter(|with| Some(*with) != id)?;
            Some(Conflict { claim, with })
        });
        lost.collect()
    }

    /// The service that people call so: by its name, or else by its id or at least
    /// [`MIN_ID_DIGITS`](crate::claims::MIN_ID_DIGITS) of its first digits.
    ///
    /// # Errors
    /// Nobody is meant, or more than one.
    pub fn find(&self, text: &str) -> Result<ServiceId, FindError> {
        let by_name = Name::new(text).ok().and_then(|name| Some(self.named(&name)?.0));
        by_name.map_or_else(|| find_id("service", self.services.keys().copied(), text), Ok)
    }
}

fn claims(record: &ServiceRecord) -> Vec<Claim> {
    let vips = record.vips.iter().map(|vip| Claim::Vip(record.network, *vip));
    let ingress = record.ports.iter().filter(|port| port.mode == PublishMode::Ingress);
    let name = core::iter::once(Claim::Name(record.name.clone()));
    let ports = ingress.copied().chain(record.health());
    name.chain(vips).chain(ports.map(Claim::Port)).collect()
}

/// How many of a service's backends there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that take something new.
    pub ready: usize,
    /// All of them.
    pub all: usize,
}

impl Tally {
    /// Counts one; whose node is `here` or known to be down.
    pub fn add(&mut self, backend: &Backend, here: bool) {
        self.all += 1;
        self.ready += usize::from(here && backend.takes_new());
    }
}

/// How a service stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Somebody serves it.
    Ready,
    /// Nobody does, and why.
    Pending(&'static str),
    /// An older service has what it claims.
    Conflict(Conflict),
}

impl Listed {
    /// How it stands; `network_is_there`: its network was not removed. `tally`: its backends, if they are
    /// known here.
    pub fn state(&self, network_is_there: bool, tally: Option<Tally>) -> State {
        if let Some(conflict) = self.conflicts.first() {
            return State::Conflict(conflict.clone());
        }
        match tally {
            _ if !network_is_there => State::Pending("its network is not there"),
            Some(Tally { all: 0, .. }) => State::Pending("it has no backend"),
            Some(Tally { ready: 0, .. }) => State::Pending("no backend is ready"),
            _ => State::Ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{string::ToString, vec};

    use proptest::{collection::vec as many, prelude::*};

    use super::*;
    use crate::records::{BackendState, ServiceMode};

    fn id(n: u8) -> ServiceId {
        ServiceId([n; 16])
    }

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn port(published: u16, bind: &str) -> PublishedPort {
        let (protocol, mode) = (Protocol::Tcp, PublishMode::Ingress);
        PublishedPort { protocol, published, target: 80, mode, bind: bind.parse().ok() }
    }

    fn service(called: &str, vip: u8, ports: Vec<PublishedPort>, created_us: u64) -> ServiceRecord {
        ServiceRecord {
            vips: vec![IpAddr::from([10, 0, 0, vip])],
            ports,
            created_us,
            ..ServiceRecord::new(name(called), NetworkId([1; 16]), ServiceMode::Vip)
        }
    }

    #[test]
    fn of_two_that_claim_one_thing_the_older_has_it() {
        let rows = [
            (id(1), service("web", 1, vec![port(80, "any")], 20)),
            (id(2), service("web", 2, vec![port(443, "192.0.2.1")], 10)),
            (id(3), service("shop", 2, vec![port(443, "0.0.0.0"), port(80, "192.0.2.1")], 30)),
            (id(4), service("mail", 4, vec![port(443, "192.0.2.2")], 40)),
        ];
        let all = Services::new(rows);
        let told = |n| {
            let lost = all.get(id(n)).unwrap().conflicts.iter();
            lost.map(|c| alloc::format!("{} {:?}", c.claim, c.with)).collect::<Vec<_>>()
        };
        assert_eq!(told(1), ["the name web 02020202"]);
        assert!(told(2).is_empty() && told(4).is_empty(), "who lost a port does not have it");
        assert_eq!(
            told(3),
            [
                "the address 10.0.0.2 02020202",
                "port 0.0.0.0:443:80/tcp 02020202",
                "port 192.0.2.1:80:80/tcp 01010101"
            ]
        );
        assert_eq!((all.find("web"), all.find("0303")), (Ok(id(2)), Ok(id(3))));
        let unknown = all.find("db").unwrap_err();
        assert_eq!(unknown.to_string(), "no service has the name or id db");
        assert_eq!(all.on(NetworkId([1; 16])).count(), 4);
        assert_eq!(all.on(NetworkId([2; 16])).count(), 0);
    }

    #[test]
    fn a_change_is_refused_for_what_others_have() {
        let all = Services::new([(id(1), service("web", 1, vec![port(80, "any")], 1))]);
        let clash = |id, record: &ServiceRecord| Some(all.taken(id, record).first()?.with);
        let own = service("web", 1, vec![port(80, "::"), port(81, "any")], 1);
        assert_eq!(clash(Some(id(1)), &own), None);
        assert_eq!(clash(None, &own), Some(id(1)));
        assert_eq!(clash(None, &service("db", 2, vec![port(80, "::")], 2)), Some(id(1)));
        let host = PublishedPort { mode: PublishMode::Host, ..port(80, "any") };
        assert_eq!(clash(None, &service("db", 2, vec![host], 2)), None);
    }

    #[test]
    fn a_service_is_ready_when_somebody_serves_it() {
        let rows = [(id(1), service("web", 1, vec![], 1)), (id(2), service("web", 2, vec![], 2))];
        let all = Services::new(rows);
        let (web, other) = (all.get(id(1)).unwrap(), all.get(id(2)).unwrap());
        let mut tally = Tally::default();
        let why = |tally| web.state(true, Some(tally));
        assert_eq!(why(tally), State::Pending("it has no backend"));
        let ready = Backend::new(name("web"), name("web.1"));
        tally.add(&Backend { state: BackendState::Draining, ..ready.clone() }, true);
        tally.add(&ready, false);
        assert_eq!(why(tally), State::Pending("no backend is ready"));
        tally.add(&ready, true);
        assert_eq!((why(tally), tally), (State::Ready, Tally { ready: 1, all: 3 }));
        assert_eq!(web.state(true, None), State::Ready);
        assert_eq!(web.state(false, Some(tally)), State::Pending("its network is not there"));
        assert!(matches!(other.state(true, Some(tally)), State::Conflict(c) if c.with == id(1)));
    }

    proptest! {
        #[test]
        fn every_node_comes_to_the_same_verdict(
            rows in many(("[ab]", 0_u8..3, many((80_u16..82, 0_usize..4), 0..3), 0_u64..4), 1..10),
            turn in 0_usize..10,
        ) {
            let binds = ["any", "0.0.0.0", "192.0.2.1", "::"];
            let rows: Vec<_> = (0..)
                .zip(rows)
                .map(|(n, (called, vip, ports, at))| {
                    let ports = ports.into_iter().map(|(number, bind)| port(number, binds[bind]));
                    (id(n), service(&called, vip, ports.collect(), at))
                })
                .collect();
            let mut turned = rows.clone();
            turned.rotate_left(turn % rows.len());
            let (one, other) = (Services::new(rows.clone()), Services::new(turned));
            prop_assert_eq!(&one.services, &other.services);
            for (id, record) in &rows {
                prop_assert_eq!(one.taken(Some(*id), record), other.taken(Some(*id), record));
                for conflict in &one.get(*id).unwrap().conflicts {
                    let older = &one.get(conflict.with).unwrap().record;
                    prop_assert!((older.created_us, conflict.with) < (record.created_us, *id));
                }
            }
        }
    }
}
