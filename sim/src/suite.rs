//! Suites: fixed sets of runs with something to reach, and how a measurement is judged.
//!
//! [`anchors`] is the table of figures to reach, beside what others need for the same; [`standard`] is the
//! mix of faults that every change has to survive. Nothing here runs a world.

pub mod anchors;
pub mod standard;
pub mod table;
pub mod value;

use serde::Serialize;

use self::value::Unit;
use crate::figures::Figures;

/// Samples that a time is taken from at least, unless a row says otherwise.
pub const SAMPLES: usize = 200;

/// The runs that a row is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Bench {
    /// About how many seconds one seed takes on one core; what is cheap is run first.
    pub cost: u32,
    /// The scenario, by name: it may be missing in this build.
    pub scenario: &'static str,
    /// Hosts.
    pub nodes: usize,
    /// Datagrams lost, in percent.
    pub loss: u32,
    /// How many seeds.
    pub seeds: u64,
    /// How many of them in a quick run; 0 leaves it out.
    pub quick: u64,
}

/// What of a figure is compared with the aim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Statistic {
    /// The median of its times.
    P50,
    /// What 99 of 100 times don't exceed.
    P99,
    /// The longest time.
    Max,
    /// A number, of all seeds the one that is worst.
    Number(Unit),
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// This or less.
    AtMost(u64),
    /// This or more.
    AtLeast(u64),
    /// As much as another number of the same runs.
    AsManyAs(&'static str),
}

/// What somebody else's implementation needs for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// Nobody measured it.
    Unknown,
    /// Measured the same way, in the same unit.
    Measured(u64),
    /// What was seen, where a number would not say it.
    Words(&'static str),
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What it belongs to.
    pub section: &'static str,
    /// What is special about it there.
    pub label: &'static str,
    /// Where it is measured.
    pub bench: Bench,
    /// The figure of the scenario.
    pub figure: &'static str,
    /// What of it.
    pub statistic: Statistic,
    /// What is to be reached.
    pub aim: Aim,
    /// Samples that it takes at least.
    pub least: usize,
    /// What `NetworkDB` needs.
    pub networkdb: Peer,
    /// What chitchat needs.
    pub chitchat: Peer,
}

/// How a row stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The aim is reached.
    Ok,
    /// It is not.
    Missed,
    /// An invariant broke in one of its runs.
    Broken,
    /// Not enough samples to say.
    Few,
    /// This build lacks the scenario or the figure.
    Absent,
    /// It was left out on purpose.
    NotRun,
}

/// What the runs of a row showed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// The value, if there is one.
    pub measured: Option<u64>,
    /// Times that it is taken from; 1 for a number.
    pub samples: usize,
    /// `NetworkDB`'s value divided by ours.
    pub ratio: Option<f64>,
    /// How it stands.
    pub verdict: Verdict,
}

/// The runs of one bench, taken together.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// Runs so far.
    pub runs: u64,
    /// Runs in which an invariant broke.
    pub broken: u64,
    /// What all of them measured.
    pub figures: Figures,
}

impl Statistic {
    /// What it is measured in.
    pub fn unit(self) -> Unit {
        match self {
            Self::P50 | Self::P99 | Self::Max => Unit::Time,
            Self::Number(unit) => unit,
        }
    }

    /// The value in some figures, and how many samples it is taken from.
    fn of(self, figures: &Figures, name: &str, aim: Aim) -> Option<(u64, usize)> {
        if let Self::Number(_) = self {
            let worst = match aim {
                Aim::AtMost(_) => figures.numbers().get(name).copied(),
                Aim::AtLeast(_) | Aim::AsManyAs(_) => figures.lowest(name),
            };
            return worst.map(|value| (value, 1));
        }
        let summary = figures.summary(name)?;
        let value = match self {
            Self::P50 => summary.p50_us,
            Self::P99 => summary.p99_us,
            Self::Max | Self::Number(_) => summary.max_us,
        };
        Some((value, summary.count))
    }
}

impl Aim {
    /// Whether a value reaches it; none if what it is compared with was not measured.
    fn is_reached(self, value: u64, figures: &Figures) -> Option<bool> {
        match self {
            Self::AtMost(most) => Some(value <= most),
            Self::AtLeast(least) => Some(value >= least),
            Self::AsManyAs(name) => figures.numbers().get(name).map(|other| value >= *other),
        }
    }
}

impl Verdict {
    /// Whether it makes the suite fail.
    pub fn is_failure(self) -> bool {
        !matches!(self, Self::Ok | Self::NotRun)
    }

    /// As it is printed.
    pub fn words(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missed => "MISSED",
            Self::Broken => "BROKEN",
            Self::Few => "too few",
            Self::Absent => "absent",
            Self::NotRun => "not run",
        }
    }
}

