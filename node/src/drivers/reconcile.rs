//! Makes the kernel what it should be, and makes sure that it is.

use std::collections::BTreeSet;

use netnode_plan::host::{Action, Obstacle, Place, Wanted, plan};

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
    /// Steps of the last round that failed.
    pub failures: Vec<Failure>,
    /// What the last look found still to do; nothing if all is as it should be.
    pub pending: Vec<Action>,
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
pub fn reconcile(kernel: &mut impl Kernel, wanted: &Wanted) -> Result<Report, KernelError> {
    let sandboxes: BTreeSet<String> = wanted
        .keys()
        .filter_map(|place| match place {
            Place::Sandbox(path) => Some(path.clone()),
            _ => None,
        })
        .collect();
    let mut report = Report::default();
    for round in 0..=ROUNDS {
        let plan = plan(wanted, &kernel.look(&sandboxes)?);
        report.obstacles = plan.obstacles;
        report.pending = plan.actions;
        if report.is_settled() {
            report.failures.clear();
            break;
        }
        if round < ROUNDS {
            report.steps += report.pending.len();
            report.failures = kernel.act(&report.pending);
        }
    }
    Ok(report)
}
