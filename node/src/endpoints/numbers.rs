//! Addresses of endpoints as numbers of the rings: taken, kept over a start, and given back.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

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
        for (space, number) in self.numbers(addresses) {
            self.networks.ipam().release(space, number).await?;
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
        if !matches!(timeout(CATALOG, known).await, Ok(Ok(_))) {
            return Ok(());
        }
        let here = locals.values().flat_map(Local::all_addresses);
        self.keep_all(here.filter(|(of, _)| *of == network)).await
    }

    /// Addresses that are in use, of networks that are known.
    pub(super) async fn keep_all(
        &self,
        addresses: impl IntoIterator<Item = (NetworkId, IpNet)>,
    ) -> Result<(), Stopped> {
        let mut by_space: BTreeMap<SpaceId, Vec<u128>> = BTreeMap::new();
        for (space, number) in self.numbers(addresses) {
            by_space.entry(space).or_default().push(number);
        }
        for (space, numbers) in by_space {
            self.networks.ipam().keep(space, numbers).await?;
        }
        Ok(())
    }

    /// Which numbers addresses are; those of networks that are not known are none.
    fn numbers(
        &self,
        addresses: impl IntoIterator<Item = (NetworkId, IpNet)>,
    ) -> Vec<(SpaceId, u128)> {
        let catalog = self.networks.catalog();
        let mut numbers = Vec::new();
        for (network, net) in addresses {
            let subnets = catalog.get(network).map(|listed| &listed.record.subnets);
            for (place, subnet) in (0..).zip(subnets.into_iter().flatten()) {
                let number = number_in(&subnet.prefix, net.addr());
                numbers.extend(number.map(|number| (SpaceId::Subnet(network, place), number)));
            }
        }
        numbers
    }
}
