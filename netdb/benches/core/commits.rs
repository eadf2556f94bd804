//! Acknowledged `Cluster` writes of an open node, with its disk.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use netdb::{Config, Farewell, Lifetime, Name, NetDb, Table};
use tokio::{runtime::Runtime, task::JoinSet};

/// Writers that each wait for one acknowledgement at a time.
const WRITERS: u64 = 64;

/// Acknowledged `Cluster` writes, alone and from many callers at once, whose commits share transactions.
pub(crate) fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("commit");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(1));
    let runtime = Runtime::new().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = Config::local(directory.path().join("node"), Name::new("bench").unwrap());
    let (db, table) = runtime.block_on(async {
        NetDb::init(&config).await.unwrap();
        let db = NetDb::open(config).await.unwrap();
        let network = db.ensure_attached("net").await.unwrap();
        (db, network.table("services", Lifetime::Cluster).unwrap())
    });
    for (name, writers) in [("one-writer", 1), ("64-writers", WRITERS)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| runtime.block_on(acknowledged(&table, count, writers)));
        });
    }
    group.finish();
    runtime.block_on(db.stop(Farewell::ShuttingDown)).unwrap();
}

async fn acknowledged(table: &Table, count: u64, writers: u64) -> Duration {
    let began = Instant::now();
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let table = table.clone();
        let own = count / writers + u64::from(writer < count % writers);
        tasks.spawn(async move {
            for n in 0..own {
                let key = format!("{writer:04}-{:011}", n % 100);
                table.upsert(key, [1; 100]).await.unwrap();
            }
        });
    }
    tasks.join_all().await;
    began.elapsed()
}
