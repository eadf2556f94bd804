//! Makes the kernel what it should be, and makes sure that it is.

use std::collections::BTreeSet;

use netnode_plan::{
    desired::Desired,
    firewall::{self, Blocked},
    host::{Action, Obstacle, Place, Seen, plan},
};

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
    let sandboxes: BTreeSet<String> = wanted
        .links
        .keys()
        .filter_map(|place| match place {
            Place::Sandbox(path) => Some(path.clone()),
            _ => None,
        })
        .collect();
    let mut report = Report::default();
    for round in 0..=ROUNDS {
        let seen = kernel.look(&sandboxes)?;
        // Rules come before the links that they guard.
        let filters = firewalls(kernel, &wanted.firewalls, &seen)?;
        report.blocked = firewall::blocked(&wanted.firewalls, &filters, &seen);
        report.pending = firewall::plan(&wanted.firewalls, &filters);
        let plan = plan(&wanted.links, &seen);
        report.obstacles = plan.obstacles;
        report.pending.extend(plan.actions);
        let settled = report.is_settled();
        if settled {
            report.failures.clear();
        } else if round < ROUNDS {
            report.steps += report.pending.len();
            report.failures = kernel.act(&report.pending);
        }
        // Not before the rules are there that keep others out.
        report.closed = kernel.forward(&wanted.forwarded(), &seen).err();
        if settled {
            break;
        }
    }
    Ok(report)
}

/// The packet filters that there is a want of. That of a namespace which is not there yet has time until it is.
fn firewalls(
    kernel: &mut impl Kernel,
    wanted: &firewall::Wanted,
    seen: &Seen,
) -> Result<firewall::Seen, KernelError> {
    let mut filters = firewall::Seen::new();
    for (at, firewall) in wanted.iter().filter(|(at, _)| seen.contains_key(*at)) {
        match kernel.firewall(at) {
            Ok(found) => drop(filters.insert(at.clone(), found)),
            // A kernel without a packet filter has nothing of ours in it.
            Err(_) if firewall.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filters)
}
