//! Services: listing, creating, inspecting, changing, removing.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::StatusCode,
};
use netdb::Name;
use netnode_api::{
    endpoints::EndpointState,
    error::{Code, Problem},
    rows::RowState,
    services::{
        Backend, BackendCount, ClosedPort, CreateService, Hindered, PublishedPort, Service,
        ServiceConflict, ServiceDetail, ServiceState, UpdateService,
    },
};
use netnode_plan::{
    backends::{Serving, Standing as NodeStanding},
    records::{
        ExternalTraffic, NetworkId, PublishedPort as Port, ServiceId, ServiceMode, ServiceRecord,
    },
    services::{Claim, Conflict, Listed, State as Standing},
};

use super::{
    Control,
    endpoints::state_of,
    ipam,
    names::Names,
    networks::{parse, parse_all},
    problem::{Refused, body, of_write},
};
use crate::{
    endpoints,
    services::{self, Change, ChangeError, RemoveError, StandingError, VipError, Wanted},
};

pub(super) async fn list(
    State(control): State<Arc<Control>>,
) -> Result<Json<Vec<Service>>, Refused> {
    let standing = control.services.standing(None).await?;
    let (all, names) = (control.services.all(), Names::ask(&control.db).await?);
    let shown = all.iter().map(|(id, listed)| service(&control, id, listed, &standing, &names));
    let mut shown: Vec<Service> = shown.collect();
    shown.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    Ok(Json(shown))
}

