//! The host's own links forward where something of ours leads out: the kernel looks at the link that a packet
//! comes by, and the answers come by theirs.
//!
//! Only links that routes lead over are touched, and only those that do not forward yet. Nothing is taken
//! back: who else relies on it can't be known.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

use netnode_plan::{firewall::Family, host::SeenLink, records::LinkName};

use super::{read, socket::Socket};

const CONF: &str = "/proc/sys/net/ipv6/conf";

/// Sees to it for the namespace that the thread is in. The links that were changed.
pub(super) fn forward(
    families: &BTreeSet<Family>,
    links: &BTreeMap<LinkName, SeenLink>,
) -> io::Result<BTreeSet<LinkName>> {
    let mut socket = Socket::route()?;
    let mut changed = BTreeSet::new();
    for family in families {
        let uplinks = read::uplinks(&mut socket, *family)?;
        let theirs = links.iter().filter(|(_, link)| link.mark.is_none());
        let theirs = theirs.filter(|(_, link)| uplinks.contains(&link.index));
        for (name, _) in theirs.filter(|(name, _)| name.as_str() != "lo") {
            let done = match family {
                Family::V4 => switch_on(&format!("/proc/sys/net/ipv4/conf/{name}/forwarding"))?,
                Family::V6 => forward_v6(name)?,
            };
            changed.extend(done.then(|| name.clone()));
        }
    }
    Ok(changed)
}

/// Since Linux 6.17 one link can do it; before, all or none.
fn forward_v6(name: &LinkName) -> io::Result<bool> {
    let all = format!("{CONF}/all/forwarding");
    if read_number(&all) == Some(1) {
        return Ok(false);
    }
    let alone = format!("{CONF}/{name}/force_forwarding");
    if read_number(&alone).is_some() {
        return switch_on(&alone);
    }
    keep_learning()?;
    switch_on(&all)
}

/// A host that forwards believes no router any more, unless it is told to: then its own routes would go.
fn keep_learning() -> io::Result<()> {
    for entry in fs::read_dir(CONF)? {
        let learns = entry?.path().join("accept_ra");
        if learns.to_str().and_then(read_number) == Some(1) {
            fs::write(learns, "2")?;
        }
    }
    Ok(())
}

/// Whether it was off. What the kernel does not have, need not be.
fn switch_on(path: &str) -> io::Result<bool> {
    match read_number(path) {
        Some(0) => fs::write(path, "1").map(|()| true),
        _ => Ok(false),
    }
}

fn read_number(path: &str) -> Option<u32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}
