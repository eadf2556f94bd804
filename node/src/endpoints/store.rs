//! What this host has attached, on disk: written before an address is used, read before one is given.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use ipnet::IpNet;
use netdb::{Name, OwnerState};
use netnode_plan::{
    bridge,
    host::Attached,
    lb::{Kept, kept},
    publish::Published,
    records::{Backend, EndpointId, EndpointRecord, LinkName, Mac, NetworkId},
    ring::DEFAULT_REST,
};
use serde::{Deserialize, Serialize};

use super::resolv_conf::ResolvConf;
use crate::state_file::{StateFile, StateFileError};

/// In the state directory.
const FILE: &str = "endpoints.json";

/// One endpoint of this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Local {
    pub(crate) network: NetworkId,
    pub(crate) name: Name,
    pub(crate) aliases: Vec<Name>,
    /// The path that leads to the sandbox's namespace.
    pub(crate) sandbox: String,
    /// What the interface is called there.
    pub(crate) interface: LinkName,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) mac: Mac,
    /// The sandbox's way to everywhere leads over it.
    pub(crate) default_route: bool,
    /// Of a sandbox's endpoints that lead out, the highest is its way to everywhere.
    #[serde(default)]
    pub(crate) gw_priority: i32,
    /// How often it moved from one node to another.
    pub(crate) moves: u32,
    /// Ports of the host that lead to it.
    #[serde(default)]
    pub(crate) published: Vec<Published>,
    /// On an overlay: how its sandbox gets out of the cluster, if by this endpoint.
    #[serde(default)]
    pub(crate) way_out: Option<WayOut>,
    /// What it is to a service, if it serves one.
    #[serde(default)]
    pub(crate) backend: Option<Backend>,
    /// Until when it may end what it has begun, if it is draining: seconds since the Unix epoch.
    #[serde(default)]
    pub(crate) drained_s: Option<u64>,
    /// The file by which its sandbox finds its names, if it was asked for.
    #[serde(default)]
    pub(crate) resolv_conf: Option<ResolvConf>,
}

/// A sandbox's place on the host's gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WayOut {
    /// The gateway.
    pub(crate) network: NetworkId,
    /// What the interface is called in the sandbox.
    pub(crate) interface: LinkName,
    pub(crate) addresses: Vec<IpNet>,
    pub(crate) mac: Mac,
}

impl Local {
    /// The networks that it is on: its own, and the one that leads out.
    pub(crate) fn networks(&self) -> impl Iterator<Item = NetworkId> {
        [self.network].into_iter().chain(self.way_out.iter().map(|out| out.network))
    }

    /// The interfaces that it has in its sandbox.
    pub(crate) fn interfaces(&self) -> impl Iterator<Item = &LinkName> {
        [&self.interface].into_iter().chain(self.way_out.iter().map(|out| &out.interface))
    }

    /// All its addresses, each with the network that it is of.
    pub(crate) fn all_addresses(&self) -> impl Iterator<Item = (NetworkId, IpNet)> {
        let own = self.addresses.iter().map(|net| (self.network, *net));
        let out = self.way_out.iter();
        own.chain(out.flat_map(|out| out.addresses.iter().map(|net| (out.network, *net))))
    }

    /// What it is on its own network.
    pub(crate) fn attached(&self) -> Attached {
        Attached {
            sandbox: self.sandbox.clone(),
            interface: self.interface.clone(),
            default_route: self.default_route,
        }
    }

    /// What it is on a network of the bridge driver, if it is on that: ports lead to where the way out
    /// begins.
    pub(crate) fn on_bridge(&self, network: NetworkId) -> Option<bridge::Endpoint> {
        let published = self.published.clone();
        // Who serves nothing has all that it began as long as it is here.
        let kept = match &self.backend {
            Some(backend) => kept(OwnerState::Alive, backend),
            None => Some(Kept::All),
        };
        if self.network == network {
            let (attached, addresses) = (self.attached(), self.addresses.clone());
            let mac = self.mac;
            return Some(bridge::Endpoint {
                attached,
                mac,
                addresses,
                published,
                shares_ports: false,
                kept,
            });
        }
        let WayOut { interface, addresses, mac, .. } =
            self.way_out.clone().filter(|out| out.network == network)?;
        let attached = Attached { sandbox: self.sandbox.clone(), interface, default_route: true };
        Some(bridge::Endpoint { attached, mac, addresses, published, shares_ports: false, kept })
    }

    /// What the other nodes are told: where its node takes tunnelled packets, and how large they may be.
    pub(crate) fn record(&self, tunnel: IpAddr, mtu: u32) -> EndpointRecord {
        EndpointRecord {
            network: self.network,
            name: self.name.clone(),
            aliases: self.aliases.clone(),
            addresses: self.addresses.clone(),
            mac: self.mac,
            sandbox: self.sandbox.clone(),
            tunnels: vec![tunnel],
            moves: self.moves,
            mtu,
            backend: self.backend.clone(),
        }
    }
}

