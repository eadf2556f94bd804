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
    Expr, Family, Field, Firewall, Hook, Kind, Rule, Set, Table,
    render::{
        DSTNAT, FIRST, address, address_field, after, chain, family, load, port, protocol_number,
    },
};
use crate::records::{Driver, NetworkRecord, Protocol};

/// Where names are asked for (RFC 1035, section 4.2).
const PORT: u16 = 53;
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

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
    for family in FAMILIES {
        let mut map = Set::new(&key(family), &[address_field(family), Field::Port]);
        for (router, at) in &firewall.names {
            if [*router, at.ip()].map(Family::of) == [family; 2] {
                let to = [address(at.ip()), port(at.port())].concat();
                for protocol in [Protocol::Udp, Protocol::Tcp] {
                    let key = [address(*router), protocol_number(protocol), port(PORT)].concat();
                    map.elements.insert(key, to.clone());
                }
            }
        }
        table.sets.insert(map_name(family), map);
    }
    let rules: Vec<Rule> = FAMILIES.map(|of| translation(map_name(of), &key(of), of)).into();
    table.chains.insert("names".into(), chain(Kind::Nat, Hook::Output, DSTNAT, rules));
}

/// Translates what a map from these fields has an address and a port for.
fn translation(map: String, key: &[Field], of: Family) -> Rule {
    let mut rule = family(of);
    let mut at = FIRST;
    for field in key {
        rule.push(load(*field, at));
        at = after(at, *field);
    }
    let port = after(FIRST, address_field(of));
    rule.push(Expr::Lookup { set: map, key: FIRST, into: Some(FIRST) });
    rule.push(Expr::Dnat { family: of, address: FIRST, port: Some(port) });
    rule
}
