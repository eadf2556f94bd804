//! An axis: where a value is on it, and which values are written beside it.

/// One axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    from: f64,
    to: f64,
    log: bool,
}

/// About as many values are written beside an axis.
const TICKS: f64 = 6.0;
/// More are never written.
const MOST_TICKS: usize = 24;

impl Axis {
    /// An axis from zero that holds these values.
    pub fn from_zero(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let to = values.into_iter().filter(|value| value.is_finite()).fold(0.0, f64::max);
        let to = if to > 0.0 { to } else { 1.0 };
        // Whole steps, so that the largest value is not on the frame and has a number above it.
        let step = nice(to / TICKS);
        let to = step * (to / step * (1.0 - 1e-9)).ceil();
        Self { label: label.into(), from: 0.0, to, log: false }
    }

    /// A logarithmic axis that holds these values; those that are not above zero are at its beginning.
    pub fn logarithmic(label: &str, values: impl IntoIterator<Item = f64>) -> Self {
        let (mut from, mut to) = (f64::INFINITY, 0.0_f64);
        for value in values.into_iter().filter(|value| value.is_finite() && *value > 0.0) {
            (from, to) = (from.min(value), to.max(value));
        }
        if to <= 0.0 {
            (from, to) = (1.0, 10.0);
        }
        // Whole thirds of a decade, so that the outermost values are not on the frame.
        Self { label: label.into(), from: third(from, false), to: third(to, true), log: true }
    }

    /// Where a value is: 0 at the beginning, 1 at the end, never outside.
    pub fn place(&self, value: f64) -> f64 {
        let place = if self.log {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        if place.is_finite() { place.clamp(0.0, 1.0) } else { 0.0 }
    }

    /// The values that are written beside it, and how.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let ticks = if self.log { self.log_ticks() } else { self.even_ticks() };
        ticks.into_iter().map(|value| (value, shown(value))).collect()
    }

    fn even_ticks(&self) -> Vec<f64> {
        let step = nice((self.to - self.from) / TICKS);
        let ticks = (0..MOST_TICKS).map(|n| self.from + step * float(n));
        ticks.take_while(|value| *value <= self.to * (1.0 + 1e-9)).collect()
    }

    fn log_ticks(&self) -> Vec<f64> {
        let mut ticks = Vec::new();
        let mut decade = 10.0_f64.powf(self.from.log10().floor());
        while decade <= self.to && ticks.len() < MOST_TICKS {
            let within = |value: &f64| {
                *value >= self.from * (1.0 - 1e-9) && *value <= self.to * (1.0 + 1e-9)
            };
            ticks.extend([1.0, 2.0, 5.0].map(|digit| digit * decade).iter().filter(|v| within(v)));
            decade *= 10.0;
        }
        ticks
    }
}

/// The nearest 1, 2 or 5 times a power of ten below a positive value, or above it.
fn third(value: f64, above: bool) -> f64 {
    let decade = 10.0_f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade);
    let found = if above {
        steps.into_iter().find(|step| *step >= value * (1.0 + 1e-9))
    } else {
        steps.into_iter().rev().find(|step| *step <= value * (1.0 - 1e-9))
    };
    found.unwrap_or(if above { decade * 20.0 } else { decade / 2.0 })
}

/// A round step of about this size.
fn nice(step: f64) -> f64 {
    let decade = 10.0_f64.powf(step.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * decade);
    steps.into_iter().find(|nice| *nice >= step * (1.0 - 1e-9)).unwrap_or(step)
}

#[expect(clippy::cast_precision_loss, reason = "at most a few dozen")]
fn float(n: usize) -> f64 {
    n as f64
}

/// A value in as few digits as it takes.
pub fn shown(value: f64) -> String {
    if value.abs() >= 10_000.0 && value % 1_000.0 == 0.0 {
        return format!("{}k", value / 1_000.0);
    }
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(texts(&Axis::from_zero("ms", [3.6])), ["0", "1", "2", "3", "4"]);
        assert_eq!(texts(&Axis::from_zero("%", [100.0])), ["0", "20", "40", "60", "80", "100"]);
        let small = texts(&Axis::from_zero("s", [0.03]));
        assert_eq!(small, ["0", "0.005", "0.01", "0.015", "0.02", "0.025", "0.03"]);
        let large = texts(&Axis::from_zero("B", [120_000.0]));
        assert_eq!(large, ["0", "20k", "40k", "60k", "80k", "100k", "120k"]);
    }

    #[test]
    fn decades_are_divided_in_three() {
        let axis = Axis::logarithmic("ms", [3.0, 90.0]);
        assert_eq!(texts(&axis), ["2", "5", "10", "20", "50", "100"]);
        assert!(axis.place(2.0).abs() < 1e-9 && (axis.place(100.0) - 1.0).abs() < 1e-9);
        assert!((axis.place(14.142) - 0.5).abs() < 1e-3);
    }

    #[test]
    fn one_value_none_and_nonsense_still_make_an_axis() {
        let axes = [
            Axis::from_zero("x", []),
            Axis::from_zero("x", [0.0, f64::NAN]),
            Axis::logarithmic("x", []),
            Axis::logarithmic("x", [0.0, -3.0]),
            Axis::logarithmic("x", [10.0]),
        ];
        for axis in axes {
            assert!(axis.ticks().len() >= 2, "{axis:?}");
            for value in [f64::NEG_INFINITY, -1.0, 0.0, 1e-9, 10.0, 1e12, f64::INFINITY, f64::NAN] {
                assert!((0.0..=1.0).contains(&axis.place(value)), "{axis:?} {value}");
            }
        }
    }

    #[test]
    fn ticks_have_a_bound() {
        assert!(Axis::logarithmic("x", [1e-30, 1e30]).ticks().len() <= MOST_TICKS + 3);
    }
}
