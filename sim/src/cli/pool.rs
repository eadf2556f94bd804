//! Many runs on all cores. What is done with a report happens on the calling thread, in the order of arrival.

use std::{
    num::NonZeroUsize,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use netdb_sim::{
    report::{self, Report},
    scenario::Scenario,
};

use super::Network;

/// One run.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) scenario: Scenario,
    pub(super) nodes: usize,
    pub(super) seed: u64,
    pub(super) network: Network,
    /// Run it again and compare the traces.
    pub(super) twice: bool,
}

impl Job {
    fn run(&self) -> Report {
        let once = || {
            let settings = self.network.options(self.seed, self.nodes);
            let command = self.network.replay(&self.scenario, self.nodes, self.seed);
            report::run(&self.scenario, settings, None, command)
        };
        let mut report = once();
        if self.twice {
            let again = once();
            if again.trace != report.trace && report.ok {
                report.ok = false;
                report.broken =
                    Some(format!("determinism broken: then the trace is {}", again.trace));
            }
        }
        report
    }
}

/// A run that is over.
pub(super) struct Done {
    /// Which of the jobs it was.
    pub(super) index: usize,
    pub(super) report: Report,
    /// For how long it had a core.
    pub(super) took: Duration,
}

/// Runs all jobs, `workers` at a time [default: one per core], and shows what each came to.
pub(super) fn run(jobs: &[Job], workers: Option<usize>, mut show: impl FnMut(Done)) {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let workers = workers.unwrap_or(cores).clamp(1, jobs.len().max(1));
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        let (sender, reports) = mpsc::sync_channel(workers);
        for _ in 0..workers {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else { return };
                    let started = Instant::now();
                    let report = job.run();
                    let took = started.elapsed();
                    if sender.send(Done { index, report, took }).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for done in reports {
            show(done);
        }
    });
}
