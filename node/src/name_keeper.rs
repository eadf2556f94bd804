//! Creates of one name are serialised by its keeper: the node that rendezvous hashing names among those
//! that are alive.
//!
//! Nodes that are apart name different keepers, and a keeper that does not answer holds nobody up: what
//! comes of that is settled by the rows.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use netdb::{MemberState, Name, NetDb, Request, ServeError, Stopped};
use netnode_plan::rendezvous;
use tokio::time::timeout;

/// "This is to have that name."
const CLAIM: u8 = 1;
/// "It came to nothing."
const FORGET: u8 = 2;
/// How long a keeper is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a keeper remembers a claim: by then its row is here, or was never written.
const MEMORY: Duration = Duration::from_secs(10);
/// The most claims that a keeper remembers; beyond that it is settled by the rows.
const MAX_CLAIMS: usize = 4096;

/// The random id of what is to have a name.
type Id = [u8; 16];
/// Who has a name by the rows, for all nodes.
type Holder = Box<dyn Fn(&Name) -> Option<Id> + Send>;

/// The names of one kind of things.
#[derive(Clone, Debug)]
pub(crate) struct NameKeeper {
    db: NetDb,
    /// What nodes ask each other under.
    topic: &'static str,
}

impl NameKeeper {
    /// Answers from now on what other nodes claim; `holder` says who has a name by the rows.
    pub(crate) async fn serve(
        db: &NetDb,
        topic: &'static str,
        holder: impl Fn(&Name) -> Option<Id> + Send + 'static,
    ) -> Result<Self, ServeError> {
        let mut keeper = Keeper { holder: Box::new(holder), claims: BTreeMap::new() };
        let mut requests = db.serve(topic).await?;
        tokio::spawn(async move {
            while let Some(request) = requests.next().await {
                keeper.answer(request).await;
            }
        });
        Ok(Self { db: db.clone(), topic })
    }

    /// Asks the keeper of a name for it. The id that has it: `id`, or another.
    pub(crate) async fn claim(&self, name: &Name, id: Id) -> Result<Id, Stopped> {
        self.ask(CLAIM, name, id).await
    }

    /// Tells the keeper of a name that what claimed it is not to be.
    pub(crate) async fn forget(&self, name: &Name, id: Id) -> Result<(), Stopped> {
        self.ask(FORGET, name, id).await.map(|_| ())
    }

    async fn ask(&self, what: u8, name: &Name, id: Id) -> Result<Id, Stopped> {
        let members = self.db.members().await?;
        let alive = members.iter().filter(|info| info.state == MemberState::Alive);
        let alive = alive.map(|info| info.member.id);
        let Some(keeper) = rendezvous::winner(name.as_str().as_bytes(), alive) else {
            return Ok(id);
        };
        let body = [&[what], id.as_slice(), name.as_str().as_bytes()].concat();
        match timeout(PATIENCE, self.db.ask(keeper, self.topic, body)).await {
            Ok(Ok(answer)) => Ok(answer.try_into().unwrap_or(id)),
            // Nobody to ask: what two sides create meanwhile is settled by the rows.
            Ok(Err(_)) | Err(_) => Ok(id),
        }
    }
}

/// What this node remembers as a keeper.
struct Keeper {
    holder: Holder,
    claims: BTreeMap<Name, (Id, Instant)>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("claims", &self.claims).finish_non_exhaustive()
    }
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
        let _ = request.answer(holder.to_vec()).await;
    }

    /// Who has a name, which is whoever claims it first.
    fn claim(&mut self, name: Name, id: Id, now: Instant) -> Id {
        if let Some(holder) = (self.holder)(&name) {
            return holder;
        }
        self.claims.retain(|_, (_, at)| now.duration_since(*at) < MEMORY);
        if self.claims.len() >= MAX_CLAIMS {
            return id;
        }
        self.claims.entry(name).or_insert((id, now)).0
    }

    /// A create that came to nothing claims no more.
    fn forget(&mut self, name: &Name, id: Id) {
        if self.claims.get(name).is_some_and(|(holder, _)| *holder == id) {
            self.claims.remove(name);
        }
    }
}

fn parse(body: &[u8]) -> Option<(u8, Id, Name)> {
    let (what, rest) = body.split_first()?;
    let (id, name) = rest.split_first_chunk::<16>()?;
    Some((*what, *id, Name::new(str::from_utf8(name).ok()?).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_stands_for_a_while() {
        let (old, of_old) = (Name::new("old").unwrap(), [9; 16]);
        let holder = move |name: &Name| (*name == old).then_some(of_old);
        let mut keeper = Keeper { holder: Box::new(holder), claims: BTreeMap::new() };
        let (web, now) = (Name::new("web").unwrap(), Instant::now());
        let (one, two) = ([1; 16], [2; 16]);
        assert_eq!(keeper.claim(Name::new("old").unwrap(), one, now), of_old);
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
        assert_eq!(parse(&body), Some((CLAIM, [7; 16], web)));
        assert_eq!(parse(&[CLAIM; 16]), None);
        assert_eq!(parse(&[0xff; 20]), None);
    }
}
