//! Who is here, put together from what the gossip sees and what nodes say of themselves.
//!
//! Failure is a state and a restart is neither failure nor leaving: a node that said "restarting" is held
//! for a while, one that said it left is gone at once, and one that fell silent may come back.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;

use netdb_gossip_core::{
    gossip::{Member, MemberState as Seen},
    identity::{Generation, Name, NodeId},
    time::Time,
};

use crate::{
    node::MemberState,
    records::{NodeRecord, NodeStatus},
};

/// What is known of one node.
#[derive(Clone, Debug)]
pub struct Presence {
    /// Its last known life and address.
    pub member: Member,
    /// What it says of itself, and in which generation.
    pub record: Option<(Generation, NodeRecord)>,
    seen: Seen,
    /// Until when a restart is waited for.
    held_until: Option<Time>,
    /// Since when it is failed or left.
    gone_since: Option<Time>,
    /// What the last evaluation said.
    state: MemberState,
}

impl Presence {
    fn new(member: Member, seen: Seen) -> Self {
        Self {
            member,
            record: None,
            seen,
            held_until: None,
            gone_since: None,
            state: MemberState::Failed,
        }
    }

    /// How the node is doing, as of the last evaluation.
    pub fn state(&self) -> MemberState {
        self.state
    }

    /// Whether packets reach it as far as the gossip knows: it can be sent to.
    pub fn is_up(&self) -> bool {
        self.seen != Seen::Down && self.state != MemberState::Left
    }

    fn status(&self) -> NodeStatus {
        match &self.record {
            Some((generation, record)) if *generation == self.member.generation => record.status,
            _ => NodeStatus::Active,
        }
    }

    fn evaluate(&mut self, now: Time) -> MemberState {
        let held = self.held_until.is_some_and(|until| now < until);
        match (self.status(), self.seen) {
            (NodeStatus::Left, _) => MemberState::Left,
            (NodeStatus::Restarting, _) if held => MemberState::Restarting,
            (_, Seen::Down) | (NodeStatus::ShuttingDown, _) => MemberState::Failed,
            (_, Seen::Suspect) => MemberState::Suspect,
            (_, Seen::Alive) => MemberState::Alive,
        }
    }
}

/// A node whose state changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// Who.
    pub node: NodeId,
    /// What it was; `None` if it was unknown.
    pub before: Option<MemberState>,
    /// What it is.
    pub after: MemberState,
}

/// All nodes that are known.
#[derive(Debug, Default)]
pub struct Presences {
    /// Apart from their ids, so that a search walks over little.
    nodes: BTreeMap<NodeId, Box<Presence>>,
    /// Those among them that failed or left.
    gone: BTreeSet<NodeId>,
    /// Those that can be sent to, by id.
    up: Vec<NodeId>,
    /// Those among them that nobody suspects, by id.
    alive: Vec<NodeId>,
    /// How often it changed who can be sent to, or whom nobody suspects.
    changes: u64,
    /// Whether it changed who is known and has not left, or as what.
    moved: bool,
    /// Who goes by which name, by what they said last.
    names: BTreeSet<(Name, NodeId)>,
}

impl Presences {
    /// One node.
    pub fn get(&self, node: NodeId) -> Option<&Presence> {
        self.nodes.get(&node).map(|presence| &**presence)
    }

    /// What a node said of itself last.
    pub fn record(&self, node: NodeId) -> Option<&NodeRecord> {
        self.get(node)?.record.as_ref().map(|(_, record)| record)
    }

    /// How a node is doing; unknown nodes count as failed: stored, not shown.
    pub fn state(&self, node: NodeId) -> MemberState {
        self.get(node).map_or(MemberState::Failed, Presence::state)
    }

    /// Who says that it goes by `name`, by id.
    pub fn named(&self, name: &Name) -> impl Iterator<Item = NodeId> {
        let (first, last) = (NodeId([0; 16]), NodeId([u8::MAX; 16]));
        self.names.range((name.clone(), first)..=(name.clone(), last)).map(|(_, node)| *node)
    }

    /// Who failed, by id.
    pub fn failed(&self) -> impl Iterator<Item = NodeId> {
        self.gone.iter().copied().filter(|node| self.state(*node) == MemberState::Failed)
    }

    /// Who can be sent to, by id.
    pub(crate) fn up(&self) -> &[NodeId] {
        &self.up
    }

    /// Those among them that nobody suspects, by id.
    pub(crate) fn alive(&self) -> &[NodeId] {
        &self.alive
    }