pub(super) async fn create(
    State(control): State<Arc<Control>>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Service>, Refused> {
    let wanted = wanted(body(bytes)?)?;
    let created = control.services.create(&control.endpoints, wanted).await;
    shown(&control, created).await
}

pub(super) async fn inspect(
    State(control): State<Arc<Control>>,
    Path(text): Path<String>,
) -> Result<Json<ServiceDetail>, Refused> {
    let (id, listed) = control.services.find(&text)?;
    let ServiceRecord { name, network, .. } = &listed.record;
    let standing = control.services.standing(Some((*network, name))).await?;
    let names = Names::ask(&control.db).await?;
    let backends = standing.of(*network, name).map(|serving| {
        let mut all: Vec<Backend> = serving.iter().map(|one| backend(one, &names)).collect();
        all.sort_by(|one, other| (&one.task, &one.endpoint).cmp(&(&other.task, &other.endpoint)));
        all
    });
    let service = service(&control, id, &listed, &standing, &names);
    Ok(Json(ServiceDetail { service, backends }))
}

pub(super) async fn update(
    State(control): State<Arc<Control>>,
    Path(text): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Service>, Refused> {
    let change = change(body(bytes)?)?;
    let changed = control.services.update(&control.endpoints, &text, change).await;
    shown(&control, changed).await
}

pub(super) async fn remove(
    State(control): State<Arc<Control>>,
    Path(text): Path<String>,
) -> Result<StatusCode, Refused> {
    control.services.remove(&text).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn shown(
    control: &Control,
    changed: Result<(ServiceId, Listed), ChangeError>,
) -> Result<Json<Service>, Refused> {
    let (id, listed) = changed?;
    let ServiceRecord { name, network, .. } = &listed.record;
    let standing = control.services.standing(Some((*network, name))).await?;
    let names = Names::ask(&control.db).await?;
    Ok(Json(service(control, id, &listed, &standing, &names)))
}

fn wanted(wanted: CreateService) -> Result<Wanted, Refused> {
    let mode = wanted.mode.map(|mode| parse("mode", &mode)).transpose()?;
    let external = external(wanted.external_traffic.as_deref())?;
    Ok(Wanted {
        name: Name::new(&wanted.name)?,
        network: wanted.network,
        mode: mode.unwrap_or(ServiceMode::Vip),
        vips: parse_all("vips", &wanted.vips)?,
        ports: wanted.ports.iter().map(port).collect::<Result<_, _>>()?,
        labels: wanted.labels,
        prefers_local: wanted.prefer_local,
        external: external.unwrap_or_default(),
        publish_on: wanted.publish_on,
        health_port: wanted.health_port,
    })
}

fn external(wanted: Option<&str>) -> Result<Option<ExternalTraffic>, Problem> {
    wanted.map(|wanted| parse("external_traffic", wanted)).transpose()
}

fn change(wanted: UpdateService) -> Result<Change, Refused> {
    let unpublish = wanted.unpublish.iter();
    let unpublish = unpublish.map(|of| Ok((of.target, parse("protocol", &of.protocol)?)));
    Ok(Change {
        mode: wanted.mode.map(|mode| parse("mode", &mode)).transpose()?,
        vips: parse_all("vips", &wanted.vips)?,
        publish: wanted.publish.iter().map(port).collect::<Result<_, _>>()?,
        unpublish: unpublish.collect::<Result<_, Problem>>()?,
        label: wanted.label,
        unlabel: wanted.unlabel,
        prefers_local: wanted.prefer_local,
        external: external(wanted.external_traffic.as_deref())?,
        publish_on: wanted.publish_on,
        health_port: wanted.health_port,
    })
}

fn port(wanted: &PublishedPort) -> Result<Port, Problem> {
    Ok(Port {
        protocol: parse("protocol", &wanted.protocol)?,
        published: wanted.published,
        target: wanted.target,
        mode: parse("mode", &wanted.mode)?,
        bind: wanted.bind.as_deref().map(|bind| parse("bind", bind)).transpose()?,
    })
}

fn service(
    control: &Control,
    id: ServiceId,
    listed: &Listed,
    standing: &services::Standing,
    names: &Names,
) -> Service {
    let ServiceRecord { name, network, mode, vips, ports, labels, .. } = &listed.record;
    let ServiceRecord { prefers_local, external, publish_on, health_port, created_us, .. } =
        &listed.record;
    let catalog = control.networks.catalog();
    let network_name = catalog.get(*network).map(|listed| listed.record.name.to_string());
    let tally = standing.tally(*network, name);
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (closed, hindered) = (closed(control, listed), hindered(control, *network, name, names));
    let state = match listed.state(network_name.is_some(), tally) {
        Standing::Ready => in_conflict(&closed, &hindered).unwrap_or(ServiceState::Ready),
        Standing::Pending(why) => ServiceState::Pending(why.to_owned()),
        Standing::Conflict(conflict) => ServiceState::Conflict(told(control, &conflict)),
    };
    let conflicts = listed.conflicts.iter().map(|conflict| ServiceConflict {
        claim: conflict.claim.to_string(),
        with: conflict.with.to_string(),
    });
    Service {
        id: id.to_string(),
        name: name.to_string(),
        network: network.to_string(),
        network_name,
        mode: mode.to_string(),
        vips: vips.iter().map(ToString::to_string).collect(),
        ports: ports.iter().map(shown_port).collect(),
        labels: labels.clone(),
        prefer_local: *prefers_local,
        external_traffic: external.to_string(),
        publish_on: publish_on.clone(),
        health_port: *health_port,
        created_us: *created_us,
        conflicts: conflicts.collect(),
        closed,
        backends: tally
            .map(|tally| BackendCount { ready: count(tally.ready), all: count(tally.all) }),
        hindered,
        state,
    }
}

/// Its ports that this node does not open.
fn closed(control: &Control, listed: &Listed) -> Vec<ClosedPort> {
    let shown = control.endpoints.watch().borrow().clone();
    let ports = listed.record.ports.iter();
    let closed = ports.filter_map(|port| {
        let why = shown.closed.get(port)?.clone();
        Some(ClosedPort { port: port.to_string(), why })
    });
    closed.collect()
}

/// Backends of this host that are not as they should be.
fn hindered(control: &Control, network: NetworkId, service: &Name, names: &Names) -> Vec<Hindered> {
    let serves = |endpoint: &endpoints::Endpoint| {
        let backend = endpoint.local.backend.as_ref();
        endpoint.local.network == network && backend.is_some_and(|b| b.service == *service)
    };
    let own = control.endpoints.list().into_iter().filter(serves);
    let shown = own.map(|endpoint| Hindered {
        node: names.who(control.db.id()),
        endpoint: endpoint.local.name.to_string(),
        state: state_of(control, &endpoint),
    });
    let mut all: Vec<Hindered> = shown.filter(|one| one.state != EndpointState::Ready).collect();
    all.sort_by(|one, other| one.endpoint.cmp(&other.endpoint));
    all
}

/// How a service is doing of which a port, or a backend's, is somebody else's on this host.
fn in_conflict(closed: &[ClosedPort], hindered: &[Hindered]) -> Option<ServiceState> {
    let of_port = closed
        .iter()
        .map(|ClosedPort { port, why }| format!("port {port} is not open on this node: {why}"));
    let of_backend = hindered.iter().filter_map(|one| match &one.state {
        EndpointState::Conflict(why) => Some(format!("endpoint {}: {why}", one.endpoint)),
        _ => None,
    });
    of_port.chain(of_backend).next().map(ServiceState::Conflict)
}

/// With what a service clashes: by the other's name, unless it is the name that both have.
fn told(control: &Control, conflict: &Conflict) -> String {
    let all = control.services.all();
    let name = all.get(conflict.with).map(|listed| listed.record.name.to_string());
    let by = match (&conflict.claim, name) {
        (Claim::Name(_), _) | (_, None) => conflict.with.short(),
        (_, Some(name)) => name,
    };
    format!("{by} has {}", conflict.claim)
}

fn shown_port(port: &Port) -> PublishedPort {
    PublishedPort {
        protocol: port.protocol.to_string(),
        published: port.published,
        target: port.target,
        mode: port.mode.to_string(),
        bind: port.bind.map(|bind| bind.to_string()),
    }
}

fn backend(serving: &Serving, names: &Names) -> Backend {
    let Serving { id, node, standing, name, addresses, backend, .. } = serving;
    Backend {
        task: backend.task.to_string(),
        endpoint: id.to_string(),
        name: name.to_string(),
        addresses: addresses.iter().map(ToString::to_string).collect(),
        node: names.who(*node),
        node_state: match standing {
            NodeStanding::Alive => RowState::Alive,
            NodeStanding::Suspect => RowState::Suspect,
            NodeStanding::Restarting => RowState::Restarting,
            NodeStanding::Failed => RowState::Failed,
        },
        weight: backend.weight,
        health: backend.health.to_string(),
        state: backend.state.to_string(),
    }
}

impl From<StandingError> for Refused {
    fn from(error: StandingError) -> Self {
        match error {
            StandingError::Name(error) => error.into(),
            StandingError::Stopped(stopped) => stopped.into(),
        }
    }
}

impl From<ChangeError> for Refused {
    fn from(error: ChangeError) -> Self {
        let with = |code| Problem::new(code, &error);
        match &error {
            ChangeError::Find(error) => error.clone().into(),
            ChangeError::Local(_)
            | ChangeError::Driver(_)
            | ChangeError::Name(_)
            | ChangeError::Record(_)
            | ChangeError::Vip(VipError::Outside(_) | VipError::Two(..)) => {
                with(Code::Invalid).into()
            }
            ChangeError::NoNetwork(_) => {
                with(Code::Conflict).with_hint("remove the service, and create it anew").into()
            }
            ChangeError::Exists { .. } | ChangeError::Taken { .. } => with(Code::Exists).into(),
            ChangeError::NotPublished(..) => with(Code::NotFound).into(),
            ChangeError::Vip(VipError::NoAddress { of, why }) => {
                ipam::of_take(why, of, &error).into()
            }
            ChangeError::Ingress(_) | ChangeError::Vip(VipError::Visit(_)) => {
                with(Code::Conflict).into()
            }
            ChangeError::Vip(VipError::Stopped(stopped)) | ChangeError::Stopped(stopped) => {
                (*stopped).into()
            }
            ChangeError::Entropy(_) => with(Code::Internal).into(),
            ChangeError::Write(error) => of_write(error).into(),
        }
    }
}

impl From<RemoveError> for Refused {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Find(error) => error.into(),
            RemoveError::Write(error) => of_write(&error).into(),
        }
    }
}
