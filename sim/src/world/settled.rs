//! A cluster that begins as if its nodes had met long ago: each knows all others, and what each says of itself.
//!
//! A cluster that starts is as many meetings as there are pairs of nodes, each told by several packets; of a
//! thousand nodes that is more work than an hour of their life. Here every node starts alone, and is then told
//! of all others by hand. What they know is the same for all, and the rows of it are shared between them. From
//! then on nothing is shared, and nothing differs from a cluster that came together by itself.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use netdb_core::{
    entry::{Entry, RowKey, Writer},
    node::CLUSTER_NETWORK,
    view::Filter,
};
use netdb_gossip_core::gossip::Member;

use super::{World, script::SCRIPT};
use crate::broken::Outcome;

/// So long a disk may take for a node's first commit.
const STARTED: Duration = Duration::from_secs(1);
/// After so long nothing is left that a node had to say to nobody.
const SAID: Duration = Duration::from_millis(5);

/// What every node of a settled cluster knows.
#[derive(Default)]
struct Known {
    members: Vec<Member>,
    rows: Vec<Arc<Entry>>,
    received: Vec<(Writer, u64)>,
}

impl World {
    /// Starts all hosts as a cluster that has been there for a while, each attached to one network, and waits
    /// until all is at rest. The report of the run says that it began so.
    pub fn start_settled(&mut self, network: impl Fn(usize) -> String) -> Outcome {
        self.settled = true;
        self.found(0)?;
        self.await_ready(0)?;
        let hosts = self.hosts.len();
        for host in 1..hosts {
            let adopted = self.let_in(host, 0)?;
            let adopted =
                adopted.map_err(|what| self.broken("join", format!("n{host}: {what}")))?;
            self.become_member(host, adopted.alone().ops)?;
        }
        self.await_until("start", STARTED, |world| {
            let sees_itself = |host: usize| {
                let node = world.node(host).zip(world.host(host));
                node.is_some_and(|(node, host)| node.states().any(|(id, _)| id == host.id))
            };
            let waited_for = (0..hosts).find(|host| !sees_itself(*host));
            waited_for.map(|host| format!("n{host} is not ready"))
        })?;
        for host in 0..hosts {
            self.attach(host, &network(host))?;
        }
        self.run_for(SAID)?;
        let known = self.known_of_all()?;
        let name = self.name(CLUSTER_NETWORK)?;
        for host in 0..hosts {
            self.on(host, |node, now| {
                node.learn(now, &known.members, &name, &known.rows, &known.received);
            })?;
        }
        self.settle(Duration::from_mins(2)).map(|_| ())
    }

    /// What each node knows of itself, and the first one of whom it let in.
    fn known_of_all(&self) -> Outcome<Known> {
        let network = self.name(CLUSTER_NETWORK)?;
        let filter = Filter { network: Some(network.clone()), ..Filter::default() };
        let mut known = Known::default();
        let mut tables = BTreeMap::new();
        for host in &self.hosts {
            let Some(node) = host.node() else {
                return Err(self.broken(SCRIPT, format!("n{} does not run", host.index)));
            };
            known.members.push(*node.gossip().me());
            let own = |writer: &Writer| writer.node == host.id;
            for (_, row) in node.rows(&filter) {
                if own(&row.entry.dot.writer) {
                    known.rows.push(with_shared_name(&mut tables, &row.entry));
                }
            }
            known.received.extend(node.received(&network).into_iter().filter(|(w, _)| own(w)));
        }
        Ok(known)
    }
}

/// The same write, its table's name kept once for all of them.
fn with_shared_name(tables: &mut BTreeMap<Arc<str>, Arc<str>>, entry: &Entry) -> Arc<Entry> {
    let table = tables.entry(Arc::clone(&entry.row.table));
    let table = Arc::clone(table.or_insert_with(|| Arc::clone(&entry.row.table)));
    let row = RowKey { table, ..entry.row.clone() };
    Arc::new(Entry::new(row, entry.dot, entry.at, entry.value.clone()))
}

#[cfg(test)]
mod tests {
    use netdb_core::node::MemberState;
    use netdb_gossip_core::{identity::NodeId, time::Time};

    use super::*;
    use crate::world::{Disk, Options, Stop};

    const HOSTS: usize = 12;
    const SPAN: Duration = Duration::from_secs(20);

    fn network(host: usize) -> String {
        format!("net-{}", host % 2)
    }

    fn cold() -> World {
        let mut world = World::new(Options::lan(7, HOSTS));
        world.start().unwrap();
        (0..HOSTS).for_each(|host| world.attach(host, &network(host)).unwrap());
        world.settle(Duration::from_secs(30)).unwrap();
        world
    }

    fn settled() -> World {
        let mut world = World::new(Options::lan(7, HOSTS));
        world.start_settled(network).unwrap();
        world
    }

    /// What a host holds of each network, how far it has received it, and whom it sees how.
    fn known(world: &World, host: usize) -> impl PartialEq + std::fmt::Debug {
        let node = world.node(host).unwrap();
        let networks = node.networks().into_iter().map(|info| {
            let received = node.received(&info.name);
            (info.name, info.synced, info.entries, info.hash, info.peers, received)
        });
        (networks.collect::<Vec<_>>(), node.states().collect::<Vec<_>>())
    }

    fn is_failed(seen: &(NodeId, MemberState)) -> bool {
        seen.1 == MemberState::Failed
    }

    fn sent(world: &mut World) -> u64 {
        let before = world.bytes_sent();
        world.run_for(SPAN).unwrap();
        world.bytes_sent() - before
    }

    #[test]
    fn a_settled_cluster_is_what_one_is_that_came_together_by_itself() {
        let (mut cold, mut settled) = (cold(), settled());
        assert!(settled.settled && !cold.settled);
        for host in 0..HOSTS {
            assert_eq!(known(&settled, host), known(&cold, host), "n{host}");
        }
        assert!(settled.bytes_sent() < cold.bytes_sent() / 4, "{}", settled.bytes_sent());
        cold.run_for(SPAN).unwrap();
        settled.run_for(SPAN).unwrap();
        let (one, other) = (sent(&mut settled), sent(&mut cold));
        assert!(one.abs_diff(other) < other / 10, "at rest {one} bytes are sent, and {other}");
        for world in [&mut cold, &mut settled] {
            // At the same time in both: it gives a node that starts its generation.
            world.run_until(Time(0) + SPAN * 4).unwrap();
            world.stop(3, Stop::Kill).unwrap();
            world.run_for(SPAN).unwrap();
            assert_eq!(world.node(0).unwrap().states().filter(is_failed).count(), 1);
            world.restart(3, Disk::Kept).unwrap();
            world.settle(SPAN).unwrap();
        }
        for host in 0..HOSTS {
            assert_eq!(known(&settled, host), known(&cold, host), "n{host} after a kill");
        }
    }
}
