//! A sandbox's way to everywhere.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::IpAddr;

use ipnet::IpNet;

use super::Route;
use crate::records::NetworkRecord;

impl Route {
    /// The default route over a gateway.
    pub fn default_over(gateway: IpAddr) -> Option<Self> {
        let nowhere = match gateway {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        // What the kernel takes for IPv6 if nothing is said: it reads back the same.
        let metric = if gateway.is_ipv4() { 0 } else { 1024 };
        // A prefix of length 0 fits every family.
        Some(Self { to: IpNet::new(nowhere, 0).ok()?, via: Some(gateway), metric })
    }
}

/// Over the gateways of the subnets in which an endpoint has an address, the first of each family.
pub fn ways_out(network: &NetworkRecord, addresses: &[IpNet]) -> BTreeSet<Route> {
    let mut routes: BTreeMap<bool, Route> = BTreeMap::new();
    for subnet in &network.subnets {
        let within = addresses.iter().any(|net| subnet.prefix.contains(&net.addr()));
        let Some(gateway) = subnet.gateway.filter(|_| within) else { continue };
        if let Some(route) = Route::default_over(gateway) {
            routes.entry(gateway.is_ipv4()).or_insert(route);
        }
    }
    routes.into_values().collect()
}
