//! No number is in use twice at any time; who is told that a space is full was told right; and in the end every
//! number has exactly one holder, in not too many ranges.

use std::{collections::BTreeMap, time::Duration};

use netdb_gossip_core::time::Time;
use netnode_plan::ring::{Ring, Space, State};

use super::{Check, Verdict};
use crate::world::World;

/// Its name, as it is printed when it breaks.
pub const NAME: &str = "one user per number";

/// A number that has been free for so long has rested, and every node has heard that it is free.
const FREE_FOR_LONG: Duration = Duration::from_mins(5);

/// Who uses which number.
#[derive(Debug)]
pub struct Numbers {
    space: Space,
    users: BTreeMap<u128, usize>,
    /// When those that are free by now became so.
    freed: BTreeMap<u128, Time>,
}

impl Numbers {
    pub(crate) fn new(space: Space) -> Self {
        Self { space, users: BTreeMap::new(), freed: BTreeMap::new() }
    }

    /// What is given from.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// How many are in use.
    pub fn used(&self) -> usize {
        self.users.len()
    }

    pub(crate) fn given(&mut self, host: usize, n: u128) -> Verdict {
        if n >= self.space.size() || self.space.reserved().contains(&n) {
            return Err(format!("{n} is no number to give"));
        }
        self.freed.remove(&n);
        match self.users.insert(n, host) {
            None => Ok(()),
            Some(other) => Err(format!("{n} is in use at n{other}")),
        }
    }

    pub(crate) fn released(&mut self, n: u128, now: Time) {
        self.users.remove(&n);
        self.freed.insert(n, now);
    }

    /// A host's disk is lost, and with it what ran there.
    pub(crate) fn lost(&mut self, host: usize, now: Time) {
        for (n, _) in self.users.extract_if(.., |_, user| *user == host) {
            self.freed.insert(n, now);
        }
    }

    /// Somebody who asked at `since` was told that nothing is free.
    pub(crate) fn full(&self, since: Time) -> Verdict {
        let long_ago = |n: &u128| {
            let freed = self.freed.get(n).copied().unwrap_or_default();
            !self.users.contains_key(n)
                && !self.space.reserved().contains(n)
                && freed + FREE_FOR_LONG <= since
        };
        match self.space.window().find(long_ago) {
            None => Ok(()),
            Some(n) => Err(format!("was told that all is given, and {n} has long been free")),
        }
    }
}

/// Looks at the ranges of all rings.
pub struct Tiling;

impl Check for Tiling {
    fn name(&self) -> &'static str {
        NAME
    }

    fn pending(&self, world: &World) -> Option<String> {
        let numbers = world.numbers.as_ref()?;
        world.running().into_iter().find_map(|host| {
            let Some(keeper) = world.host(host).and_then(|host| host.keeper()) else {
                return Some(format!("n{host} has no ring"));
            };
            let what = fault(keeper.ring(), numbers.space().size())?;
            Some(format!("n{host}: {what}"))
        })
    }

    fn at_rest(&mut self, world: &World) -> Verdict {
        let Some(numbers) = &world.numbers else { return Ok(()) };
        let most = 4 * (numbers.used() + world.hosts().len());
        for host in world.running() {
            let keeper = world.host(host).and_then(|host| host.keeper());
            let ranges = keeper.map_or(0, |keeper| keeper.ring().rows().count());
            if ranges > most {
                return Err(format!("n{host} sees {ranges} ranges, for {} in use", numbers.used()));
            }
        }
        Ok(())
    }
}

/// Why the ranges don't stand for the whole space, once, each with a holder who gives.
fn fault(ring: &Ring, size: u128) -> Option<String> {
    let mut at = 0;
    for (start, row) in ring.rows() {
        if start != at {
            return Some(format!("ranges end at {at} and go on at {start}"));
        }
        if row.state != State::Held {
            return Some(format!("the range at {start} is on its way: {:?}", row.state));
        }
        at = row.end;
    }
    (at != size).then(|| format!("ranges end at {at} of {size}"))
}
