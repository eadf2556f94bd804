//! At a port of a service: whether this host has backends that take what comes from outside, for a balancer in front of
//! the hosts to ask.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use axum::{Json, Router, http::StatusCode, response::IntoResponse};
use netnode_plan::{
    records::{PublishedPort, ServiceId},
    services::{Claim, Services as All},
};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};

use super::serve::Server;
use crate::{endpoints::Endpoints, kernel::has_v6, services::Services};

/// How soon a port is tried again that somebody else has.
const AGAIN: Duration = Duration::from_secs(5);
/// How long answers under way may take when a port goes.
const PATIENCE: Duration = Duration::from_secs(3);

/// A port that is served.
struct Served {
    server: Server,
    stop: watch::Sender<bool>,
}

/// Serves the ports that services have for it, until the node stops.
pub(crate) async fn keep(services: Services, endpoints: Endpoints) {
    let mut all = services.watch();
    let mut open: BTreeMap<(u16, ServiceId), Served> = BTreeMap::new();
    let mut told = BTreeSet::new();
    loop {
        let wanted = wanted(&all.borrow_and_update().clone());
        let gone: Vec<_> =
            open.keys().filter(|port| !wanted.contains_key(*port)).copied().collect();
        for Served { server, stop } in gone.iter().filter_map(|port| open.remove(port)) {
            stop.send_replace(true);
            // Another service may have the port next. Whoever is slow is cut off.
            let _ = timeout(PATIENCE, server.ended()).await;
        }
        let mut missing = false;
        for (port, name) in wanted {
            if open.contains_key(&port) {
                continue;
            }
            match listen(port.0).await {
                Ok(listener) => {
                    let (stop, stopping) = watch::channel(false);
                    let router = router(name, port.1, endpoints.clone());
                    let server = Server::start(listener, router, stopping);
                    open.insert(port, Served { server, stop });
                }
                Err(error) => {
                    missing = true;
                    if told.insert(port) {
                        tracing::warn!(
                            port = port.0,
                            service = name,
                            "its health is not told: {error}"
                        );
                    }
                }
            }
        }
        let again =
            async { if missing { sleep(AGAIN).await } else { std::future::pending().await } };
        let changed = tokio::select! {
            changed = all.changed() => changed,
            () = again => Ok(()),
        };
        if changed.is_err() {
            return;
        }
    }
}

/// Both versions of IP, or what the kernel has of them.
async fn listen(port: u16) -> io::Result<TcpListener> {
    let any: IpAddr =
        if has_v6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    TcpListener::bind((any, port)).await
}

/// The ports of services, as far as no other service has them.
fn wanted(all: &All) -> BTreeMap<(u16, ServiceId), String> {
    let ports = all.iter().filter_map(|(id, listed)| {
        let port: PublishedPort = listed.record.health()?;
        let lost = listed.conflicts.iter().any(|conflict| conflict.claim == Claim::Port(port));
        (!lost).then(|| ((port.published, id), listed.record.name.to_string()))
    });
    ports.collect()
}

fn router(service: String, id: ServiceId, endpoints: Endpoints) -> Router {
    Router::new().fallback(move || {
        let share = endpoints.shares().get(&id).copied().unwrap_or_default();
        let serves = share.v4 > 0 || share.v6 > 0;
        let status = if serves { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let told = json!({ "service": service, "serves": serves });
        async move { (status, Json(told)).into_response() }
    })
}
