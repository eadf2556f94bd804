//! Failure detection while the world goes on: who has been well and within reach for a while is not called
//! failed for long, and who has been gone for a while is not called alive.
//!
//! `membership` says what must hold in the end; this holds during every run, also where faults are made
//! elsewhere. "A while" is long enough for any call to a failed node to come round twice.

use std::{collections::BTreeMap, time::Duration};

use netdb_core::node::MemberState;
use netdb_gossip_core::{identity::NodeId, time::Time};

use super::{Check, Verdict};
use crate::world::World;

/// Nothing is promised where more than that is lost, of a million.
const MOST_LOSS: u32 = 50_000;
/// How long a healthy node may be called failed by mistake.
const MISTAKEN: Duration = Duration::from_secs(30);
const MARGIN: Duration = Duration::from_secs(10);

/// Looks at the members of one node each second, and at all in turn.
#[derive(Default)]
pub struct Detection {
    next: usize,
    /// Since when a node was seen to call a healthy one failed.
    mistaken: BTreeMap<(usize, usize), Time>,
}

impl Check for Detection {
    fn name(&self) -> &'static str {
        "failure detection"
    }

    fn started(&mut self, host: usize) {
        self.mistaken.retain(|(observer, subject), _| *observer != host && *subject != host);
    }

    fn member(&mut self, world: &World, host: usize, node: NodeId, state: MemberState) -> Verdict {
        if state != MemberState::Failed
            && let Some(subject) = world.index_of(node)
        {
            self.mistaken.remove(&(host, subject));
        }
        Ok(())
    }

    fn tick(&mut self, world: &World) -> Verdict {
        let hosts = world.hosts().len();
        self.next = (self.next + 1) % hosts.max(1);
        let (observer, now) = (self.next, world.now());
        let gossip = &world.options().config.gossip;
        let a_while = gossip.announce_down_max * 2 + gossip.suspicion * 2 + MARGIN;
        let left_alone = |host: usize| now.since(world.disturbed(host)) > a_while;
        if !world.is_running(observer) || !left_alone(observer) || loses_much(world) {
            return Ok(());
        }
        let Some(node) = world.node(observer) else { return Ok(()) };
        for (member, state) in node.states() {
            let Some(subject) = world.index_of(member).filter(|s| left_alone(*s)) else {
                continue;
            };
            let seen_up = matches!(state, MemberState::Alive | MemberState::Suspect);
            if !world.is_running(subject) && seen_up && !world.fabric.is_paused(subject) {
                return Err(format!(
                    "n{observer} sees n{subject} {state:?}, which has been gone for {a_while:?}"
                ));
            }
            if !world.is_running(subject) || state != MemberState::Failed {
                self.mistaken.remove(&(observer, subject));
                continue;
            }
            let since = *self.mistaken.entry((observer, subject)).or_insert(now);
            if now.since(since) > MISTAKEN {
                return Err(format!(
                    "n{observer} calls n{subject} failed since {since}, and nothing is wrong with it"
                ));
            }
        }
        Ok(())
    }
}

/// Whether the links lose so much that a node may rightly be taken for failed.
pub(super) fn loses_much(world: &World) -> bool {
    world.is_torn() || world.fabric.topology.link.loss > MOST_LOSS
}
