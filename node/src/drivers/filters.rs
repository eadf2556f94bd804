//! Packet filters of sandboxes, as they were left. They may have a hundred thousand elements, which nobody else
//! changes: as long as the kernel's count says so they are not read, and a change costs what changes.

use std::collections::BTreeMap;

use netnode_plan::{
    firewall::{self, Edits, Firewall, Led, next_generation},
    host::{Action, Place, Seen},
    lb::Balance,
};

use crate::kernel::{Failure, Kernel, KernelError};

/// What is known of all sandboxes, and what the host leads to endpoints.
#[derive(Debug, Default)]
pub(super) struct Filters {
    held: BTreeMap<Place, Held>,
    led: Option<Led>,
}

/// What one was left as.
#[derive(Clone, Debug)]
struct Held {
    generation: u32,
    is: Firewall,
}

/// What has to be done about one.
#[derive(Debug)]
pub(super) struct Step {
    at: Place,
    pub(super) actions: Vec<Action>,
    /// As it is then.
    left: Held,
}

/// Whether a place's packet filter is kept here.
pub(super) fn is_kept(at: &Place) -> bool {
    matches!(at, Place::Sandbox(_))
}

impl Filters {
    /// What has to be done about sandboxes that are there. What is not known is read.
    ///
    /// # Errors
    /// It can't be read.
    pub(super) fn plan(
        &mut self,
        kernel: &mut impl Kernel,
        wanted: &firewall::Wanted,
        seen: &Seen,
    ) -> Result<Vec<Step>, KernelError> {
        let is_there = |at: &Place| is_kept(at) && seen.contains_key(at);
        self.held.retain(|at, _| wanted.contains_key(at) && is_there(at));
        let mut steps = Vec::new();
        for (at, firewall) in wanted.iter().filter(|(at, _)| is_there(at)) {
            let held = self.held.get(at).filter(|held| kernel.is_unchanged(at, held.generation));
            if let Some(step) = held.and_then(|held| held.step(at, firewall)) {
                steps.push(step);
                continue;
            }
            match kernel.firewall(at) {
                Ok(found) => steps.push(whole(at, firewall, &found, seen)),
                // A kernel without a packet filter has nothing of ours in it, and does without what is more.
                Err(_) if firewall.is_extra() => {}
                Err(error) => return Err(error),
            }
        }
        // Nothing has to be done for this.
        let idle = steps.extract_if(.., |step| step.actions.is_empty());
        self.held.extend(idle.map(|Step { at, left, .. }| (at, left)));
        Ok(steps)
    }

    /// The same without asking the kernel; `None` if it has to be asked.
    pub(super) fn follow(&self, wanted: &firewall::Wanted) -> Option<Vec<Step>> {
        // Of one that nothing is wanted of, nothing has to be known.
        let kept = wanted.iter().filter(|(at, firewall)| {
            is_kept(at) && (!firewall.is_empty() || self.held.contains_key(*at))
        });
        let steps: Option<Vec<Step>> =
            kept.map(|(at, firewall)| self.held.get(at)?.step(at, firewall)).collect();
        steps.map(|steps| steps.into_iter().filter(|step| !step.actions.is_empty()).collect())
    }

    /// How what goes on with endpoints that are gone is ended, once the rules of the host are as they are wanted; at a
    /// start there is nothing to compare with.
    pub(super) fn end_led(&mut self, wanted: &firewall::Wanted) -> Option<Action> {
        let now = Led::of(wanted.get(&Place::Host)?);
        let Some(led) = self.led.as_ref().and_then(|before| now.ends_of(before)) else {
            self.led = Some(now);
            return None;
        };
        Some(Action::EndLed { at: Place::Host, led })
    }

    /// That was done.
    pub(super) fn ended_led(&mut self, wanted: &firewall::Wanted) {
        self.led = wanted.get(&Place::Host).map(Led::of);
    }

    /// They were taken, but for those that failed.
    pub(super) fn taken(&mut self, steps: Vec<Step>, failures: &[Failure]) {
        for Step { at, actions, left } in steps {
            if failures.iter().any(|failure| actions.contains(&failure.action)) {
                self.held.remove(&at);
            } else {
                self.held.insert(at, left);
            }
        }
    }
}

impl Held {
    /// From what it is to what it should be, if that can be told by what differs.
    fn step(&self, at: &Place, firewall: &Firewall) -> Option<Step> {
        let Self { generation, is } = self;
        let edits = if is == firewall { Edits::new() } else { firewall::rebalance(is, firewall)? };
        let ends = firewall.balances.iter().any(|(network, balance)| {
            is.balances.get(network).is_some_and(|before| balance.ends_of(before))
        });
        Some(step(at, firewall, *generation, edits, ends))
    }
}

/// From what was read to what it should be. What went meanwhile is not known: connections are looked at.
fn whole(at: &Place, firewall: &Firewall, found: &firewall::SeenFirewall, seen: &Seen) -> Step {
    let balances = firewall.balances.values().any(|balance| !balance.is_empty());
    let none = BTreeMap::new();
    let edits = firewall::edits(firewall, found, seen.get(at).unwrap_or(&none));
    step(at, firewall, found.generation, edits, balances)
}

fn step(at: &Place, firewall: &Firewall, generation: u32, edits: Edits, ends: bool) -> Step {
    let mut actions = Vec::new();
    let mut left = Held { generation, is: firewall.clone() };
    if !edits.is_empty() {
        left.generation = next_generation(generation);
        actions.push(Action::Filter { at: at.clone(), generation, edits });
    }
    if ends {
        let balances: Vec<Balance> = firewall.balances.values().cloned().collect();
        actions.push(Action::EndFlows { at: at.clone(), balances });
    }
    Step { at: at.clone(), actions, left }
}
