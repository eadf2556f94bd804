//! What a transaction makes of a table, for a kernel made of maps.

use super::{Chain, Edit, Expr, SeenFirewall, Table, next_generation};

impl SeenFirewall {
    /// Does all of it; `None`, and nothing has changed, where the kernel would refuse.
    #[must_use]
    pub fn edited(&self, generation: u32, edits: &[Edit]) -> Option<Self> {
        let mut after = self.clone();
        for edit in edits {
            after.edit(edit)?;
        }
        after.generation = next_generation(after.generation);
        (generation == self.generation).then_some(after)
    }

    fn edit(&mut self, edit: &Edit) -> Option<()> {
        match edit {
            Edit::RemoveTable => self.ours.take().map(drop),
            Edit::AddTable => self.ours.replace(Table::default()).is_none().then_some(()),
            Edit::AddSet(name, set) => {
                self.ours.as_mut()?.sets.insert(name.clone(), set.clone()).is_none().then_some(())
            }
            Edit::AddChain(name, base) => {
                let chain = Chain { base: base.clone(), rules: [].into() };
                self.ours.as_mut()?.chains.insert(name.clone(), chain).is_none().then_some(())
            }
            Edit::SetRules(name, rules) => {
                self.ours.as_mut()?.chains.get_mut(name)?.rules.clone_from(rules);
                Some(())
            }
            Edit::RemoveSet(name) => {
                let table = self.ours.as_mut()?;
                let mut rules = table.chains.values().flat_map(|chain| &chain.rules).flatten();
                let looks = |expr: &Expr| matches!(expr, Expr::Lookup { set, .. } if set == name);
                let is_used = rules.any(looks);
                table.sets.remove(name).filter(|_| !is_used).map(drop)
            }
            Edit::AddElements(name, new) => {
                let set = self.ours.as_mut()?.sets.get_mut(name)?;
                let taken = new.keys().any(|key| set.elements.contains_key(key));
                set.elements.extend(new.clone());
                (!taken).then_some(())
            }
            Edit::RemoveElements(name, gone) => {
                let set = self.ours.as_mut()?.sets.get_mut(name)?;
                gone.keys().try_for_each(|key| set.elements.remove(key).map(drop))
            }
        }
    }
}
