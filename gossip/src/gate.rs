//! Who may begin a handshake now: slots in all and per source address, and a rate per source address.
//!
//! Must never remember more sources than [`MAX_SOURCES`], nor let one source use every slot.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex},
};

use tokio::time::Instant;

use crate::{
    limits::{Limits, MAX_SOURCES},
    stop::lock,
};

/// Admits handshakes.
pub(crate) struct Gate {
    limits: Limits,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    in_progress: usize,
    sources: BTreeMap<IpAddr, Source>,
}

struct Source {
    in_progress: usize,
    allowance: f64,
    refilled: Instant,
}

/// One handshake in progress; dropping it frees its slot.
pub(crate) struct Slot {
    gate: Arc<Gate>,
    source: IpAddr,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, table: Mutex::default() })
    }

    /// A slot for a handshake with `address`, if it may begin one now.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, now: Instant) -> Option<Slot> {
        let mut table = lock(&self.table);
        if table.in_progress >= self.limits.handshakes {
            return None;
        }
        let key = self.source_key(&mut table, address, now);
        let burst = f64::from(self.limits.handshake_burst);
        let fresh = Source { in_progress: 0, allowance: burst, refilled: now };
        let source = table.sources.entry(key).or_insert(fresh);
        self.refill(source, now);
        if source.allowance < 1.0 || source.in_progress >= self.limits.handshakes_per_source {
            return None;
        }
        source.allowance -= 1.0;
        source.in_progress += 1;
        table.in_progress += 1;
        Some(Slot { gate: Arc::clone(self), source: key })
    }

    /// What an address counts as: an IPv6 host owns a /64. When the table is full of sources that
    /// were active just now, further ones share the entry of the unspecified address.
    fn source_key(&self, table: &mut Table, address: IpAddr, now: Instant) -> IpAddr {
        let key = match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        };
        if table.sources.len() < MAX_SOURCES || table.sources.contains_key(&key) {
            return key;
        }
        let burst = f64::from(self.limits.handshake_burst);
        table.sources.retain(|_, source| {
            self.refill(source, now);
            source.in_progress > 0 || source.allowance < burst
        });
        let full = table.sources.len() >= MAX_SOURCES;
        if full { Ipv6Addr::UNSPECIFIED.into() } else { key }
    }

    fn refill(&self, source: &mut Source, now: Instant) {
        let elapsed = now.saturating_duration_since(source.refilled).as_secs_f64();
        let gained = elapsed * f64::from(self.limits.handshake_rate);
        let burst = f64::from(self.limits.handshake_burst);
        source.allowance = (source.allowance + gained).min(burst);
        source.refilled = now;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut table = lock(&self.gate.table);
        table.in_progress = table.in_progress.saturating_sub(1);
        if let Some(source) = table.sources.get_mut(&self.source) {
            source.in_progress = source.in_progress.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn address(n: usize) -> IpAddr {
        IpAddr::from(u32::try_from(n).unwrap().to_be_bytes())
    }

    fn gate(handshakes: usize, per_source: usize, burst: u32) -> Arc<Gate> {
        Gate::new(Limits {
            handshakes,
            handshakes_per_source: per_source,
            handshake_rate: 1,
            handshake_burst: burst,
            ..Limits::default()
        })
    }

    #[test]
    fn slots_are_bounded_in_all_and_per_source() {
        let (gate, now) = (gate(3, 2, 100), Instant::now());
        let first = gate.enter(address(1), now);
        let second = gate.enter(address(1), now);
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter(address(1), now).is_none(), "two per source");
        let third = gate.enter(address(2), now);
        assert!(third.is_some());
        assert!(gate.enter(address(3), now).is_none(), "three in all");
        drop(first);
        assert!(gate.enter(address(1), now).is_some());
    }

    #[test]
    fn the_rate_refills_up_to_the_burst() {
        let (gate, now) = (gate(64, 64, 2), Instant::now());
        assert!(gate.enter(address(1), now).is_some());
        assert!(gate.enter(address(1), now).is_some());
        assert!(gate.enter(address(1), now).is_none());
        assert!(gate.enter(address(1), now + Duration::from_secs(1)).is_some());
        assert!(gate.enter(address(1), now + Duration::from_secs(1)).is_none());
        let later = now + Duration::from_secs(1000);
        assert!(gate.enter(address(1), later).is_some());
        assert!(gate.enter(address(1), later).is_some());
        assert!(gate.enter(address(1), later).is_none());
    }

    #[test]
    fn sources_beyond_the_table_share_one_allowance() {
        let (gate, now) = (gate(64, 64, 2), Instant::now());
        for n in 0..MAX_SOURCES {
            assert!(gate.enter(address(n + 1), now).is_some());
        }
        assert!(gate.enter(address(100_000), now).is_some());
        assert!(gate.enter(address(100_001), now).is_some());
        assert!(gate.enter(address(100_002), now).is_none());
        assert!(lock(&gate.table).sources.len() <= MAX_SOURCES + 1);
        let later = now + Duration::from_secs(10);
        assert!(gate.enter(address(100_002), later).is_some(), "the quiet ones made room");
        assert!(lock(&gate.table).sources.len() < 10);
    }

    #[test]
    fn an_ipv6_host_is_its_64() {
        let (gate, now) = (gate(64, 1, 100), Instant::now());
        let slot = gate.enter("2001:db8::1".parse().unwrap(), now);
        assert!(slot.is_some());
        assert!(gate.enter("2001:db8::2".parse().unwrap(), now).is_none());
        assert!(gate.enter("2001:db8:0:1::1".parse().unwrap(), now).is_some());
        let mapped = gate.enter("::ffff:10.0.0.1".parse().unwrap(), now);
        assert!(mapped.is_some());
        assert!(gate.enter("10.0.0.1".parse().unwrap(), now).is_none());
    }
}
