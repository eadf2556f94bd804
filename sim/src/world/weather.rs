//! What the ways between hosts suffer besides cuts: loss that comes in bursts, links that stall and then let go
//! of everything at once, hosts that only hear whom they spoke to.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use netdb_gossip_core::time::{Time, micros};

use crate::seed::{Draws, Seed};

/// Bytes of datagrams that a stalled link keeps; more are lost.
pub const CLOG_BYTES: usize = 1 << 20;
/// How long a translator of addresses remembers that a host behind it spoke to somebody.
pub const NAT_MEMORY: Duration = Duration::from_secs(30);

/// Loss in bursts, after Gilbert and Elliott: each direction of each link is well or not, in turn. By time and
/// not by packet, so that a link that carries little does not stay bad for hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bursts {
    /// How long a link is well, on average.
    pub well: Duration,
    /// How long it is not.
    pub bad: Duration,
    /// Datagrams lost meanwhile, of a million.
    pub loss: u32,
}

/// The state of one direction of a link.
struct Spell {
    draws: Draws,
    bad: bool,
    until: Time,
}

struct Clog {
    until: Time,
    bytes: usize,
}

/// The weather.
pub struct Weather {
    seed: Seed,
    bursts: Option<Bursts>,
    spells: BTreeMap<(usize, usize), Spell>,
    clogs: BTreeMap<(usize, usize), Clog>,
    nats: BTreeSet<usize>,
    /// When a host behind a translator last spoke to another one.
    spoke: BTreeMap<(usize, usize), Time>,
}

impl Weather {
    /// Fine weather.
    pub(crate) fn new(seed: Seed) -> Self {
        Self {
            seed,
            bursts: None,
            spells: BTreeMap::new(),
            clogs: BTreeMap::new(),
            nats: BTreeSet::new(),
            spoke: BTreeMap::new(),
        }
    }

    /// From now on all links have such bursts, or none.
    pub fn set_bursts(&mut self, bursts: Option<Bursts>) {
        self.bursts = bursts;
        self.spells.clear();
    }

    /// Nothing that `from` sends reaches `to` before `until`; then everything does.
    pub fn clog(&mut self, from: usize, to: usize, until: Time) {
        self.clogs.insert((from, to), Clog { until, bytes: 0 });
    }

    /// A host is behind a translator of addresses, or not any more.
    pub fn set_nat(&mut self, host: usize, behind: bool) {
        if behind {
            self.nats.insert(host);
        } else {
            self.nats.remove(&host);
        }
        self.spoke.retain(|(speaker, _), _| *speaker != host);
    }

    /// It is fine again. What is stalled comes when it was to come.
    pub fn clear(&mut self) {
        self.set_bursts(None);
        self.clogs.clear();
        self.nats.clear();
        self.spoke.clear();
    }

    /// Whether anything may keep hosts apart.
    pub fn any(&self) -> bool {
        self.bursts.is_some() || !self.clogs.is_empty() || !self.nats.is_empty()
    }

    /// Loss of a link at this moment, of a million, besides its own.
    pub(crate) fn loss(&mut self, now: Time, from: usize, to: usize) -> u32 {
        let Some(bursts) = self.bursts else { return 0 };
        let seed = self.seed;
        let spell = self.spells.entry((from, to)).or_insert_with(|| {
            let mut draws = seed.stream("bursts", ((from as u64) << 32) | to as u64);
            // Somewhere within a spell of being well.
            let until = now + Duration::from_micros(draws.below(micros(bursts.well)));
            Spell { draws, bad: false, until }
        });
        // Nobody looked for long: where it stands then is as good as drawn anew.
        if now.since(spell.until) > (bursts.well + bursts.bad) * 16 {
            spell.bad = false;
            spell.until = now + Duration::from_micros(spell.draws.below(micros(bursts.well)));
        }
        while spell.until <= now {
            spell.bad = !spell.bad;
            let mean = micros(if spell.bad { bursts.bad } else { bursts.well });
            spell.until += Duration::from_micros(spell.draws.between(1, mean.max(1) * 2));
        }
        if spell.bad { bursts.loss } else { 0 }
    }

