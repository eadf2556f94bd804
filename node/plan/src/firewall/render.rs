//! Our table, as it should be.
//!
//! | chain | hook, priority | what it does |
//! | --- | --- | --- |
//! | `guard` | prerouting, raw + 5 | nobody else gets to the host's loopback addresses; tunnels are not tracked |
//! | `leaving` | output, raw + 5 | tunnels are not tracked |
//! | `prerouting` | prerouting, dstnat + 5 | what is for an address of this host goes to `publish` |
//! | `output` | output, dstnat + 5 | the same for what this host sends itself |
//! | `publish` | – | translates what is for a published port |
//! | `user` | – | an administrator's rules, which `forward` asks first |
//! | `forward` | forward, filter + 5 | keeps bridges apart, and what is not published shut |
//! | `postrouting` | postrouting, srcnat + 5 | masquerades what leaves a network |
//!
//! What balances has chains of its own: see `balance.rs`. So have the routing mesh (`mesh.rs`) and what leads to names
//! (`names.rs`). Where ports lead to: see `ports.rs`.
//!
//! Each comes just after the place where an administrator's own rules are by custom: a translation of theirs
//! goes before one of ours.

use alloc::{string::String, vec, vec::Vec};
use core::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{
    Base, Chain, Ct, Expr, Family, Field, Firewall, Header, Hook, Kind, LINK_NAME, Meta, Protocol,
    Register, Rule, Set, Table, USER, Verdict, WayOut, balance, expr::LOCAL, mesh, names, ports,
    state, status,
};
use crate::{host::LOOPBACK as LOOPBACK_LINK, lb::Balance, records::LinkName};

/// All bridges.
pub(super) const BRIDGES: &str = "bridges";
/// Those of internal networks.
const CLOSED: &str = "closed";
/// Each bridge with itself.
const WITHIN: &str = "within";
const PUBLISH: &str = "publish";

/// After the priorities that `nft` has names for (`NF_IP_PRI_*`): -300, -100, 0 and 100.
const RAW: i32 = -295;
pub(super) const DSTNAT: i32 = -95;
pub(super) const FILTER: i32 = 5;
const SRCNAT: i32 = 105;

/// The only register that most rules need.
pub(super) const FIRST: Register = Register(0);

impl Firewall {
    /// The table that makes it so; `None` if nothing is wanted.
    pub fn table(&self) -> Option<Table> {
        if self.is_empty() {
            return None;
        }
        let mut table = Table::default();
        if self.guards() {
            self.render_guards(&mut table);
        }
        if let Some(mesh) = &self.mesh {
            mesh::render(mesh, &mut table);
        }
        if !self.balances.values().all(Balance::is_empty) {
            balance::render(self, &mut table);
        }
        if !self.names.is_empty() {
            names::render(self, &mut table);
        }
        Some(table)
    }

    /// Bridges, published ports, tunnels.
    fn render_guards(&self, table: &mut Table) {
        let filter = |hook, priority, rules| chain(Kind::Filter, hook, priority, rules);
        let nat = |hook, priority, rules| chain(Kind::Nat, hook, priority, rules);
        let chains = [
            ("guard", filter(Hook::Prerouting, RAW, self.guard())),
            ("leaving", filter(Hook::Output, RAW, self.leaving())),
            ("prerouting", nat(Hook::Prerouting, DSTNAT, vec![to_this_host()])),
            ("output", nat(Hook::Output, DSTNAT, vec![to_this_host()])),
            (PUBLISH, Chain { base: None, rules: ports::rules(&self.published) }),
            (USER, Chain::default()),
            ("forward", filter(Hook::Forward, FILTER, forward())),
            ("postrouting", nat(Hook::Postrouting, SRCNAT, self.postrouting())),
        ];
        table.chains.extend(named(chains));
        table.sets.extend(named(self.bridge_sets()));
        table.sets.extend(ports::sets(&self.published));
    }

