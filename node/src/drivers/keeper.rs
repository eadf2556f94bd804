//! When the kernel is made what it should be: soon after a change of what is wanted, or of what is there, and
//! now and then without being told.

use std::{sync::Arc, time::Duration};

use netnode_plan::desired::Desired;
use tokio::{
    sync::watch,
    task,
    time::{self, Instant},
};

use super::reconcile::{Comparer, Report};
use crate::kernel::{Kernel, KernelError};

/// How often everything is compared without being told, so that what others broke is mended.
pub const PERIOD: Duration = Duration::from_secs(10);
/// How soon a comparison that left something to do is made again, at first; then twice as late each time.
/// The kernel frees the VNI of a namespace that was deleted only a moment later.
pub const RETRY: Duration = Duration::from_millis(50);
/// Changes that come together are done together; one alone is not held up for longer than this.
pub const DEBOUNCE: Duration = Duration::from_millis(1);

/// Whoever changes what is ours again and again is answered no more often than this.
pub const PATIENCE: Duration = Duration::from_millis(10);

/// What is wanted now: only the latest matters, so a slow kernel never makes a queue grow.
pub type Wants = watch::Sender<Arc<Desired>>;

/// What came of one comparison.
#[derive(Debug)]
pub struct Told {
    /// What was wanted when it began.
    pub wanted: Arc<Desired>,
    /// What came of it.
    pub report: Result<Report, KernelError>,
}

/// Runs until the sender of wants is gone. What came of each comparison goes to `told`.
pub async fn keep<K: Kernel + 'static>(
    kernel: K,
    mut wants: watch::Receiver<Arc<Desired>>,
    period: Duration,
    mut told: impl FnMut(Told) + Send + 'static,
) {
    let mut kernel = Some((kernel, Comparer::default()));
    let (mut retry, mut look, mut looked) = (RETRY, true, Instant::now());
    while let Some((mut working, mut comparer)) = kernel.take() {
        let wanted = Arc::clone(&wants.borrow_and_update());
        // A kernel is asked by system calls that block, and never by a thread that serves others.
        let done = task::spawn_blocking(move || {
            let report = if look {
                comparer.compare(&mut working, &wanted)
            } else {
                comparer.follow(&mut working, &wanted)
            };
            (working, comparer, Told { wanted, report })
        });
        let Ok((mut back, comparer, came)) = done.await else { return };
        let pause = if came.report.as_ref().is_ok_and(Report::is_settled) {
            retry = RETRY;
            period
        } else {
            retry = retry.saturating_mul(2);
            retry.min(period)
        };
        told(came);
        if look {
            looked = Instant::now();
        }
        look = tokio::select! {
            changed = wants.changed() => match changed {
                Ok(()) => {
                    time::sleep(DEBOUNCE).await;
                    // Steady change is no reason not to look.
                    looked.elapsed() >= period
                }
                Err(_) => return,
            },
            () = back.disturbed() => {
                time::sleep(PATIENCE).await;
                true
            }
            () = time::sleep(pause) => true,
        };
        kernel = Some((back, comparer));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use netnode_plan::{
        host::{Kind, Link, Mark, Place, Wanted},
        records::{LinkName, NetworkId},
    };
    use tokio::sync::mpsc;

    use super::*;
    use crate::kernel::Fake;

    #[tokio::test(start_paused = true)]
    async fn it_acts_on_changes_and_on_the_timer() {
        let (wants, receiver) = watch::channel(Arc::default());
        let (tell, mut told) = mpsc::channel(8);
        let kept = tokio::spawn(keep(Fake::default(), receiver, PERIOD, move |told| {
            let _ = tell.try_send(told.report.unwrap());
        }));
        assert_eq!(told.recv().await.unwrap().steps, 0);
        let network = NetworkId([1; 16]);
        let bridge = Link::new(Mark::network(network), Kind::Bridge, 1450);
        let links = BTreeMap::from([(LinkName::new("br0").unwrap(), bridge)]);
        let links = Wanted::from([(Place::Network(network), links)]);
        wants.send_replace(Arc::new(links.into()));
        let report = told.recv().await.unwrap();
        assert!(report.is_settled() && report.steps > 0 && report.failures.is_empty());
        // Nobody says anything: the timer does.
        assert_eq!(told.recv().await.unwrap().steps, 0);
        drop(wants);
        kept.await.unwrap();
    }
}
