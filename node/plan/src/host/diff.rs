//! What has to be done so that what is there becomes what is wanted.
//!
//! The order is: what is stale goes, since it may hold a name or a VNI that is wanted; what is missing
//! comes; then each link is made right, what it lacks before what it has too much, so that no packet
//! meets a gap.

use alloc::{boxed::Box, collections::BTreeMap, vec::Vec};

use super::{
    Action, Change, Kind, LOOPBACK, Link, Place, Seen, SeenLink, Setting, Wanted, fresh::fresh,
};
use crate::records::LinkName;

/// Steps, and what stands in the way of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In this order.
    pub actions: Vec<Action>,
    /// What can't be had, and why.
    pub obstacles: Vec<Obstacle>,
}

/// Why something can't be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Somebody else's link has the name.
    #[error("a link {name} that is not netnode's is in the way in {at:?}")]
    Foreign {
        /// Where.
        at: Place,
        /// The name.
        name: LinkName,
    },
    /// The runtime has removed it.
    #[error("the sandbox {0} is gone")]
    SandboxGone(alloc::string::String),
}

/// What has to be done. Doing it and comparing again gives nothing.
pub fn plan(wanted: &Wanted, seen: &Seen) -> Plan {
    let mut plan = Plan::default();
    let obstacles = obstacles(wanted, seen);
    let blocked = |at: &Place, name: &LinkName| {
        obstacles.iter().any(|obstacle| match obstacle {
            Obstacle::Foreign { at: place, name: taken } => place == at && taken == name,
            Obstacle::SandboxGone(path) => matches!(at, Place::Sandbox(gone) if gone == path),
        })
    };
    remove_links(&mut plan.actions, wanted, seen);
    let missing = |place: &Place| !seen.contains_key(place);
    for place in wanted.keys().filter(|place| missing(place)) {
        if let Place::Network(network) = place {
            plan.actions.push(Action::AddNamespace(*network));
        }
    }
    let mut links: Vec<(&Place, &LinkName, &Link)> = wanted
        .iter()
        .flat_map(|(place, links)| links.iter().map(move |(name, link)| (place, name, link)))
        .filter(|(place, name, link)| match &link.kind {
            Kind::Veth { peer_at, peer } => !blocked(place, name) && !blocked(peer_at, peer),
            _ => !blocked(place, name),
        })
        .collect();
    // Other ends are there as soon as the ends that are made, and what lies on something comes after it.
    links.sort_by_key(|(_, _, link)| rank(&link.kind));
    let mut kept = Vec::with_capacity(links.len());
    for (at, name, link) in links {
        let there =
            seen_link(seen, at, name).filter(|there| is_kept(wanted, seen, at, name, there));
        if there.is_none() && link.kind != Kind::VethEnd {
            let (at, name, link) = (at.clone(), name.clone(), Box::new(link.clone()));
            plan.actions.push(Action::AddLink { at, name, link });
        }
        kept.push((at, name, link, there.cloned().unwrap_or_else(|| fresh(link))));
    }
    for (at, name, link, there) in &kept {
        let change = |change| Action::Change { at: (*at).clone(), name: (*name).clone(), change };
        plan.actions.extend(nature(link, there).into_iter().map(change));
    }
    for (at, name, link, there) in &kept {
        let change = |change| Action::Change { at: (*at).clone(), name: (*name).clone(), change };
        plan.actions.extend(entries(link, there).into_iter().map(change));
    }
    loopbacks(&mut plan.actions, wanted, seen);
    for place in seen.keys().filter(|place| !wanted.contains_key(*place)) {
        if let Place::Network(network) = place {
            plan.actions.push(Action::RemoveNamespace(*network));
        }
    }
    plan.obstacles = obstacles;
    plan
}

fn seen_link<'a>(seen: &'a Seen, at: &Place, name: &LinkName) -> Option<&'a SeenLink> {
    seen.get(at)?.get(name)
}

