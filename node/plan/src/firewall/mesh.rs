//! The routing mesh in our tables: what comes for a published port may go on to a backend of another node by a link
//! that all nodes have, with the address of the client that sent it, and what answers it goes back the way it came.
//!
//! | chain or map | hook, priority | what it does |
//! | --- | --- | --- |
//! | `guard` | prerouting, raw + 5 | connections of each node are apart: a client that comes by two of them with one port has two connections (`mesh-zones`) |
//! | `mesh-in` | prerouting, mangle + 5 | remembers which node a connection came by (`mesh-marks`), and marks what answers it |
//! | `mesh-out` | output, mangle + 5 | marks what answers it and is this host's own, such as an error |
//! | `mesh-own` | input, filter + 5 | nobody gets to what this host itself listens on by the link |
//! | `forward` | filter + 5 | the longest segments of TCP fit the link; by it goes nothing but what was published |
//! | `postrouting` | srcnat + 5 | what this host itself sends by the link has the link's address; if asked to, all has that was published |
//! | `mesh-back` | egress of the link, in the table of frames | sends what is marked to that node's hardware address (`mesh-macs`) |
//!
//! Which node a frame comes from is known by its hardware address. The mark leads an answer to the link by a rule of
//! routing: see [`crate::policy`].

#[cfg(test)]
mod tests;

use alloc::{collections::BTreeMap, string::String, vec, vec::Vec};

use super::{
    Ct, Expr, Family, Field, Header, Hook, Kind, Meta, Protocol, Refusal, Register, Rule, Set,
    Table, Target,
    render::{
        BRIDGES, FILTER, FIRST, chain, ct_has, equals, family, link, link_called, load, protocol,
    },
    state, status,
};
use crate::{
    host::SeenLink,
    records::{LinkName, Mac},
};

const ZONES: &str = "mesh-zones";
const MARKS: &str = "mesh-marks";
const MACS: &str = "mesh-macs";

/// After the priority that `nft` calls `mangle` (`NF_IP_PRI_MANGLE`).
const MANGLE: i32 = -145;
/// Among chains of frames, where `nft` has `filter`.
const FRAMES: i32 = 0;
/// `ARPHRD_ETHER`.
const ETHERNET: u16 = 1;
/// TCP's flag that begins a connection.
const SYN: u8 = 2;

/// Marks of packets on a host. Other software has marks, too: only the upper 8 bits say that one is ours.
pub mod mark {
    /// Those bits.
    pub const KIND: u32 = 0xff00_0000;
    /// It goes back by the mesh; the other bits are the number of the node that it goes to.
    pub const BACK: u32 = 0x4d00_0000;
    /// It came by the mesh, from an address that is elsewhere.
    pub const CAME: u32 = 0x4e00_0000;
}

/// The way to backends on other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mesh {
    /// The link by which the nodes reach each other.
    pub link: LinkName,
    /// The hardware addresses that other nodes have there, each with a number on this host, 1 to 0xffffff. Two whose
    /// numbers have the same lower 16 bits are not apart where a client comes by both with one port. Empty if this
    /// host's kernel can't send answers back ([`Hook::Egress`]).
    pub nodes: BTreeMap<Mac, u32>,
    /// What goes to another node has the address of this one, and its answers need no mark.
    pub masquerades: bool,
}

impl Mesh {
    /// The table of frames, once the link is there: only then can it be.
    pub(super) fn frames(&self, links: &BTreeMap<LinkName, SeenLink>) -> Option<Table> {
        let is_there = links.get(&self.link).is_some_and(|link| link.mark.is_some());
        if !is_there || self.nodes.is_empty() {
            return None;
        }
        let macs = self.map(&[Field::Mark], &[Field::Mac], |mac, number| {
            (back_to(number).to_ne_bytes().into(), mac.0.into())
        });
        let hook = Hook::Egress(self.link.clone());
        let back = chain(Kind::Filter, hook, FRAMES, vec![to_its_node(), unmarked()]);
        Some(Table {
            sets: [(MACS.into(), macs)].into(),
            chains: [("mesh-back".into(), back)].into(),
        })
    }

