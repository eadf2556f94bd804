//! What was acknowledged, and so must be there at the end.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use netdb_tests::{cluster::Cluster, node::Node, rows::Table};
use rand_chacha::{ChaCha8Rng, rand_core::Rng};

use super::{NETWORK, trouble::Troubles};

/// Keys that each node writes in each table.
const KEYS: u32 = 20;
/// Writes between two looks at the troubles.
const AT_ONCE: usize = 20;
/// Of so many writes, one is a delete.
const DELETES: u32 = 5;

/// Rows by key.
type Rows = BTreeMap<String, String>;

/// The rows of both tables. A key is written through one node only, so that what was acknowledged last
/// is what stands.
pub(crate) struct Model {
    /// What each node owns.
    owned: Vec<Rows>,
    shared: Rows,
    written: u64,
}

impl Model {
    pub(crate) fn new(nodes: usize) -> Self {
        Self { owned: vec![Rows::new(); nodes], shared: Rows::new(), written: 0 }
    }

    /// Writes that were acknowledged.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Writes through nodes that nothing ails.
    pub(crate) async fn write_some(
        &mut self,
        cluster: &Cluster,
        troubles: &Troubles,
        rng: &mut ChaCha8Rng,
    ) -> Result<()> {
        for _ in 0..AT_ONCE {
            let place = rng.next_u32() as usize % cluster.nodes.len();
            if troubles.ails(place) {
                continue;
            }
            let node = cluster.nodes.get(place).context("a node is missing")?;
            let key = format!("{}-{}", node.name(), rng.next_u32() % KEYS);
            let own = rng.next_u32().is_multiple_of(2);
            let rows = self.rows(own, place)?;
            let table = if own { owned() } else { shared() };
            if rng.next_u32().is_multiple_of(DELETES) && rows.contains_key(&key) {
                table.delete(node.client(), &key).await?;
                rows.remove(&key);
            } else {
                let value = rng.next_u64().to_string();
                table.put(node.client(), &key, &value).await?;
                rows.insert(key, value);
            }
            self.written += 1;
        }
        Ok(())
    }

    /// A node started again: it publishes what it owns, as a daemon does that finds its containers
    /// running.
    pub(crate) async fn publish(&self, node: &Node, place: usize) -> Result<()> {
        let rows = self.owned.get(place).context("a node is missing")?;
        owned().load(node.client(), rows.clone()).await?;
        Ok(node.client().mark_complete(NETWORK).await?)
    }

    /// Whether every node shows exactly these rows.
    pub(crate) async fn check(&self, nodes: &[&Node]) -> Result<()> {
        let all: Rows = self.owned.iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        for node in nodes {
            for (table, rows) in [(owned(), &all), (shared(), &self.shared)] {
                let found = table.read(node.client()).await?;
                let name = table.table;
                ensure!(found == *rows, "{} shows other rows of {name}: {found:?}", node.name());
            }
        }
        Ok(())
    }

    fn rows(&mut self, own: bool, place: usize) -> Result<&mut Rows> {
        if own {
            self.owned.get_mut(place).context("a node is missing")
        } else {
            Ok(&mut self.shared)
        }
    }
}

fn owned() -> Table<'static> {
    Table::owner(NETWORK, "endpoints")
}

fn shared() -> Table<'static> {
    Table::cluster(NETWORK, "services")
}
