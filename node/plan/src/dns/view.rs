//! What one sandbox sees.

use alloc::{format, string::String, vec::Vec};
use core::net::IpAddr;

use ipnet::IpNet;

use super::{Family, Part, Zone, zone::BACKENDS};

/// What the rows say of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has what was asked for.
    Found,
    /// It exists and has nothing of what was asked for, at least not now.
    NoData,
    /// It would be ours and does not exist.
    NoName,
    /// It may exist: the rows of one of the sandbox's networks are not all here yet.
    Unsure,
    /// Somebody else's.
    NotOurs,
}

/// A network that the sandbox is on.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// What the network is called, in lower case.
    pub network: &'a str,
    /// Its subnets: whose names their addresses have is for its rows to say.
    pub subnets: &'a [IpNet],
    /// Its names.
    pub zone: &'a Zone,
    /// Whether all its rows are here.
    pub synced: bool,
}

/// What one sandbox sees: the names of all its networks, and no others.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Its networks.
    pub seats: &'a [Seat<'a>],
    /// What our own names end with, in lower case and without dots at its ends.
    pub domain: &'a str,
}

impl View<'_> {
    /// Puts the addresses of a name into `out`, which is empty: in any order, which `random` says, but those of
    /// suspected nodes last.
    ///
    /// The name is in lower case without a closing dot: what a service, an endpoint or an alias is called,
    /// `tasks.SERVICE` or `TASK.SERVICE`; then perhaps `.NETWORK`, then perhaps the domain.
    pub fn addresses(
        &self,
        name: &str,
        family: Family,
        random: u64,
        out: &mut Vec<IpAddr>,
    ) -> Verdict {
        let short = self.within_domain(name);
        let (mut late, mut known) = (Vec::new(), false);
        for seat in self.seats {
            known |= seat.zone.addresses(short.unwrap_or(name), family, out, &mut late);
            if let Some(own) = before(short.unwrap_or(name), seat.network) {
                known |= seat.zone.addresses(own, family, out, &mut late);
            }
        }
        if known {
            let mut random = Random(random);
            random.shuffle(out);
            random.shuffle(&mut late);
            out.append(&mut late);
            return if out.is_empty() { Verdict::NoData } else { Verdict::Found };
        }
        if short == Some("") {
            return Verdict::NoData;
        }
        let synced = self.seats.iter().all(|seat| seat.synced);
        match short {
            Some(_) if synced => Verdict::NoName,
            None if synced || !self.may_be_ours(name) => Verdict::NotOurs,
            _ => Verdict::Unsure,
        }
    }

    /// Why a name comes to what it does: everything that is called so, with the network where it is.
    pub fn parts(&self, name: &str) -> Vec<(String, Part)> {
        let short = self.within_domain(name).unwrap_or(name);
        let mut parts = Vec::new();
        for seat in self.seats {
            let names = [Some(short), before(short, seat.network)];
            let found = names.into_iter().flatten().flat_map(|name| seat.zone.parts(name));
            parts.extend(found.map(|part| (String::from(seat.network), part)));
        }
        parts
    }

    /// Puts the names of an address into `out`, which is empty, each written out in full.
    pub fn pointers(&self, address: IpAddr, out: &mut Vec<String>) -> Verdict {
        let holds = |seat: &&Seat<'_>| seat.subnets.iter().any(|net| net.contains(&address));
        let mut holding = self.seats.iter().filter(holds).peekable();
        if holding.peek().is_none() {
            return Verdict::NotOurs;
        }
        let mut synced = true;
        for seat in holding {
            let mut names = Vec::new();
            seat.zone.pointers(address, &mut names);
            out.extend(names.iter().map(|name| format!("{name}.{}.{}", seat.network, self.domain)));
            synced &= seat.synced;
        }
        match (out.is_empty(), synced) {
            (false, _) => Verdict::Found,
            (true, true) => Verdict::NoName,
            (true, false) => Verdict::Unsure,
        }
    }

    /// What comes before our domain.
    fn within_domain<'n>(&self, name: &'n str) -> Option<&'n str> {
        if name == self.domain { Some("") } else { before(name, self.domain) }
    }

    /// Whether a name that is not known could be one of ours that has not come yet.
    fn may_be_ours(&self, name: &str) -> bool {
        let backends = name.strip_prefix(BACKENDS).is_some_and(|service| !service.contains('.'));
        let on_network = |seat: &Seat<'_>| before(name, seat.network).is_some();
        let services = || name.match_indices('.').filter_map(|(dot, _)| name.get(dot + 1..));
        let tasks = |seat: &Seat<'_>| services().any(|service| seat.zone.has_service(service));
        !name.contains('.')
            || backends
            || self.seats.iter().any(|seat| on_network(seat) || tasks(seat))
    }
}

/// What comes before `.end`.
fn before<'n>(name: &'n str, end: &str) -> Option<&'n str> {
    name.strip_suffix(end)?.strip_suffix('.').filter(|rest| !rest.is_empty())
}

/// Random numbers from one (splitmix64, Steele, Lea and Flood, OOPSLA 2014): no two clients need to be kept from
/// guessing an order.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Fisher and Yates's.
    fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let choices = u64::try_from(last).unwrap_or(u64::MAX).saturating_add(1);
            let chosen = usize::try_from(self.next() % choices).unwrap_or(0);
            all.swap(last, chosen);
        }
    }
}
