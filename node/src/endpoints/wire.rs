//! Addresses that nobody on a macvlan's wire has: hosts that are none of ours may be there.

use std::{collections::BTreeMap, io, net::IpAddr};

use ipnet::IpNet;
use netnode_plan::{
    catalog::Listed,
    records::{LinkName, Mac, NetworkId},
};
use tokio::task;

use super::{AttachError, Endpoints};
use crate::kernel::holders;

/// How many addresses are tried of which each turns out to be in use.
const MAX_TRIES: usize = 8;

impl Endpoints {
    /// One address in each subnet that is free, also by what the wire says. One that was named and is not is
    /// refused; of the others, the next is tried, and those in use rest.
    pub(super) async fn take_free(
        &self,
        network: NetworkId,
        listed: &Listed,
        named: &[IpAddr],
        taken: &mut Vec<(NetworkId, IpNet)>,
    ) -> Result<Vec<IpNet>, AttachError> {
        let mut in_use = Vec::new();
        let found = self.look_for_free(network, listed, named, taken, &mut in_use).await;
        match found {
            // They were kept until another was found: one of them would have been the next again.
            Ok(_) => self.give_back(in_use).await?,
            Err(_) => taken.append(&mut in_use),
        }
        found
    }

    async fn look_for_free(
        &self,
        network: NetworkId,
        listed: &Listed,
        named: &[IpAddr],
        taken: &mut Vec<(NetworkId, IpNet)>,
        in_use: &mut Vec<(NetworkId, IpNet)>,
    ) -> Result<Vec<IpNet>, AttachError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let before = taken.len();
            let addresses = self.take_addresses(network, listed, named, taken).await?;
            let Some(parent) = &listed.record.options.parent else { return Ok(addresses) };
            let asked: Vec<IpAddr> = addresses.iter().map(IpNet::addr).collect();
            let held = ask(&parent.name, asked).await?;
            let Some((address, mac)) = held.first_key_value() else { return Ok(addresses) };
            if named.contains(address) || tries >= MAX_TRIES {
                let parent = parent.name.clone();
                return Err(AttachError::OnWire { address: *address, parent, mac: *mac });
            }
            tracing::warn!(%address, %mac, parent = %parent.name, "an address is in use on the wire");
            in_use.extend(taken.drain(before..));
        }
    }
}

/// Who has which of them. A wire that is not there yet has nobody.
async fn ask(
    parent: &LinkName,
    addresses: Vec<IpAddr>,
) -> Result<BTreeMap<IpAddr, Mac>, AttachError> {
    let on = parent.clone();
    let asked = task::spawn_blocking(move || holders(&on, &addresses)).await;
    match asked.unwrap_or_else(|lost| Err(io::Error::other(lost))) {
        Ok(held) => Ok(held),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(AttachError::Wire { parent: parent.clone(), error }),
    }
}
