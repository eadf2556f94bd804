//! What the stages share: the cluster, who is in which network, and what was measured so far.

use anyhow::{Context, Result};
use netdb_tests::{cluster::Cluster, node::Node, rows::Table};

use super::{live::Live, report::Report, services::Services};

/// A network and its members, by their places in the cluster.
#[derive(Clone, Copy)]
pub(crate) struct Network {
    pub(crate) name: &'static str,
    pub(crate) members: &'static [usize],
}

pub(crate) const BLUE: Network = Network { name: "blue", members: &[0, 1, 2, 3] };
pub(crate) const GREEN: Network = Network { name: "green", members: &[2, 3, 4] };
pub(crate) const NETWORKS: [Network; 2] = [BLUE, GREEN];

/// Owns the rows of /etc/services; it is restarted and killed.
pub(crate) const OWNER: usize = 1;
/// In both networks, and writes nothing.
pub(crate) const READER: usize = 3;

pub(crate) struct Stage {
    pub(crate) cluster: Cluster,
    pub(crate) services: Services,
    pub(crate) live: Live,
    pub(crate) report: Report,
}

impl Stage {
    pub(crate) fn new(cluster: Cluster, services: Services, report: Report) -> Self {
        Self { cluster, services, live: Live::default(), report }
    }

    pub(crate) fn node(&self, place: usize) -> Result<&Node> {
        self.cluster.nodes.get(place).context("the cluster is smaller than the demo")
    }

    pub(crate) fn node_mut(&mut self, place: usize) -> Result<&mut Node> {
        self.cluster.nodes.get_mut(place).context("the cluster is smaller than the demo")
    }

    pub(crate) fn members_of(&self, network: Network) -> Vec<&Node> {
        network.members.iter().filter_map(|place| self.cluster.nodes.get(*place)).collect()
    }

    /// The members of blue but the owner of the services: they watch it.
    pub(crate) fn watchers(&self) -> Vec<&Node> {
        let owner = self.cluster.nodes.get(OWNER).map(Node::name);
        self.members_of(BLUE).into_iter().filter(|node| Some(node.name()) != owner).collect()
    }

    /// The table of /etc/services.
    pub(crate) fn table() -> Table<'static> {
        Table::owner(BLUE.name, "services")
    }

    /// Writes every service from its owner, as it does after each start.
    pub(crate) async fn publish(&self) -> Result<usize> {
        let rows = self.services.rows.iter().map(|(key, value)| (key.clone(), value.clone()));
        Self::table().load(self.node(OWNER)?.client(), rows).await
    }
}
