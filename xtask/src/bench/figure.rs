//! Every figure once: its words, its unit, where the simulator has it, and what is aimed at.

use serde::{Deserialize, Serialize};

/// What is measured. In the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    /// A write, from the request to the last watcher.
    Create,
    /// The same write, to a watcher at the writer: what the API and the harness take without any network.
    CreateOwn,
    /// CPU time of all nodes per write.
    CreateCpu,
    /// Time that the nodes' threads were ready and waited for a core, per write, all nodes added up.
    CreateWait,
    /// CPU time of the harness per write.
    CreateHarness,
    /// A burst, from the request until all hold it.
    Burst,
    /// The same, until the writer has taken all rows.
    BurstTaken,
    /// What all sent for it.
    BurstBytes,
    /// CPU time of all nodes for it.
    BurstCpu,
    /// `kill -9` until no watcher shows its rows.
    Hidden,
    /// It is started again until all show its rows again, as they were or anew.
    BackStarted,
    /// It answers and writes: from a write until all show it.
    BackWrite,
    /// The cut is lifted until all agree.
    Heal,
    /// CPU of one node when nothing happens.
    IdleCpu,
    /// What one node sends then.
    IdleBytes,
    /// Resident memory of one node then.
    IdleMemory,
    /// Resident memory of one node that holds the bursts.
    FullMemory,
}

/// What a sample is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Microseconds,
    Bytes,
    BytesPerSecond,
    /// Of one core.
    Millionths,
}

/// A limit that a median is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aim {
    pub(crate) at_most: u64,
    pub(crate) words: &'static str,
}

/// Where the simulator has a figure: a scenario, and the name of a time or a number in its report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Simulated {
    pub(crate) scenario: &'static str,
    pub(crate) name: &'static str,
}

impl Figure {
    pub(crate) const ALL: [Self; 17] = [
        Self::Create,
        Self::CreateOwn,
        Self::CreateCpu,
        Self::CreateWait,
        Self::CreateHarness,
        Self::Burst,
        Self::BurstTaken,
        Self::BurstBytes,
        Self::BurstCpu,
        Self::Hidden,
        Self::BackStarted,
        Self::BackWrite,
        Self::Heal,
        Self::IdleCpu,
        Self::IdleBytes,
        Self::IdleMemory,
        Self::FullMemory,
    ];

    /// The words for it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Create => "one write seen by all",
            Self::CreateOwn => "  of that: told by the writer itself",
            Self::CreateCpu => "  CPU per write, all nodes together",
            Self::CreateWait => "  waited for a core per write, all nodes",
            Self::CreateHarness => "  CPU per write, this harness",
            Self::Burst => "10,000 rows of 100 B held by all",
            Self::BurstTaken => "  of that: taken by the writer",
            Self::BurstBytes => "  sent in all",
            Self::BurstCpu => "  CPU, all nodes together",
            Self::Hidden => "kill -9: its rows hidden on all",
            Self::BackStarted => "  started again: its rows back on all",
            Self::BackWrite => "  back: a new value seen by all",
            Self::Heal => "halves apart for 20 s: all agree after the heal",
            Self::IdleCpu => "idle: CPU of a node, of one core",
            Self::IdleBytes => "idle: sent by a node",
            Self::IdleMemory => "idle: resident memory of a node",
            Self::FullMemory => "resident memory, holding all rows",
        }
    }

    pub(crate) fn unit(self) -> Unit {
        match self {
            Self::BurstBytes | Self::IdleMemory | Self::FullMemory => Unit::Bytes,
            Self::IdleBytes => Unit::BytesPerSecond,
            Self::IdleCpu => Unit::Millionths,
            _ => Unit::Microseconds,
        }
    }

    /// Where the simulator has it, if it has it.
    pub(crate) fn simulated(self) -> Option<Simulated> {
        let (scenario, name) = match self {
            Self::Create => ("create", "one write seen by all"),
            Self::Burst => ("burst", "all rows held by all"),
            Self::BurstBytes => ("burst", "bytes sent in all"),
            Self::Hidden => ("kill", "killed, hidden on all"),
            Self::BackStarted => ("kill", "back, a row visible on all"),
            Self::Heal => ("partition", "healed, all agree"),
            Self::IdleBytes => ("idle", "idle bytes per second and node"),
            _ => return None,
        };
        Some(Simulated { scenario, name })
    }

    /// What its median is to be at 25 nodes on two cores without loss, by the issue that asks for it.
    pub(crate) fn aim(self) -> Option<Aim> {
        let (at_most, words) = match self {
            Self::Create => (10_000, "<= 10 ms"),
            Self::IdleCpu => (5_000, "< 0.5 %"),
            Self::IdleMemory => (15 << 20, "<= 15 MiB"),
            _ => return None,
        };
        Some(Aim { at_most, words })
    }
}

impl Unit {
    /// A value for people.
    pub(crate) fn shown(self, value: u64) -> String {
        match self {
            Self::Microseconds => match value {
                0..1_000 => format!("{value} us"),
                1_000..10_000 => format!("{:.2} ms", part(value, 1_000.0)),
                10_000..1_000_000 => format!("{:.1} ms", part(value, 1_000.0)),
                _ => format!("{:.2} s", part(value, 1_000_000.0)),
            },
            Self::Bytes if value < 100 << 20 => format!("{:.1} MiB", part(value, 1_048_576.0)),
            Self::Bytes => format!("{:.0} MiB", part(value, 1_048_576.0)),
            Self::BytesPerSecond => format!("{value} B/s"),
            Self::Millionths => format!("{:.2} %", part(value, 10_000.0)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people: three digits are shown")]
fn part(value: u64, of: f64) -> f64 {
    value as f64 / of
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_listed_once_and_in_order() {
        assert!(Figure::ALL.is_sorted());
        let mut words: Vec<_> = Figure::ALL.iter().map(|figure| figure.words()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Figure::ALL.len());
    }

    #[test]
    fn values_have_their_unit() {
        let shown = |unit: Unit, value| unit.shown(value);
        assert_eq!(shown(Unit::Microseconds, 140), "140 us");
        assert_eq!(shown(Unit::Microseconds, 1_540), "1.54 ms");
        assert_eq!(shown(Unit::Microseconds, 95_064), "95.1 ms");
        assert_eq!(shown(Unit::Microseconds, 1_580_000), "1.58 s");
        assert_eq!(shown(Unit::Bytes, 15 << 20), "15.0 MiB");
        assert_eq!(shown(Unit::Bytes, 150 << 20), "150 MiB");
        assert_eq!(shown(Unit::BytesPerSecond, 305), "305 B/s");
        assert_eq!(shown(Unit::Millionths, 4_100), "0.41 %");
    }
}
