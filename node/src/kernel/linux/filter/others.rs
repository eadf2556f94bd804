//! Reads the tables of others that have a say about what is forwarded. Nothing of theirs is ever changed.

use std::{collections::BTreeMap, io};

use netnode_plan::firewall::{Chain, Hook, Other, Scope, TABLE, Table};

use super::{
    body, decode, dump,
    numbers::{GETCHAIN, GETRULE, GETSET, GETSETELEM, INET, IP, IP6, UNSPEC, chain, rule, set},
};
use crate::kernel::linux::{
    attributes::{Attributes, Read},
    socket::Socket,
};

/// Those tables, with their chains and the sets that decide.
pub(super) fn look(socket: &mut Socket) -> io::Result<Vec<Other>> {
    let mut tables: BTreeMap<(u8, String), Table> = BTreeMap::new();
    for bytes in dump(socket, UNSPEC, GETCHAIN, Attributes::default())? {
        let (Some(family), Some(read)) = (bytes.first(), body(&bytes)) else { continue };
        let (Some(table), Some((name, base))) =
            (read.text(chain::TABLE), decode::chain(*family, read))
        else {
            continue;
        };
        if scope(*family).is_some() && (*family, table) != (INET, TABLE) {
            let table = tables.entry((*family, table.to_owned())).or_default();
            table.chains.insert(name, Chain { base, rules: Vec::new() });
        }
    }
    let forwards =
        |chain: &Chain| chain.base.as_ref().is_some_and(|base| base.hook == Hook::Forward);
    tables.retain(|_, table| table.chains.values().any(forwards));
    let mut others = Vec::new();
    for ((family, name), mut table) in tables {
        let Some(scope) = scope(family) else { continue };
        for bytes in dump(socket, family, GETRULE, Attributes::default().text(rule::TABLE, &name))?
        {
            if let Some((chain, rule)) = body(&bytes).and_then(decode::rule)
                && let Some(chain) = table.chains.get_mut(&chain)
            {
                chain.rules.push(rule);
            }
        }
        let mut other = Other { scope, name, table };
        sets(socket, family, &mut other)?;
        others.push(other);
    }
    Ok(others)
}

fn scope(family: u8) -> Option<Scope> {
    match family {
        INET => Some(Scope::Inet),
        IP => Some(Scope::Ip),
        IP6 => Some(Scope::Ip6),
        _ => None,
    }
}

/// Of sets with ranges, or whose elements go by themselves, nothing is known.
fn sets(socket: &mut Socket, family: u8, other: &mut Other) -> io::Result<()> {
    let needed = other.sets();
    if needed.is_empty() {
        return Ok(());
    }
    for bytes in dump(socket, family, GETSET, Attributes::default().text(set::TABLE, &other.name))?
    {
        let read = body(&bytes).filter(|read: &Read<'_>| decode::is_plain(*read));
        let Some((name, mut set)) = read.and_then(decode::set) else { continue };
        if !needed.contains(&name) {
            continue;
        }
        let which = Attributes::default().text(set::LIST_TABLE, &other.name);
        for bytes in dump(socket, family, GETSETELEM, which.text(set::LIST_SET, &name))? {
            let read = body(&bytes);
            set.elements.extend(read.map(decode::elements).unwrap_or_default());
            set.verdicts.extend(read.map(decode::verdicts).unwrap_or_default());
        }
        other.table.sets.insert(name, set);
    }
    Ok(())
}
