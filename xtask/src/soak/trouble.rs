//! What befalls the nodes: one thing after another, and now and then two at a time.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use netdb_tests::cluster::Cluster;
use nix::sys::signal::Signal;
use rand_chacha::{ChaCha8Rng, rand_core::Rng};

use super::model::Model;

/// How long nothing befalls anybody.
const REST_MS: u32 = 1_500;
/// How long something lasts, at most.
const LASTS_MS: u32 = 6_000;
/// How many nodes may ail at a time.
const AT_A_TIME: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kill,
    Restart,
    Pause,
    Rotation,
}

const KINDS: [Kind; 4] = [Kind::Kill, Kind::Restart, Kind::Pause, Kind::Rotation];

/// A node that ails, and until when.
struct Ailing {
    place: usize,
    kind: Kind,
    until: Instant,
}

/// What befell the nodes so far, and what ails them now.
#[derive(Default)]
pub(crate) struct Troubles {
    ailing: Vec<Ailing>,
    next: Option<Instant>,
    counts: [usize; KINDS.len()],
}

impl Troubles {
    /// How many there were.
    pub(crate) fn count(&self) -> usize {
        self.counts.iter().sum()
    }

    /// Whether a node is stopped, paused or just starting.
    pub(crate) fn ails(&self, place: usize) -> bool {
        self.ailing.iter().any(|ailing| ailing.place == place)
    }

    /// Ends what is over, and begins something new when it is time.
    pub(crate) async fn step(
        &mut self,
        cluster: &mut Cluster,
        model: &mut Model,
        rng: &mut ChaCha8Rng,
    ) -> Result<()> {
        let now = Instant::now();
        while let Some(over) = self.ailing.iter().position(|ailing| ailing.until <= now) {
            let ailing = self.ailing.swap_remove(over);
            recover(&ailing, cluster, model).await?;
        }
        if self.ailing.len() < AT_A_TIME && self.next.is_none_or(|next| next <= now) {
            self.begin(cluster, rng).await?;
            self.next = Some(now + millis(rng, REST_MS));
        }
        Ok(())
    }

    /// Waits for nothing and ends everything.
    pub(crate) async fn end(&mut self, cluster: &mut Cluster, model: &mut Model) -> Result<()> {
        for ailing in std::mem::take(&mut self.ailing) {
            recover(&ailing, cluster, model).await?;
        }
        Ok(())
    }

    async fn begin(&mut self, cluster: &mut Cluster, rng: &mut ChaCha8Rng) -> Result<()> {
        let place = rng.next_u32() as usize % cluster.nodes.len();
        let which = rng.next_u32() as usize % KINDS.len();
        let (Some(kind), false) = (KINDS.get(which), self.ails(place)) else { return Ok(()) };
        let node = cluster.nodes.get_mut(place).context("a node is missing")?;
        match kind {
            Kind::Kill => node.kill()?,
            Kind::Restart => node.terminate().await?,
            Kind::Pause => node.signal(Signal::SIGSTOP)?,
            Kind::Rotation => {
                // One may still run; then this one changes nothing.
                let _ = node.client().rotate_keys().await;
            }
        }
        if let Some(count) = self.counts.get_mut(which) {
            *count += 1;
        }
        if *kind != Kind::Rotation {
            let until = Instant::now() + millis(rng, LASTS_MS);
            self.ailing.push(Ailing { place, kind: *kind, until });
        }
        Ok(())
    }
}

async fn recover(ailing: &Ailing, cluster: &mut Cluster, model: &Model) -> Result<()> {
    let node = cluster.nodes.get_mut(ailing.place).context("a node is missing")?;
    if ailing.kind == Kind::Pause {
        return node.signal(Signal::SIGCONT);
    }
    node.start().await?;
    model.publish(node, ailing.place).await
}

fn millis(rng: &mut ChaCha8Rng, most: u32) -> Duration {
    Duration::from_millis(u64::from(rng.next_u32() % most))
}

impl fmt::Display for Troubles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [kills, restarts, pauses, rotations] = self.counts;
        write!(f, "{kills} kills, {restarts} restarts, {pauses} pauses, {rotations} rotations")
    }
}
