//! From a request to a row: the name is claimed, what was not said is given, then the row is written.
//!
//! Whatever fails gives back what was taken before it. A network of this host alone is ordered from the task
//! that keeps those.

use std::time::Duration;

use ipnet::IpNet;
use netdb::{Name, Stopped, WriteError};
use netnode_plan::{
    catalog::{Claim, Listed, Overlap, Scope},
    local::LocalError,
    records::{self, Driver, NetworkId, NetworkRecord, Subnet},
    request::{NetworkRequest, RequestError},
    ring::{SpaceError, Wish},
    spaces::{self, SpaceId},
};

use tokio::{sync::oneshot, task, time::timeout};

use super::{Networks, What, routes, shown::Order};
use crate::{ipam::TakeError, kernel::host_routes, state_file::StateFileError};

/// Why a network was not created. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Its addresses can't be numbered.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// It can't be had on this host.
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    File(#[from] StateFileError),
    /// The name is taken.
    #[error("a network of the name {name} exists already: {id}")]
    Exists { name: Name, id: NetworkId },
    /// Two networks would give addresses of one wire.
    #[error(transparent)]
    Overlaps(#[from] Overlap),
    /// Nothing was given from a space.
    #[error("nothing can be given of {of}: {why}")]
    Nothing { of: Box<What>, why: TakeError },
    /// This node has just joined.
    #[error("this node has not heard yet which subnets the cluster gives")]
    NoPools,
    /// The system has no randomness to make an id of.
    #[error("no random id could be made: {0}")]
    Entropy(#[from] getrandom::Error),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Subnets into which new routes of this host lead, which the pool has not heard of yet.
const MAX_PASSED_OVER: usize = 64;

/// How long a node that has just joined waits to hear where subnets come from.
const HEARING: Duration = Duration::from_secs(5);

/// What was taken for a network that is not written yet.
#[derive(Default)]
struct Taken {
    numbers: Vec<(SpaceId, u128)>,
    /// Subnets whose addresses are shared out from now on.
    founded: u8,
}

impl Networks {
    /// Creates a network; with `ipv6` also a subnet of IPv6, if none is named.
    pub(crate) async fn create(
        &self,
        request: NetworkRequest,
        ipv6: bool,
    ) -> Result<(NetworkId, Listed), CreateError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let id = NetworkId(id);
        let scope = request.scope()?;
        let record = match scope {
            Scope::Cluster => self.create_shared(id, request, ipv6).await?,
            Scope::Local => self.create_own(id, request, ipv6).await?,
        };
        Ok((id, Listed { scope, record, conflicts: Vec::new() }))
    }

    async fn create_own(
        &self,
        id: NetworkId,
        request: NetworkRequest,
        ipv6: bool,
    ) -> Result<NetworkRecord, CreateError> {
        // What can't be asked for is not known to be taken.
        let taken = task::spawn_blocking(host_routes).await.map_err(|_| Stopped)?;
        let (taken, request) = (taken.unwrap_or_default(), Box::new(request));
        let created_us = self.db.cluster_time().await?.0;
        let (reply, created) = oneshot::channel();
        self.order(Order::Create { id, request, ipv6, taken, created_us, reply }).await?;
        created.await.map_err(|_| Stopped)?
    }

    async fn create_shared(
        &self,
        id: NetworkId,
        request: NetworkRequest,
        ipv6: bool,
    ) -> Result<NetworkRecord, CreateError> {
        let name = request.name.clone();
        // Also if it is one of this host alone, which the keeper knows nothing of.
        if let Some(id) = self.catalog().holder(&Claim::Name(name.clone())) {
            return Err(CreateError::Exists { name, id });
        }
        let holder = NetworkId(self.names.claim(&name, id.0).await?);
        if holder != id {
            return Err(CreateError::Exists { name, id: holder });
        }
        let mut taken = Taken::default();
        let created = self.fill_and_write(id, request, ipv6, &mut taken).await;
        if created.is_err() {
            self.names.forget(&name, id.0).await?;
            for place in 0..taken.founded {
                self.ipam.close(SpaceId::Subnet(id, place), true).await?;
            }
            for (space, number) in taken.numbers {
                self.ipam.release(space, number).await?;
            }
        }
        created
    }

    async fn fill_and_write(
        &self,
        id: NetworkId,
        mut request: NetworkRequest,
        ipv6: bool,
        taken: &mut Taken,
    ) -> Result<NetworkRecord, CreateError> {
        let addressed = request.is_addressed();
        let wants4 = addressed && request.subnets.is_empty();
        let wants6 = ipv6 && !request.names_subnet(true);
        if wants4 {
            request.subnets.push(self.subnet(SpaceId::Pool4, taken).await?);
        }
        if addressed && wants6 {
            request.subnets.push(self.subnet(SpaceId::Pool6, taken).await?);
        }
        let mut record = request.into_record(self.db.cluster_time().await?.0)?;
        if record.driver == Driver::Overlay && record.options.vni.is_none() {
            let vni = self.number(&What::Vni, SpaceId::Vni, taken).await?;
            record.options.vni = u32::try_from(vni).ok();
        }
        self.catalog().check_overlaps(&record)?;
        for (place, subnet) in (0..).zip(&record.subnets) {
            let (name, prefix) = (record.name.clone(), subnet.prefix);
            let what = What::Subnet { network: id, name, subnet: prefix };
            self.found(SpaceId::Subnet(id, place), &what, subnet).await?;
            taken.founded = place + 1;
        }
        self.table.create(id.0, records::encode(&record)).await?;
        Ok(record)
    }

    /// A subnet that no route of this host leads into; what others' lead into is known to the pool.
    async fn subnet(&self, space: SpaceId, taken: &mut Taken) -> Result<IpNet, CreateError> {
        // Just after a start they are on their way, as the ranges are that numbers are taken from.
        let mut known = self.pools.clone();
        let known = timeout(HEARING, known.wait_for(Option::is_some)).await;
        let pools = known.ok().and_then(|known| *known.ok()?).ok_or(CreateError::NoPools)?;
        let of = What::Pool(if space == SpaceId::Pool4 { pools.v4 } else { pools.v6 });
        let routes = routes::in_pools(pools).await;
        let mut passed_over = Vec::new();
        let given = loop {
            let number = self.number(&of, space, taken).await;
            let subnet = number.map(|number| (number, pools.subnet(space, number)));
            match subnet {
                Ok((number, Some(subnet)))
                    if routes.overlap(&subnet) && passed_over.len() < MAX_PASSED_OVER =>
                {
                    passed_over.push(number);
                }
                Ok((_, Some(subnet))) if !routes.overlap(&subnet) => break Ok(subnet),
                Ok(_) => break Err(nothing(&of, TakeError::UnknownSpace)),
                Err(error) => break Err(error),
            }
        };
        for number in passed_over {
            taken.numbers.retain(|given| *given != (space, number));
            self.ipam.release(space, number).await?;
        }
        given
    }

    async fn number(
        &self,
        of: &What,
        space: SpaceId,
        taken: &mut Taken,
    ) -> Result<u128, CreateError> {
        let number = self.ipam.take(space, Wish::Any).await;
        let number = number.map_err(|why| nothing(of, why))?;
        taken.numbers.push((space, number));
        Ok(number)
    }

    /// All addresses of a new subnet are this node's at first.
    async fn found(&self, space: SpaceId, what: &What, subnet: &Subnet) -> Result<(), CreateError> {
        Ok(self.ipam.found(space, what, spaces::addresses(subnet)?).await?)
    }
}

fn nothing(of: &What, why: TakeError) -> CreateError {
    CreateError::Nothing { of: Box::new(of.clone()), why }
}
