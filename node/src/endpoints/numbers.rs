//! Addresses of endpoints as numbers of the rings: taken, kept over a start, and given back.

use std::{net::IpAddr, sync::Arc, time::Duration};

use ipnet::IpNet;
use netdb::Stopped;
use netnode_plan::{
    catalog::Listed,
    records::NetworkId,
    ring,
    spaces::{SpaceId, address_in, number_in},
};
use tokio::time::timeout;

use super::{
    AttachError, Endpoints,
    store::{Local, Locals},
};
use crate::{ipam::TakeError, networks::What};

/// How long the row of a network is waited for after a start; one that is not there was removed.
const CATALOG: Duration = Duration::from_secs(5);

impl Endpoints {
    /// One address in each subnet: the one that was named, or any.
    pub(super) async fn take_addresses(
        &self,
        network: NetworkId,
        listed: &Listed,
        named: &[IpAddr],
        taken: &mut Vec<(NetworkId, IpNet)>,
    ) -> Result<Vec<IpNet>, AttachError> {
        let mut addresses = Vec::new();
        let subnets = &listed.record.subnets;
        let outside = |address: &&IpAddr| !subnets.iter().any(|s| s.prefix.contains(*address));
        if let Some(address) = named.iter().find(outside) {
            return Err(AttachError::Outside(*address));
        }
        for (place, subnet) in (0..).zip(subnets) {
            let prefix = subnet.prefix;
            let number = named.iter().find_map(|address| number_in(&prefix, *address));
            let wish = number.map_or(ring::Wish::Any, ring::Wish::Exact);
            let name = listed.record.name.clone();
            let none = |why| AttachError::NoAddress {
                of: What::Subnet { network, name: name.clone(), subnet: prefix },
                why,
            };
            let given = self.networks.ipam().take(SpaceId::Subnet(network, place), wish).await;
            let number = given.map_err(none)?;
            let address = address_in(&prefix, number)
                .and_then(|address| IpNet::new(address, prefix.prefix_len()).ok())
                .ok_or_else(|| none(TakeError::UnknownSpace))?;
            taken.push((network, address));
            addresses.push(address);
        }
        Ok(addresses)
    }

    pub(super) async fn give_back(
        &self,
        addresses: impl IntoIterator<Item = (NetworkId, IpNet)>,
    ) -> Result<(), Stopped> {
        let catalog = self.networks.catalog();
        for (network, net) in addresses {
            let subnets = catalog.get(network).map(|listed| &listed.record.subnets);
            for (place, subnet) in (0..).zip(subnets.into_iter().flatten()) {
                if let Some(number) = number_in(&subnet.prefix, net.addr()) {
                    self.networks.ipam().release(SpaceId::Subnet(network, place), number).await?;
                }
            }
        }
        Ok(())
    }

    /// After a start: addresses in use here are not given again.
    pub(super) async fn keep_addresses(
        &self,
        network: NetworkId,
        locals: &Locals,
    ) -> Result<(), Stopped> {
        let mut catalog = self.networks.watch();
        let known = catalog.wait_for(|catalog| catalog.get(network).is_some());
        let Ok(Ok(catalog)) = timeout(CATALOG, known).await.map(|k| k.map(|c| Arc::clone(&c)))
        else {
            return Ok(());
        };
        let here = locals.values().flat_map(Local::all_addresses);
        let here: Vec<_> = here.filter(|(of, _)| *of == network).collect();
        drop(catalog);
        self.keep_all(&here).await
    }

    /// Addresses that are in use, of networks that are known.
    pub(super) async fn keep_all(&self, addresses: &[(NetworkId, IpNet)]) -> Result<(), Stopped> {
        let catalog = self.networks.catalog();
        for (network, net) in addresses {
            let subnets = catalog.get(*network).map(|listed| &listed.record.subnets);
            for (place, subnet) in (0..).zip(subnets.into_iter().flatten()) {
                if let Some(number) = number_in(&subnet.prefix, net.addr()) {
                    let id = SpaceId::Subnet(*network, place);
                    self.networks.ipam().keep(id, vec![number]).await?;
                }
            }
        }
        Ok(())
    }
}
