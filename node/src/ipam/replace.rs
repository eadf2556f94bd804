//! A host that was installed anew: `netnode join --replace` notes whose place it takes, and the node takes
//! over what that one held, however often it is restarted meanwhile.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use netdb::{MemberInfo, NetDb, NodeId, Stopped};
use netnode_plan::ring::{Heir, TakeoverError};
use tokio::time::sleep;

use super::{Ipam, ReclaimError};

/// In the state directory, while something is to be taken over: what people call the old node.
const FILE: &str = "replaces";
/// How often is looked how it stands.
const LOOK: Duration = Duration::from_secs(1);
/// So many looks in a row have to find nothing: networks, and with them their ranges, become known one by
/// one after a start.
const QUIET: u32 = 5;

/// Notes whose place this node takes.
pub(crate) fn note(state_dir: &Path, old: &str) -> io::Result<()> {
    let mut file = fs::File::create(state_dir.join(FILE))?;
    file.write_all(old.as_bytes())?;
    file.sync_all()?;
    fs::File::open(state_dir)?.sync_all()
}

/// Goes on with it in the background, if there is something to take over.
pub(crate) fn begin(db: &NetDb, ipam: &Ipam, state_dir: &Path) {
    let path = state_dir.join(FILE);
    if let Ok(old) = fs::read_to_string(&path) {
        let task =
            Replace { db: db.clone(), ipam: ipam.clone(), path, node: None, told: String::new() };
        tokio::spawn(task.run(old.trim().to_owned()));
    }
}

struct Replace {
    db: NetDb,
    ipam: Ipam,
    path: PathBuf,
    /// The old node, once it is known which that is: it may be forgotten before all is done.
    node: Option<NodeId>,
    /// What was logged last.
    told: String,
}

impl Replace {
    /// Ends when all is taken over, or the node is stopped.
    async fn run(mut self, old: String) {
        let mut quiet = 0;
        loop {
            match self.step(&old).await {
                Ok(found_nothing) => quiet = if found_nothing { quiet + 1 } else { 0 },
                Err(Stopped) => return,
            }
            if quiet >= QUIET {
                break;
            }
            sleep(LOOK).await;
        }
        if let Some(node) = self.node
            && self.ipam.call_lost(&[node]).await.is_err()
        {
            return;
        }
        tracing::info!(%old, "this node has what its old one held");
        if let Err(error) = fs::remove_file(&self.path) {
            // At the next start it is found that there is nothing left to do.
            tracing::warn!("{} can't be removed: {error}", self.path.display());
        }
    }

    /// Whether nothing is left to take over, as far as this node knows.
    async fn step(&mut self, old: &str) -> Result<bool, Stopped> {
        let node = match self.find(old).await? {
            Ok(node) => *self.node.insert(node),
            Err(why) => {
                self.tell(&format!("the place of node {old} can't be taken: {why}"));
                return Ok(false);
            }
        };
        let lost = match self.ipam.lost_with(&[node]).await {
            Ok(lost) => lost,
            // Everybody is asked to wait at first.
            Err(ReclaimError::Takeover(TakeoverError::NotSynced)) => return Ok(false),
            Err(ReclaimError::Stopped(stopped)) => return Err(stopped),
            Err(error) => {
                self.tell(&format!("what node {old} held is not taken over yet: {error}"));
                return Ok(false);
            }
        };
        if !lost.is_empty() {
            // What changed since is met again at the next look.
            let _ = self.ipam.reclaim(&[node], Heir::Me).await;
            tracing::info!("taking over {} ranges that node {old} held", lost.len());
            return Ok(false);
        }
        Ok(!self.ipam.inherited().await?.iter().any(|range| range.from == node))
    }

    /// The old node: a member, or one that is down for good and forgotten.
    async fn find(&self, old: &str) -> Result<Result<NodeId, String>, Stopped> {
        if let Some(node) = self.node {
            return Ok(Ok(node));
        }
        let found = find(&self.db.members().await?, self.db.id(), old);
        if found.is_ok() {
            return Ok(found);
        }
        let lost = self.ipam.lost.borrow();
        let mut lost = lost.iter().filter(|(_, name)| *name == old).map(|(node, _)| *node);
        let forgotten = lost.next().filter(|_| lost.next().is_none());
        Ok(forgotten.map_or(found, Ok))
    }

    /// Once, not at every look.
    fn tell(&mut self, what: &str) {
        if self.told != what {
            what.clone_into(&mut self.told);
            tracing::warn!("{what}");
        }
    }
}

/// The node that people call so, and that is not this one: the new one may have the name of the old.
fn find(members: &[MemberInfo], me: NodeId, text: &str) -> Result<NodeId, String> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let others = || members.iter().filter(|info| info.member.id != me);
    let named = others().filter(|info| info.name.as_ref().is_some_and(|n| n.as_str() == text));
    let mut found: Vec<NodeId> = named.map(|info| info.member.id).collect();
    if found.is_empty() && !text.is_empty() {
        let starts = others().filter(|info| info.member.id.to_string().starts_with(text));
        found = starts.map(|info| info.member.id).collect();
    }
    match found.as_slice() {
        [only] => Ok(*only),
        [] => Err("no other member is called so".to_owned()),
        several => Err(format!("{} members may be meant; the whole id is needed", several.len())),
    }
}