    fn map(
        &self,
        key: &[Field],
        value: &[Field],
        element: impl Fn(Mac, u32) -> (Vec<u8>, Vec<u8>),
    ) -> Set {
        let mut map = Set::new(key, value);
        map.elements.extend(self.nodes.iter().map(|(mac, number)| element(*mac, *number)));
        map
    }

    fn came(&self) -> Vec<Expr> {
        vec![Expr::Meta(Meta::InLink, FIRST), equals(link(&self.link))]
    }

    fn leaves(&self) -> Vec<Expr> {
        vec![Expr::Meta(Meta::OutLink, FIRST), equals(link(&self.link))]
    }

    /// `ether saddr map @MAP`
    fn sender(map: &str) -> Vec<Expr> {
        let mut sender: Vec<Expr> = is_ethernet().into();
        sender.extend([load(Field::Mac, FIRST), looked_up(map)]);
        sender
    }

    /// `ct original zone set ether saddr map @mesh-zones`: of the other direction the answers are, which come by
    /// links that know of no zone.
    fn apart(&self) -> Rule {
        let mut rule = self.came();
        rule.extend(Self::sender(ZONES));
        rule.push(Expr::Put(Target::OriginalZone, FIRST));
        rule
    }

    fn remembered(&self) -> Rule {
        let mut rule = self.came();
        rule.extend(ct_has(Ct::State, state::NEW));
        rule.extend(Self::sender(MARKS));
        rule.push(Expr::Put(Target::ConnectionMark, FIRST));
        rule
    }

    /// Where a host refuses what comes by another link than it would answer by, it is asked about by this mark.
    fn expected(&self) -> Rule {
        let mut rule = self.came();
        rule.extend(family(Family::V4));
        rule.extend(direction(0));
        rule.push(Expr::Immediate(mark::CAME.to_ne_bytes().into(), FIRST));
        rule.push(Expr::Put(Target::Mark, FIRST));
        rule
    }

    /// A client's network may have room for more than the link has: `rt mtu` is what its route has.
    fn fitting(&self) -> Rule {
        let mut rule = self.leaves();
        rule.push(protocol(FIRST));
        rule.push(equals(vec![Protocol::Tcp.number()]));
        let flags = Expr::Payload { base: Header::Transport, offset: 13, length: 1, into: FIRST };
        rule.push(flags);
        rule.push(Expr::Mask(FIRST, vec![SYN]));
        rule.push(Expr::Compare { from: FIRST, equal: false, value: vec![0] });
        rule.extend([Expr::RouteSegment(FIRST), Expr::ToNetwork(FIRST), Expr::WriteSegment(FIRST)]);
        rule
    }

    /// What comes for this host itself is answers, or for a port that leads nowhere at the moment.
    fn refused(&self) -> [Rule; 2] {
        let refuse = |kind: Protocol, refusal| {
            let mut rule = self.came();
            rule.extend(ct_has(Ct::State, state::NEW));
            rule.extend([protocol(FIRST), equals(vec![kind.number()]), Expr::Reject(refusal)]);
            rule
        };
        [refuse(Protocol::Tcp, Refusal::Reset), refuse(Protocol::Udp, Refusal::Unreachable)]
    }

    fn masqueraded(&self) -> Vec<Rule> {
        // What no link brought is of this host.
        let nowhere = vec![Expr::Meta(Meta::InLink, FIRST), equals(link_called(""))];
        let own = [nowhere, self.leaves(), vec![Expr::Masquerade]].concat();
        let published = ct_has(Ct::Status, status::DNAT);
        let all = [self.leaves(), published, vec![Expr::Masquerade]].concat();
        core::iter::once(own).chain(self.masquerades.then_some(all)).collect()
    }
}

