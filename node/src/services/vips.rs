//! Virtual addresses: one of each family that a service's network has, from the same desk as those of
//! endpoints.

use std::{net::IpAddr, time::Duration};

use netdb::Stopped;
use netnode_plan::{
    records::{NetworkId, NetworkRecord, ServiceId},
    ring::Wish,
    spaces::{SpaceId, address_in, number_in},
};
use tokio::time::timeout;

use super::Services;
use crate::{
    endpoints::{Endpoints, VisitError},
    ipam::TakeError,
    networks::What,
};

/// How long the table may take to show what was written to it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a service has no virtual address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VipError {
    #[error("address {0} is in none of the network's subnets")]
    Outside(IpAddr),
    #[error("two virtual addresses of one family: {0} and {1}")]
    Two(IpAddr, IpAddr),
    #[error("no virtual address can be given of {of}: {why}")]
    NoAddress { of: Box<What>, why: TakeError },
    #[error(transparent)]
    Visit(#[from] VisitError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Addresses that are promised to a service until its row says that it has them.
#[derive(Debug, Default)]
pub(super) struct Taken(Vec<(SpaceId, u128)>);

impl Services {
    /// One address of each family that the network has: the one that was `named`, else the one that the
    /// service had `before`, else any.
    pub(super) async fn take_vips(
        &self,
        endpoints: &Endpoints,
        (network, record): (NetworkId, &NetworkRecord),
        named: &[IpAddr],
        before: &[IpAddr],
        taken: &mut Taken,
    ) -> Result<Vec<IpAddr>, VipError> {
        let outside = |a: &&IpAddr| !record.subnets.iter().any(|s| s.prefix.contains(*a));
        if let Some(address) = named.iter().find(outside) {
            return Err(VipError::Outside(*address));
        }
        let (mut vips, mut wishes) = (Vec::new(), Vec::new());
        for v6 in [false, true] {
            let mut of_family = named.iter().filter(|address| address.is_ipv6() == v6);
            let wish = of_family.next().copied();
            if let (Some(one), Some(other)) = (wish, of_family.next()) {
                return Err(VipError::Two(one, *other));
            }
            let kept = before.iter().find(|address| address.is_ipv6() == v6).copied();
            match kept.filter(|kept| wish.is_none_or(|wish| wish == *kept)) {
                Some(kept) => vips.push(kept),
                None => wishes.push((v6, wish)),
            }
        }
        wishes.retain(|(v6, _)| record.subnets.iter().any(|s| s.prefix.addr().is_ipv6() == *v6));
        if !wishes.is_empty() {
            let take = async {
                for (v6, wish) in wishes {
                    vips.extend(self.take_of_family((network, record), v6, wish, taken).await?);
                }
                Ok::<(), VipError>(())
            };
            // Endpoints in ranges that came from a node that is gone are known by their rows alone.
            endpoints.visiting(network, take).await??;
        }
        vips.sort_unstable();
        Ok(vips)
    }

    /// An address of one family, from the first of its subnets that gives one; none if it has no subnet.
    async fn take_of_family(
        &self,
        (network, record): (NetworkId, &NetworkRecord),
        v6: bool,
        wish: Option<IpAddr>,
        taken: &mut Taken,
    ) -> Result<Option<IpAddr>, VipError> {
        let mut refused = None;
        for (place, subnet) in (0..).zip(&record.subnets) {
            let prefix = subnet.prefix;
            if prefix.addr().is_ipv6() != v6 || wish.is_some_and(|wish| !prefix.contains(&wish)) {
                continue;
            }
            let (space, name) = (SpaceId::Subnet(network, place), record.name.clone());
            let number = wish.and_then(|wish| number_in(&prefix, wish));
            let given = self.networks.ipam().take(space, number.map_or(Wish::Any, Wish::Exact));
            match given.await {
                Ok(number) => {
                    taken.0.push((space, number));
                    if let Some(address) = address_in(&prefix, number) {
                        return Ok(Some(address));
                    }
                }
                Err(why) => {
                    let of = Box::new(What::Subnet { network, name, subnet: prefix });
                    refused.get_or_insert(VipError::NoAddress { of, why });
                }
            }
        }
        refused.map_or(Ok(None), Err)
    }

    /// The promise is over: the row says whose they are, or there is none.
    pub(super) async fn release(&self, taken: Taken) -> Result<(), Stopped> {
        for (space, number) in taken.0 {
            self.networks.ipam().release(space, number).await?;
        }
        Ok(())
    }

    /// Once this node shows what was written, the desk knows the addresses by it. What it does not show in
    /// time stays promised until the next start.
    pub(super) async fn settle(
        &self,
        id: ServiceId,
        vips: &[IpAddr],
        taken: Taken,
    ) -> Result<(), Stopped> {
        let mut shown = self.shown.clone();
        let is_shown = shown.wait_for(|all| all.get(id).is_some_and(|l| l.record.vips == vips));
        match timeout(PATIENCE, is_shown).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(Stopped),
            Err(_) => return Ok(()),
        }
        self.release(taken).await
    }
}
