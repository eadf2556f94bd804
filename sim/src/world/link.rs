//! What the way between two hosts is like: latency, loss, duplicates, reordering, MTU; and the port that
//! each host has to the network, with its rate and its queue.

use std::{collections::BTreeMap, time::Duration};

use netdb_gossip_core::time::micros;

use crate::seed::{Draws, MILLION};

/// A distribution of one-way latencies, as points of its quantile function in whole microseconds (no
/// floating point: a run must not depend on a maths library).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// (parts of a million, microseconds), rising; straight lines between.
    points: Vec<(u32, u64)>,
}

impl Latency {
    /// Always the same.
    pub fn fixed(latency: Duration) -> Self {
        Self { points: vec![(0, micros(latency))] }
    }

    /// Even between `middle - spread` and `middle + spread`.
    pub fn around(middle: Duration, spread: Duration) -> Self {
        let (low, high) = (middle.saturating_sub(spread), middle.saturating_add(spread));
        Self { points: vec![(0, micros(low)), (MILLION, micros(high))] }
    }

    /// Mostly around `middle`, one packet in a hundred up to five times as long.
    pub fn long_tail(middle: Duration) -> Self {
        let us = micros(middle);
        Self {
            points: vec![
                (0, us * 8 / 10),
                (500_000, us),
                (900_000, us * 13 / 10),
                (990_000, us * 2),
                (MILLION, us * 5),
            ],
        }
    }

    /// One draw.
    pub fn draw(&self, draws: &mut Draws) -> Duration {
        let [first, .., last] = self.points.as_slice() else {
            return Duration::from_micros(self.points.first().map_or(0, |point| point.1));
        };
        let at = u32::try_from(draws.below(u64::from(MILLION))).unwrap_or(0);
        let below = self.points.iter().rev().find(|point| point.0 <= at).unwrap_or(first);
        let above = self.points.iter().find(|point| point.0 > at).unwrap_or(last);
        let width = u64::from(above.0.saturating_sub(below.0).max(1));
        let part = u64::from(at.saturating_sub(below.0));
        Duration::from_micros(below.1 + above.1.saturating_sub(below.1) * part / width)
    }

    /// The median, for what goes back and forth many times.
    pub fn typical(&self) -> Duration {
        let [first, .., last] = self.points.as_slice() else {
            return Duration::from_micros(self.points.first().map_or(0, |point| point.1));
        };
        let half = self.points.iter().find(|point| point.0 == MILLION / 2);
        Duration::from_micros(half.map_or(u64::midpoint(first.1, last.1), |point| point.1))
    }
}

/// The way from one host to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// One-way latency.
    pub latency: Latency,
    /// Datagrams lost, of a million.
    pub loss: u32,
    /// Datagrams that arrive twice, of a million.
    pub duplicate: u32,
    /// Datagrams held back so that later ones overtake them, of a million.
    pub reorder: u32,
    /// The longest that one is held back.
    pub reorder_by: Duration,
    /// The largest datagram that passes, headers of IP and UDP (28 bytes) included.
    pub mtu: usize,
}

impl Link {
    /// A link with this one-way delay and a fifth of it as jitter, and no faults.
    pub fn with_delay(delay: Duration) -> Self {
        Self {
            latency: Latency::around(delay, delay / 5),
            loss: 0,
            duplicate: 0,
            reorder: 0,
            reorder_by: delay * 5,
            mtu: 1500,
        }
    }
}

/// Which link is between which hosts.
#[derive(Clone, Debug)]
pub struct Topology {
    /// Between hosts that nothing else is said about.
    pub link: Link,
    /// The zone of each host; 0 if not listed.
    pub zones: Vec<u16>,
    /// Between hosts of these zones, in this direction.
    pub between: BTreeMap<(u16, u16), Link>,
    /// Between these two hosts, in this direction; stands above zones.
    pub single: BTreeMap<(usize, usize), Link>,
}

impl Topology {
    /// All links alike.
    pub fn uniform(link: Link) -> Self {
        Self { link, zones: Vec::new(), between: BTreeMap::new(), single: BTreeMap::new() }
    }

    /// The link from one host to another.
    pub fn link(&self, from: usize, to: usize) -> &Link {
        let zone = |host: usize| self.zones.get(host).copied().unwrap_or(0);
        let zones = || self.between.get(&(zone(from), zone(to)));
        let single = if self.single.is_empty() { None } else { self.single.get(&(from, to)) };
        let between = if self.between.is_empty() { None } else { zones() };
        single.or(between).unwrap_or(&self.link)
    }

    /// Round trip between two hosts, as it typically is.
    pub fn round_trip(&self, one: usize, other: usize) -> Duration {
        self.link(one, other).latency.typical() + self.link(other, one).latency.typical()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn draws_follow_the_distribution() {
        let mut draws = Seed(1).stream("latency", 0);
        let ms = Duration::from_millis;
        assert_eq!(Latency::fixed(ms(3)).draw(&mut draws), ms(3));
        let around = Latency::around(ms(10), ms(2));
        let mut all: Vec<Duration> = (0..10_000).map(|_| around.draw(&mut draws)).collect();
        all.sort_unstable();
        assert!(all[0] >= ms(8) && all[9_999] <= ms(12));
        assert!(
            all[5_000] > Duration::from_micros(9_900) && all[5_000] < Duration::from_micros(10_100)
        );
        let tail = Latency::long_tail(ms(10));
        let late = (0..10_000).filter(|_| tail.draw(&mut draws) > ms(20)).count();
        assert!((50..200).contains(&late), "{late} of 10,000 beyond the 99th percentile");
        assert_eq!(tail.typical(), ms(10));
        assert_eq!(around.typical(), ms(10));
    }

    #[test]
    fn the_closest_rule_names_the_link() {
        let slow = Link::with_delay(Duration::from_millis(50));
        let cut = Link { loss: MILLION, ..slow.clone() };
        let mut topology = Topology::uniform(Link::with_delay(Duration::from_millis(1)));
        topology.zones = vec![0, 1, 1];
        topology.between.insert((0, 1), slow.clone());
        topology.single.insert((0, 2), cut.clone());
        assert_eq!(topology.link(0, 1), &slow);
        assert_eq!(topology.link(0, 2), &cut);
        assert_eq!(topology.link(1, 0), &topology.link);
        assert_eq!(topology.round_trip(0, 1), Duration::from_millis(51));
    }
}
