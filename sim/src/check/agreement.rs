//! Once everything is at rest all nodes show the same: the same rows, and their owners in the same state,
//! whichever filter is asked for.

use std::sync::Arc;

use netdb_core::view::{Filter, Row};
use netdb_gossip_core::identity::Name;

use super::{Check, convergence::networks, replay::show};
use crate::world::World;

/// Compares what nodes list.
pub struct Agreement;

impl Check for Agreement {
    fn name(&self) -> &'static str {
        "agreement of views"
    }

    fn pending(&self, world: &World) -> Option<String> {
        // Who shows the same rows with owners in the same states shows the same without failed ones.
        networks(world).iter().find_map(|name| differs(world, name, true))
    }
}

/// The first difference between what two hosts show of a network, with or without the rows of failed nodes.
pub(super) fn differs(world: &World, name: &Name, include_failed: bool) -> Option<String> {
    let filter = Filter { network: Some(name.clone()), include_failed, ..Filter::default() };
    let hosts = world.attached(name);
    let (one, others) = hosts.split_first()?;
    let expected = world.list(*one, &filter);
    others.iter().find_map(|host| {
        let rows = world.list(*host, &filter);
        let same = |(here, there): (&Listed, &Listed)| {
            here.1.entry == there.1.entry && here.1.owner_state == there.1.owner_state
        };
        if rows.len() == expected.len() && expected.iter().zip(&rows).all(same) {
            return None;
        }
        let [here, there] = example(&expected, &rows);
        let (here_count, there_count) = (expected.len(), rows.len());
        Some(format!(
            "{name}: n{one} shows {here_count} rows, {here}; n{host} {there_count}, {there}"
        ))
    })
}

type Listed = (Arc<Name>, Row);

/// One row that two hosts show differently, in words for each.
fn example(one: &[Listed], other: &[Listed]) -> [String; 2] {
    let words = |rows: &[Listed], row: &Row| {
        let found = rows.iter().find(|(_, listed)| listed.entry.row == row.entry.row);
        found.map_or_else(
            || "not this one".into(),
            |(_, row)| format!("{} {:?}", show(&row.entry), row.owner_state),
        )
    };
    let all = one.iter().chain(other).map(|(_, row)| row);
    let pairs = all.map(|row| [words(one, row), words(other, row)]);
    pairs.into_iter().find(|[here, there]| here != there).unwrap_or_default()
}