    /// When a stalled link lets go of what enters it now.
    pub(crate) fn held_until(&self, now: Time, from: usize, to: usize) -> Option<Time> {
        self.clogs.get(&(from, to)).map(|clog| clog.until).filter(|until| *until > now)
    }

    /// Keeps a datagram in a stalled link until then; `Err` if there is no room for it.
    pub(crate) fn hold(
        &mut self,
        now: Time,
        from: usize,
        to: usize,
        len: usize,
    ) -> Result<Option<Time>, ()> {
        if self.held_until(now, from, to).is_none() {
            self.clogs.remove(&(from, to));
            return Ok(None);
        }
        let Some(clog) = self.clogs.get_mut(&(from, to)) else { return Ok(None) };
        if clog.bytes + len > CLOG_BYTES {
            return Err(());
        }
        clog.bytes += len;
        Ok(Some(clog.until))
    }

    /// A host sends to another one: an answer may come for a while.
    pub(crate) fn speaks(&mut self, now: Time, from: usize, to: usize) {
        if self.nats.contains(&from) {
            self.spoke.insert((from, to), now);
        }
    }

    /// Whether what `from` sends gets through to `to`.
    pub(crate) fn lets_in(&self, now: Time, from: usize, to: usize) -> bool {
        let heard = || self.spoke.get(&(to, from)).is_some_and(|at| now.since(*at) <= NAT_MEMORY);
        !self.nats.contains(&to) || heard()
    }

    /// Whether others can open a connection to a host.
    pub(crate) fn takes_calls(&self, host: usize) -> bool {
        !self.nats.contains(&host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn bursts_are_as_long_and_as_rare_as_asked_for() {
        let mut weather = Weather::new(Seed(1));
        assert_eq!(weather.loss(Time(0), 0, 1), 0);
        let (well, bad) = (Duration::from_secs(9), Duration::from_secs(1));
        weather.set_bursts(Some(Bursts { well, bad, loss: 700_000 }));
        let (mut lost, mut turns, mut before) = (0, 0, 0);
        for n in 0..100_000 {
            let share = weather.loss(Time(n * SECOND / 10), 0, 1);
            lost += u32::from(share > 0);
            turns += u32::from(share != before);
            before = share;
        }
        assert!((8_000..12_000).contains(&lost), "{lost} of 100,000 moments are bad");
        assert!((1_500..2_500).contains(&turns), "{turns} turns in 10,000 s");
    }

    #[test]
    fn a_stalled_link_keeps_what_it_can_until_it_lets_go() {
        let mut weather = Weather::new(Seed(1));
        weather.clog(0, 1, Time(SECOND));
        assert_eq!(weather.hold(Time(0), 1, 0, 100), Ok(None), "the other direction is free");
        assert_eq!(weather.hold(Time(0), 0, 1, CLOG_BYTES), Ok(Some(Time(SECOND))));
        assert_eq!(weather.hold(Time(1), 0, 1, 1), Err(()));
        assert_eq!(weather.hold(Time(SECOND), 0, 1, 1), Ok(None));
        assert!(!weather.any());
    }

    #[test]
    fn behind_a_translator_only_answers_arrive() {
        let mut weather = Weather::new(Seed(1));
        weather.set_nat(0, true);
        assert!(!weather.lets_in(Time(0), 1, 0) && weather.lets_in(Time(0), 0, 1));
        weather.speaks(Time(0), 0, 1);
        assert!(weather.lets_in(Time(0) + NAT_MEMORY, 1, 0));
        assert!(!weather.lets_in(Time(1) + NAT_MEMORY, 1, 0));
        assert!(!weather.lets_in(Time(0), 2, 0), "that one was not spoken to");
        assert!(weather.takes_calls(1) && !weather.takes_calls(0));
        weather.clear();
        assert!(!weather.any() && weather.lets_in(Time(0), 1, 0));
    }
}
