//! Figures as lines of a table, each with what it is held against.

use std::{fmt::Write as _, time::Duration};

use anyhow::Result;
use serde::Serialize;

/// Width of the column of what was measured.
const WIDTH: usize = 48;
const MISSED: &str = "MISSED";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Unit {
    Microseconds,
    /// In a second.
    Gigabits,
    Share,
    Bytes,
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    what: &'static str,
    unit: Unit,
    samples: usize,
    pub(super) median: f64,
    /// The ninety-ninth percentile, or the largest of less than a hundred samples.
    tail: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<Anchor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<Aim>,
}

/// Somebody else's figure: Docker swarm's on a machine as this one (`shared/anchors.md`).
#[derive(Clone, Copy, Debug, Serialize)]
struct Anchor {
    figure: f64,
    whose: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

impl Line {
    pub(super) fn of(what: &'static str, unit: Unit, samples: &[Duration]) -> Self {
        let samples: Vec<f64> = samples.iter().map(|time| time.as_secs_f64() * 1e6).collect();
        Self::new(what, unit, &samples)
    }

    pub(super) fn new(what: &'static str, unit: Unit, samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
            sorted.get(rank).copied().unwrap_or(f64::NAN)
        };
        let (median, tail) = (at(50), at(99));
        Self { what, unit, samples: sorted.len(), median, tail, anchor: None, aim: None }
    }

    pub(super) fn beside(self, figure: f64, whose: &'static str) -> Self {
        Self { anchor: Some(Anchor { figure, whose }), ..self }
    }

    pub(super) fn aim(self, at_most: f64) -> Self {
        Self { aim: Some(Aim::AtMost(at_most)), ..self }
    }

    pub(super) fn at_least(self, figure: f64) -> Self {
        Self { aim: Some(Aim::AtLeast(figure)), ..self }
    }

    /// Whether its aim is held, if it has one.
    pub(super) fn is_held(&self) -> bool {
        self.verdict() != MISSED
    }

    /// What there is to say of its aim.
    fn verdict(&self) -> &'static str {
        match self.aim {
            None => "",
            Some(Aim::AtMost(most)) if self.median <= most => "held",
            Some(Aim::AtLeast(least)) if self.median >= least => "held",
            Some(_) => MISSED,
        }
    }
}

fn shown(unit: Unit, figure: f64) -> String {
    match unit {
        Unit::Microseconds if figure.abs() >= 1e4 => format!("{:.1} ms", figure / 1e3),
        Unit::Microseconds if figure.abs() >= 1e3 => format!("{:.2} ms", figure / 1e3),
        Unit::Microseconds => format!("{figure:.1} µs"),
        Unit::Gigabits => format!("{figure:.2} Gbit/s"),
        Unit::Share => format!("{figure:.3}"),
        Unit::Bytes => format!("{:.1} MB", figure / 1e6),
    }
}

/// For people.
pub(super) fn table(lines: &[Line]) -> String {
    let head = ("measured", "median", "p99 or max", "samples", "aim", "ratio");
    let (what, median, tail, samples, aim, ratio) = head;
    let mut table = format!(
        "{what:<WIDTH$} {median:>13} {tail:>13} {samples:>7}  {aim:<20} {ratio:>6}  beside\n"
    );
    for line in lines {
        let aim = match line.aim {
            Some(Aim::AtMost(figure)) => format!("≤ {}", shown(line.unit, figure)),
            Some(Aim::AtLeast(figure)) => format!("≥ {}", shown(line.unit, figure)),
            None => String::new(),
        };
        let aim = format!("{aim} {}", line.verdict());
        let (ratio, beside) = match &line.anchor {
            Some(Anchor { figure, whose }) => {
                let ratio = format!("{:.3}", line.median / figure);
                (ratio, format!("{} {whose}", shown(line.unit, *figure)))
            }
            None => (String::new(), String::new()),
        };
        let (median, tail) = (shown(line.unit, line.median), shown(line.unit, line.tail));
        let (what, samples) = (line.what, line.samples);
        // Writing to a String can't fail.
        let _ = writeln!(
            table,
            "{what:<WIDTH$} {median:>13} {tail:>13} {samples:>7}  {aim:<20} {ratio:>6}  {beside}"
        );
    }
    table
}

/// For programs.
pub(super) fn json(lines: &[Line]) -> Result<String> {
    Ok(serde_json::to_string_pretty(lines)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_whether_its_aim_is_held() {
        let times = [1, 2, 30].map(Duration::from_millis);
        let line = Line::of("x", Unit::Microseconds, &times).aim(10_000.0);
        assert_eq!((line.verdict(), line.median, line.tail), ("held", 2_000.0, 30_000.0));
        assert!(line.is_held());
        let line = Line::new("x", Unit::Share, &[0.5]).at_least(0.88).beside(0.88, "swarm");
        assert!(!line.is_held());
        let text = table(&[line]);
        assert!(text.contains("0.500") && text.contains("0.568") && text.contains("≥ 0.880"));
    }
}
