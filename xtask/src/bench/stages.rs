//! What is measured on a running cluster, one thing after the other, each in its own bounds.
//!
//! A stage that fails is told and left out; the next one finds a whole cluster again or fails too.

mod burst;
mod create;
mod heal;
mod idle;
mod kill;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::ValueEnum;
use tokio::time::timeout;

use super::ground::{Ground, Measured, tell};

/// A stage. In the order in which they are run: the burst comes last, for its rows would be part of what
/// a node that returns has to fetch, and halves to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Stage {
    /// Nothing happens: CPU, memory, bytes
    Idle,
    /// Single writes, seen by all
    Create,
    /// `kill -9` of a node, and its return
    Kill,
    /// Two halves apart, then the heal
    Heal,
    /// 10,000 rows at once, held by all
    Burst,
}

impl Stage {
    /// What it is called on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    fn limit(self) -> Duration {
        match self {
            Self::Idle | Self::Create | Self::Burst => Duration::from_secs(90),
            Self::Kill | Self::Heal => Duration::from_secs(100),
        }
    }

    async fn run(self, ground: &mut Ground, loss: u8) -> Result<()> {
        ground.ready().await?;
        match self {
            Self::Idle => idle::measure(ground).await,
            Self::Create => create::measure(ground).await,
            Self::Burst => burst::measure(ground).await,
            Self::Kill => kill::measure(ground, rounds(loss)).await,
            Self::Heal if ground.wire.is_none() => bail!("there is no namespace to cut in"),
            Self::Heal => heal::measure(ground, rounds(loss).min(2)).await,
        }
    }
}

/// What is run under a loss if nothing else is asked for: doing nothing is measured once.
pub(crate) fn chosen(only: &[Stage], loss: u8) -> Vec<Stage> {
    let wanted = |stage: &Stage| {
        if only.is_empty() { loss == 0 || *stage != Stage::Idle } else { only.contains(stage) }
    };
    Stage::value_variants().iter().copied().filter(wanted).collect()
}

/// Without loss there is more to repeat: it is what the aims are of.
fn rounds(loss: u8) -> usize {
    if loss == 0 { 5 } else { 3 }
}

/// Runs these stages before `end`; until this is called the cluster knew no loss.
pub(crate) async fn run(
    mut ground: Ground,
    stages: &[Stage],
    loss: u8,
    end: Instant,
) -> Result<Measured> {
    if let Some(wire) = &ground.wire
        && loss > 0
    {
        wire.lose(loss).await?;
    }
    for stage in stages {
        let name = stage.name();
        let limit = stage.limit().min(end.saturating_duration_since(Instant::now()));
        let began = Instant::now();
        let before = ground.counters().await?;
        let failure = match timeout(limit, stage.run(&mut ground, loss)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{name}: {error:#}")),
            Err(_) => Some(format!("{name}: not done in {limit:.0?}")),
        };
        tell(&format!("{name}: {:.1?}", began.elapsed()));
        // A node that was killed has begun to count anew.
        let grown = ground.counters().await?.into_iter().filter_map(|(name, count)| {
            let by = count.saturating_sub(before.get(&name).copied().unwrap_or(0));
            (by > 0).then_some((name, by))
        });
        ground.measured.counters.insert(name, grown.collect());
        if let Some(failure) = failure {
            tell(&format!("LEFT OUT: {failure}"));
            ground.measured.failed.push(failure);
        }
    }
    note_losses(&mut ground, loss).await?;
    Ok(ground.close())
}

async fn note_losses(ground: &mut Ground, loss: u8) -> Result<()> {
    let Some(wire) = ground.wire.as_ref().filter(|_| loss > 0) else { return Ok(()) };
    let (passing, dropped) = wire.counted().await?;
    let share = dropped * 10_000 / passing.max(1);
    let (percent, rest) = (share / 100, share % 100);
    let note = format!("the kernel dropped {dropped} of {passing} packets ({percent}.{rest:02} %)");
    ground.measured.notes.push(note);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doing_nothing_is_measured_once_unless_asked_for() {
        assert!(chosen(&[], 0).contains(&Stage::Idle));
        assert_eq!(chosen(&[], 5), [Stage::Create, Stage::Kill, Stage::Heal, Stage::Burst]);
        assert_eq!(chosen(&[Stage::Burst, Stage::Idle], 5), [Stage::Idle, Stage::Burst]);
    }
}
