//! Fourth stage: the cluster changes its key while it is written to, and loses nothing.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use netdb_tests::{agreement::wait_agreed, rows::Table, wait::until};
use netnode_api::{
    client::Client,
    keys::{Keys, Rotation},
};
use tokio::task::JoinHandle;

use super::stage::{BLUE, GREEN, NETWORKS, Network, Stage};

/// The rest of a writer between two writes.
const REST: Duration = Duration::from_millis(1);

/// A writer at work: every write that was acknowledged is in what it returns.
struct Writer {
    network: Network,
    table: Table<'static>,
    done: Arc<AtomicBool>,
    task: JoinHandle<Result<BTreeMap<String, String>>>,
}

pub(crate) async fn under_load(stage: &mut Stage) -> Result<()> {
    stage.report.begin("A key rotation under load");
    let writers = [
        Writer::start(stage.node(0)?.client(), BLUE, Table::owner(BLUE.name, "orders")),
        Writer::start(stage.node(2)?.client(), GREEN, Table::cluster(GREEN.name, "orders")),
    ];
    let first = stage.node(0)?.client().clone();
    let before = primary(&first.keys().await?).context("no key seals")?;
    let began = Instant::now();
    first.rotate_keys().await?;
    all(stage, "seals with the new key", |keys| {
        primary(keys).is_some_and(|(epoch, key)| epoch > before.0 && key != before.1)
    })
    .await?;
    stage.report.took("every node seals with the new key", began.elapsed());
    all(stage, "has dropped the old key", |keys| {
        keys.rotation == Rotation::Idle && keys.keys.iter().all(|key| key.id != before.1)
    })
    .await?;
    stage.report.took("every node has dropped the old one", began.elapsed());
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.push(writer.stop().await?);
    }
    let _pause = stage.live.pause().await;
    for network in NETWORKS {
        wait_agreed(&stage.members_of(network), network.name).await?;
    }
    for (network, table, rows) in &acknowledged {
        let mut lost = 0;
        for node in stage.members_of(*network) {
            let found = table.read(node.client()).await?;
            lost += rows.iter().filter(|(key, value)| found.get(*key) != Some(value)).count();
        }
        let lifetime = table.lifetime.as_str();
        let what = format!("written to {} meanwhile ({lifetime} lifetime), lost", network.name);
        stage.report.check(&what, lost == 0, &format!("{lost} of {}", rows.len()));
    }
    Ok(())
}

impl Writer {
    fn start(client: &Client, network: Network, table: Table<'static>) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(write(client.clone(), table, Arc::clone(&done)));
        Self { network, table, done, task }
    }

    async fn stop(self) -> Result<(Network, Table<'static>, BTreeMap<String, String>)> {
        self.done.store(true, Relaxed);
        Ok((self.network, self.table, self.task.await??))
    }
}

async fn write(
    client: Client,
    table: Table<'static>,
    done: Arc<AtomicBool>,
) -> Result<BTreeMap<String, String>> {
    let mut acknowledged = BTreeMap::new();
    for number in 0_u64.. {
        if done.load(Relaxed) {
            break;
        }
        let (key, value) = (format!("order-{number:06}"), format!("item {number}"));
        table.put(&client, &key, &value).await?;
        acknowledged.insert(key, value);
        tokio::time::sleep(REST).await;
    }
    Ok(acknowledged)
}

/// Epoch and id of the key that seals.
fn primary(keys: &Keys) -> Option<(u64, String)> {
    keys.keys.iter().find(|key| key.primary).map(|key| (key.epoch, key.id.clone()))
}

async fn all(stage: &Stage, what: &str, reached: impl Fn(&Keys) -> bool) -> Result<()> {
    for node in &stage.cluster.nodes {
        until(&format!("{} {what}", node.name()), async || {
            let keys = node.client().keys().await?;
            ensure!(reached(&keys), "{keys:?}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}
