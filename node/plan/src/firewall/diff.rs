//! What has to be done so that our tables become what they should be.
//!
//! All of one namespace is one transaction: packets meet what was there or what is wanted, nothing in
//! between. Elements, sets, chains and their rules change where they are; a set of another kind makes another table.
//!
//! One chain is an administrator's: [`USER`]. Its rules are never changed, and as long as there are some, it stays.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};

use super::{
    Base, Chain, Elements, Firewall, Layer, Rule, Seen, SeenFirewall, Set, Table, USER, Wanted,
};
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
    /// Removes a chain that has no rules, and that none leads to.
    RemoveChain(String),
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
    let has_theirs = |there: &Table| there.chains.get(USER).is_some_and(|c| !c.rules.is_empty());
    match (wanted, there) {
        (None, None) => Vec::new(),
        (None, Some(there)) if has_theirs(there) => {
            let chains = [(USER.into(), Chain::default())].into();
            changed(&Table { chains, ..Table::default() }, there)
        }
        (None, Some(_)) => [Edit::RemoveTable].into(),
        (Some(wanted), Some(there)) if is_like(wanted, there) => changed(wanted, there),
        (Some(wanted), there) => {
            let mut edits: Vec<Edit> = there.map(|_| Edit::RemoveTable).into_iter().collect();
            edits.push(Edit::AddTable);
            edits.extend(changed(wanted, &Table::default()));
            edits
        }
    }
}

/// Whether one can become the other where it is. One without chains may be switched off.
fn is_like(wanted: &Table, there: &Table) -> bool {
    let like =
        |(name, set): (&String, &Set)| there.sets.get(name).is_none_or(|there| set.is_like(there));
    !there.chains.is_empty() && wanted.sets.iter().all(like)
}

/// What makes a table that is there another one.
fn changed(wanted: &Table, there: &Table) -> Vec<Edit> {
    let mut edits = Vec::new();
    // What comes in elsewhere is another chain.
    let moved = |name: &&String| {
        let bases = [wanted, there].map(|table| table.chains.get(*name).map(|chain| &chain.base));
        matches!(bases, [Some(one), Some(other)] if one != other) && *name != USER
    };
    let moved: BTreeSet<&String> = there.chains.keys().filter(moved).collect();
    for name in &moved {
        edits.push(Edit::SetRules((*name).clone(), Vec::new()));
        edits.push(Edit::RemoveChain((*name).clone()));
    }
    let stays = |name: &String| there.chains.contains_key(name) && !moved.contains(name);
    let new = wanted.chains.iter().filter(|(name, _)| !stays(name));
    edits.extend(new.map(|(name, chain)| Edit::AddChain(name.clone(), chain.base.clone())));
    fill(&mut edits, wanted, there);
    for (name, chain) in wanted.chains.iter().filter(|(name, _)| *name != USER) {
        let rules = there.chains.get(name).filter(|_| stays(name)).map(|chain| &chain.rules);
        if rules.map_or(!chain.rules.is_empty(), |rules| *rules != chain.rules) {
            edits.push(Edit::SetRules(name.clone(), chain.rules.clone()));
        }
    }
    // They may lead to each other.
    let stale = there.chains.keys().filter(|name| !wanted.chains.contains_key(*name));
    let stale: Vec<&String> = stale.filter(|name| *name != USER).collect();
    edits.extend(stale.iter().map(|name| Edit::SetRules((*name).clone(), Vec::new())));
    edits.extend(stale.iter().map(|name| Edit::RemoveChain((*name).clone())));
    let stale = there.sets.keys().filter(|name| !wanted.sets.contains_key(*name));
    edits.extend(stale.map(|name| Edit::RemoveSet(name.clone())));
    edits
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
}
