//! What a transaction makes of tables, for a kernel made of maps.

use super::{Chain, Edit, Edits, Expr, Layer, SeenFirewall, Table, Verdict, next_generation};

impl SeenFirewall {
    /// Does all of it; `None`, and nothing has changed, where the kernel would refuse.
    #[must_use]
    pub fn edited(&self, generation: u32, edits: &Edits) -> Option<Self> {
        let mut after = self.clone();
        for (layer, edits) in edits {
            edits.iter().try_for_each(|edit| after.edit(*layer, edit))?;
        }
        after.generation = next_generation(after.generation);
        (generation == self.generation).then_some(after)
    }

    fn edit(&mut self, layer: Layer, edit: &Edit) -> Option<()> {
        let mut table = self.ours.get_mut(&layer);
        match edit {
            Edit::RemoveTable => self.ours.remove(&layer).map(drop),
            Edit::AddTable => self.ours.insert(layer, Table::default()).is_none().then_some(()),
            Edit::AddSet(name, set) => {
                table?.sets.insert(name.clone(), set.clone()).is_none().then_some(())
            }
            Edit::AddChain(name, base) => {
                let chain = Chain { base: base.clone(), rules: [].into() };
                table?.chains.insert(name.clone(), chain).is_none().then_some(())
            }
            Edit::RemoveChain(name) => {
                let table = table.as_mut()?;
                let mut rules = table.chains.values().flat_map(|chain| &chain.rules).flatten();
                let leads = |expr: &Expr| match expr {
                    Expr::Verdict(Verdict::Jump(to) | Verdict::Goto(to)) => to == name,
                    _ => false,
                };
                let is_used = rules.any(leads);
                let chain = table.chains.remove(name).filter(|chain| chain.rules.is_empty());
                chain.filter(|_| !is_used).map(drop)
            }
            Edit::SetRules(name, rules) => {
                table?.chains.get_mut(name)?.rules.clone_from(rules);
                Some(())
            }
            Edit::RemoveSet(name) => {
                let table = table.as_mut()?;
                let mut rules = table.chains.values().flat_map(|chain| &chain.rules).flatten();
                let looks = |expr: &Expr| matches!(expr, Expr::Lookup { set, .. } if set == name);
                let is_used = rules.any(looks);
                table.sets.remove(name).filter(|_| !is_used).map(drop)
            }
            Edit::AddElements(name, new) => {
                let set = table?.sets.get_mut(name)?;
                let taken = new.keys().any(|key| set.elements.contains_key(key));
                set.elements.extend(new.clone());
                (!taken).then_some(())
            }
            Edit::RemoveElements(name, gone) => {
                let set = table?.sets.get_mut(name)?;
                gone.keys().try_for_each(|key| set.elements.remove(key).map(drop))
            }
        }
    }
}
