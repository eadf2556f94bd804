//! Makes the kernel what it should be, and makes sure that it is.

use std::collections::{BTreeMap, BTreeSet};

use netnode_plan::{
    desired::Desired,
    firewall::{self, Blocked},
    host::{Action, Model, Obstacle, Place, Plan, Seen, plan},
    policy::{self, Policy},
};

use super::filters::{Filters, Step, is_kept};
use crate::kernel::{Failure, Kernel, KernelError};

/// How often is looked and acted before what is left is told: the kernel takes links away a moment after
/// their namespace went, and until then a name or a VNI is taken.
const ROUNDS: usize = 3;

/// What came of it.
#[derive(Debug, Default)]
pub struct Report {
    /// Steps taken.
    pub steps: usize,
    /// Why something can't be had.
    pub obstacles: Vec<Obstacle>,
    /// What others keep from passing, and how to let it.
    pub blocked: Vec<Blocked>,
    /// Steps of the last round that failed.
    pub failures: Vec<Failure>,
    /// What the last look found still to do; nothing if all is as it should be.
    pub pending: Vec<Action>,
    /// Why what has a way out doesn't get out.
    pub closed: Option<KernelError>,
}

impl Report {
    /// Whether the kernel is as it should be, as far as it can be.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }
}

/// Compares, acts, and compares again until nothing is left to do or `ROUNDS` have passed.
///
/// # Errors
/// The kernel can't be read. What was done until then stays done.
pub fn reconcile(kernel: &mut impl Kernel, wanted: &Desired) -> Result<Report, KernelError> {
    compare(kernel, wanted, &mut Filters::default()).map(|(report, _)| report)
}

/// The same; also what the last look saw.
fn compare(
    kernel: &mut impl Kernel,
    wanted: &Desired,
    kept: &mut Filters,
) -> Result<(Report, Seen), KernelError> {
    let sandboxes: BTreeSet<String> = wanted
        .links
        .keys()
        .filter_map(|place| match place {
            Place::Sandbox(path) => Some(path.clone()),
            _ => None,
        })
        .collect();
    let (mut report, mut seen) = (Report::default(), Seen::new());
    for round in 0..=ROUNDS {
        seen = kernel.look(&sandboxes)?;
        // Rules come before the links that they guard.
        let filters = firewalls(kernel, &wanted.firewalls, &seen)?;
        report.blocked = firewall::blocked(&wanted.firewalls, &filters, &seen);
        report.pending = firewall::plan(&wanted.firewalls, &filters, &seen);
        let plan = plan(&wanted.links, &seen);
        report.obstacles = plan.obstacles;
        let steps = kept.plan(kernel, &wanted.firewalls, &seen)?;
        report.pending.extend(in_order(plan.actions, &steps));
        report.pending.extend(rules(kernel, wanted.policy.as_ref(), &seen)?);
        let end_led = kept.end_led(&wanted.firewalls);
        report.pending.extend(end_led.clone());
        let settled = report.is_settled();
        if settled {
            report.failures.clear();
        } else if round < ROUNDS {
            report.steps += report.pending.len();
            report.failures = kernel.act(&report.pending);
            kept.taken(steps, &report.failures);
            let failures: Vec<&Action> = report.failures.iter().map(|f| &f.action).collect();
            if end_led.as_ref().is_some_and(|end| !failures.contains(&end)) {
                kept.ended_led(&wanted.firewalls);
            }
        }
        // Not before the rules are there that keep others out.
        report.closed = kernel.forward(&wanted.forwarded(), &seen).err();
        if settled {
            break;
        }
    }
    Ok((report, seen))
}

/// What has to be done about the host's policy routing.
fn rules(
    kernel: &mut impl Kernel,
    wanted: Option<&Policy>,
    seen: &Seen,
) -> Result<Vec<Action>, KernelError> {
    let none = BTreeMap::new();
    let links = seen.get(&Place::Host).unwrap_or(&none);
    let changes = policy::plan(wanted, &kernel.policy(links)?, links);
    Ok(changes.into_iter().map(Action::Policy).collect())
}

