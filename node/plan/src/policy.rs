//! Policy routing of a host: what is marked to go back by the mesh leads to its link, whatever the host's other
//! routes say of where it goes.
//!
//! A rule for each version of IP sends it to a table of ours, which has one route: over the link, to a neighbour that
//! there is none of. Frames for it leave with a hardware address that nobody has, and a chain of the packet filter
//! writes the right one over it. Two more rules answer the kernel where it asks how it would get to whom a packet comes
//! from (`rp_filter`, which only IPv4 has).
//!
//! Rules and routes are ours by their protocol; what is somebody else's is never touched.

#[cfg(test)]
mod tests;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    firewall::{Family, mark},
    host::{Route, SeenLink},
    records::{LinkName, Mac},
};

/// The number of our table of routes: "nn".
pub const TABLE: u32 = 0x6e6e;
/// Of the first of our rules, which the others follow: before the main table (32766), and before what others put right
/// before that.
pub const PRIORITY: u32 = 30_077;

/// The main table (`RT_TABLE_MAIN`).
const MAIN: u32 = 254;

/// Whom routes lead to, by version of IP: on every link there may be such addresses, and they lead no further.
const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(169, 254, 77, 1);
const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x4d, 1);
/// Its hardware address, locally administered.
const GATEWAY: Mac = Mac([0x02, 0x4e, 0x4e, 0, 0, 0x4d]);

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The link that it leads to; it must know [`Policy::neighbours`].
    pub link: LinkName,
    /// The versions of IP that there are.
    pub families: BTreeSet<Family>,
}

/// A rule that looks at marks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// Of which packets.
    pub family: Family,
    /// The lower one is asked first.
    pub priority: u32,
    /// What the mark has to be.
    pub mark: u32,
    /// Which bits of the mark count.
    pub mask: u32,
    /// The link that they come by.
    pub from: Option<LinkName>,
    /// The table that they lead to.
    pub table: u32,
}

/// A route in a table that is not the main one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// The table.
    pub table: u32,
    /// The link.
    pub link: LinkName,
    /// The route.
    pub route: Route,
}

/// What is there of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Rules; the kernel takes one more than once.
    pub rules: Vec<Rule>,
    /// Routes.
    pub ways: BTreeSet<Way>,
}

/// A step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is this rule.
    AddRule(Rule),
    /// There is this rule once less.
    RemoveRule(Rule),
    /// There is this route.
    PutWay(Way),
    /// There is this route no longer.
    RemoveWay(Way),
}

impl Policy {
    /// What the link has to know: the hardware address of those that routes lead to.
    pub fn neighbours(&self) -> BTreeMap<IpAddr, Mac> {
        self.families.iter().map(|family| (gateway(*family), GATEWAY)).collect()
    }

    fn rules(&self) -> Vec<Rule> {
        let rule = |family, nth, mark, from, table| {
            let (priority, mask) = (PRIORITY.saturating_add(nth), mark::KIND);
            Rule { family, priority, mark, mask, from, table }
        };
        let back = |family| rule(family, 0, mark::BACK, None, TABLE);
        let mut rules: Vec<Rule> = self.families.iter().copied().map(back).collect();
        if self.families.contains(&Family::V4) {
            // The same mark has the packet itself, which comes by the link; who asks how to answer it does not.
            let link = Some(self.link.clone());
            rules.push(rule(Family::V4, 1, mark::CAME, link, MAIN));
            rules.push(rule(Family::V4, 2, mark::CAME, None, TABLE));
        }
        rules
    }

    fn ways(&self) -> BTreeSet<Way> {
        let routes = self.families.iter().filter_map(|of| Route::default_over(gateway(*of)));
        routes.map(|route| Way { table: TABLE, link: self.link.clone(), route }).collect()
    }
}

fn gateway(family: Family) -> IpAddr {
    match family {
        Family::V4 => GATEWAY_V4.into(),
        Family::V6 => GATEWAY_V6.into(),
    }
}

/// What has to be done where there are these links. Doing it and comparing again gives nothing. Nothing is wanted
/// before the link is there, is ours and is up: the kernel takes no route before that.
pub fn plan(
    wanted: Option<&Policy>,
    seen: &Seen,
    links: &BTreeMap<LinkName, SeenLink>,
) -> Vec<Change> {
    let is_there = |policy: &&Policy| {
        links.get(&policy.link).is_some_and(|link| link.mark.is_some() && link.up)
    };
    let wanted = wanted.filter(is_there);
    let rules = wanted.map(Policy::rules).unwrap_or_default();
    let ways = wanted.map(Policy::ways).unwrap_or_default();
    let mut left = rules.clone();
    let mut stale = seen.rules.clone();
    stale.retain(|rule| match left.iter().position(|wanted| wanted == rule) {
        Some(at) => {
            left.remove(at);
            false
        }
        None => true,
    });
    // A rule leads to what is there already, and nothing leads to what goes.
    let mut changes: Vec<Change> =
        ways.difference(&seen.ways).cloned().map(Change::PutWay).collect();
    changes.extend(left.into_iter().map(Change::AddRule));
    changes.extend(stale.into_iter().map(Change::RemoveRule));
    changes.extend(seen.ways.difference(&ways).cloned().map(Change::RemoveWay));
    changes
}

impl Seen {
    /// Does a step, as the kernel would; `None` if that refuses.
    #[must_use]
    pub fn apply(&mut self, change: &Change, links: &BTreeMap<LinkName, SeenLink>) -> Option<()> {
        match change {
            Change::AddRule(rule) => self.rules.push(rule.clone()),
            Change::RemoveRule(rule) => {
                let at = self.rules.iter().position(|there| there == rule)?;
                self.rules.remove(at);
            }
            Change::PutWay(way) => {
                links.get(&way.link).filter(|link| link.up)?;
                self.ways.insert(way.clone());
            }
            Change::RemoveWay(way) => self.ways.remove(way).then_some(())?,
        }
        Some(())
    }
}
