//! The networks of this host alone, on disk.

use std::{collections::BTreeMap, path::Path};

use netnode_plan::records::{NetworkId, NetworkRecord};
use serde::{Deserialize, Serialize};

use crate::state_file::{StateFile, StateFileError};

/// In the state directory.
const FILE: &str = "networks.json";

#[derive(Default, Serialize, Deserialize)]
struct Content {
    /// In a list, since an id is no key of JSON.
    networks: Vec<(NetworkId, NetworkRecord)>,
}

/// This host's own networks; what is here is on disk.
#[derive(Debug)]
pub(super) struct Own {
    file: StateFile,
    networks: BTreeMap<NetworkId, NetworkRecord>,
}

impl Own {
    pub(super) fn load(state_dir: &Path) -> Result<Self, StateFileError> {
        let file = StateFile::new(state_dir, FILE);
        let Content { networks } = file.load()?;
        Ok(Self { file, networks: networks.into_iter().collect() })
    }

    pub(super) fn all(&self) -> &BTreeMap<NetworkId, NetworkRecord> {
        &self.networks
    }

    pub(super) fn insert(
        &mut self,
        id: NetworkId,
        record: NetworkRecord,
    ) -> Result<(), StateFileError> {
        let mut after = self.networks.clone();
        after.insert(id, record);
        self.replace(after)
    }

    /// What it was.
    pub(super) fn remove(
        &mut self,
        id: NetworkId,
    ) -> Result<Option<NetworkRecord>, StateFileError> {
        let mut after = self.networks.clone();
        let Some(removed) = after.remove(&id) else { return Ok(None) };
        self.replace(after)?;
        Ok(Some(removed))
    }

    fn replace(&mut self, after: BTreeMap<NetworkId, NetworkRecord>) -> Result<(), StateFileError> {
        let networks = after.iter().map(|(id, record)| (*id, record.clone())).collect();
        self.file.save(&Content { networks })?;
        self.networks = after;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use netdb::Name;
    use netnode_plan::records::{Driver, NetworkOptions, Subnet};

    use super::*;

    #[test]
    fn they_are_there_after_a_restart_until_they_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut subnet = Subnet::of("172.18.0.0/20".parse().unwrap());
        subnet.aux.insert(Name::new("printer").unwrap(), "172.18.0.9".parse().unwrap());
        let record = NetworkRecord {
            name: Name::new("web").unwrap(),
            driver: Driver::Bridge,
            subnets: vec![subnet],
            options: NetworkOptions::default(),
            created_us: 7,
        };
        let id = NetworkId([1; 16]);
        let load = || Own::load(folder.path()).unwrap();
        load().insert(id, record.clone()).unwrap();
        assert_eq!(load().all(), &BTreeMap::from([(id, record.clone())]));
        assert_eq!(load().remove(id).unwrap(), Some(record));
        assert_eq!(load().remove(id).unwrap(), None);
        assert_eq!(load().all(), &BTreeMap::new());
    }
}
