//! What has to be done so that our tables become what they should be.
//!
//! All of one namespace is one transaction: packets meet what was there or what is wanted, nothing in
//! between. Elements, sets and the rules of a chain change where they are; another chain, or a set of another kind,
//! makes another table.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use super::{Base, Elements, Firewall, Layer, Rule, Seen, SeenFirewall, Set, Table, Wanted};
use crate::{
    host::{self, Action, SeenLink},
    records::LinkName,
};

/// A transaction: what changes in each of our tables, in this order.
pub type Edits = BTreeMap<Layer, Vec<Edit>>;

/// A part of a transaction, about one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Removes our table with all that is in it.
    RemoveTable,
    /// Makes our table.
    AddTable,
    /// Makes a set without elements.
    AddSet(String, Set),
    /// Makes a chain without rules.
    AddChain(String, Option<Base>),
    /// Removes a set that no rule looks into any more.
    RemoveSet(String),
    /// Puts these rules in place of those of a chain.
    SetRules(String, Vec<Rule>),
    /// Puts elements into a set.
    AddElements(String, Elements),
    /// Takes them out of it.
    RemoveElements(String, Elements),
}

impl Edit {
    /// How many elements it is about.
    pub fn elements(&self) -> usize {
        match self {
            Self::AddElements(_, elements) | Self::RemoveElements(_, elements) => elements.len(),
            _ => 0,
        }
    }
}

/// What has to be done where there are these links. Doing it and comparing again gives nothing. What can't be read is
/// not there yet, or no longer.
pub fn plan(wanted: &Wanted, seen: &Seen, links: &host::Seen) -> Vec<Action> {
    let mut actions = Vec::new();
    let none = BTreeMap::new();
    for (at, firewall) in wanted {
        let Some(there) = seen.get(at) else { continue };
        let edits = edits(firewall, there, links.get(at).unwrap_or(&none));
        if !edits.is_empty() {
            let (at, generation) = (at.clone(), there.generation);
            actions.push(Action::Filter { at, generation, edits });
        }
    }
    actions
}

/// What has to be done in one namespace, which has these links.
pub fn edits(
    wanted: &Firewall,
    there: &SeenFirewall,
    links: &BTreeMap<LinkName, SeenLink>,
) -> Edits {
    let wanted = wanted.tables(links);
    let layers: BTreeSet<Layer> = wanted.keys().chain(there.ours.keys()).copied().collect();
    let edits = |layer| (layer, of_table(wanted.get(&layer), there.ours.get(&layer)));
    layers.into_iter().map(edits).filter(|(_, edits)| !edits.is_empty()).collect()
}

fn of_table(wanted: Option<&Table>, there: Option<&Table>) -> Vec<Edit> {
    match (wanted, there) {
        (None, None) => Vec::new(),
        (None, Some(_)) => [Edit::RemoveTable].into(),
        (Some(wanted), Some(there)) if is_like(wanted, there) => {
            let mut edits = Vec::new();
            fill(&mut edits, wanted, there);
            edits
        }
        (Some(wanted), there) => {
            let mut edits = Vec::new();
            edits.extend(there.map(|_| Edit::RemoveTable));
            edits.push(Edit::AddTable);
            let bare = bare(wanted);
            let chains = bare.chains.iter();
            edits.extend(
                chains.map(|(name, chain)| Edit::AddChain(name.clone(), chain.base.clone())),
            );
            fill(&mut edits, wanted, &bare);
            edits
        }
    }
}

/// Whether one can become the other by its rules and elements alone.
fn is_like(wanted: &Table, there: &Table) -> bool {
    let chains = |table: &Table| -> BTreeMap<_, _> {
        table.chains.iter().map(|(name, chain)| (name.clone(), chain.base.clone())).collect()
    };
    let like =
        |(name, set): (&String, &Set)| there.sets.get(name).is_none_or(|there| set.is_like(there));
    chains(wanted) == chains(there) && wanted.sets.iter().all(like)
}

/// The same without rules and sets.
fn bare(table: &Table) -> Table {
    let mut bare = table.clone();
    bare.sets.clear();
    bare.chains.values_mut().for_each(|chain| chain.rules.clear());
    bare
}

fn fill(edits: &mut Vec<Edit>, wanted: &Table, there: &Table) {
    let nothing = Elements::new();
    for (name, set) in &wanted.sets {
        if !there.sets.contains_key(name) {
            edits.push(Edit::AddSet(name.clone(), Set::new(&set.key, &set.value)));
        }
        let there = there.sets.get(name).map_or(&nothing, |there| &there.elements);
        let other = |from: &Elements, than: &Elements| -> Elements {
            let other = from.iter().filter(|(key, value)| than.get(*key) != Some(*value));
            other.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        // One that leads elsewhere goes first: its key is taken until then.
        let (gone, new) = (other(there, &set.elements), other(&set.elements, there));
        if !gone.is_empty() {
            edits.push(Edit::RemoveElements(name.clone(), gone));
        }
        if !new.is_empty() {
            edits.push(Edit::AddElements(name.clone(), new));
        }
    }
    for (name, chain) in &wanted.chains {
        if there.chains.get(name).is_none_or(|there| there.rules != chain.rules) {
            edits.push(Edit::SetRules(name.clone(), chain.rules.clone()));
        }
    }
    let stale = there.sets.keys().filter(|name| !wanted.sets.contains_key(*name));
    edits.extend(stale.map(|name| Edit::RemoveSet(name.clone())));
}
