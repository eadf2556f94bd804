//! Measured values as people read them.

use serde::Serialize;

use super::{Aim, Peer};

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Microseconds.
    Time,
    /// Things.
    Count,
    /// Hundredths of something.
    Hundredths,
    /// Bytes.
    Bytes,
    /// Bytes per second.
    Rate,
}

impl Unit {
    /// A value in three or four digits.
    pub fn show(self, value: u64) -> String {
        match self {
            Self::Time if value < 1_000 => format!("{value} µs"),
            Self::Time if value < 1_000_000 => format!("{} ms", digits(value, 1_000)),
            Self::Time => format!("{} s", digits(value, 1_000_000)),
            Self::Count => grouped(value),
            Self::Hundredths => format!("{}.{:02}", value / 100, value % 100),
            Self::Bytes if value < 1_000_000 => format!("{} kB", digits(value, 1_000)),
            Self::Bytes => format!("{} MB", digits(value, 1_000_000)),
            Self::Rate if value < 10_000 => format!("{} B/s", grouped(value)),
            Self::Rate => format!("{} kB/s", digits(value, 1_000)),
        }
    }

    /// What somebody else needs.
    pub fn show_peer(self, peer: Peer) -> String {
        match peer {
            Peer::Unknown => "–".into(),
            Peer::Measured(value) => self.show(value),
            Peer::Words(words) => words.into(),
        }
    }

    /// What is to be reached.
    pub fn show_aim(self, aim: Aim) -> String {
        match aim {
            Aim::AtMost(0) => "0".into(),
            Aim::AtMost(value) => format!("≤ {}", self.show(value)),
            Aim::AtLeast(value) => format!("≥ {}", self.show(value)),
            Aim::AsManyAs(_) => "all".into(),
        }
    }
}

/// A quotient of at least two digits, rounded, without zeros that say nothing.
fn digits(value: u64, unit: u64) -> String {
    let rounded = |parts: u64| (value * parts + unit / 2) / unit;
    let text = match value / unit {
        0..10 => format!("{}.{:02}", rounded(100) / 100, rounded(100) % 100),
        10..100 => format!("{}.{}", rounded(10) / 10, rounded(10) % 10),
        _ => return grouped(rounded(1)),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Thousands apart.
fn grouped(value: u64) -> String {
    let (above, below) = (value / 1_000, value % 1_000);
    if above == 0 { below.to_string() } else { format!("{},{below:03}", grouped(above)) }
}

/// One value divided by another.
#[expect(clippy::cast_precision_loss, reason = "shown with two digits")]
pub fn ratio(theirs: u64, ours: u64) -> f64 {
    theirs as f64 / ours as f64
}

/// A ratio with two digits: `226×`, `0.53×`.
pub fn show_ratio(ratio: Option<f64>) -> String {
    match ratio {
        None => "–".into(),
        Some(ratio) if ratio < 10.0 => format!("{ratio:.2}×"),
        Some(ratio) => format!("{ratio:.0}×"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_short_and_have_a_unit() {
        for (unit, value, shown) in [
            (Unit::Time, 7, "7 µs"),
            (Unit::Time, 2_384, "2.38 ms"),
            (Unit::Time, 4_000, "4 ms"),
            (Unit::Time, 9_999, "10 ms"),
            (Unit::Time, 16_960, "17 ms"),
            (Unit::Time, 150_000, "150 ms"),
            (Unit::Time, 1_220_850, "1.22 s"),
            (Unit::Time, 98_000_000, "98 s"),
            (Unit::Count, 10_000, "10,000"),
            (Unit::Count, 0, "0"),
            (Unit::Hundredths, 104, "1.04"),
            (Unit::Hundredths, 2_400, "24.00"),
            (Unit::Bytes, 46_548_768, "46.5 MB"),
            (Unit::Bytes, 999, "1 kB"),
            (Unit::Rate, 314, "314 B/s"),
            (Unit::Rate, 72_700, "72.7 kB/s"),
            (Unit::Rate, 111_000, "111 kB/s"),
        ] {
            assert_eq!(unit.show(value), shown);
        }
    }

    #[test]
    fn aims_and_peers_say_what_they_are() {
        assert_eq!(Unit::Time.show_aim(Aim::AtMost(4_000)), "≤ 4 ms");
        assert_eq!(Unit::Count.show_aim(Aim::AtMost(0)), "0");
        assert_eq!(Unit::Count.show_aim(Aim::AtLeast(100)), "≥ 100");
        assert_eq!(Unit::Count.show_aim(Aim::AsManyAs("long pauses")), "all");
        assert_eq!(Unit::Time.show_peer(Peer::Unknown), "–");
        assert_eq!(Unit::Count.show_peer(Peer::Words("3 of 5")), "3 of 5");
        assert_eq!(show_ratio(Some(226.4)), "226×");
        assert_eq!(show_ratio(Some(0.528)), "0.53×");
    }
}
