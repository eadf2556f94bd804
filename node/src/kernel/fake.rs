//! A kernel made of maps, beside the real one: for tests of what drives a kernel.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use netnode_plan::{
    firewall::{Family, SeenFirewall},
    host::{Action, Model, Place, Seen, SeenLink},
    policy,
    records::LinkName,
};

use super::{Failure, Kernel, KernelError};

/// Does what the real one would do, in memory.
#[derive(Clone, Debug)]
pub struct Fake {
    /// What is there.
    pub model: Model,
    /// How often it was looked at.
    pub looks: u32,
}

impl Default for Fake {
    fn default() -> Self {
        let mut model = Model::default();
        model.seen.insert(Place::Host, [].into());
        Self { model, looks: 0 }
    }
}

impl Kernel for Fake {
    fn look(&mut self, sandboxes: &BTreeSet<String>) -> Result<Seen, KernelError> {
        self.looks += 1;
        let mut seen = self.model.seen.clone();
        seen.retain(|at, _| !matches!(at, Place::Sandbox(path) if !sandboxes.contains(path)));
        Ok(seen)
    }

    fn firewall(&mut self, at: &Place) -> Result<SeenFirewall, KernelError> {
        Ok(self.model.firewalls.entry(at.clone()).or_default().clone())
    }

    fn policy(&mut self, _: &BTreeMap<LinkName, SeenLink>) -> Result<policy::Seen, KernelError> {
        Ok(self.model.policy.clone())
    }

    fn is_unchanged(&mut self, at: &Place, generation: u32) -> bool {
        self.model.firewalls.get(at).is_some_and(|there| there.generation == generation)
    }

    fn forward(&mut self, _: &BTreeSet<Family>, _: &Seen) -> Result<(), KernelError> {
        Ok(())
    }

    async fn disturbed(&mut self) {
        std::future::pending::<()>().await;
    }

    fn act(&mut self, actions: &[Action]) -> Vec<Failure> {
        let refused = |action: &Action| {
            let refused = self.model.apply(action).err()?;
            Some(Failure { action: refused.0, error: io::Error::other("refused") })
        };
        actions.iter().filter_map(refused).collect()
    }
}
