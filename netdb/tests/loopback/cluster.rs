//! Nodes on the loopback interface, each with a directory of its own, and waiting for what must come.
//!
//! Must never sleep to let something happen: every wait is for a state, within a deadline that only a
//! fault reaches.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use netdb::{Config, Event, EventKind, Farewell, Lifetime, MemberState, Name, NetDb, Watch};

/// Longer than anything takes that works.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// Some nodes of one cluster.
pub(crate) struct Cluster {
    dir: tempfile::TempDir,
    pub(crate) token: String,
    pub(crate) nodes: Vec<NetDb>,
}

impl Cluster {
    /// A cluster of `count` nodes that see each other.
    pub(crate) async fn start(count: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let first = config(dir.path(), 0);
        let token = NetDb::init(&first).await.unwrap().text;
        let nodes = vec![NetDb::open(first).await.unwrap()];
        let mut cluster = Self { dir, token, nodes };
        for _ in 1..count {
            cluster.add().await;
        }
        cluster.meet().await;
        cluster
    }

    /// One node more.
    pub(crate) async fn add(&mut self) {
        let config = self.config(self.nodes.len());
        NetDb::join(&config, &self.token, &[self.nodes[0].local_addr()]).await.unwrap();
        self.nodes.push(NetDb::open(config).await.unwrap());
    }

    /// Stops a node and opens it again from its directory, at the port that it had.
    pub(crate) async fn restart(&mut self, index: usize, how: Farewell) {
        self.nodes[index].stop(how).await.unwrap();
        self.reopen(index).await;
    }

    pub(crate) async fn reopen(&mut self, index: usize) {
        let config = Config { listen: self.nodes[index].local_addr(), ..self.config(index) };
        self.nodes[index] = NetDb::open(config).await.unwrap();
    }

    pub(crate) fn config(&self, index: usize) -> Config {
        config(self.dir.path(), index)
    }

    pub(crate) fn state_dir(&self, index: usize) -> PathBuf {
        self.config(index).state_dir
    }

    /// Waits until every node sees every other alive.
    pub(crate) async fn meet(&self) {
        for node in &self.nodes {
            until("all members alive", async || {
                let members = node.members().await.unwrap();
                let alive = members.iter().filter(|m| m.state == MemberState::Alive);
                alive.count() == self.nodes.len()
            })
            .await;
        }
    }

    pub(crate) async fn stop(self) {
        for node in self.nodes {
            node.stop(Farewell::Leaving).await.unwrap();
        }
    }
}

pub(crate) fn config(root: &Path, index: usize) -> Config {
    Config::local(root.join(index.to_string()), name(&format!("node-{index}")))
}

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Waits until `holds`; asks again and again, because not every state announces itself.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(waited.await.is_ok(), "waited in vain for: {what}");
}

/// What does not come is a failed test, not one that hangs.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for: {what}"))
}

/// Attaches every node to a network and waits until all of them know that.
pub(crate) async fn attach_all(nodes: &[NetDb], network: &str) -> Vec<netdb::Network> {
    let mut networks = Vec::new();
    for node in nodes {
        networks.push(node.attach(network).await.unwrap());
    }
    for network in &networks {
        until("all peers", async || network.peers().await.unwrap().len() == nodes.len()).await;
        soon("in sync", network.wait_synced()).await.unwrap();
    }
    networks
}

/// The value of a key in a `Cluster` table, or of one owner's row.
pub(crate) async fn value(table: &netdb::Table, key: &str) -> Option<String> {
    let rows = table.get(key).await.unwrap();
    rows.first().and_then(|row| row.entry.value.as_ref()).map(|v| text(v))
}

pub(crate) async fn until_value(table: &netdb::Table, key: &str, expected: Option<&str>) {
    let what = format!("{key} = {expected:?}");
    until(&what, async || value(table, key).await.as_deref() == expected).await;
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) async fn next(watch: &mut Watch) -> Event {
    soon("an event", watch.next()).await.expect("the node was stopped")
}

/// An event in short: `+key=value`, `~key=old>new`, `-key=value Reason`, `.`.
pub(crate) fn short(event: &Event) -> String {
    let shown = |entry: &netdb::Entry| text(entry.value.as_deref().unwrap_or_default());
    match &event.kind {
        EventKind::Created { new } => format!("+{}={}", text(&new.row.key), shown(new)),
        EventKind::Updated { old, new } => {
            format!("~{}={}>{}", text(&new.row.key), shown(old), shown(new))
        }
        EventKind::Deleted { old, reason } => {
            format!("-{}={} {reason:?}", text(&old.row.key), shown(old))
        }
        EventKind::SnapshotEnd => ".".to_owned(),
    }
}

pub(crate) const BOTH: [Lifetime; 2] = [Lifetime::Owner, Lifetime::Cluster];
