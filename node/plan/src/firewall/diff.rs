//! What has to be done so that our table becomes what it should be.
//!
//! All of one namespace is one transaction: packets meet what was there or what is wanted, nothing in
//! between. Elements, the rules of a chain and chains that others lead to change where they are; another set, or
//! another hook, makes another table.

use alloc::{collections::BTreeMap, string::String, vec::Vec};

use super::{
    Base, Chain, Elements, Firewall, Rule, Seen, SeenFirewall, Set, Table, Verdicts, Wanted,
};
use crate::host::Action;

/// A part of a transaction.
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
    /// Removes a chain that nothing leads to any more.
    RemoveChain(String),
    /// Puts these rules in place of those of a chain.
    SetRules(String, Vec<Rule>),
    /// Puts elements into a set.
    AddElements(String, Elements),
    /// Takes them out of it.
    RemoveElements(String, Elements),
    /// Puts elements into a map of verdicts.
    AddVerdicts(String, Verdicts),
    /// Takes them out of it.
    RemoveVerdicts(String, Verdicts),
}

impl Edit {
    /// How many elements it is about.
    pub fn elements(&self) -> usize {
        match self {
            Self::AddElements(_, elements) | Self::RemoveElements(_, elements) => elements.len(),
            Self::AddVerdicts(_, elements) | Self::RemoveVerdicts(_, elements) => elements.len(),
            _ => 0,
        }
    }
}

/// What has to be done. Doing it and comparing again gives nothing. What can't be read is not there yet, or
/// no longer.
pub fn plan(wanted: &Wanted, seen: &Seen) -> Vec<Action> {
    let mut actions = Vec::new();
    for (at, firewall) in wanted {
        let Some(there) = seen.get(at) else { continue };
        let edits = edits(firewall, there);
        if !edits.is_empty() {
            let (at, generation) = (at.clone(), there.generation);
            actions.push(Action::Filter { at, generation, edits });
        }
    }
    actions
}

/// What has to be done in one namespace.
pub fn edits(wanted: &Firewall, there: &SeenFirewall) -> Vec<Edit> {
    match (wanted.table().as_ref(), there.ours.as_ref()) {
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
            let sets = bare.sets.iter().map(|(name, set)| Edit::AddSet(name.clone(), set.clone()));
            edits.extend(sets);
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
        let hooked = table.chains.iter().filter(|(_, chain)| chain.base.is_some());
        hooked.map(|(name, chain)| (name.clone(), chain.base.clone())).collect()
    };
    let like =
        |(name, set): (&String, &Set)| there.sets.get(name).is_some_and(|there| set.is_like(there));
    chains(wanted) == chains(there)
        && wanted.sets.len() == there.sets.len()
        && wanted.sets.iter().all(like)
}

/// The same without rules and elements.
fn bare(table: &Table) -> Table {
    let mut bare = table.clone();
    for set in bare.sets.values_mut() {
        set.elements.clear();
        set.verdicts.clear();
    }
    bare.chains.values_mut().for_each(|chain| chain.rules.clear());
    bare
}

fn fill(edits: &mut Vec<Edit>, wanted: &Table, there: &Table) {
    let is_new = |name: &String| !there.chains.contains_key(name);
    for (name, Chain { base, .. }) in wanted.chains.iter().filter(|(name, _)| is_new(name)) {
        edits.push(Edit::AddChain(name.clone(), base.clone()));
    }
    let nothing = Set::default();
    for (name, set) in &wanted.sets {
        let there = there.sets.get(name).unwrap_or(&nothing);
        // One that leads elsewhere goes first: its key is taken until then.
        let gone = other(&there.elements, &set.elements);
        if !gone.is_empty() {
            edits.push(Edit::RemoveElements(name.clone(), gone));
        }
        let gone = other(&there.verdicts, &set.verdicts);
        if !gone.is_empty() {
            edits.push(Edit::RemoveVerdicts(name.clone(), gone));
        }
        let new = other(&set.elements, &there.elements);
        if !new.is_empty() {
            edits.push(Edit::AddElements(name.clone(), new));
        }
        let new = other(&set.verdicts, &there.verdicts);
        if !new.is_empty() {
            edits.push(Edit::AddVerdicts(name.clone(), new));
        }
    }
    for (name, chain) in &wanted.chains {
        let known = there.chains.get(name).map(|there| there.rules.as_slice()).unwrap_or_default();
        if known != chain.rules.as_slice() {
            edits.push(Edit::SetRules(name.clone(), chain.rules.clone()));
        }
    }
    let stale = there.chains.keys().filter(|name| !wanted.chains.contains_key(*name));
    edits.extend(stale.map(|name| Edit::RemoveChain(name.clone())));
}

/// Those of one map that the other does not have, or not so.
fn other<T: Clone + PartialEq>(
    from: &BTreeMap<Vec<u8>, T>,
    than: &BTreeMap<Vec<u8>, T>,
) -> BTreeMap<Vec<u8>, T> {
    let other = from.iter().filter(|(key, value)| than.get(*key) != Some(*value));
    other.map(|(key, value)| (key.clone(), value.clone())).collect()
}
