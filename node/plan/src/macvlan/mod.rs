//! The macvlan driver's pure half: endpoints with hardware addresses of their own on a link of the host.
//!
//! A parent `eth0.41` that is not there is made as a VLAN of `eth0` and goes with the last endpoint; one
//! that is there belongs to somebody else and is only used.

#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;

use crate::{
    host::{Attached, Kind, Link, Mark, Place, Setting, Wanted, ways_out},
    records::{EndpointId, EndpointRecord, NetworkId, NetworkRecord, Parent},
};

/// What the wanted state of one network follows from.
#[derive(Clone, Debug)]
pub struct Network<'a> {
    /// Its id.
    pub id: NetworkId,
    /// What it is.
    pub record: &'a NetworkRecord,
    /// Whether the host has a link of the parent's name that is not ours.
    pub parent_is_there: bool,
    /// MTU of the host's link, in bytes.
    pub parent_mtu: u32,
    /// The endpoints of this node.
    pub attached: BTreeMap<EndpointId, (Attached, &'a EndpointRecord)>,
}

/// Why a network can't be had here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing says on what its endpoints lie.
    #[error("the network has no parent: create it with `-o parent=INTERFACE`")]
    NoParent,
}

/// What should be there for a network.
///
/// # Errors
/// It can't be had as it is defined.
pub fn desired(network: &Network<'_>) -> Result<Wanted, Fault> {
    let options = &network.record.options;
    let parent = options.parent.as_ref().ok_or(Fault::NoParent)?;
    let mut wanted = Wanted::new();
    if network.attached.is_empty() {
        return Ok(wanted);
    }
    let mtu = options.mtu.map_or(network.parent_mtu, |mtu| mtu.min(network.parent_mtu));
    if let (Parent { name, vlan: Some((below, id)) }, false) = (parent, network.parent_is_there) {
        let kind = Kind::Vlan { parent: below.clone(), id: *id };
        // Only what lies on it takes part in the VLAN, not the host.
        let link = Link::new(Mark::network(network.id), kind, network.parent_mtu)
            .with(Setting::DisableV6, 1)
            .with(Setting::AcceptRa, 0);
        wanted.insert(Place::Host, [(name.clone(), link)].into());
    }
    for (id, (attached, record)) in &network.attached {
        let kind = Kind::Macvlan { parent: parent.name.clone(), mode: options.mode };
        let mut link = Link::new(Mark::endpoint(network.id, *id), kind, mtu)
            .with(Setting::DisableV6, u32::from(!network.record.has_v6()))
            .with(Setting::AcceptRa, 0);
        link.mac = Some(record.mac);
        link.addresses = record.addresses.iter().copied().collect();
        if attached.default_route && !options.internal {
            link.routes = ways_out(network.record, &record.addresses);
        }
        let sandbox = wanted.entry(Place::of_sandbox(&attached.sandbox)).or_default();
        sandbox.insert(attached.interface.clone(), link);
    }
    Ok(wanted)
}
