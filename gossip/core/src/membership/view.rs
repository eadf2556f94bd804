//! The members as the outside sees them: a copy of foca's state in id order, and the events that its
//! changes cause. It decides nothing; foca's state is the only truth, and events only come from here.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet, VecDeque},
    vec::Vec,
};
use core::{net::SocketAddr, time::Duration};

use foca::Incarnation;

use super::{
    Member, MemberEvent, MemberState,
    addresses::Addresses,
    codec::{self, Update},
};
use crate::{
    identity::NodeId,
    nodes::{NodeMap, Seed},
    time::Time,
};

/// Pairs of nodes at one address that are remembered, so that each is told once a minute.
pub(crate) const MAX_CONFLICTS: usize = 64;
/// How often a lasting conflict is told.
pub(crate) const CONFLICT_PERIOD: Duration = Duration::from_mins(1);

/// What is known of one other node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) member: Member,
    pub(crate) incarnation: Incarnation,
    pub(crate) state: MemberState,
    /// When it got into this state.
    pub(crate) since: Time,
}

impl Known {
    pub(crate) fn is_active(&self) -> bool {
        self.state != MemberState::Down
    }

    pub(crate) fn update(&self) -> Update {
        Update::new(self.member, self.incarnation, self.state.into())
    }
}

/// How one member changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) id: NodeId,
    pub(crate) before: Option<MemberState>,
    pub(crate) after: Option<MemberState>,
}

#[derive(Debug)]
pub(crate) struct View {
    /// Apart from their ids: half of the places of a map are empty.
    known: NodeMap<Box<Known>>,
    /// Who is not down, in order.
    active: Vec<NodeId>,
    digest: u32,
    changed: Time,
    addresses: Addresses,
    conflicts: BTreeMap<(NodeId, NodeId), Time>,
    events: VecDeque<MemberEvent>,
}

impl View {
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            known: NodeMap::with_hasher(seed),
            active: Vec::new(),
            digest: 0,
            changed: Time::default(),
            addresses: Addresses::default(),
            conflicts: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Known> {
        self.known.get(&id).map(|known| &**known)
    }

    /// Whether this very update is what is known of its member.
    pub(crate) fn holds(&self, update: &Update) -> bool {
        self.get(update.id().id).is_some_and(|known| known.update() == *update)
    }

