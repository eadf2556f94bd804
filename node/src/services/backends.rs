//! Who serves: by the rows of endpoints, or, of a network whose rows this node does not hold, by what a node
//! says that does.

use std::collections::{BTreeMap, BTreeSet};

use netdb::{
    CLUSTER_NETWORK, Filter, Lifetime, Name, NameError, NetDb, NodeId, OwnerState, Requests, Row,
    Stopped,
};
use netnode_plan::{
    backends::{self, Serving},
    records::{self, ATTACHMENTS, ENDPOINTS, EndpointId, EndpointRecord, NetworkId},
    services::Tally,
};
use tokio::task::JoinSet;

use super::Services;

/// What nodes ask each other under.
pub(super) const TOPIC: &str = "backends";
/// So many nodes that hold the rows of a network are asked for them, one after the other.
const MAX_ASKED: usize = 3;
/// So many networks are asked about at one time.
const AT_ONCE: usize = 16;

/// Who serves on one network.
#[derive(Clone, Debug, Default)]
struct Known {
    /// By what it calls its service.
    services: BTreeMap<Name, Vec<Serving>>,
    /// All of them, and not as many as fit an answer.
    whole: bool,
}

/// Who serves what, on each network of which that is known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing(BTreeMap<NetworkId, Known>);

impl Standing {
    /// The backends of a service; `None` if nobody says who they are.
    pub(crate) fn of(&self, network: NetworkId, service: &Name) -> Option<&[Serving]> {
        Some(self.0.get(&network)?.services.get(service).map_or(&[], Vec::as_slice))
    }

    /// How many there are.
    pub(crate) fn tally(&self, network: NetworkId, service: &Name) -> Option<Tally> {
        let whole = self.0.get(&network).is_some_and(|known| known.whole);
        self.of(network, service).filter(|_| whole).map(backends::tally)
    }

    fn put(&mut self, network: NetworkId, whole: bool, all: Vec<Serving>) {
        let known = self.0.entry(network).or_default();
        known.whole = whole;
        for serving in all {
            known.services.entry(serving.backend.service.clone()).or_default().push(serving);
        }
    }
}

/// Why it is not known who serves.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StandingError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Answers what other nodes ask.
pub(super) fn serve(db: NetDb, mut requests: Requests) {
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let Ok((network, service)) = backends::asked(request.body()) else { continue };
            let Ok(known) = held(&db, Some(network)).await else { return };
            let told = known.into_values().next().map(|mut all| {
                all.retain(|one| service.as_ref().is_none_or(|s| one.backend.service == *s));
                backends::answer(&all)
            });
            // Who does not hold the rows says nothing, and another is asked. An error means that the node is
            // stopping.
            let _ = request.answer(told.unwrap_or_default()).await;
        }
    });
}

impl Services {
    /// Who serves on the networks that services are on; or who serves one service.
    pub(crate) async fn standing(
        &self,
        only: Option<(NetworkId, &Name)>,
    ) -> Result<Standing, StandingError> {
        let mut standing = Standing::default();
        for (network, all) in held(&self.db, only.map(|(network, _)| network)).await? {
            standing.put(network, true, all);
        }
        let all = self.all();
        let networks: BTreeSet<NetworkId> = match only {
            Some((network, _)) => [network].into(),
            None => all.iter().map(|(_, listed)| listed.record.network).collect(),
        };
        let elsewhere = networks.into_iter().filter(|network| !standing.0.contains_key(network));
        let elsewhere: Vec<NetworkId> = elsewhere.collect();
        let (mut left, mut asked) = (elsewhere.into_iter(), JoinSet::new());
        loop {
            for network in left.by_ref().take(AT_ONCE.saturating_sub(asked.len())) {
                let (db, service) = (self.db.clone(), only.map(|(_, service)| service.clone()));
                asked.spawn(async move { (network, ask(&db, network, service.as_ref()).await) });
            }
            let Some(answer) = asked.join_next().await else { return Ok(standing) };
            if let Ok((network, answer)) = answer
                && let Some((whole, all)) = answer?
            {
                standing.put(network, whole, all);
            }
        }
    }
}

/// Who serves, by the rows that this node holds: of one network, or of all whose rows are here.
async fn held(
    db: &NetDb,
    only: Option<NetworkId>,
) -> Result<BTreeMap<NetworkId, Vec<Serving>>, StandingError> {
    let mut all = BTreeMap::new();
    for info in db.networks().await?.into_iter().filter(|info| info.synced) {
        let Ok(network) = info.name.as_str().parse::<NetworkId>() else { continue };
        if only.is_some_and(|only| only != network) {
            continue;
        }
        let filter = Filter {
            network: Some(info.name),
            table: Some(Name::new(ENDPOINTS)?),
            lifetime: Some(Lifetime::Owner),
            include_failed: true,
            ..Filter::default()
        };
        let rows = db.rows(filter).await?;
        all.insert(network, backends::settle(rows.iter().filter_map(|(_, row)| serving(row))));
    }
    Ok(all)
}

fn serving(row: &Row) -> Option<Serving> {
    let id = <[u8; 16]>::try_from(&*row.entry.row.key).map(EndpointId).ok()?;
    let record: EndpointRecord = records::decode(row.entry.value.as_ref()?).ok()?;
    Serving::new(id, row.entry.row.owner, row.owner_state, record)
}

/// Asks those that hold the rows of a network. Where nobody is left that does, nobody serves.
async fn ask(
    db: &NetDb,
    network: NetworkId,
    service: Option<&Name>,
) -> Result<Option<(bool, Vec<Serving>)>, StandingError> {
    let nodes = attached(db, network).await?;
    for node in nodes.iter().take(MAX_ASKED) {
        let answer = db.ask(*node, TOPIC, backends::question(network, service)).await;
        if let Ok(Ok(told)) = answer.map(|bytes| backends::answered(&bytes)) {
            return Ok(Some(told));
        }
    }
    Ok(nodes.is_empty().then(|| (true, Vec::new())))
}

/// The other nodes that are there and take part in a network.
async fn attached(db: &NetDb, network: NetworkId) -> Result<Vec<NodeId>, StandingError> {
    let key = network.to_string();
    let filter = Filter {
        network: Some(Name::new(CLUSTER_NETWORK)?),
        table: Some(Name::new(ATTACHMENTS)?),
        lifetime: Some(Lifetime::Owner),
        prefix: key.clone().into_bytes(),
        ..Filter::default()
    };
    let rows = db.rows(filter).await?;
    let here = rows.iter().map(|(_, row)| row).filter(|row| {
        row.owner_state == OwnerState::Alive && &*row.entry.row.key == key.as_bytes()
    });
    Ok(here.map(|row| row.entry.row.owner).filter(|node| *node != db.id()).collect())
}
