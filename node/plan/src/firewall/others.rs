//! Tables of others that have a say about what is forwarded.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec,
    vec::Vec,
};
use core::{fmt, net::IpAddr};

use super::{
    Backs, Bridge, Family, Firewall, Hook, Seen, Table, Wanted, WayOut,
    judge::{Packet, drops, reached},
    state, status,
};
use crate::{
    host::{self, LOOPBACK, Place, SeenLink},
    records::LinkName,
};

/// A table of somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// What it is about.
    pub scope: Scope,
    /// Its name.
    pub name: String,
    /// What is in it, as far as it matters.
    pub table: Table,
}

/// What a table is about: its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Both versions of IP.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
}

impl Scope {
    fn has(self, family: Family) -> bool {
        match self {
            Self::Inet => true,
            Self::Ip => family == Family::V4,
            Self::Ip6 => family == Family::V6,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
        })
    }
}

impl Other {
    /// Its chains that what is forwarded comes to.
    fn forward(&self) -> impl Iterator<Item = &str> {
        let chains = self.table.chains.iter();
        let forward = chains.filter(|(_, chain)| {
            chain.base.as_ref().is_some_and(|base| base.hook == Hook::Forward)
        });
        forward.map(|(name, _)| name.as_str())
    }

    /// The sets that have to be known to tell what becomes of what is forwarded.
    pub fn sets(&self) -> BTreeSet<String> {
        self.forward().flat_map(|chain| reached(&self.table, chain)).collect()
    }
}

/// A chain of somebody else's drops what a network needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("blocked by {table}/{chain}; to let it pass: nft insert rule {table} {chain} {rule}")]
pub struct Blocked {
    /// Where.
    pub at: Place,
    /// The network's bridge, or the link of the routing mesh.
    pub link: LinkName,
    /// The table, with its family.
    pub table: String,
    /// The chain in it.
    pub chain: String,
    /// The rule that would let it pass.
    pub rule: String,
}

/// What is wanted and would be dropped by others, for sure. The links are those that there are: whoever lets
/// some of them have what is needed, does not block it.
pub fn blocked(wanted: &Wanted, seen: &Seen, links: &host::Seen) -> Vec<Blocked> {
    let mut found = BTreeSet::new();
    for (at, firewall) in wanted {
        let others = seen.get(at).map(|there| there.others.as_slice()).unwrap_or_default();
        let elsewhere = elsewhere(links.get(at));
        let of_bridges = firewall.bridges.iter();
        let of_bridges =
            of_bridges.map(|(name, bridge)| (name, needs(firewall, name, bridge, &elsewhere)));
        let of_mesh = firewall.mesh.iter();
        let of_mesh =
            of_mesh.map(|mesh| (&mesh.link, needs_of_mesh(firewall, &mesh.link, &elsewhere)));
        for (link, needs) in of_bridges.chain(of_mesh) {
            for Need { family, packets, rule } in needs {
                for other in others.iter().filter(|other| other.scope.has(family)) {
                    let drops = |chain: &&str| {
                        packets.iter().all(|packet| drops(&other.table, chain, packet))
                    };
                    found.extend(other.forward().filter(drops).map(|chain| Blocked {
                        at: at.clone(),
                        link: link.clone(),
                        table: format!("{} {}", other.scope, other.name),
                        chain: chain.into(),
                        rule: rule.clone(),
                    }));
                }
            }
        }
    }
    // Both versions of IP may be blocked by one chain: that is told once.
    found.into_iter().collect()
}

/// Links that lead away from here; an unknown one if none is there yet.
fn elsewhere(links: Option<&BTreeMap<LinkName, SeenLink>>) -> Vec<Option<&LinkName>> {
    let leads_away = |(name, link): &(&LinkName, &SeenLink)| {
        link.mark.is_none() && link.port_of.is_none() && name.as_str() != LOOPBACK
    };
    let links = links.into_iter().flatten().filter(leads_away);
    let found: Vec<_> = links.map(|(name, _)| Some(name)).collect();
    if found.is_empty() { vec![None] } else { found }
}

/// Packets of which some have to pass, and the rule that lets them.
struct Need<'a> {
    family: Family,
    packets: Vec<Packet<'a>>,
    rule: String,
}

/// The first packets of connections; whoever lets those pass lets their answers pass, too.
fn needs<'a>(
    firewall: &Firewall,
    name: &'a LinkName,
    bridge: &Bridge,
    elsewhere: &[Option<&'a LinkName>],
) -> Vec<Need<'a>> {
    if bridge.way_out == WayOut::Closed {
        return Vec::new();
    }
    let families: BTreeSet<Family> = bridge.subnets.iter().map(|s| Family::of(s.addr())).collect();
    let behind = |address: IpAddr| bridge.subnets.iter().any(|subnet| subnet.contains(&address));
    let is_published = |family| {
        let mut to = firewall.published.values().flat_map(Backs::iter).map(|to| to.ip());
        to.any(|to| Family::of(to) == family && behind(to))
    };
    let (state, bridge) = (state::NEW, Some(name));
    let out = |family| {
        let packet = |to: &_| Packet { family, from: bridge, to: *to, state, status: 0 };
        let rule = format!("iifname \"{name}\" accept");
        Need { family, packets: elsewhere.iter().map(packet).collect(), rule }
    };
    let into = |family| {
        let status = status::DNAT;
        let packet = |from: &_| Packet { family, from: *from, to: bridge, state, status };
        let rule = format!("oifname \"{name}\" ct status dnat accept");
        Need { family, packets: elsewhere.iter().map(packet).collect(), rule }
    };
    let ways_out = families.iter().map(|family| out(*family));
    let published = families.iter().filter(|family| is_published(**family));
    ways_out.chain(published.map(|family| into(*family))).collect()
}

/// What other nodes lead here goes on to bridges, and what comes from elsewhere goes on to other nodes.
fn needs_of_mesh<'a>(
    firewall: &'a Firewall,
    link: &'a LinkName,
    elsewhere: &[Option<&'a LinkName>],
) -> Vec<Need<'a>> {
    let families = firewall.leads_to();
    let (state, status) = (state::NEW, status::DNAT);
    let need = |family, ways: Vec<(Option<&'a LinkName>, Option<&'a LinkName>)>, side| {
        let packet = |(from, to)| Packet { family, from, to, state, status };
        let rule = format!("{side} \"{link}\" ct status dnat accept");
        Need { family, packets: ways.into_iter().map(packet).collect(), rule }
    };
    let of_family = |family| {
        let out = elsewhere.iter().map(|from| (*from, Some(link))).collect();
        let behind = firewall.bridges.iter().filter(|(_, b)| b.way_out == WayOut::Masqueraded);
        let into: Vec<_> = behind.map(|(bridge, _)| (Some(link), Some(bridge))).collect();
        let into = (!into.is_empty()).then(|| need(family, into, "iifname"));
        into.into_iter().chain([need(family, out, "oifname")])
    };
    families.into_iter().flat_map(of_family).collect()
}
