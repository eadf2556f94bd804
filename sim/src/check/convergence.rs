//! All live attached nodes are in sync and hold the same rows.

use std::collections::BTreeMap;

use netdb_core::{entry::Writer, node::CLUSTER_NETWORK};
use netdb_gossip_core::identity::Name;

use super::{Check, agreement};
use crate::world::World;

/// Compares hashes.
pub struct Convergence;

impl Check for Convergence {
    fn name(&self) -> &'static str {
        "convergence"
    }

    fn pending(&self, world: &World) -> Option<String> {
        networks(world).iter().find_map(|name| hashes(world, name))
    }
}

/// The first difference between what two nodes hold, or show, if there is one.
pub fn difference(world: &World) -> Option<String> {
    let names = networks(world);
    let held = names.iter().find_map(|name| hashes(world, name));
    held.or_else(|| names.iter().find_map(|name| agreement::differs(world, name, false)))
}

/// All networks of a world, the built-in one first.
pub(super) fn networks(world: &World) -> Vec<Name> {
    let mut names: Vec<Name> = Name::new(CLUSTER_NETWORK).into_iter().collect();
    names.extend(world.networks());
    names
}

fn hashes(world: &World, name: &Name) -> Option<String> {
    let mut first = None;
    for host in world.attached(name) {
        let Some(info) = world.network_info(host, name) else {
            return Some(format!("n{host} does not know that it is attached to {name}"));
        };
        if !info.synced {
            let differs = received(world, name, host);
            return Some(format!("n{host} is not in sync in {name}{differs}"));
        }
        let (one, hash, entries) = *first.get_or_insert((host, info.hash, info.entries));
        if hash != info.hash {
            return Some(format!(
                "{name}: n{one} holds {entries} rows (hash {hash:016x}), n{host} {} ({:016x}){}",
                info.entries,
                info.hash,
                example(world, name, one, host)
            ));
        }
    }
    None
}

/// A stream of which a host received another part than a peer of its.
fn received(world: &World, name: &Name, host: usize) -> String {
    let of = |host: usize| -> BTreeMap<Writer, u64> {
        world.node(host).map(|node| node.received(name)).unwrap_or_default().into_iter().collect()
    };
    let own = of(host);
    for other in world.attached(name).into_iter().filter(|other| *other != host) {
        let theirs = of(other);
        let differs = |writer: &&Writer| own.get(*writer) != theirs.get(*writer);
        if let Some(writer) = own.keys().chain(theirs.keys()).find(differs) {
            let (own, theirs) = (own.get(writer), theirs.get(writer));
            return format!("; of {writer:?} it received {own:?}, n{other} {theirs:?}");
        }
    }
    String::new()
}

/// One row that two nodes hold differently.
fn example(world: &World, name: &Name, one: usize, other: usize) -> String {
    let (one_rows, other_rows) = (world.held_rows(one, name), world.held_rows(other, name));
    let keys = one_rows.keys().chain(other_rows.keys());
    for key in keys {
        let (left, right) = (one_rows.get(key), other_rows.get(key));
        if left != right {
            let words = |entry: Option<&std::sync::Arc<netdb_core::entry::Entry>>| {
                entry.map_or_else(|| "nothing".into(), |entry| super::replay::show(entry))
            };
            return format!("; n{one} has {}, n{other} has {}", words(left), words(right));
        }
    }
    "; the rows shown are equal".into()
}