impl Row {
    /// Judges the evidence; none at all if it was left out. A quick run may have few samples.
    pub fn judge(&self, evidence: Option<&Evidence>, quick: bool) -> Finding {
        let none = |verdict| Finding { measured: None, samples: 0, ratio: None, verdict };
        let Some(evidence) = evidence else { return none(Verdict::NotRun) };
        let broken = evidence.broken > 0;
        let absent = none(if broken { Verdict::Broken } else { Verdict::Absent });
        let value = self.statistic.of(&evidence.figures, self.figure, self.aim);
        let Some((value, samples)) = value else { return absent };
        let Some(reached) = self.aim.is_reached(value, &evidence.figures) else { return absent };
        let few = samples < self.least && !quick;
        let verdict = match (broken, reached, few) {
            (true, _, _) => Verdict::Broken,
            (_, false, _) => Verdict::Missed,
            (_, _, true) => Verdict::Few,
            _ => Verdict::Ok,
        };
        let ratio = match self.networkdb {
            Peer::Measured(theirs) if value > 0 => Some(value::ratio(theirs, value)),
            _ => None,
        };
        Finding { measured: Some(value), samples, ratio, verdict }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BENCH: Bench =
        Bench { cost: 1, scenario: "create", nodes: 10, loss: 0, seeds: 1, quick: 1 };

    fn row(statistic: Statistic, aim: Aim) -> Row {
        Row {
            section: "a section",
            label: "a row",
            bench: BENCH,
            figure: "x",
            statistic,
            aim,
            least: if statistic.unit() == Unit::Time { 3 } else { 1 },
            networkdb: Peer::Measured(1_000),
            chitchat: Peer::Unknown,
        }
    }

    fn times(times_us: &[u64]) -> Evidence {
        let mut evidence = Evidence { runs: 1, ..Evidence::default() };
        for us in times_us {
            evidence.figures.time("x", Duration::from_micros(*us));
        }
        evidence
    }

    fn numbers(values: &[(&str, u64)]) -> Evidence {
        let mut evidence = Evidence::default();
        for (name, value) in values {
            let mut one = Figures::default();
            one.number(name, *value);
            evidence.figures.merge(&one);
            evidence.runs += 1;
        }
        evidence
    }

    fn verdict(row: &Row, evidence: &Evidence) -> Verdict {
        row.judge(Some(evidence), false).verdict
    }

    #[test]
    fn an_aim_is_reached_up_to_its_last_microsecond() {
        let median = row(Statistic::P50, Aim::AtMost(20));
        assert_eq!(verdict(&median, &times(&[10, 20, 90])), Verdict::Ok);
        assert_eq!(verdict(&median, &times(&[10, 21, 90])), Verdict::Missed);
        let longest = row(Statistic::Max, Aim::AtMost(90));
        assert_eq!(verdict(&longest, &times(&[10, 21, 90])), Verdict::Ok);
        assert_eq!(verdict(&longest, &times(&[10, 21, 91])), Verdict::Missed);
    }

    #[test]
    fn the_ratio_is_theirs_by_ours() {
        let found = row(Statistic::P50, Aim::AtMost(20)).judge(Some(&times(&[10, 20, 90])), false);
        assert_eq!((found.measured, found.samples), (Some(20), 3));
        assert!(found.ratio.is_some_and(|ratio| (ratio - 50.0).abs() < 1e-9));
        let nothing = row(Statistic::Number(Unit::Count), Aim::AtMost(0))
            .judge(Some(&numbers(&[("x", 0)])), false);
        assert_eq!((nothing.ratio, nothing.verdict), (None, Verdict::Ok));
    }

    #[test]
    fn too_few_samples_prove_nothing_unless_it_is_to_be_quick() {
        let median = row(Statistic::P50, Aim::AtMost(20));
        assert_eq!(verdict(&median, &times(&[10, 20])), Verdict::Few);
        assert_eq!(verdict(&median, &times(&[30, 40])), Verdict::Missed);
        assert_eq!(median.judge(Some(&times(&[10, 20])), true).verdict, Verdict::Ok);
    }

    #[test]
    fn of_several_seeds_the_worst_counts() {
        let most = row(Statistic::Number(Unit::Count), Aim::AtMost(5));
        assert_eq!(verdict(&most, &numbers(&[("x", 4), ("x", 6), ("x", 1)])), Verdict::Missed);
        let least = row(Statistic::Number(Unit::Count), Aim::AtLeast(5));
        assert_eq!(verdict(&least, &numbers(&[("x", 4), ("x", 6)])), Verdict::Missed);
        assert_eq!(verdict(&least, &numbers(&[("x", 5), ("x", 6)])), Verdict::Ok);
        let all = row(Statistic::Number(Unit::Count), Aim::AsManyAs("y"));
        assert_eq!(verdict(&all, &numbers(&[("x", 24), ("y", 24)])), Verdict::Ok);
        assert_eq!(verdict(&all, &numbers(&[("x", 23), ("y", 24)])), Verdict::Missed);
        assert_eq!(verdict(&all, &numbers(&[("x", 23)])), Verdict::Absent);
    }

    #[test]
    fn what_is_missing_or_broken_fails_and_what_is_left_out_does_not() {
        let median = row(Statistic::P50, Aim::AtMost(20));
        assert_eq!(verdict(&median, &numbers(&[("x", 1)])), Verdict::Absent);
        let mut evidence = times(&[1, 1, 1]);
        evidence.broken = 1;
        assert_eq!(verdict(&median, &evidence), Verdict::Broken);
        let out = median.judge(None, false).verdict;
        assert_eq!((out, out.is_failure()), (Verdict::NotRun, false));
        let failing = [Verdict::Missed, Verdict::Broken, Verdict::Few, Verdict::Absent];
        assert!(failing.iter().all(|verdict| verdict.is_failure()));
    }
}
