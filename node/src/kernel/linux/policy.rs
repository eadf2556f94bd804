//! Policy routing by rtnetlink: rules, and routes of tables other than the main one, that have our protocol number.

use std::{collections::BTreeMap, fs::File, io};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    route::{RouteAttribute, RouteFlags, RouteMessage, RouteProtocol},
    rule::{RuleAction, RuleAttribute, RuleMessage},
};
use netnode_plan::{
    firewall::Family,
    host::SeenLink,
    policy::{Change, Rule, Seen, Way},
    records::LinkName,
};

use super::{
    PROTOCOL,
    attributes::Read,
    namespace::inside,
    read::{main_table, names, route, table_of},
    socket::{HEADER, Request, Socket},
    write,
};

/// Bytes of `struct fib_rule_hdr`.
const RULE_HEADER: usize = 12;
/// `FRA_PROTOCOL`.
const RULE_PROTOCOL: u16 = 21;
/// `RTM_NEWRULE` and `RTM_DELRULE`.
const ABOUT_RULES: [u16; 2] = [32, 33];

/// What is there of ours in a namespace with these links.
pub(super) fn look(namespace: &File, links: &BTreeMap<LinkName, SeenLink>) -> io::Result<Seen> {
    let mut socket = inside(namespace, Socket::route)??;
    let names = names(links);
    let mut seen = Seen::default();
    for family in Family::BOTH {
        let mut rules = RuleMessage::default();
        rules.header.family = family_of(family);
        let mut routes = RouteMessage::default();
        routes.header.address_family = family_of(family);
        let asked = [RouteNetlinkMessage::GetRule(rules), RouteNetlinkMessage::GetRoute(routes)];
        for message in asked {
            // A kernel without IPv6, or without rules, has none of them.
            for found in socket.dump(&message).unwrap_or_default() {
                match found {
                    RouteNetlinkMessage::NewRule(found) => seen.rules.extend(rule(family, &found)),
                    RouteNetlinkMessage::NewRoute(found) if is_ours(&found) => {
                        let table = table_of(&found);
                        seen.ways.extend(route(&found).and_then(|(index, route)| {
                            Some(Way { table, link: names.get(&index)?.clone(), route })
                        }));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(seen)
}

fn is_ours(found: &RouteMessage) -> bool {
    found.header.protocol == RouteProtocol::Other(PROTOCOL) && !main_table(found)
}

/// A rule of ours. One that asks for something that ours never do, is none.
fn rule(family: Family, found: &RuleMessage) -> Option<Rule> {
    let mut protocol = None;
    let mut rule = Rule {
        family,
        priority: 0,
        mark: 0,
        mask: 0,
        from: None,
        table: found.header.table.into(),
    };
    for attribute in &found.attributes {
        match attribute {
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::FwMark(mark) => rule.mark = *mark,
            RuleAttribute::FwMask(mask) => rule.mask = *mask,
            RuleAttribute::Iifname(name) => rule.from = Some(LinkName::new(name).ok()?),
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::Protocol(of) => protocol = Some(*of),
            RuleAttribute::Source(_)
            | RuleAttribute::Destination(_)
            | RuleAttribute::Oifname(_)
            | RuleAttribute::UidRange(_)
            | RuleAttribute::IpProtocol(_)
            | RuleAttribute::SourcePortRange(_)
            | RuleAttribute::DestinationPortRange(_) => return None,
            _ => {}
        }
    }
    let leads = found.header.action == RuleAction::ToTable;
    (leads && protocol == Some(RouteProtocol::Other(PROTOCOL))).then_some(rule)
}

/// A step as a message. A route needs the index of its link.
pub(super) fn request(change: &Change, index: u32) -> Request {
    match change {
        // Where somebody else has the same one, ours is there beside it.
        Change::AddRule(rule) => (RouteNetlinkMessage::NewRule(message(rule)), NLM_F_CREATE),
        Change::RemoveRule(rule) => (RouteNetlinkMessage::DelRule(message(rule)), 0),
        Change::PutWay(way) => {
            (RouteNetlinkMessage::NewRoute(routed(index, way)), NLM_F_CREATE | NLM_F_REPLACE)
        }
        Change::RemoveWay(way) => (RouteNetlinkMessage::DelRoute(routed(index, way)), 0),
    }
}

fn message(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = family_of(rule.family);
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::FwMark(rule.mark),
        RuleAttribute::FwMask(rule.mask),
        RuleAttribute::Table(rule.table),
        RuleAttribute::Protocol(RouteProtocol::Other(PROTOCOL)),
    ];
    let from = rule.from.as_ref().map(|link| RuleAttribute::Iifname(link.as_str().to_owned()));
    message.attributes.extend(from);
    message
}

/// Nobody has to be able to tell that the gateway is on the link.
fn routed(index: u32, way: &Way) -> RouteMessage {
    let mut message = write::route(index, &way.route);
    // Numbers above 255 have no room in the header.
    message.header.table = u8::try_from(way.table).unwrap_or(0);
    message.header.flags = RouteFlags::Onlink;
    message.attributes.push(RouteAttribute::Table(way.table));
    message
}

fn family_of(family: Family) -> AddressFamily {
    match family {
        Family::V4 => AddressFamily::Inet,
        Family::V6 => AddressFamily::Inet6,
    }
}

/// Whether a message tells that a rule of ours came or went.
pub(super) fn is_about_ours(kind: u16, message: &[u8]) -> bool {
    let read = message.get(HEADER + RULE_HEADER..).map(Read);
    let protocol = read.and_then(|read| read.get(RULE_PROTOCOL));
    ABOUT_RULES.contains(&kind) && protocol == Some(&[PROTOCOL])
}
