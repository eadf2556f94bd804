//! Failure detection is sound and complete: in the end every node sees exactly the live nodes alive; and
//! where nothing goes wrong, nobody is ever suspected.

use std::{cell::Cell, collections::BTreeMap};

use netdb_core::node::MemberState;
use netdb_gossip_core::identity::NodeId;

use super::{Check, Verdict};
use crate::world::World;

/// Compares every node's members with who really runs.
#[derive(Default)]
pub struct Membership {
    /// Whom each host has taken for alive since it started.
    met: BTreeMap<usize, Vec<bool>>,
    /// The host that was not right last time is looked at first: looking at all is expensive.
    suspect: Cell<usize>,
}

impl Check for Membership {
    fn name(&self) -> &'static str {
        "membership"
    }

    fn started(&mut self, host: usize) {
        self.met.remove(&host);
    }

    fn member(&mut self, world: &World, host: usize, node: NodeId, state: MemberState) -> Verdict {
        let Some(subject) = world.index_of(node) else { return Ok(()) };
        let met = self.met.entry(host).or_insert_with(|| vec![false; world.hosts().len()]);
        let Some(met) = met.get_mut(subject) else { return Ok(()) };
        *met |= state == MemberState::Alive;
        // Who was let in and not heard of yet counts as failed.
        let accused = *met && matches!(state, MemberState::Suspect | MemberState::Failed);
        if accused && world.is_calm() && world.is_healthy(host) && world.is_healthy(subject) {
            return Err(format!(
                "n{host} says that n{subject} is {state:?}, and nothing is wrong with it"
            ));
        }
        Ok(())
    }

    fn pending(&self, world: &World) -> Option<String> {
        let live = world.running();
        let first = self.suspect.get();
        let start = live.partition_point(|host| *host < first);
        let (before, after) = live.split_at(start);
        after.iter().chain(before).find_map(|host| {
            let wrong = view_of(world, *host, live.len());
            if wrong.is_some() {
                self.suspect.set(*host);
            }
            wrong
        })
    }
}

fn view_of(world: &World, host: usize, live: usize) -> Option<String> {
    let node = world.host(host)?.node()?;
    let mut alive = 0;
    for (member, state) in node.states() {
        let subject = world.index_of(member);
        let runs = subject.is_some_and(|subject| world.is_running(subject));
        match (runs, state) {
            (true, MemberState::Alive) => alive += 1,
            (true, state) => {
                return Some(format!("n{host} sees n{} as {state:?}", subject.unwrap_or(0)));
            }
            (false, MemberState::Alive | MemberState::Suspect) => {
                let name =
                    subject.map_or_else(|| "a stranger".into(), |subject| format!("n{subject}"));
                return Some(format!("n{host} sees {name}, which does not run, as {state:?}"));
            }
            (false, _) => {}
        }
    }
    (alive != live).then(|| format!("n{host} sees {alive} of {live} nodes alive"))
}