/// Puts the mesh into the table of packets, which has what guards already.
pub(super) fn render(mesh: &Mesh, table: &mut Table) {
    let mut add = |name: &str, first: bool, rules: Vec<Rule>| {
        if let Some(chain) = table.chains.get_mut(name) {
            let at = if first { 0 } else { chain.rules.len() };
            chain.rules.splice(at..at, rules);
        }
    };
    add("forward", true, vec![mesh.fitting()]);
    add("postrouting", false, mesh.masqueraded());
    let own = chain(Kind::Filter, Hook::Input, FILTER, mesh.refused().into());
    table.chains.insert("mesh-own".into(), own);
    // By a bridge goes nothing but answers and what was published.
    if let Some(bridges) = table.sets.get_mut(BRIDGES) {
        bridges.elements.insert(link(&mesh.link), Vec::new());
    }
    if mesh.nodes.is_empty() {
        return;
    }
    if let Some(guard) = table.chains.get_mut("guard") {
        guard.rules.push(mesh.apart());
    }
    let comes = vec![mesh.remembered(), answers(), mesh.expected()];
    let chains = [
        ("mesh-in", chain(Kind::Filter, Hook::Prerouting, MANGLE, comes)),
        ("mesh-out", chain(Kind::Route, Hook::Output, MANGLE, vec![answers()])),
    ];
    table.chains.extend(chains.map(|(name, chain)| (String::from(name), chain)));
    // The kernel takes a zone's 16 bits from where a number of that size lies.
    let zones = mesh.map(&[Field::Mac], &[Field::Mark], |mac, number| {
        let [_, _, high, low] = number.to_be_bytes();
        let [first, second] = u16::from_be_bytes([high, low]).to_ne_bytes();
        (mac.0.into(), vec![first, second, 0, 0])
    });
    let marks = mesh.map(&[Field::Mac], &[Field::Mark], |mac, number| {
        (mac.0.into(), back_to(number).to_ne_bytes().into())
    });
    table.sets.extend([(ZONES, zones), (MARKS, marks)].map(|(name, set)| (name.into(), set)));
}

/// As `nft` asks before it looks at a frame's addresses.
fn is_ethernet() -> [Expr; 2] {
    [Expr::Meta(Meta::InType, FIRST), equals(ETHERNET.to_ne_bytes().into())]
}

fn back_to(number: u32) -> u32 {
    mark::BACK | number & !mark::KIND
}

fn looked_up(map: &str) -> Expr {
    Expr::Lookup { set: map.into(), key: FIRST, into: Some(FIRST) }
}

fn direction(which: u8) -> [Expr; 2] {
    [Expr::Ct(Ct::Direction, FIRST), equals(vec![which])]
}

/// What was loaded is a mark that leads back.
fn leads_back(at: Register) -> [Expr; 2] {
    [Expr::Mask(at, mark::KIND.to_ne_bytes().into()), equals(mark::BACK.to_ne_bytes().into())]
}

/// `ct direction reply ct mark & KIND == BACK meta mark set ct mark`
fn answers() -> Rule {
    let mut rule: Rule = direction(1).into();
    rule.push(Expr::Ct(Ct::Mark, FIRST));
    rule.extend(leads_back(FIRST));
    rule.extend([Expr::Ct(Ct::Mark, FIRST), Expr::Put(Target::Mark, FIRST)]);
    rule
}

/// `meta mark & KIND == BACK ether daddr set meta mark map @mesh-macs`
fn to_its_node() -> Rule {
    let mut rule = vec![Expr::Meta(Meta::Mark, FIRST)];
    rule.extend(leads_back(FIRST));
    rule.extend(is_ethernet());
    rule.extend([
        Expr::Meta(Meta::Mark, FIRST),
        looked_up(MACS),
        Expr::Write { base: Header::Link, offset: 0, length: 6, from: FIRST },
    ]);
    rule
}

/// The mark means something on this host alone; other ends of a link may be in other namespaces of it.
fn unmarked() -> Rule {
    vec![Expr::Immediate(vec![0; 4], FIRST), Expr::Put(Target::Mark, FIRST)]
}
