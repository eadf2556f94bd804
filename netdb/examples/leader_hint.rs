//! A leader hint: of three workers, one does each job, and when it goes another takes over. No election:
//! every node works out the same name from the members that it sees.
//!
//! A hint is no lock. While nodes do not see the same members, two of them may do a job, so a job must be
//! one that may be done twice.
//!
//! Run it with `cargo run -p netdb --example leader_hint`.

use std::{collections::BTreeMap, error::Error, time::Duration};

use netdb::{Config, Farewell, Name, NetDb, Network, NodeId};
use tokio::time::{sleep, timeout};

const JOBS: [&str; 4] = ["rotate-logs", "send-report", "renew-certificates", "sweep-cache"];

/// Who does what.
type Plan = BTreeMap<&'static str, NodeId>;

struct Worker {
    db: NetDb,
    jobs: Network,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let config = |name: &str| -> Result<Config, Box<dyn Error>> {
        Ok(Config::local(dir.path().join(name), Name::new(name)?))
    };
    let first = config("worker-1")?;
    let token = NetDb::init(&first).await?.text;
    let first = Worker::start(first).await?;
    let address = first.db.local_addr();
    let mut workers = vec![first];
    for name in ["worker-2", "worker-3"] {
        let config = config(name)?;
        NetDb::join(&config, &token, &[address]).await?;
        workers.push(Worker::start(config).await?);
    }
    let plan = agreed(&workers).await?;
    show("three workers", &plan);

    // One leaves; the others take over what it did, and nothing else moves.
    let gone = workers.pop().ok_or("there are three")?;
    let id = gone.db.info().await?.node.member.id;
    gone.db.stop(Farewell::ShuttingDown).await?;
    let next = agreed(&workers).await?;
    show("two workers", &next);
    for (job, node) in &plan {
        let taken_over = next.get(job).ok_or("every job has a node")?;
        assert_eq!(*node == id, taken_over != node, "{job}");
    }

    for worker in workers {
        worker.db.stop(Farewell::ShuttingDown).await?;
    }
    Ok(())
}

impl Worker {
    async fn start(config: Config) -> Result<Self, Box<dyn Error>> {
        let db = NetDb::open(config).await?;
        let jobs = db.attach("jobs").await?;
        Ok(Self { db, jobs })
    }

    async fn plan(&self) -> Result<Plan, Box<dyn Error>> {
        let mut plan = Plan::new();
        for job in JOBS {
            let node = self.jobs.leader_hint(job).await?.ok_or("nobody is attached")?;
            plan.insert(job, node);
        }
        Ok(plan)
    }
}

/// Waits until every worker sees all of them, and so has the same plan.
async fn agreed(workers: &[Worker]) -> Result<Plan, Box<dyn Error>> {
    let all_seen = async {
        let mut plans = Vec::new();
        for worker in workers {
            while worker.jobs.peers().await?.len() != workers.len() {
                sleep(Duration::from_millis(10)).await;
            }
            plans.push(worker.plan().await?);
        }
        plans.dedup();
        assert_eq!(plans.len(), 1, "who sees the same names the same");
        plans.pop().ok_or_else(|| "there are no workers".into())
    };
    timeout(Duration::from_secs(30), all_seen).await?
}

fn show(who: &str, plan: &Plan) {
    println!("{who}:");
    for (job, node) in plan {
        println!("  {job:<20} {node}");
    }
}