fn obstacles(wanted: &Wanted, seen: &Seen) -> Vec<Obstacle> {
    let mut found = Vec::new();
    for (at, links) in wanted {
        let Some(there) = seen.get(at) else {
            if let (Place::Sandbox(path), false) = (at, links.is_empty()) {
                found.push(Obstacle::SandboxGone(path.clone()));
            }
            continue;
        };
        for name in links.keys() {
            if there.get(name).is_some_and(|link| link.mark.is_none()) {
                found.push(Obstacle::Foreign { at: at.clone(), name: name.clone() });
            }
        }
    }
    found
}

/// Whether a link of ours that is there stays: wanted, of the wanted kind, and with its other end.
fn is_kept(wanted: &Wanted, seen: &Seen, at: &Place, name: &LinkName, there: &SeenLink) -> bool {
    let Some(link) = wanted.get(at).and_then(|links| links.get(name)) else { return false };
    let alike = match (&link.kind, &there.kind) {
        // Where its other end is can't be read; that is seen where it should be.
        (Kind::Veth { peer_at, peer }, Some(Kind::Veth { .. } | Kind::VethEnd)) => {
            seen_link(seen, peer_at, peer)
                .is_some_and(|end| is_veth(end) && end.mark == Some(link.mark))
        }
        (Kind::VethEnd, Some(Kind::Veth { .. } | Kind::VethEnd)) => maker(wanted, at, name)
            .is_some_and(|(made_at, made)| seen_link(seen, made_at, made).is_some_and(is_veth)),
        (kind, there) => there.as_ref() == Some(kind),
    };
    alike && there.mark == Some(link.mark)
}

fn is_veth(link: &SeenLink) -> bool {
    matches!(link.kind, Some(Kind::Veth { .. } | Kind::VethEnd))
}

/// Where the end is that brings this end of a pair along.
fn maker<'a>(wanted: &'a Wanted, at: &Place, name: &LinkName) -> Option<(&'a Place, &'a LinkName)> {
    let mut all =
        wanted.iter().flat_map(|(place, links)| links.iter().map(move |(n, l)| (place, n, l)));
    all.find_map(|(place, made, link)| match &link.kind {
        Kind::Veth { peer_at, peer } if peer_at == at && peer == name => Some((place, made)),
        _ => None,
    })
}

/// Removes links of ours that are not wanted, or not as they are.
fn remove_links(actions: &mut Vec<Action>, wanted: &Wanted, seen: &Seen) {
    for (at, links) in seen {
        let ours = links.iter().filter(|(_, link)| link.mark.is_some());
        for (name, _) in ours.filter(|(name, link)| !is_kept(wanted, seen, at, name, link)) {
            actions.push(Action::RemoveLink { at: at.clone(), name: name.clone() });
        }
    }
}

fn rank(kind: &Kind) -> u8 {
    match kind {
        Kind::Bridge => 0,
        Kind::Vlan { .. } | Kind::Vxlan { .. } => 1,
        Kind::Macvlan { .. } | Kind::Veth { .. } => 2,
        Kind::VethEnd => 3,
    }
}

/// Makes a link right before it carries anything.
fn nature(link: &Link, there: &SeenLink) -> Vec<Change> {
    let mut changes = Vec::new();
    if there.mark != Some(link.mark) {
        changes.push(Change::Mark(link.mark));
    }
    // Before the link is up: a router's advertisement must not find it willing.
    let new = there.settings.is_empty() && !there.up;
    for (setting, value) in &link.settings {
        // What the kernel lacks was not read back, and can't be set.
        let seen = there.settings.get(setting);
        if seen.is_some_and(|seen| seen != value) || (seen.is_none() && new) {
            changes.push(Change::Setting(*setting, *value));
        }
    }
    if let Some(mac) = link.mac.filter(|mac| there.mac != Some(*mac)) {
        changes.push(Change::Mac(mac));
    }
    if there.mtu != link.mtu {
        changes.push(Change::Mtu(link.mtu));
    }
    let bridge = link.port_of.as_ref().map(|(bridge, _)| bridge);
    let seen_bridge = there.port_of.as_ref().map(|(bridge, _)| bridge);
    if bridge != seen_bridge {
        changes.push(Change::PortOf(bridge.cloned()));
    }
    if let Some((_, port)) = &link.port_of
        && there.port_of.as_ref().is_none_or(|(seen, how)| Some(seen) != bridge || how != port)
    {
        changes.push(Change::Port(*port));
    }
    if !there.up {
        changes.push(Change::Up);
    }
    changes
}

