//! The control API: what each request does, in terms of the node's handle.
//!
//! Must never hold anything of the node, wait without a bound on a client, or answer without the shape
//! that `netnode-api` promises.

mod admin;
mod convert;
mod debug;
mod diff;
mod dns;
mod endpoints;
pub(crate) mod health;
mod ipam;
mod lb;
mod load;
mod names;
mod networks;
mod openapi;
mod problem;
mod routes;
mod rows;
mod scopes;
mod select;
mod serve;
mod services;
mod socket;
mod watch;

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, Uri},
    routing::get,
};
use netdb::{NetDb, StopError};
use netnode_api::{
    error::{Code, Problem},
    node::{Left, Reloaded},
    settings::Setting,
};
use tokio::sync::{mpsc, oneshot, watch as signal};

use crate::{dns::Dns, endpoints::Endpoints, networks::Networks, services::Services};
pub(crate) use openapi::text as openapi;
use problem::Refused;
pub(crate) use serve::Server;
pub(crate) use socket::ControlSocket;

/// The most bytes of a JSON body: the largest key and value, escaped in the worst way.
pub(crate) const MAX_BODY: usize = 512 * 1024;

/// Where Prometheus looks unless told otherwise.
const OPEN_METRICS: &str = "/metrics";

/// Orders that wait for the daemon; whoever gives one waits beyond that.
pub(crate) const ORDERS: usize = 8;

/// What only the daemon as a whole can do.
pub(crate) enum Order {
    /// Read the settings again.
    Reload(oneshot::Sender<Result<Reloaded, Problem>>),
    /// Say what the settings are.
    Settings(oneshot::Sender<Vec<Setting>>),
    /// Leave the cluster, answer, and end.
    Leave(oneshot::Sender<Result<Left, StopError>>),
}

/// What the node does beside its tables.
pub(crate) struct Parts {
    pub(crate) networks: Networks,
    pub(crate) services: Services,
    pub(crate) endpoints: Endpoints,
    pub(crate) dns: Dns,
}

/// What every request needs.
#[derive(Clone)]
pub(crate) struct Control {
    db: NetDb,
    networks: Networks,
    services: Services,
    endpoints: Endpoints,
    dns: Dns,
    started: Instant,
    orders: mpsc::Sender<Order>,
    /// True once the daemon stops: what goes on by itself has to end.
    stopping: signal::Receiver<bool>,
}

impl Control {
    pub(crate) fn new(
        db: NetDb,
        parts: Parts,
        orders: mpsc::Sender<Order>,
        stopping: signal::Receiver<bool>,
    ) -> Arc<Self> {
        let Parts { networks, services, endpoints, dns } = parts;
        let started = Instant::now();
        Arc::new(Self { db, networks, services, endpoints, dns, started, orders, stopping })
    }
}

/// Waits until the daemon stops.
async fn stopped(stopping: &mut signal::Receiver<bool>) {
    // An error means that the daemon is gone, which is as good.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// The whole API.
pub(crate) fn router(control: Arc<Control>) -> Router {
    let routes = routes::routes().into_iter();
    routes
        .fold(Router::new(), |router, route| router.route(route.path, route.does))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(control)
}

/// What anybody on this host may ask for.
pub(crate) fn metrics_router(control: Arc<Control>) -> Router {
    let router = Router::new().route(OPEN_METRICS, get(admin::metrics)).fallback(no_such_path);
    router.method_not_allowed_fallback(no_such_method).with_state(control)
}

async fn no_such_path(uri: Uri) -> Refused {
    let problem = Problem::new(Code::NotFound, format!("there is no {}", uri.path()));
    problem.with_hint("use the netdbctl of the same version as netnode").into()
}

async fn no_such_method(method: Method, uri: Uri) -> Refused {
    Problem::new(Code::NotFound, format!("there is no {method} of {}", uri.path())).into()
}
