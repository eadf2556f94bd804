//! How full spaces are: every live node is asked for its part, since only who is attached to a network sees
//! its endpoints.

use std::collections::BTreeMap;

use netdb::{MemberState, NetDb, NodeId, ServeError, Stopped};
use netnode_plan::{
    ring::Usage,
    spaces::SpaceId,
    usage::{self, MAX_ASKED, Report, Standing},
};
use tokio::task::JoinSet;

use super::{Command, Ipam};

/// What nodes ask each other under.
const TOPIC: &str = "usage";
/// So many nodes are asked at one time.
const AT_ONCE: usize = 64;

/// How spaces stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Census {
    /// Each space that this node takes part in.
    pub(crate) spaces: BTreeMap<SpaceId, Standing>,
    /// Nodes that did not answer: of these only what the tables here say is counted.
    pub(crate) silent: Vec<NodeId>,
}

/// Answers what other nodes ask.
pub(super) async fn serve(ipam: &Ipam) -> Result<(), ServeError> {
    let mut requests = ipam.db.serve(TOPIC).await?;
    let ipam = ipam.clone();
    tokio::spawn(async move {
        while let Some(request) = requests.next().await {
            let Ok(ids) = usage::asked(request.body()) else { continue };
            let Ok(reports) = ipam.reports(ids).await else { return };
            // The node is stopping.
            let _ = request.answer(usage::answer(&reports)).await;
        }
    });
    Ok(())
}

impl Ipam {
    /// Asks everybody who is not known to be gone for good.
    pub(crate) async fn census(&self, ids: &[SpaceId]) -> Result<Census, Stopped> {
        let members = self.members().await?;
        let (mut alive, mut silent) = (Vec::new(), Vec::new());
        for info in members {
            match info.state {
                MemberState::Alive => alive.push(info.member.id),
                MemberState::Left => {}
                _ => silent.push(info.member.id),
            }
        }
        let mut census = Census { silent, ..Census::default() };
        for ids in ids.chunks(MAX_ASKED) {
            let known = self.known(ids.to_vec()).await?;
            let answers = ask_all(&self.db, &alive, ids).await;
            alive.retain(|node| {
                let answered = answers.contains_key(node);
                if !answered {
                    census.silent.push(*node);
                }
                answered
            });
            for (place, (id, known)) in ids.iter().zip(known).enumerate() {
                let Some(known) = known else { continue };
                let report = |of: &Vec<Option<Report>>| of.get(place).copied().flatten();
                let reports =
                    answers.iter().filter_map(|(node, of)| Some((*node, report(of)?))).collect();
                census.spaces.insert(*id, Standing::new(&known, &reports));
            }
        }
        Ok(census)
    }

    async fn known(&self, ids: Vec<SpaceId>) -> Result<Vec<Option<Usage>>, Stopped> {
        self.ask(|reply| Command::Usage { ids, reply }).await
    }

    async fn reports(&self, ids: Vec<SpaceId>) -> Result<Vec<Option<Report>>, Stopped> {
        self.ask(|reply| Command::Report { ids, reply }).await
    }
}

/// What those say that answer.
async fn ask_all(
    db: &NetDb,
    nodes: &[NodeId],
    ids: &[SpaceId],
) -> BTreeMap<NodeId, Vec<Option<Report>>> {
    let question = usage::question(ids);
    let mut answers = BTreeMap::new();
    let (mut left, mut asked) = (nodes.iter(), JoinSet::new());
    loop {
        for node in left.by_ref().take(AT_ONCE.saturating_sub(asked.len())) {
            let (db, node, question) = (db.clone(), *node, question.clone());
            asked.spawn(async move { (node, db.ask(node, TOPIC, question).await) });
        }
        let Some(answer) = asked.join_next().await else { return answers };
        if let Ok((node, Ok(bytes))) = answer
            && let Ok(reports) = usage::answered(&bytes)
        {
            answers.insert(node, reports);
        }
    }
}
