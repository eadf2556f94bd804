//! The running node: the order of starting and stopping, signals, reload.
//!
//! Only an order through the control API leaves the cluster; a signal stops, and the cluster is told to
//! expect the node back (or, when the host goes down, that its rows are withdrawn).

mod news;
mod reload;

use std::time::Duration;

use netdb::{Farewell, NetDb, OpenError, StopError};
use netnode_api::node::Left;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    time::{Interval, MissedTickBehavior, interval, timeout},
};

use crate::{
    Failure,
    control::{self, Control, ControlSocket, ORDERS, Order, Parts, Server},
    dns::Dns,
    endpoints::Endpoints,
    ipam::{Handover, Ipam, replace},
    logging::Logging,
    networks::Networks,
    service,
    services::Services,
    settings::{self, MetricsAddress, Resolved, Settings, Sources},
    setup,
};
use reload::Live;

/// How long the node may take to answer before the service manager hears nothing more from us.
const WELL: Duration = Duration::from_secs(5);

/// The signals that netnode heeds.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

/// Why the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// A signal.
    Asked,
    /// It has left the cluster.
    Left,
    /// The node ended by itself, which it never should.
    Broken,
}

/// Runs until a signal or an order ends it.
pub(crate) async fn run(
    sources: Sources,
    resolved: Resolved,
    logging: Logging,
) -> Result<(), Failure> {
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    let mut signals = Signals::listen()
        .map_err(|error| Failure::new(format!("signals can't be handled: {error}")))?;
    let settings = &resolved.settings;
    let socket = ControlSocket::bind(&settings.socket, settings.socket_group.as_deref());
    let socket = socket.await.map_err(Failure::new)?;
    let metrics = bind_metrics(settings.metrics_listen).await?;
    let db = NetDb::open(settings.to_node_config()).await.map_err(|error| of_open(&error))?;
    let (orders, mut ordered) = mpsc::channel(ORDERS);
    let (stop, stopping) = watch::channel(false);
    let parts = take_part(&db, settings).await?;
    let ipam = parts.networks.ipam().clone();
    tokio::spawn(control::health::keep(parts.services.clone(), parts.endpoints.clone()));
    let control = Control::new(db.clone(), parts, orders, stopping.clone());
    let mut servers =
        vec![Server::start(socket, control::router(control.clone()), stopping.clone())];
    if let Some(listener) = metrics {
        servers.push(Server::start(listener, control::metrics_router(control), stopping));
    }
    let news = tokio::spawn(news::tell(db.clone()));
    let status = format!("node {} at {}", db.id(), db.local_addr());
    tracing::info!(node = %db.id(), cluster = %db.cluster(), listen = %db.local_addr(),
        socket = %settings.socket.display(), "running");
    service::ready(&status);
    let mut live = Live { sources, resolved, logging, db: db.clone() };
    let mut well = watchdog();
    let end = loop {
        tokio::select! {
            _ = signals.terminate.recv() => break End::Asked,
            _ = signals.interrupt.recv() => break End::Asked,
            _ = signals.hangup.recv() => {
                // What is wrong is logged; there is nobody to answer.
                let _ = reload(&mut live, &status).await;
            }
            Some(order) = ordered.recv() => match order {
                Order::Leave(reply) => {
                    tracing::info!("leaving the cluster for good");
                    service::stopping();
                    // Whoever asked may have gone away.
                    let _ = reply.send(leave(&db, &ipam).await);
                    break End::Left;
                }
                Order::Settings(reply) => {
                    // Whoever asked may have gone away.
                    let _ = reply.send(settings::list(&live.resolved));
                }
                Order::Reload(reply) => {
                    // Whoever asked may have gone away.
                    let _ = reply.send(reload(&mut live, &status).await);
                }
            },
            () = tick(&mut well) => tell_if_well(&db).await,
            () = ended(&db) => break End::Broken,
        }
    };
    service::stopping();
    let stopped = stop_node(&db, end, &mut signals, &stop, servers);
    let result = stopped.await;
    news.abort();
    result
}