/// What is new is there before something leads to it, and nothing leads any more to what goes.
fn in_order(links: Vec<Action>, steps: &[Step]) -> impl Iterator<Item = Action> {
    let (go, come): (Vec<Action>, Vec<Action>) = links.into_iter().partition(Action::is_removal);
    let lead: Vec<Action> = steps.iter().flat_map(|step| step.actions.iter().cloned()).collect();
    come.into_iter().chain(lead).chain(go)
}

/// Compares as [`reconcile`] does, and remembers what was seen: while only entries change for endpoints elsewhere,
/// which is what happens all day, the kernel is told those and not asked for all that it has.
#[derive(Debug, Default)]
pub struct Comparer {
    /// As it was left, if all was as it should be.
    settled: Option<Settled>,
    kept: Filters,
}

#[derive(Debug)]
struct Settled {
    model: Model,
    firewalls: firewall::Wanted,
    policy: Option<Policy>,
    blocked: Vec<Blocked>,
}

impl Comparer {
    /// With a look at everything.
    ///
    /// # Errors
    /// As [`reconcile`].
    pub fn compare(
        &mut self,
        kernel: &mut impl Kernel,
        wanted: &Desired,
    ) -> Result<Report, KernelError> {
        self.settled = None;
        let (report, seen) = compare(kernel, wanted, &mut self.kept)?;
        if report.is_settled() && report.closed.is_none() {
            let (firewalls, policy) = (wanted.firewalls.clone(), wanted.policy.clone());
            let blocked = report.blocked.clone();
            self.settled = Some(Settled { model: Model::of(seen), firewalls, policy, blocked });
        }
        Ok(report)
    }

    /// Without a look, if nobody has disturbed what is there and only entries differ from what was wanted before;
    /// else with one.
    ///
    /// # Errors
    /// As [`reconcile`].
    pub fn follow(
        &mut self,
        kernel: &mut impl Kernel,
        wanted: &Desired,
    ) -> Result<Report, KernelError> {
        match self.tell_entries(kernel, wanted) {
            Some(report) => Ok(report),
            None => self.compare(kernel, wanted),
        }
    }

    fn tell_entries(&mut self, kernel: &mut impl Kernel, wanted: &Desired) -> Option<Report> {
        let is_like = |settled: &Settled| {
            others(&settled.firewalls, &wanted.firewalls) && settled.policy == wanted.policy
        };
        let mut settled = self.settled.take().filter(is_like)?;
        let steps = self.kept.follow(&wanted.firewalls)?;
        let Plan { actions: links, obstacles } = plan(&wanted.links, &settled.model.seen);
        // A sandbox that was not looked at seems to be gone.
        let all_entries = obstacles.is_empty() && links.iter().all(Action::is_entry);
        let modelled = all_entries && links.iter().all(|link| settled.model.apply(link).is_ok());
        if !modelled {
            return None;
        }
        let actions: Vec<Action> = in_order(links, &steps).collect();
        let failures = kernel.act(&actions);
        self.kept.taken(steps, &failures);
        let told = failures.is_empty();
        settled.firewalls.clone_from(&wanted.firewalls);
        let blocked = settled.blocked.clone();
        self.settled = Some(settled).filter(|_| told);
        told.then(|| Report { steps: actions.len(), blocked, ..Report::default() })
    }
}

/// Whether the same is wanted of all packet filters that are not kept apart, and the same places are named.
fn others(before: &firewall::Wanted, now: &firewall::Wanted) -> bool {
    before.keys().eq(now.keys())
        && before.iter().zip(now.values()).all(|((at, was), is)| is_kept(at) || was == is)
}

