//! The way out of an overlay: its sandboxes are plugged into a bridge network of this host as well, which
//! comes with the first of them; and which of a sandbox's endpoints is its way to everywhere.

use std::{cmp::Reverse, path::Path};

use ipnet::IpNet;
use netdb::Name;
use netnode_plan::{
    bridge::GATEWAY,
    catalog::{Listed, Scope},
    local::LocalError,
    records::{Driver, LinkName, NetworkId},
    request::NetworkRequest,
};

use super::{
    AttachError, Endpoint, Endpoints, Local, PortError, attach::random_mac, store::WayOut,
};
use crate::networks::CreateError;

/// What the interface is called in the sandbox.
const INTERFACE: &str = "gw0";
/// There if the kernel has IPv6.
const IPV6: &str = "/proc/sys/net/ipv6";

impl Endpoints {
    /// Addresses on the gateway for one more sandbox; what is taken is noted.
    pub(super) async fn way_out(
        &self,
        taken: &mut Vec<(NetworkId, IpNet)>,
    ) -> Result<WayOut, AttachError> {
        let (network, listed) = self.gateway().await?;
        let addresses = self.take_addresses(network, &listed, &[], taken).await?;
        Ok(WayOut { network, interface: LinkName::new(INTERFACE)?, addresses, mac: random_mac()? })
    }

    /// The endpoint that is a sandbox's way to everywhere.
    pub(super) fn leading(&self, sandbox: &str) -> Option<Endpoint> {
        let leads = |e: &Endpoint| e.local.sandbox == sandbox && e.local.default_route;
        self.list().into_iter().find(leads)
    }

    /// It is its sandbox's way to everywhere no longer. Addresses that it needs no more, to be given back when
    /// the kernel has followed.
    pub(super) async fn step_back(
        &self,
        ahead: &Endpoint,
    ) -> Result<Vec<(NetworkId, IpNet)>, AttachError> {
        let mut local = Local { default_route: false, ..ahead.local.clone() };
        let Some(out) = local.way_out.take() else {
            self.put(ahead.id, &local).await?;
            return Ok(Vec::new());
        };
        if !local.published.is_empty() {
            return Err(PortError::WayOutInUse(local.name).into());
        }
        self.put(ahead.id, &local).await?;
        Ok(out.addresses.iter().map(|net| (out.network, *net)).collect())
    }

    /// The way to everywhere of a sandbox goes over to the next of its endpoints that leads out.
    pub(super) async fn pass_on(&self, gone: &Local) -> Result<(), AttachError> {
        let catalog = self.networks.catalog();
        let leads_out = |local: &Local| {
            catalog.get(local.network).is_some_and(|listed| !listed.record.options.internal)
        };
        let left = self.list().into_iter().filter(|left| {
            gone.default_route && left.local.sandbox == gone.sandbox && leads_out(&left.local)
        });
        let turn = |Endpoint { local, .. }: &Endpoint| {
            (Reverse(local.gw_priority), local.interface.clone())
        };
        let Some(heir) = left.min_by_key(turn) else {
            return Ok(());
        };
        let (mut local, mut taken) = (Local { default_route: true, ..heir.local }, Vec::new());
        let driver = catalog.get(local.network).map(|listed| listed.record.driver);
        let went = async {
            if driver == Some(Driver::Overlay) {
                local.way_out = Some(self.way_out(&mut taken).await?);
            }
            self.put(heir.id, &local).await
        };
        let went = went.await;
        if went.is_err() {
            self.give_back(taken).await?;
        }
        went
    }

    async fn gateway(&self) -> Result<(NetworkId, Listed), AttachError> {
        let is_one = |listed: &Listed| {
            listed.scope == Scope::Local && listed.record.driver == Driver::Bridge
        };
        let find = || self.networks.find(GATEWAY).ok().filter(|(_, listed)| is_one(listed));
        if let Some(found) = find() {
            return Ok(found);
        }
        let request = NetworkRequest::new(Name::new(GATEWAY)?, Driver::Bridge);
        match self.networks.create(request, Path::new(IPV6).exists()).await {
            Ok(created) => Ok(created),
            Err(error @ CreateError::Local(LocalError::Exists { .. })) => {
                // Another attach made it meanwhile; or it is nothing that leads out.
                find().ok_or(AttachError::Gateway(error))
            }
            Err(error) => Err(AttachError::Gateway(error)),
        }
    }
}
