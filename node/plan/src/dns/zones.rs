//! The names of all networks that a node takes part in.

use alloc::collections::BTreeMap;

use netdb_core::view::OwnerState;
use netdb_gossip_core::identity::NodeId;

use super::{Standing, Zone};
use crate::records::{EndpointId, EndpointRecord, NetworkId, ServiceId, ServiceRecord};

/// A zone for each network, kept up row by row: those of endpoints come from their network, those of services
/// from the cluster's, and say which network they are on.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    zones: BTreeMap<NetworkId, Zone>,
    of_services: BTreeMap<ServiceId, NetworkId>,
}

impl Zones {
    /// Takes the row of an endpoint, or that there is none any more.
    pub fn put_endpoint(
        &mut self,
        network: NetworkId,
        node: NodeId,
        id: EndpointId,
        row: Option<(&EndpointRecord, Standing)>,
    ) {
        self.zones.entry(network).or_default().put_endpoint(node, id, row);
    }

    /// Takes the row of a service, or that there is none any more.
    pub fn put_service(&mut self, id: ServiceId, row: Option<&ServiceRecord>) {
        let network = row.map(|record| record.network);
        if let Some(before) = self.of_services.remove(&id).filter(|on| Some(*on) != network)
            && let Some(zone) = self.zones.get_mut(&before)
        {
            zone.put_service(id, None);
        }
        if let Some(network) = network {
            self.zones.entry(network).or_default().put_service(id, row);
            self.of_services.insert(id, network);
        }
    }

    /// The names of one network, if there ever were any.
    pub fn get(&self, network: NetworkId) -> Option<&Zone> {
        self.zones.get(&network)
    }

    /// Those of all networks, in which there may be none any more.
    pub fn iter(&self) -> impl Iterator<Item = (NetworkId, &Zone)> {
        self.zones.iter().map(|(network, zone)| (*network, zone))
    }

    /// Forgets all other networks.
    pub fn retain(&mut self, stays: impl Fn(NetworkId) -> bool) {
        self.zones.retain(|network, _| stays(*network));
    }
}

impl From<OwnerState> for Standing {
    fn from(state: OwnerState) -> Self {
        match state {
            OwnerState::Alive | OwnerState::Restarting => Self::Up,
            OwnerState::Suspect => Self::Suspected,
            OwnerState::Failed => Self::Failed,
        }
    }
}