/// The packet filters that there is a want of, but for those that are kept apart. That of a namespace which is not
/// there yet has time until it is.
fn firewalls(
    kernel: &mut impl Kernel,
    wanted: &firewall::Wanted,
    seen: &Seen,
) -> Result<firewall::Seen, KernelError> {
    let mut filters = firewall::Seen::new();
    let known = |at: &Place| seen.contains_key(at) && !is_kept(at);
    for (at, firewall) in wanted.iter().filter(|(at, _)| known(at)) {
        match kernel.firewall(at) {
            Ok(found) => drop(filters.insert(at.clone(), found)),
            // A kernel without a packet filter has nothing of ours in it.
            Err(_) if firewall.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filters)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use netnode_plan::{
        firewall::Family,
        host::{Kind, Link, Mark},
        records::{LinkName, Mac, NetworkId},
    };

    use super::*;
    use crate::kernel::Fake;

    const NETWORK: NetworkId = NetworkId([1; 16]);

    fn wanted(macs: &[u8]) -> Desired {
        let kind = Kind::Vxlan { vni: 7, port: 4789, local: [192, 0, 2, 1].into() };
        let mut link = Link::new(Mark::network(NETWORK), kind, 1450);
        for last in macs {
            link.tunnels.insert(Mac([2, 0, 0, 0, 0, *last]), [192, 0, 2, 2].into());
        }
        let links = BTreeMap::from([(LinkName::new("vxlan0").unwrap(), link)]);
        BTreeMap::from([(Place::Network(NETWORK), links)]).into()
    }

    #[test]
    fn entries_are_told_without_a_look_and_are_what_a_look_finds() {
        let (mut kernel, mut comparer) = (Fake::default(), Comparer::default());
        assert!(comparer.compare(&mut kernel, &wanted(&[1])).unwrap().steps > 1);
        for (macs, steps) in [(&[1, 2, 3][..], 2), (&[3], 2), (&[3], 0)] {
            let looks = kernel.looks;
            let report = comparer.follow(&mut kernel, &wanted(macs)).unwrap();
            assert_eq!((report.steps, report.is_settled()), (steps, true));
            assert_eq!(kernel.looks, looks);
            assert_eq!(reconcile(&mut kernel, &wanted(macs)).unwrap().steps, 0);
        }
    }

    #[test]
    fn rules_of_routing_come_once_their_link_is_there_and_go() {
        let (mut kernel, mut comparer) = (Fake::default(), Comparer::default());
        let name = LinkName::new("mesh0").unwrap();
        let link = Link::new(Mark::network(NETWORK), Kind::Bridge, 1450);
        let links = BTreeMap::from([(name.clone(), link)]);
        let mut wanted: Desired = BTreeMap::from([(Place::Host, links)]).into();
        comparer.compare(&mut kernel, &wanted).unwrap();
        wanted.policy = Some(Policy { link: name, families: [Family::V4].into() });
        let report = comparer.follow(&mut kernel, &wanted).unwrap();
        assert_eq!((report.steps, report.is_settled()), (4, true));
        assert_eq!(kernel.model.policy.rules.len(), 3);
        // One that another process left is none that this one wants.
        let mut anew = Comparer::default();
        wanted.policy = None;
        assert_eq!(anew.compare(&mut kernel, &wanted).unwrap().steps, 4);
        assert_eq!(kernel.model.policy, policy::Seen::default());
    }

    #[test]
    fn everything_else_is_looked_at() {
        let (mut kernel, mut comparer) = (Fake::default(), Comparer::default());
        let mut more = wanted(&[1]);
        comparer.follow(&mut kernel, &more).unwrap();
        let looks = kernel.looks;
        // A sandbox that was not there before.
        let end = Link::new(Mark::network(NETWORK), Kind::VethEnd, 1450);
        let links = BTreeMap::from([(LinkName::new("eth0").unwrap(), end)]);
        more.links.insert(Place::Sandbox("/run/1".into()), links);
        assert!(!comparer.follow(&mut kernel, &more).unwrap().obstacles.is_empty());
        assert!(kernel.looks > looks);
        let looks = kernel.looks;
        assert!(comparer.follow(&mut kernel, &wanted(&[])).unwrap().steps > 0);
        assert_eq!(kernel.looks, looks);
    }
}
