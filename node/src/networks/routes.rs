//! What routes of this host lie in the pools, told to all nodes: nobody gives a subnet that would cut a host
//! off from what it reaches by a route of its own.

use std::time::Duration;

use netdb::Table;
use netnode_plan::records::{ROUTES_KEY, RoutesRecord, encode};
use tokio::{
    task,
    time::{sleep, timeout},
};

use super::{Pools, pools::Known};
use crate::kernel::host_routes;

/// How often the kernel is asked; who gives a subnet asks it besides.
const PERIOD: Duration = Duration::from_mins(1);
/// How long the kernel may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells them from now on, until the node ends.
pub(super) fn tell(table: Table, mut pools: Known) {
    tokio::spawn(async move {
        let mut told = None;
        loop {
            let known = *pools.borrow();
            if let Some(pools) = known {
                let record = in_pools(pools).await;
                if told.as_ref() != Some(&record) {
                    // What is not told now is told at the next look; a node that is stopping tells nothing.
                    if table.upsert(ROUTES_KEY, encode(&record)).await.is_ok() {
                        told = Some(record);
                    }
                }
            }
            // An error means that they are known.
            match timeout(PERIOD, pools.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_)) => sleep(PERIOD).await,
            }
        }
    });
}

/// Those of this host, as they are now; none if the kernel can't be asked.
pub(super) async fn in_pools(Pools { v4, v6 }: Pools) -> RoutesRecord {
    let looked = timeout(PATIENCE, task::spawn_blocking(host_routes)).await;
    let routes = match looked {
        Ok(Ok(Ok(routes))) => routes,
        Ok(Ok(Err(error))) => {
            tracing::debug!("{error}");
            Vec::new()
        }
        _ => Vec::new(),
    };
    RoutesRecord::new(routes, &[v4, v6])
}