/// Networks are known and given numbers for, services are known, this host's endpoints are taken up, and names
/// answered.
async fn take_part(db: &NetDb, settings: &Settings) -> Result<Parts, Failure> {
    let state_dir = &settings.state_dir;
    let founding = setup::founding(state_dir)?;
    let networks = Networks::start(db, founding, settings);
    let networks = networks
        .await
        .map_err(|error| Failure::new(format!("networks can't be taken part in: {error}")))?;
    let services = Services::start(db, &networks).await;
    let services =
        services.map_err(|error| Failure::new(format!("services can't be followed: {error}")))?;
    replace::begin(db, networks.ipam(), state_dir);
    let names = settings.to_dns();
    let led = names.listen.filter(|_| names.at_gateways);
    let labels = settings.labels.0.clone();
    let endpoints = Endpoints::start(db, &networks, &services, state_dir, led, labels).await;
    let endpoints =
        endpoints.map_err(|error| Failure::new(format!("endpoints can't be taken up: {error}")))?;
    let dns = Dns::start(db, &networks, &endpoints, names).await;
    let dns = dns.map_err(|error| Failure::new(format!("names can't be answered: {error}")))?;
    Ok(Parts { networks, services, endpoints, dns })
}

/// Hands over what this node holds, and leaves; what nobody took waits for an administrator.
async fn leave(db: &NetDb, ipam: &Ipam) -> Result<Left, StopError> {
    // A node that ended by itself has nothing to hand over any more.
    let handover = ipam.hand_over().await.unwrap_or_default();
    let Handover { taken, left, others } = handover;
    let mut warnings = Vec::new();
    if left > 0 && others {
        let id = db.id();
        let warning = format!(
            "no other node took {left} ranges of numbers in time: `netdbctl ipam reclaim {id}` on one \
             that stays gives them to others"
        );
        tracing::warn!("{warning}");
        warnings.push(warning);
    }
    db.leave().await?;
    Ok(Left { ranges_handed_over: taken, ranges_left: left, warnings })
}

async fn bind_metrics(address: Option<MetricsAddress>) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = address.map(MetricsAddress::get) else { return Ok(None) };
    let failed = |error| {
        Failure::new(format!("metrics can't be served at {address}: {error}"))
            .with_hint("--metrics-listen names another address")
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    // With port 0 the system chose one.
    if let Ok(address) = listener.local_addr() {
        tracing::info!("metrics are served at http://{address}/metrics");
    }
    Ok(Some(listener))
}

async fn reload(
    live: &mut Live,
    status: &str,
) -> Result<netnode_api::node::Reloaded, netnode_api::error::Problem> {
    service::reloading();
    let reloaded = live.reload().await;
    service::ready(status);
    reloaded
}

/// Ends the node first, so that its peers hear of it however long clients take.
async fn stop_node(
    db: &NetDb,
    end: End,
    signals: &mut Signals,
    stop: &watch::Sender<bool>,
    servers: Vec<Server>,
) -> Result<(), Failure> {
    let orderly = async {
        let stopped = match end {
            End::Asked => {
                let how = farewell().await;
                tracing::info!(?how, "stopping");
                db.stop(how).await
            }
            End::Left | End::Broken => Ok(()),
        };
        stop.send_replace(true);
        for server in servers {
            server.ended().await;
        }
        stopped
    };
    tokio::select! {
        stopped = orderly => match (end, stopped) {
            (End::Broken, _) => Err(Failure::new("the node ended by itself: this is a fault of netnode")),
            (_, Ok(())) => {
                tracing::info!("stopped");
                Ok(())
            }
            (_, Err(error)) => Err(Failure::new(error)),
        },
        () = signals.again() => Err(Failure::new("stopped at once, because a second signal asked for it")),
    }
}

async fn farewell() -> Farewell {
    if service::host_is_stopping().await { Farewell::ShuttingDown } else { Farewell::Restarting }
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for another signal to stop.
    async fn again(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn watchdog() -> Option<Interval> {
    service::watchdog_interval().map(|period| {
        let mut interval = interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    })
}

/// The next moment to tell that the node is well; never without a watchdog.
async fn tick(well: &mut Option<Interval>) {
    match well {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// Silence is what makes the service manager act.
async fn tell_if_well(db: &NetDb) {
    if let Ok(Ok(_)) = timeout(WELL, db.info()).await {
        service::alive();
    } else {
        tracing::error!("the node does not answer");
    }
}

/// Waits until the node has ended.
async fn ended(db: &NetDb) {
    // Its events end with it; those that come before don't matter here.
    if let Ok(mut events) = db.events().await {
        while !matches!(events.next().await, Err(netdb::EventsError::Stopped(_))) {}
    }
}

fn of_open(error: &OpenError) -> Failure {
    let failure = Failure::new(error);
    match error {
        OpenError::NotAMember(_) => failure.with_hint(
            "`netnode init` makes a new cluster, `netnode join TOKEN ADDRESS` enters one; \
             --state-dir names another directory",
        ),
        OpenError::Bind(_) => {
            failure.with_hint("--listen names another address; is another netnode running?")
        }
        _ => failure,
    }
}