    /// All of them, by id.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        let mut all: Vec<&Known> = self.known.values().map(|known| &**known).collect();
        all.sort_unstable_by_key(|known| known.member.id);
        all.into_iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }

    /// How many are not down.
    pub(crate) fn active(&self) -> usize {
        self.active.len()
    }

    /// The one that comes after `count` others that are not down.
    pub(crate) fn nth_active(&self, count: usize) -> Option<&Known> {
        self.get(*self.active.get(count)?)
    }

    /// How many of those that are not down come before `id`, if it is one of them.
    pub(crate) fn active_place(&self, id: NodeId) -> Option<usize> {
        self.active.binary_search(&id).ok()
    }

    /// A hash over the members that are not down, the same at every node that knows the same.
    pub(crate) fn digest(&self) -> u32 {
        self.digest
    }

    /// When the digest last changed.
    pub(crate) fn changed(&self) -> Time {
        self.changed
    }

    /// Members that are not down in the order of the ring, starting behind `id`.
    pub(crate) fn ring(&self, id: NodeId) -> impl Iterator<Item = &Known> {
        let (before, behind) = self.active.split_at(self.active.partition_point(|one| *one <= id));
        behind.iter().chain(before).filter(move |one| **one != id).filter_map(|one| self.get(*one))
    }

    pub(crate) fn tell(&mut self, event: MemberEvent) {
        self.events.push_back(event);
    }

    pub(crate) fn poll_event(&mut self) -> Option<MemberEvent> {
        self.events.pop_front()
    }

    /// Takes over what foca now says of the nodes in `touched`.
    pub(crate) fn sync<'a>(
        &mut self,
        now: Time,
        touched: &BTreeSet<NodeId>,
        members: impl Iterator<Item = &'a Update>,
    ) -> Vec<Change> {
        if touched.is_empty() {
            return Vec::new();
        }
        let mut found: BTreeMap<NodeId, Update> = members
            .filter(|update| touched.contains(&update.id().id))
            .take(touched.len())
            .map(|update| (update.id().id, update.clone()))
            .collect();
        touched.iter().filter_map(|id| self.take_over(now, *id, found.remove(id))).collect()
    }

    fn take_over(&mut self, now: Time, id: NodeId, update: Option<Update>) -> Option<Change> {
        let old = self.get(id).copied();
        let before = old.map(|old| old.state);
        let after = update.as_ref().map(|update| MemberState::from(update.state()));
        match update {
            None => {
                self.known.remove(&id);
            }
            Some(update) => {
                let state = MemberState::from(update.state());
                let since = old.filter(|old| old.state == state).map_or(now, |old| old.since);
                let (member, incarnation) = (*update.id(), update.incarnation());
                self.known.insert(id, Box::new(Known { member, incarnation, state, since }));
                self.tell_change(old, member, state);
            }
        }
        let live = |known: Option<&Known>| {
            known.filter(|known| known.is_active()).map(|known| codec::digest(&known.member))
        };
        let (was, is) = (live(old.as_ref()), live(self.get(id)));
        if was != is {
            self.digest ^= was.unwrap_or(0) ^ is.unwrap_or(0);
            self.changed = now;
        }
        self.file(id, old.as_ref());
        (before != after).then_some(Change { id, before, after })
    }

    /// Keeps what is looked up by other things than the id right after `id` changed.
    fn file(&mut self, id: NodeId, old: Option<&Known>) {
        let addr = |known: &Known| known.is_active().then_some(known.member.addr);
        let (was, is) = (old.and_then(addr), self.get(id).and_then(addr));
        if was == is {
            return;
        }
        if let Some(addr) = was {
            self.addresses.remove(addr, id);
        }
        if let Some(addr) = is {
            self.addresses.insert(addr, id);
        }
        match (self.active.binary_search(&id), is.is_some()) {
            (Err(place), true) => self.active.insert(place, id),
            (Ok(place), false) => {
                self.active.remove(place);
            }
            _ => {}
        }
    }

    fn tell_change(&mut self, old: Option<Known>, new: Member, state: MemberState) {
        use MemberState::{Alive, Down, Suspect};
        let was = old.map_or(Down, |old| old.state);
        if was == Down {
            if state != Down {
                self.tell(MemberEvent::Up(new));
            }
            if state == Suspect {
                self.tell(MemberEvent::Suspected(new));
            }
            return;
        }
        if state == Down {
            self.tell(MemberEvent::Down(new));
            return;
        }
        if let Some(old) = old.filter(|old| old.member != new) {
            self.tell(MemberEvent::Renewed { old: old.member, new });
        }
        match (was, state) {
            (Alive, Suspect) => self.tell(MemberEvent::Suspected(new)),
            (Suspect, Alive) => self.tell(MemberEvent::Trusted(new)),
            _ => {}
        }
    }

    /// Tells of live nodes that share an address, `me` included: each pair once in
    /// [`CONFLICT_PERIOD`]. True if there is any.
    pub(crate) fn check_conflicts(&mut self, now: Time, me: &Member) -> bool {
        self.addresses.insert(me.addr, me.id);
        let pairs = self.addresses.shared();
        self.addresses.remove(me.addr, me.id);
        for (address, one, other) in &pairs {
            self.tell_conflict(now, *address, *one, *other);
        }
        if pairs.is_empty() {
            self.conflicts.clear();
        }
        !pairs.is_empty()
    }

    fn tell_conflict(&mut self, now: Time, address: SocketAddr, one: NodeId, other: NodeId) {
        let due = |told: &Time| now >= *told + CONFLICT_PERIOD;
        self.conflicts.retain(|pair, told| *pair == (one, other) || !due(told));
        let told = self.conflicts.get(&(one, other));
        let room = told.is_some() || self.conflicts.len() < MAX_CONFLICTS;
        if room && told.is_none_or(due) {
            self.conflicts.insert((one, other), now);
            self.tell(MemberEvent::AddressConflict { address, one, other });
        }
    }
}
