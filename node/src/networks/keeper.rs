//! Creates of one name are serialised by its keeper: the node that rendezvous hashing names among those
//! that are alive.
//!
//! Nodes that are apart name different keepers, and a keeper that does not answer holds nobody up: what
//! comes of that is settled by the catalog.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use netdb::{MemberState, Name, NetDb, Request, ServeError, Stopped};
use netnode_plan::{
    catalog::{Catalog, Claim, Scope},
    records::NetworkId,
    rendezvous,
};
use tokio::{sync::watch, time::timeout};

/// What nodes ask each other under.
const TOPIC: &str = "network-names";
/// "This network is to have that name."
const CLAIM: u8 = 1;
/// "It came to nothing."
const FORGET: u8 = 2;
/// How long a keeper is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a keeper remembers a claim: by then its row is here, or was never written.
const MEMORY: Duration = Duration::from_secs(10);
/// The most claims that a keeper remembers; beyond that the catalog settles clashes.
const MAX_CLAIMS: usize = 4096;

/// What this node remembers as a keeper.
#[derive(Debug)]
struct Keeper {
    catalog: watch::Receiver<Arc<Catalog>>,
    claims: BTreeMap<Name, (NetworkId, Instant)>,
}

/// Answers what other nodes claim.
pub(super) async fn serve(
    db: &NetDb,
    catalog: watch::Receiver<Arc<Catalog>>,
) -> Result<(), ServeError> {
    let mut keeper = Keeper { catalog, claims: BTreeMap::new() };
    let mut requests = db.serve(TOPIC).await?;
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            keeper.answer(request).await;
        }
    });
    Ok(())
}

impl Keeper {
    async fn answer(&mut self, request: Request) {
        let holder = match parse(request.body()) {
            Some((CLAIM, id, name)) => self.claim(name, id, Instant::now()),
            Some((FORGET, id, name)) => {
                self.forget(&name, id);
                id
            }
            _ => return,
        };
        // The node is stopping.
        let _ = request.answer(holder.0.to_vec()).await;
    }

    /// Who has a name, which is whoever claims it first.
    fn claim(&mut self, name: Name, id: NetworkId, now: Instant) -> NetworkId {
        let catalog = self.catalog.borrow().clone();
        // What this host alone calls so is nobody else's business.
        let shared = |id: &NetworkId| catalog.get(*id).is_some_and(|l| l.scope == Scope::Cluster);
        if let Some(holder) = catalog.holder(&Claim::Name(name.clone())).filter(shared) {
            return holder;
        }
        self.claims.retain(|_, (_, at)| now.duration_since(*at) < MEMORY);
        if self.claims.len() >= MAX_CLAIMS {
            return id;
        }
        self.claims.entry(name).or_insert((id, now)).0
    }

    /// A create that came to nothing claims no more.
    fn forget(&mut self, name: &Name, id: NetworkId) {
        if self.claims.get(name).is_some_and(|(holder, _)| *holder == id) {
            self.claims.remove(name);
        }
    }
}

/// Asks the keeper of a name for it. The id that has it: `id`, or that of another network.
pub(super) async fn claim(db: &NetDb, name: &Name, id: NetworkId) -> Result<NetworkId, Stopped> {
    ask(db, CLAIM, name, id).await
}

/// Tells the keeper of a name that the network is not to be.
pub(super) async fn forget(db: &NetDb, name: &Name, id: NetworkId) -> Result<(), Stopped> {
    ask(db, FORGET, name, id).await.map(|_| ())
}

async fn ask(db: &NetDb, what: u8, name: &Name, id: NetworkId) -> Result<NetworkId, Stopped> {
    let members = db.members().await?;
    let alive = members.iter().filter(|info| info.state == MemberState::Alive);
    let Some(keeper) = rendezvous::winner(name.as_str().as_bytes(), alive.map(|m| m.member.id))
    else {
        return Ok(id);
    };
    let body = [&[what], id.0.as_slice(), name.as_str().as_bytes()].concat();
    match timeout(PATIENCE, db.ask(keeper, TOPIC, body)).await {
        Ok(Ok(answer)) => Ok(answer.try_into().map_or(id, NetworkId)),
        // Nobody to ask: what two sides create meanwhile is settled by the catalog.
        Ok(Err(_)) | Err(_) => Ok(id),
    }
}

fn parse(body: &[u8]) -> Option<(u8, NetworkId, Name)> {
    let (what, rest) = body.split_first()?;
    let (id, name) = rest.split_first_chunk::<16>()?;
    Some((*what, NetworkId(*id), Name::new(str::from_utf8(name).ok()?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_stands_for_a_while() {
        let (_sender, catalog) = watch::channel(Arc::new(Catalog::default()));
        let mut keeper = Keeper { catalog, claims: BTreeMap::new() };
        let (web, now) = (Name::new("web").unwrap(), Instant::now());
        let (one, two) = (NetworkId([1; 16]), NetworkId([2; 16]));
        assert_eq!(keeper.claim(web.clone(), one, now), one);
        assert_eq!(keeper.claim(web.clone(), two, now), one);
        keeper.forget(&web, two);
        assert_eq!(keeper.claim(web.clone(), two, now), one);
        keeper.forget(&web, one);
        assert_eq!(keeper.claim(web.clone(), two, now), two);
        assert_eq!(keeper.claim(web, one, now + MEMORY), one);
    }

    #[test]
    fn a_claim_survives_its_bytes() {
        let body = [&[CLAIM], [7; 16].as_slice(), b"web"].concat();
        let web = Name::new("web").unwrap();
        assert_eq!(parse(&body), Some((CLAIM, NetworkId([7; 16]), web)));
        assert_eq!(parse(&[CLAIM; 16]), None);
        assert_eq!(parse(&[0xff; 20]), None);
    }
}
