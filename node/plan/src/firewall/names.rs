//! Names in our table of a sandbox: what it asks of its router is answered where names are answered in it.
//!
//! | map or chain | what is in it |
//! | --- | --- |
//! | `names-v4`, `names-v6` | the routers' port 53, UDP and TCP: where names are answered |
//! | `names` | translates what the sandbox sends there |
//!
//! So who asks is known as ever by where the question comes in, and nothing has to listen on the router, which of an
//! overlay is not even there.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use core::net::{IpAddr, SocketAddr};

use super::{
    Family, Field, Firewall, Hook, Kind, Rule, Set, Table,
    render::{
        DSTNAT, address, address_field, chain, end, keyed, port, protocol_number, translated,
    },
};
use crate::records::{Driver, NetworkRecord, Protocol};

/// Where names are asked for (RFC 1035, section 4.2).
const PORT: u16 = 53;

/// The routers of a network that are asked for names as well as `at`, where they are answered in a sandbox: those
/// that are ours, and that a packet can be taken from to there.
pub fn routers(record: &NetworkRecord, at: SocketAddr) -> BTreeMap<IpAddr, SocketAddr> {
    // The router of a macvlan is somebody on the wire, who may well answer by itself.
    if !matches!(record.driver, Driver::Overlay | Driver::Bridge) {
        return BTreeMap::new();
    }
    let routers = record.subnets.iter().filter_map(|subnet| subnet.gateway);
    routers.filter(|router| Family::of(*router) == Family::of(at.ip())).map(|r| (r, at)).collect()
}

fn map_name(family: Family) -> String {
    match family {
        Family::V4 => "names-v4".into(),
        Family::V6 => "names-v6".into(),
    }
}

fn key(family: Family) -> [Field; 3] {
    [address_field(family), Field::Protocol, Field::Port]
}

/// Puts what leads to names into a table.
pub(super) fn render(firewall: &Firewall, table: &mut Table) {
    for family in Family::BOTH {
        let mut map = Set::new(&key(family), &[address_field(family), Field::Port]);
        for (router, at) in &firewall.names {
            if [*router, at.ip()].map(Family::of) == [family; 2] {
                for protocol in [Protocol::Udp, Protocol::Tcp] {
                    let key = [address(*router), protocol_number(protocol), port(PORT)].concat();
                    map.elements.insert(key, end(*at));
                }
            }
        }
        table.sets.insert(map_name(family), map);
    }
    let rule = |of| {
        let (mut rule, _) = keyed(of, &key(of));
        rule.extend(translated(map_name(of), of));
        rule
    };
    let rules: Vec<Rule> = Family::BOTH.map(rule).into();
    table.chains.insert("names".into(), chain(Kind::Nat, Hook::Output, DSTNAT, rules));
}