/// An address of an endpoint that is gone: not given again for a while, also after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Resting {
    pub(super) network: NetworkId,
    pub(super) address: IpNet,
    /// Since when, seconds since the Unix epoch.
    since_s: u64,
}

impl Resting {
    /// The addresses of an endpoint that goes now.
    pub(super) fn of(local: &Local) -> Vec<Self> {
        let since_s = now_s();
        let all = local.all_addresses();
        all.map(|(network, address)| Self { network, address, since_s }).collect()
    }

    /// Whether it still rests. A clock that was set back makes nothing rest for ever.
    pub(super) fn rests(&self) -> bool {
        now_s().abs_diff(self.since_s) < DEFAULT_REST.as_secs()
    }
}

/// Seconds since the Unix epoch.
pub(super) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// All endpoints of this host, by id.
pub(crate) type Locals = BTreeMap<EndpointId, Local>;

#[derive(Default, Serialize, Deserialize)]
struct Content {
    /// In a list, since an id is no key of JSON.
    endpoints: Vec<(EndpointId, Local)>,
    #[serde(default)]
    resting: Vec<Resting>,
}

/// The file.
#[derive(Debug)]
pub(super) struct Store {
    file: StateFile,
}

impl Store {
    pub(super) fn new(state_dir: &Path) -> Self {
        Self { file: StateFile::new(state_dir, FILE) }
    }

    /// What was attached when this host last ran; nothing if nothing ever was.
    pub(super) fn load(&self) -> Result<(Locals, Vec<Resting>), StateFileError> {
        let Content { endpoints, resting } = self.file.load()?;
        let resting = resting.into_iter().filter(Resting::rests).collect();
        Ok((endpoints.into_iter().collect(), resting))
    }

    /// Replaces it; durable when this returns.
    pub(super) fn save(
        &self,
        endpoints: &Locals,
        resting: &[Resting],
    ) -> Result<(), StateFileError> {
        let endpoints = endpoints.iter().map(|(id, local)| (*id, local.clone())).collect();
        self.file.save(&Content { endpoints, resting: resting.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FILE_OF_IT: &str = r##"{"path":"/run/api/resolv.conf","before":"# none\n","after":"nameserver 127.0.0.11\n"}"##;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert_eq!(store.load().unwrap(), (Locals::new(), Vec::new()));
        let local = Local {
            network: NetworkId([1; 16]),
            name: name("api-1"),
            aliases: vec![],
            sandbox: "/run/netns/api".into(),
            interface: LinkName::new("eth0").unwrap(),
            addresses: vec!["10.0.0.2/20".parse().unwrap()],
            mac: Mac([2, 0, 0, 0, 0, 1]),
            default_route: true,
            gw_priority: -1,
            moves: 3,
            published: vec!["[::1]:8080:80/udp".parse().unwrap()],
            way_out: Some(WayOut {
                network: NetworkId([2; 16]),
                interface: LinkName::new("gw0").unwrap(),
                addresses: vec!["172.18.0.2/20".parse().unwrap()],
                mac: Mac([2, 0, 0, 0, 0, 2]),
            }),
            backend: Some(Backend::new(name("api"), name("api.1"))),
            drained_s: Some(7),
            resolv_conf: Some(serde_json::from_str(FILE_OF_IT).unwrap()),
        };
        assert_eq!(local.networks().count(), local.interfaces().count());
        assert_eq!(local.all_addresses().count(), 2);
        let out = local.on_bridge(NetworkId([2; 16])).unwrap();
        assert_eq!((out.mac, out.published.len()), (Mac([2, 0, 0, 0, 0, 2]), 1));
        let mut resting = Resting::of(&local);
        assert_eq!(resting.len(), 2);
        let all: Locals = [(EndpointId([9; 16]), local)].into();
        store.save(&all, &resting).unwrap();
        assert_eq!(store.load().unwrap(), (all.clone(), resting.clone()));
        let rest_s = DEFAULT_REST.as_secs();
        for at in [now_s() - rest_s, now_s() + 2 * rest_s] {
            resting[0].since_s = at;
            store.save(&all, &resting).unwrap();
            assert_eq!(store.load().unwrap().1, resting[1..]);
        }
    }

    #[test]
    fn what_was_saved_before_there_were_services_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let id = (1..=16).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let text = format!(
            r#"{{"version":1,"endpoints":[[[{id}],{{"network":[{id}],"name":"api-1","aliases":[],
            "sandbox":"/run/netns/api","interface":"eth0","addresses":["10.0.0.2/20"],
            "mac":[2,0,0,0,0,1],"default_route":true,"moves":3}}]]}}"#
        );
        fs::write(folder.path().join(FILE), text).unwrap();
        let all = Store::new(folder.path()).load().unwrap();
        let [local] = all.0.values().collect::<Vec<_>>()[..] else { panic!("{all:?}") };
        assert_eq!((local.moves, &local.published, &local.backend), (3, &vec![], &None));
        assert_eq!(local.resolv_conf, None);
    }
}
