//! What a run measured: samples by name, shown as percentiles.

use std::{collections::BTreeMap, time::Duration};

use netdb_gossip_core::time::micros;
use serde::Serialize;

/// Samples by name.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    samples: BTreeMap<String, Vec<u64>>,
    numbers: BTreeMap<String, u64>,
    lowest: BTreeMap<String, u64>,
}

/// Percentiles of one name's samples, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many samples.
    pub count: usize,
    /// Half took at most this.
    pub p50_us: u64,
    /// Nine of ten took at most this.
    pub p90_us: u64,
    /// Ninety-nine of a hundred took at most this.
    pub p99_us: u64,
    /// None took longer.
    pub max_us: u64,
}

impl Figures {
    /// Adds a sample.
    pub fn time(&mut self, name: &str, took: Duration) {
        self.samples.entry(name.to_owned()).or_default().push(micros(took));
    }

    /// Sets a number that is not a time.
    pub fn number(&mut self, name: &str, value: u64) {
        self.numbers.insert(name.to_owned(), value);
        self.lowest.insert(name.to_owned(), value);
    }

    /// Takes over all samples and the numbers of another run.
    pub fn merge(&mut self, other: &Self) {
        for (name, samples) in &other.samples {
            self.samples.entry(name.clone()).or_default().extend(samples);
        }
        for (name, value) in &other.numbers {
            let entry = self.numbers.entry(name.clone()).or_default();
            *entry = (*entry).max(*value);
        }
        for (name, value) in &other.lowest {
            let entry = self.lowest.entry(name.clone()).or_insert(*value);
            *entry = (*entry).min(*value);
        }
    }

    /// Percentiles by name.
    pub fn summaries(&self) -> BTreeMap<String, Summary> {
        self.samples
            .iter()
            .filter_map(|(name, samples)| Some((name.clone(), summary(samples)?)))
            .collect()
    }

    /// All samples of one name in microseconds, in no particular order.
    pub fn samples(&self, name: &str) -> &[u64] {
        self.samples.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Percentiles of one name's samples; none if there are no samples.
    pub fn summary(&self, name: &str) -> Option<Summary> {
        summary(self.samples(name))
    }

    /// Numbers by name; of several runs the largest.
    pub fn numbers(&self) -> &BTreeMap<String, u64> {
        &self.numbers
    }

    /// A number, of several runs the smallest.
    pub fn lowest(&self, name: &str) -> Option<u64> {
        self.lowest.get(name).copied()
    }
}

fn summary(samples: &[u64]) -> Option<Summary> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let at = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
        sorted.get(rank).copied()
    };
    Some(Summary {
        count: sorted.len(),
        p50_us: at(50)?,
        p90_us: at(90)?,
        p99_us: at(99)?,
        max_us: at(100)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_samples_that_were_taken() {
        let mut figures = Figures::default();
        for n in (1..=200).rev() {
            figures.time("x", Duration::from_micros(n));
        }
        let all = figures.summaries()["x"];
        assert_eq!((all.count, all.p50_us, all.p99_us, all.max_us), (200, 100, 198, 200));
        let mut one = Figures::default();
        one.time("x", Duration::from_micros(7));
        assert_eq!(one.summary("x").unwrap().p50_us, 7);
        assert_eq!(one.summary("y"), None);
    }

    #[test]
    fn of_several_runs_the_largest_and_the_smallest_are_known() {
        let mut all = Figures::default();
        for n in [5, 3, 9] {
            let mut run = Figures::default();
            run.number("x", n);
            run.time("t", Duration::from_micros(n));
            all.merge(&run);
        }
        assert_eq!((all.numbers()["x"], all.lowest("x")), (9, Some(3)));
        assert_eq!(all.samples("t"), [5, 3, 9]);
    }
}
