//! From a request to a row: the name is claimed, what was not said is given, then the row is written.
//!
//! Whatever fails gives back what was taken before it.

use ipnet::IpNet;
use netdb::{Name, Stopped, WriteError};
use netnode_plan::{
    records::{self, Driver, NetworkId, NetworkRecord, Subnet},
    request::{NetworkRequest, RequestError},
    ring::{SpaceError, Wish},
    spaces::{self, SpaceId},
};

use super::{Networks, keeper};
use crate::ipam::TakeError;

/// Why a network was not created. Nothing changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Its addresses can't be numbered.
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// Networks of one host are not made yet.
    #[error("networks of the bridge driver, which belong to one host, are not made yet")]
    Bridge,
    /// The name is taken.
    #[error("a network of the name {name} exists already: {id}")]
    Exists { name: Name, id: NetworkId },
    /// Two networks would give addresses of one wire.
    #[error("{subnet} overlaps {other} of network {name}")]
    Overlaps { subnet: IpNet, other: IpNet, name: Name },
    /// Nothing was given from a space.
    #[error("no {what} could be given: {why}")]
    Nothing { what: &'static str, why: TakeError },
    /// The system has no randomness to make an id of.
    #[error("no random id could be made: {0}")]
    Entropy(#[from] getrandom::Error),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What was taken for a network that is not written yet.
#[derive(Default)]
struct Taken {
    numbers: Vec<(SpaceId, u128)>,
    /// Subnets whose addresses are shared out from now on.
    founded: u8,
}

impl Networks {
    /// Creates a network for the whole cluster; with `ipv6` also a subnet of IPv6, if none is named.
    pub(crate) async fn create(
        &self,
        request: NetworkRequest,
        ipv6: bool,
    ) -> Result<(NetworkId, NetworkRecord), CreateError> {
        if request.driver == Driver::Bridge {
            return Err(CreateError::Bridge);
        }
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let id = NetworkId(id);
        let name = request.name.clone();
        let holder = keeper::claim(&self.db, &name, id).await?;
        if holder != id {
            return Err(CreateError::Exists { name, id: holder });
        }
        let mut taken = Taken::default();
        let created = self.fill_and_write(id, request, ipv6, &mut taken).await;
        if created.is_err() {
            keeper::forget(&self.db, &name, id).await?;
            for place in 0..taken.founded {
                self.ipam.close(SpaceId::Subnet(id, place), true).await?;
            }
            for (space, number) in taken.numbers {
                self.ipam.release(space, number).await?;
            }
        }
        created.map(|record| (id, record))
    }

    async fn fill_and_write(
        &self,
        id: NetworkId,
        mut request: NetworkRequest,
        ipv6: bool,
        taken: &mut Taken,
    ) -> Result<NetworkRecord, CreateError> {
        let addressed = !matches!(request.driver, Driver::Host | Driver::None);
        let has = |v6: bool| request.subnets.iter().any(|subnet| subnet.addr().is_ipv6() == v6);
        let (wants4, wants6) = (addressed && request.subnets.is_empty(), ipv6 && !has(true));
        if wants4 {
            request.subnets.push(self.subnet(SpaceId::Pool4, taken).await?);
        }
        if addressed && wants6 {
            request.subnets.push(self.subnet(SpaceId::Pool6, taken).await?);
        }
        let mut record = request.into_record(self.db.cluster_time().await?.0)?;
        if record.driver == Driver::Overlay && record.options.vni.is_none() {
            let vni = self.number("VNI", SpaceId::Vni, taken).await?;
            record.options.vni = u32::try_from(vni).ok();
        }
        self.check_overlaps(&record)?;
        for (place, subnet) in (0..).zip(&record.subnets) {
            self.found(SpaceId::Subnet(id, place), subnet).await?;
            taken.founded = place + 1;
        }
        self.table.create(id.0, records::encode(&record)).await?;
        Ok(record)
    }

    async fn subnet(&self, space: SpaceId, taken: &mut Taken) -> Result<IpNet, CreateError> {
        let pool = if space == SpaceId::Pool4 { self.pools.v4 } else { self.pools.v6 };
        let number = self.number("subnet", space, taken).await?;
        let why = TakeError::UnknownSpace;
        pool.subnet(number).ok_or(CreateError::Nothing { what: "subnet", why })
    }

    async fn number(
        &self,
        what: &'static str,
        space: SpaceId,
        taken: &mut Taken,
    ) -> Result<u128, CreateError> {
        let number = self.ipam.take(space, Wish::Any).await;
        let number = number.map_err(|why| CreateError::Nothing { what, why })?;
        taken.numbers.push((space, number));
        Ok(number)
    }

    /// All addresses of a new subnet are this node's at first.
    async fn found(&self, space: SpaceId, subnet: &Subnet) -> Result<(), CreateError> {
        Ok(self.ipam.open(space, spaces::addresses(subnet)?, true).await?)
    }

    /// Macvlans share the wire outside, so one subnet must not be on two of them.
    fn check_overlaps(&self, record: &NetworkRecord) -> Result<(), CreateError> {
        if record.driver != Driver::Macvlan {
            return Ok(());
        }
        let catalog = self.catalog();
        let others = catalog.iter().map(|(_, listed)| &listed.record);
        for NetworkRecord { name, subnets, .. } in others.filter(|r| r.driver == Driver::Macvlan) {
            for other in subnets {
                if let Some(subnet) = record.subnets.iter().find(|subnet| subnet.overlaps(other)) {
                    let (subnet, other, name) = (subnet.prefix, other.prefix, name.clone());
                    return Err(CreateError::Overlaps { subnet, other, name });
                }
            }
        }
        Ok(())
    }
}