    fn bridge_sets(&self) -> [(&'static str, Set); 3] {
        let mut bridges = Set::new(&[Field::Link], &[]);
        let mut closed = bridges.clone();
        let mut within = Set::new(&[Field::Link, Field::Link], &[]);
        for (name, bridge) in &self.bridges {
            let name = link(name);
            within.elements.insert([name.clone(), name.clone()].concat(), Vec::new());
            if bridge.way_out == WayOut::Closed {
                closed.elements.insert(name.clone(), Vec::new());
            }
            bridges.elements.insert(name, Vec::new());
        }
        [(BRIDGES, bridges), (CLOSED, closed), (WITHIN, within)]
    }

    fn guard(&self) -> Vec<Rule> {
        let arriving = |port| [for_this_host(), untracked(port)].concat();
        core::iter::once(loopback_alone())
            .chain(self.tunnels.iter().copied().map(arriving))
            .collect()
    }

    fn leaving(&self) -> Vec<Rule> {
        self.tunnels.iter().copied().map(untracked).collect()
    }

    /// What leaves a network comes from the host. So does what comes back to its own network through a
    /// published port, and what the host sends there from a loopback address: the answers must pass here.
    fn postrouting(&self) -> Vec<Rule> {
        let mut loopback = family(Family::V4);
        loopback.extend(source(&LOOPBACK));
        loopback.extend(known(Meta::OutLink, BRIDGES));
        loopback.push(Expr::Masquerade);
        let mut rules = vec![loopback];
        for (name, bridge) in &self.bridges {
            for subnet in &bridge.subnets {
                let out = |equal| {
                    let mut rule = family(family_of(subnet));
                    rule.extend(source(subnet));
                    rule.push(Expr::Meta(Meta::OutLink, FIRST));
                    rule.push(Expr::Compare { from: FIRST, equal, value: link(name) });
                    rule
                };
                if bridge.way_out == WayOut::Masqueraded {
                    rules.push([out(false), vec![Expr::Masquerade]].concat());
                }
                let published = ct_has(Ct::Status, status::DNAT);
                rules.push([out(true), published, vec![Expr::Masquerade]].concat());
            }
        }
        rules
    }
}

/// The host's loopback addresses; published ports can be bound to them where a bridge has `route_localnet`.
/// IPv6 has no such thing: `::1` never leaves the host.
const LOOPBACK: IpNet =
    IpNet::V4(ipnet::Ipv4Net::new_assert(core::net::Ipv4Addr::new(127, 0, 0, 0), 8));

/// Nothing but the host itself gets to its loopback addresses: translation comes before the kernel's own check,
/// so a port bound to 127.0.0.1 would be open to every neighbour on a link.
fn loopback_alone() -> Rule {
    let value = link_called(LOOPBACK_LINK);
    let mut rule =
        vec![Expr::Meta(Meta::InLink, FIRST), Expr::Compare { from: FIRST, equal: false, value }];
    rule.extend(family(Family::V4));
    rule.extend(address_in(&LOOPBACK, 16));
    rule.push(Expr::Verdict(Verdict::Drop));
    rule
}

fn to_this_host() -> Rule {
    [for_this_host(), vec![Expr::Verdict(Verdict::Jump(PUBLISH.into()))]].concat()
}

fn for_this_host() -> Rule {
    vec![Expr::DestinationType(FIRST), equals(LOCAL.to_ne_bytes().into())]
}

fn untracked(port: u16) -> Rule {
    vec![
        protocol(FIRST),
        equals(vec![Protocol::Udp.number()]),
        load(Field::Port, FIRST),
        equals(port.to_be_bytes().into()),
        Expr::Untracked,
    ]
}

pub(super) fn protocol(into: Register) -> Expr {
    Expr::Meta(Meta::Protocol, into)
}

/// What was loaded is this.
pub(super) fn equals(value: Vec<u8>) -> Expr {
    Expr::Compare { from: FIRST, equal: true, value }
}

fn forward() -> Vec<Rule> {
    let then = |matches: Vec<Expr>, verdict| [matches, vec![Expr::Verdict(verdict)]].concat();
    // Frames between two ports of one bridge come here where `br_netfilter` is loaded.
    let (first, second) = (FIRST, after(FIRST, Field::Link));
    let within = vec![
        Expr::Meta(Meta::InLink, first),
        Expr::Meta(Meta::OutLink, second),
        Expr::Lookup { set: WITHIN.into(), key: first, into: None },
    ];
    let published = [known(Meta::OutLink, BRIDGES), ct_has(Ct::Status, status::DNAT)].concat();
    vec![
        vec![Expr::Verdict(Verdict::Jump(USER.into()))],
        then(within, Verdict::Accept),
        then(known(Meta::InLink, CLOSED), Verdict::Drop),
        then(known(Meta::OutLink, CLOSED), Verdict::Drop),
        then(ct_has(Ct::State, state::ESTABLISHED | state::RELATED), Verdict::Accept),
        then(published, Verdict::Accept),
        then(known(Meta::OutLink, BRIDGES), Verdict::Drop),
    ]
}

pub(super) fn load(field: Field, into: Register) -> Expr {
    let network = |offset, length| Expr::Payload { base: Header::Network, offset, length, into };
    match field {
        Field::V4 => network(16, 4),
        Field::V6 => network(24, 16),
        Field::Link => Expr::Meta(Meta::InLink, into),
        Field::Protocol => protocol(into),
        Field::Mac => Expr::Payload { base: Header::Link, offset: 6, length: 6, into },
        Field::Port | Field::Mark | Field::Other => {
            Expr::Payload { base: Header::Transport, offset: 2, length: 2, into }
        }
    }
}

/// Of one version of IP: these fields one after the other, and the register after them.
pub(super) fn keyed(of: Family, key: &[Field]) -> (Rule, Register) {
    let (mut rule, mut at) = (family(of), FIRST);
    for field in key {
        rule.push(load(*field, at));
        at = after(at, *field);
    }
    (rule, at)
}

/// Translates what a map has an [`end`] for.
pub(super) fn translated(map: String, of: Family) -> [Expr; 2] {
    let port = Some(after(FIRST, address_field(of)));
    [
        Expr::Lookup { set: map, key: FIRST, into: Some(FIRST) },
        Expr::Dnat { family: of, address: FIRST, port },
    ]
}

/// Where something is translated to, as a value.
pub(super) fn end(to: SocketAddr) -> Vec<u8> {
    [address(to.ip()), port(to.port())].concat()
}

/// The register after a field.
pub(super) fn after(Register(word): Register, field: Field) -> Register {
    match field {
        Field::V6 | Field::Link => Register(word.saturating_add(4)),
        Field::Mac => Register(word.saturating_add(2)),
        Field::V4 | Field::Protocol | Field::Port | Field::Mark | Field::Other => {
            Register(word.saturating_add(1))
        }
    }
}

fn known(meta: Meta, set: &str) -> Vec<Expr> {
    vec![Expr::Meta(meta, FIRST), Expr::Lookup { set: set.into(), key: FIRST, into: None }]
}

pub(super) fn ct_has(what: Ct, bits: u32) -> Vec<Expr> {
    vec![
        Expr::Ct(what, FIRST),
        Expr::Mask(FIRST, bits.to_ne_bytes().into()),
        Expr::Compare { from: FIRST, equal: false, value: vec![0; 4] },
    ]
}

pub(super) fn family(family: Family) -> Vec<Expr> {
    vec![Expr::Meta(Meta::Family, FIRST), equals(vec![family.number()])]
}

/// The source address is in a subnet.
fn source(subnet: &IpNet) -> Vec<Expr> {
    address_in(subnet, if family_of(subnet) == Family::V4 { 12 } else { 8 })
}

fn address_in(subnet: &IpNet, offset: u32) -> Vec<Expr> {
    let (network, mask) = (address(subnet.network()), address(subnet.netmask()));
    let length = if family_of(subnet) == Family::V4 { 4 } else { 16 };
    vec![
        Expr::Payload { base: Header::Network, offset, length, into: FIRST },
        Expr::Mask(FIRST, mask),
        equals(network),
    ]
}

fn family_of(subnet: &IpNet) -> Family {
    Family::of(subnet.addr())
}

pub(super) fn address_field(family: Family) -> Field {
    match family {
        Family::V4 => Field::V4,
        Family::V6 => Field::V6,
    }
}

pub(super) fn address(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

/// A protocol as an element has it.
pub(super) fn protocol_number(protocol: Protocol) -> Vec<u8> {
    vec![protocol.number(), 0, 0, 0]
}

/// A port as an element has it.
pub(super) fn port(port: u16) -> Vec<u8> {
    let [high, low] = port.to_be_bytes();
    vec![high, low, 0, 0]
}

/// A number as the kernel keeps marks.
pub(super) fn number(number: usize) -> Vec<u8> {
    u32::try_from(number).unwrap_or(u32::MAX).to_ne_bytes().into()
}

/// A link's name as rules compare it.
pub(super) fn link(name: &LinkName) -> Vec<u8> {
    link_called(name.as_str())
}

pub(super) fn link_called(name: &str) -> Vec<u8> {
    let mut bytes: Vec<u8> = name.bytes().collect();
    bytes.resize(LINK_NAME, 0);
    bytes
}

pub(super) fn chain(kind: Kind, hook: Hook, priority: i32, rules: Vec<Rule>) -> Chain {
    Chain { base: Some(Base { kind, hook, priority, drops: false }), rules }
}

fn named<T, const N: usize>(things: [(&str, T); N]) -> alloc::collections::BTreeMap<String, T> {
    things.into_iter().map(|(name, thing)| (name.into(), thing)).collect()
}
