//! What this host has attached, on disk: written before an address is used, read before one is given.
//!
//! A small file of JSON that is replaced as a whole, so that it is always one state or the next.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    net::IpAddr,
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use netdb::Name;
use netnode_plan::records::{EndpointId, EndpointRecord, LinkName, Mac, NetworkId};
use serde::{Deserialize, Serialize};

/// In the state directory.
const FILE: &str = "endpoints.json";
const VERSION: u32 = 1;

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
    /// How often it moved from one node to another.
    pub(crate) moves: u32,
}

impl Local {
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
        }
    }
}

/// All endpoints of this host, by id.
pub(crate) type Locals = BTreeMap<EndpointId, Local>;

#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    /// In a list, since an id is no key of JSON.
    endpoints: Vec<(EndpointId, Local)>,
}

/// The file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub(crate) struct StoreError {
    path: PathBuf,
    error: io::Error,
}

/// The file.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
}

impl Store {
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join(FILE) }
    }

    /// What was attached when this host last ran; nothing if nothing ever was.
    pub(crate) fn load(&self) -> Result<Locals, StoreError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Locals::new()),
            Err(error) => return Err(self.failed(error)),
        };
        let content: Content =
            serde_json::from_slice(&bytes).map_err(|error| self.failed(error.into()))?;
        if content.version != VERSION {
            let told = format!("version {} is not known here", content.version);
            return Err(self.failed(io::Error::new(io::ErrorKind::InvalidData, told)));
        }
        Ok(content.endpoints.into_iter().collect())
    }

    /// Replaces it; durable when this returns.
    pub(crate) fn save(&self, endpoints: &Locals) -> Result<(), StoreError> {
        let list = endpoints.iter().map(|(id, local)| (*id, local.clone())).collect();
        let content = Content { version: VERSION, endpoints: list };
        let write = || -> io::Result<()> {
            let unfinished = self.path.with_extension("json.new");
            let mut file = File::create(&unfinished)?;
            file.write_all(&serde_json::to_vec_pretty(&content)?)?;
            file.sync_all()?;
            fs::rename(&unfinished, &self.path)?;
            let folder = self.path.parent().unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        write().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> StoreError {
        StoreError { path: self.path.clone(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path());
        assert_eq!(store.load().unwrap(), Locals::new());
        let local = Local {
            network: NetworkId([1; 16]),
            name: Name::new("api-1").unwrap(),
            aliases: vec![],
            sandbox: "/run/netns/api".into(),
            interface: LinkName::new("eth0").unwrap(),
            addresses: vec!["10.0.0.2/20".parse().unwrap()],
            mac: Mac([2, 0, 0, 0, 0, 1]),
            default_route: true,
            moves: 3,
        };
        let all: Locals = [(EndpointId([9; 16]), local)].into();
        store.save(&all).unwrap();
        assert_eq!(store.load().unwrap(), all);
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(store.load().unwrap_err().to_string().contains(FILE));
    }
}