/// Makes right what lies on a link.
fn entries(link: &Link, there: &SeenLink) -> Vec<Change> {
    let mut changes = Vec::new();
    // Switching IPv6 on or off, or a bridge away, takes entries along: they are put again.
    let v6 = |settings: &BTreeMap<Setting, u32>| settings.get(&Setting::DisableV6).copied();
    let (v6_wanted, v6_seen) = (v6(&link.settings), v6(&there.settings));
    let kept_v6 = v6_wanted.is_none() || v6_seen.is_none() || v6_wanted == v6_seen;
    let same_bridge =
        there.port_of.as_ref().map(|(b, _)| b) == link.port_of.as_ref().map(|(b, _)| b);
    for address in &link.addresses {
        if !there.addresses.contains_key(address) || (address.addr().is_ipv6() && !kept_v6) {
            changes.push(Change::AddAddress(*address));
        }
    }
    for (address, ours) in &there.addresses {
        if *ours && !link.addresses.contains(address) {
            changes.push(Change::RemoveAddress(*address));
        }
    }
    changes.extend(link.routes.difference(&there.routes).cloned().map(Change::PutRoute));
    changes.extend(there.routes.difference(&link.routes).cloned().map(Change::RemoveRoute));
    for (mac, tunnel) in &link.tunnels {
        if there.tunnels.get(mac).is_none_or(|(seen, _)| seen != tunnel) {
            changes.push(Change::PutTunnel(*mac, *tunnel));
        }
    }
    for mac in &link.stations {
        if !there.stations.contains(mac) || !same_bridge {
            changes.push(Change::PutStation(*mac));
        }
    }
    for (address, mac) in &link.neighbours {
        let there = there.neighbours.get(address);
        if there.is_none_or(|(seen, _)| seen != mac) || (address.is_ipv6() && !kept_v6) {
            changes.push(Change::PutNeighbour(*address, *mac));
        }
    }
    if link.partial {
        return changes;
    }
    for (address, (_, ours)) in &there.neighbours {
        if *ours && !link.neighbours.contains_key(address) {
            changes.push(Change::RemoveNeighbour(*address));
        }
    }
    for mac in there.stations.difference(&link.stations) {
        changes.push(Change::RemoveStation(*mac));
    }
    for (mac, (_, ours)) in &there.tunnels {
        if *ours && !link.tunnels.contains_key(mac) {
            changes.push(Change::RemoveTunnel(*mac));
        }
    }
    changes
}

/// Sets loopback up where something of ours is: what runs there talks to itself, too.
fn loopbacks(actions: &mut Vec<Action>, wanted: &Wanted, seen: &Seen) {
    let Ok(name) = LinkName::new(LOOPBACK) else { return };
    let ours = wanted.iter().filter(|(at, links)| **at != Place::Host && !links.is_empty());
    for (at, _) in ours {
        let up = seen.get(at).map(|links| links.get(&name).is_some_and(|link| link.up));
        let needed = match up {
            Some(up) => !up,
            None => matches!(at, Place::Network(_)),
        };
        if needed {
            let change = Change::Up;
            actions.push(Action::Change { at: at.clone(), name: name.clone(), change });
        }
    }
}