    /// How often it changed who can be sent to, or whom nobody suspects.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Everyone, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &Presence)> {
        self.nodes.iter().map(|(node, presence)| (node, &**presence))
    }

    /// Whether it changed since the last call who is known and has not left, or as what.
    pub(crate) fn take_moved(&mut self) -> bool {
        core::mem::take(&mut self.moved)
    }

    /// What the gossip sees of a member now.
    pub fn seen(&mut self, now: Time, member: Member, seen: Seen) -> Option<Transition> {
        let before = self.get(member.id).map(Presence::state);
        let presence =
            self.nodes.entry(member.id).or_insert_with(|| Box::new(Presence::new(member, seen)));
        self.moved |= before.is_none() || presence.member != member;
        presence.member = member;
        presence.seen = seen;
        self.settle(now, member.id, before)
    }

    /// What a node says of itself. `hold` is how long a restart is waited for.
    pub fn said(
        &mut self,
        now: Time,
        hold: Duration,
        generation: Generation,
        record: NodeRecord,
    ) -> Option<Transition> {
        let id = record.member.id;
        let before = self.get(id).map(Presence::state);
        let unknown = || Box::new(Presence::new(record.member, Seen::Down));
        let presence = self.nodes.entry(id).or_insert_with(unknown);
        if presence.record.as_ref().is_some_and(|(known, _)| *known > generation) {
            return None;
        }
        let restarts = record.status == NodeStatus::Restarting;
        presence.held_until = restarts.then(|| presence.held_until.unwrap_or(now + hold));
        let moves = presence.member.generation < generation && presence.seen == Seen::Down;
        if moves {
            presence.member = record.member;
        }
        self.moved |= moves || before.is_none();
        let name = record.name.clone();
        let old = presence.record.replace((generation, record));
        if let Some((_, old)) = old.filter(|(_, old)| old.name != name) {
            self.names.remove(&(old.name, id));
        }
        self.names.insert((name, id));
        self.settle(now, id, before)
    }

    /// Evaluates everyone whose hold time may be over.
    pub fn expire_holds(&mut self, now: Time) -> Vec<Transition> {
        let held = self.nodes.iter().filter(|(_, p)| p.state == MemberState::Restarting);
        let held: Vec<NodeId> = held.map(|(id, _)| *id).collect();
        let settle = |id| self.settle(now, id, Some(MemberState::Restarting));
        held.into_iter().filter_map(settle).collect()
    }

    /// When the next hold time is over.
    pub fn next_hold(&self) -> Option<Time> {
        let held = self.nodes.values().filter(|p| p.state == MemberState::Restarting);
        held.filter_map(|p| p.held_until).min()
    }

    /// Nodes that failed or left at least `after` ago.
    pub fn long_gone(&self, now: Time, after: Duration) -> Vec<NodeId> {
        let long_gone = |node: &NodeId| {
            let since = self.get(*node).filter(|p| !p.is_up()).and_then(|p| p.gone_since);
            since.is_some_and(|since| now.since(since) >= after)
        };
        self.gone.iter().copied().filter(long_gone).collect()
    }

    /// Forgets a node.
    pub fn forget(&mut self, node: NodeId) {
        if let Some((_, record)) = self.nodes.remove(&node).and_then(|presence| presence.record) {
            self.names.remove(&(record.name, node));
        }
        self.gone.remove(&node);
        self.file(node, false, false);
        self.moved = true;
    }

    /// Keeps the lists of who can be sent to and of who is alive right.
    fn file(&mut self, node: NodeId, is_up: bool, is_alive: bool) {
        for (list, is_in) in [(&mut self.up, is_up), (&mut self.alive, is_alive)] {
            match (list.binary_search(&node), is_in) {
                (Err(place), true) => list.insert(place, node),
                (Ok(place), false) => {
                    list.remove(place);
                }
                _ => continue,
            }
            self.changes += 1;
        }
    }

    fn settle(
        &mut self,
        now: Time,
        node: NodeId,
        before: Option<MemberState>,
    ) -> Option<Transition> {
        let presence = self.nodes.get_mut(&node)?;
        let after = presence.evaluate(now);
        let was = core::mem::replace(&mut presence.state, after);
        let becomes = |state| (was == state) != (after == state);
        self.moved |= becomes(MemberState::Left);
        if !matches!(after, MemberState::Failed | MemberState::Left) {
            presence.gone_since = None;
            self.gone.remove(&node);
        } else if presence.gone_since.is_none() {
            presence.gone_since = Some(now);
            self.gone.insert(node);
        }
        let is_up = presence.is_up();
        self.file(node, is_up, after == MemberState::Alive);
        // That somebody is not here who never was is no news.
        let unknown = before.is_none() && after == MemberState::Failed;
        (before != Some(after) && !unknown).then_some(Transition { node, before, after })
    }
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, SocketAddr};

    use netdb_gossip_core::keyring::KeyId;

    use super::*;

    const HOLD: Duration = Duration::from_mins(1);

    fn member(generation: u64) -> Member {
        Member {
            id: NodeId([1; 16]),
            generation: Generation(generation),
            revision: 0,
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
        }
    }

    fn record(generation: u64, status: NodeStatus) -> NodeRecord {
        NodeRecord {
            name: Name::new("n").unwrap(),
            member: member(generation),
            status,
            complete: 0,
            keys: [].into(),
            primary: KeyId([0; 8]),
        }
    }

    fn said(
        presences: &mut Presences,
        at: u64,
        generation: u64,
        status: NodeStatus,
    ) -> MemberState {
        let record = record(generation, status);
        presences.said(Time(at), HOLD, Generation(generation), record);
        presences.state(NodeId([1; 16]))
    }

    fn seen(presences: &mut Presences, at: u64, generation: u64, seen: Seen) -> MemberState {
        presences.seen(Time(at), member(generation), seen);
        presences.state(NodeId([1; 16]))
    }

    #[test]
    fn a_restart_is_held_and_then_failed() {
        let mut p = Presences::default();
        assert_eq!(seen(&mut p, 0, 1, Seen::Alive), MemberState::Alive);
        assert_eq!(said(&mut p, 1, 1, NodeStatus::Restarting), MemberState::Restarting);
        assert_eq!(seen(&mut p, 2, 1, Seen::Down), MemberState::Restarting);
        let over = p.next_hold().unwrap();
        assert_eq!(over, Time(1) + HOLD);
        assert!(p.expire_holds(over - Duration::from_secs(1)).is_empty());
        assert_eq!(p.expire_holds(over).len(), 1);
        assert_eq!(p.state(NodeId([1; 16])), MemberState::Failed);
    }

    #[test]
    fn a_new_generation_ends_a_restart() {
        let mut p = Presences::default();
        seen(&mut p, 0, 1, Seen::Alive);
        said(&mut p, 1, 1, NodeStatus::Restarting);
        assert_eq!(
            seen(&mut p, 2, 2, Seen::Alive),
            MemberState::Alive,
            "the record is of a past life"
        );
        assert_eq!(said(&mut p, 3, 2, NodeStatus::Active), MemberState::Alive);
        assert_eq!(
            said(&mut p, 4, 1, NodeStatus::Left),
            MemberState::Alive,
            "an old word is ignored"
        );
    }

    #[test]
    fn a_name_is_that_of_the_last_record() {
        let (mut p, node) = (Presences::default(), NodeId([1; 16]));
        let (n, m) = (Name::new("n").unwrap(), Name::new("m").unwrap());
        said(&mut p, 0, 1, NodeStatus::Active);
        assert_eq!(p.named(&n).collect::<Vec<_>>(), [node]);
        let renamed = NodeRecord { name: m.clone(), ..record(2, NodeStatus::Active) };
        p.said(Time(1), HOLD, Generation(2), renamed);
        assert_eq!((p.named(&n).count(), p.named(&m).count()), (0, 1));
        p.forget(node);
        assert_eq!(p.named(&m).count(), 0);
    }

    #[test]
    fn who_is_up_failed_or_elsewhere_is_known_without_looking_at_all() {
        let (mut p, node) = (Presences::default(), NodeId([1; 16]));
        seen(&mut p, 0, 1, Seen::Alive);
        assert_eq!((p.up(), p.failed().count()), (&[node][..], 0));
        assert!(p.take_moved() && !p.take_moved());
        let before = p.changes();
        seen(&mut p, 1, 1, Seen::Suspect);
        assert!(p.changes() > before, "whom nobody suspects changed");
        seen(&mut p, 2, 1, Seen::Down);
        assert!(p.up().is_empty());
        assert_eq!(p.failed().collect::<Vec<_>>(), [node]);
        assert!(!p.take_moved(), "it failed where it was");
        assert_eq!(said(&mut p, 3, 1, NodeStatus::Left), MemberState::Left);
        assert_eq!(p.failed().count(), 0);
        assert_eq!(p.long_gone(Time(2) + HOLD, HOLD), [node]);
        assert!(p.take_moved(), "it is not called again");
        seen(&mut p, 4, 2, Seen::Alive);
        assert_eq!(p.up(), [node]);
        assert!(p.take_moved() && p.long_gone(Time(0) + HOLD * 9, HOLD).is_empty());
        p.forget(node);
        assert!(p.up().is_empty() && p.take_moved());
    }

    #[test]
    fn leaving_beats_being_seen() {
        let mut p = Presences::default();
        seen(&mut p, 0, 1, Seen::Alive);
        assert_eq!(said(&mut p, 1, 1, NodeStatus::Left), MemberState::Left);
        assert_eq!(seen(&mut p, 2, 1, Seen::Alive), MemberState::Left);
        assert!(!p.get(NodeId([1; 16])).unwrap().is_up());
    }

    #[test]
    fn a_record_alone_shows_nothing() {
        let mut p = Presences::default();
        assert_eq!(said(&mut p, 0, 1, NodeStatus::Active), MemberState::Failed);
        assert!(p.long_gone(Time(0) + HOLD, HOLD).contains(&NodeId([1; 16])));
        assert_eq!(seen(&mut p, 5, 1, Seen::Alive), MemberState::Alive);
        assert!(p.long_gone(Time(0) + HOLD * 9, HOLD).is_empty());
    }
}
