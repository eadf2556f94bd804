//! Endpoints of this host: listing, attaching, detaching.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::StatusCode,
};
use netdb::Name;
use netnode_api::{
    endpoints::{AttachEndpoint, Backend, ChangeBackend, Endpoint, EndpointState},
    error::{Code, Problem},
};
use netnode_plan::{publish::PublishError, records::LinkName};

use super::{
    Control, ipam,
    networks::parse,
    problem::{Refused, body, of_write},
};
use crate::{
    dns::{DEFAULT_ADDRESS, NoResolvConf},
    endpoints::{
        self, AddError, AttachError, DetachError, PortError, ServeError, Served, Service, Wish,
    },
};

pub(super) async fn list(State(control): State<Arc<Control>>) -> Json<Vec<Endpoint>> {
    Json(control.endpoints.list().iter().map(|endpoint| shown(&control, endpoint)).collect())
}

pub(super) async fn attach(
    State(control): State<Arc<Control>>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Endpoint>), Refused> {
    let mut wanted: AttachEndpoint = body(bytes)?;
    let file = wanted.resolv_conf.take();
    let mut wish = wish(wanted)?;
    check_service(&control, &wish)?;
    if let Some(path) = file {
        wish.resolv_conf = Some((path.into(), control.dns.resolv_conf().await?));
    }
    let endpoint = control.endpoints.attach(wish).await?;
    // Whoever plugs a sandbox in begins to ask for names in it.
    control.dns.stands(&endpoint.local.sandbox, endpoint.local.network).await;
    control.endpoints.write_file(&endpoint).await?;
    Ok((StatusCode::CREATED, Json(shown(&control, &endpoint))))
}

pub(super) async fn detach(
    State(control): State<Arc<Control>>,
    Path((network, endpoint)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    control.endpoints.detach(&network, &Name::new(&endpoint)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn serve(
    State(control): State<Arc<Control>>,
    Path(endpoint): Path<String>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Endpoint>, Refused> {
    let ChangeBackend { health, state, grace_s } = body(bytes)?;
    let health = health.map(|health| parse("health", &health)).transpose()?;
    let state = state.map(|state| parse("state", &state)).transpose()?;
    let endpoint = control.endpoints.serve(&endpoint, Served { health, state, grace_s }).await?;
    Ok(Json(shown(&control, &endpoint)))
}

/// Who serves a service is on its network; one that is not there yet may come to be on any.
fn check_service(control: &Control, wish: &Wish) -> Result<(), Refused> {
    let Some(Service { name, .. }) = &wish.service else { return Ok(()) };
    let (network, _) = control.networks.find(&wish.network)?;
    let all = control.services.all();
    let Some((_, listed)) = all.named(name).filter(|(_, of)| of.record.network != network) else {
        return Ok(());
    };
    let catalog = control.networks.catalog();
    let there = catalog.get(listed.record.network);
    let there = there
        .map_or_else(|| listed.record.network.short(), |network| network.record.name.to_string());
    let message = format!("service {name} is on network {there}: who serves it is as well");
    Err(Problem::new(Code::Invalid, message).into())
}

fn service(wanted: &AttachEndpoint) -> Result<Option<Service>, Refused> {
    let AttachEndpoint { service, task, weight, .. } = wanted;
    let Some(service) = service else {
        if task.is_some() || weight.is_some() {
            let why = "a task and a weight are of a backend: name its service";
            return Err(Problem::new(Code::Invalid, why).into());
        }
        return Ok(None);
    };
    let task = task.as_deref().map(Name::new).transpose()?;
    Ok(Some(Service { name: Name::new(service)?, task, weight: *weight }))
}

fn wish(wanted: AttachEndpoint) -> Result<Wish, Refused> {
    let service = service(&wanted)?;
    let told = !(wanted.addresses.is_empty() && wanted.aliases.is_empty())
        || wanted.mac.is_some()
        || service.is_some();
    if wanted.move_here && told {
        let why = "an endpoint that moves keeps its addresses, its hardware address, its aliases and \
                   what it serves";
        return Err(Problem::new(Code::Invalid, why).into());
    }
    let aliases = wanted.aliases.iter().map(|alias| Name::new(alias));
    let addresses = wanted.addresses.iter().map(|address| parse("addresses", address));
    let published = wanted.published.iter().map(|port| Ok(port.parse()?));
    Ok(Wish {
        network: wanted.network,
        name: Name::new(&wanted.name)?,
        aliases: aliases.collect::<Result<_, _>>()?,
        addresses: addresses.collect::<Result<_, _>>()?,
        mac: wanted.mac.map(|mac| parse("mac", &mac)).transpose()?,
        sandbox: wanted.netns,
        interface: wanted
            .interface
            .map(|name| parse::<LinkName>("interface", &name))
            .transpose()?,
        published: published.collect::<Result<_, Refused>>()?,
        service,
        gw_priority: wanted.gw_priority,
        takes_over: wanted.move_here,
        resolv_conf: None,
    })
}

fn shown(control: &Control, endpoint: &endpoints::Endpoint) -> Endpoint {
    let endpoints::Endpoint { id, local, hosted, mtu, .. } = endpoint;
    let catalog = control.networks.catalog();
    let network = catalog.get(local.network).map(|listed| listed.record.name.to_string());
    Endpoint {
        id: id.to_string(),
        name: local.name.to_string(),
        aliases: local.aliases.iter().map(ToString::to_string).collect(),
        network: local.network.to_string(),
        network_name: network,
        netns: local.sandbox.clone(),
        interface: local.interface.to_string(),
        addresses: local.addresses.iter().map(ToString::to_string).collect(),
        mac: local.mac.to_string(),
        published: local.published.iter().chain(hosted).map(ToString::to_string).collect(),
        default_route: local.default_route,
        gw_priority: local.gw_priority,
        mtu: *mtu,
        backend: local.backend.as_ref().map(|backend| Backend {
            service: backend.service.to_string(),
            task: backend.task.to_string(),
            weight: backend.weight,
            health: backend.health.to_string(),
            state: backend.state.to_string(),
        }),
        resolv_conf: local.resolv_conf.as_ref().map(|file| file.path.display().to_string()),
        state: state_of(control, endpoint),
    }
}

/// How an endpoint of this host is doing.
pub(super) fn state_of(control: &Control, endpoint: &endpoints::Endpoint) -> EndpointState {
    match endpoint.state.clone() {
        endpoints::State::Ready => match control.dns.fault(&endpoint.local.sandbox) {
            Some(fault) => EndpointState::Error(fault),
            None => EndpointState::Ready,
        },
        endpoints::State::Pending(why) => EndpointState::Pending(why),
        endpoints::State::Conflict(why) => EndpointState::Conflict(why),
        endpoints::State::Error(why) => EndpointState::Error(why),
    }
}

impl From<PublishError> for Refused {
    fn from(error: PublishError) -> Self {
        Problem::new(Code::Invalid, error).into()
    }
}

impl From<AttachError> for Refused {
    fn from(error: AttachError) -> Self {
        let with = |code| Problem::new(code, &error);
        match &error {
            AttachError::Kernel(_) => with(Code::Internal)
                .with_hint("netnode has to run as root to plug sandboxes in")
                .into(),
            AttachError::Exists { .. }
            | AttachError::Port(PortError::InUse { .. })
            | AttachError::Add(AddError::Published { .. } | AddError::Interface { .. }) => {
                with(Code::Exists).into()
            }
            AttachError::NoAddress { of, why } => ipam::of_take(why, of, &error).into(),
            AttachError::NotThere(_) => {
                with(Code::NotFound).with_hint("leave out --move to make a new one").into()
            }
            AttachError::OnWire { .. } => with(Code::Exists).into(),
            AttachError::NoV6(_) => with(Code::Conflict)
                .with_hint(
                    "start the kernel without ipv6.disable=1, or attach to a network of IPv4 alone",
                )
                .into(),
            AttachError::Host
            | AttachError::None
            | AttachError::Ingress
            | AttachError::Overlay(_)
            | AttachError::Sandbox(_)
            | AttachError::Outside(_)
            | AttachError::LocalService
            | AttachError::Port(_)
            | AttachError::Mac(_)
            | AttachError::ResolvConf(_)
            | AttachError::Interface(_)
            | AttachError::Name(_)
            | AttachError::Record(_) => with(Code::Invalid).into(),
            AttachError::Entropy(_) | AttachError::Wire { .. } => with(Code::Internal).into(),
            AttachError::File(_) | AttachError::Add(AddError::File(_)) => {
                with(Code::Storage).into()
            }
            AttachError::Write(error) => of_write(error).into(),
            AttachError::Stopped(stopped) => (*stopped).into(),
            AttachError::Find(error) => error.clone().into(),
            AttachError::Scope(_) | AttachError::Gateway(_) => with(Code::Conflict).into(),
        }
    }
}

impl From<NoResolvConf> for Refused {
    fn from(error: NoResolvConf) -> Self {
        match error {
            NoResolvConf::Off | NoResolvConf::Port(_) => Problem::new(Code::Conflict, error)
                .with_hint(format!("start netnode with --dns-listen {DEFAULT_ADDRESS}"))
                .into(),
            NoResolvConf::Stopped(stopped) => stopped.into(),
        }
    }
}

impl From<ServeError> for Refused {
    fn from(error: ServeError) -> Self {
        let with = |code| Problem::new(code, &error);
        match error {
            ServeError::Find(error) => error.into(),
            ServeError::Several(_) => {
                with(Code::Conflict).with_hint("`netdbctl endpoint ls --json` has the ids").into()
            }
            ServeError::NoService(_) => {
                with(Code::Conflict).with_hint("attach it with --service").into()
            }
            ServeError::Attach(error) => (*error).into(),
        }
    }
}

impl From<DetachError> for Refused {
    fn from(error: DetachError) -> Self {
        let with = |code| Problem::new(code, &error);
        match &error {
            DetachError::Find(error) => error.clone().into(),
            DetachError::Unknown(_) => with(Code::NotFound)
                .with_hint("`netdbctl endpoint ls` lists those of this host")
                .into(),
            DetachError::File(_) => with(Code::Storage).into(),
            DetachError::Name(_) => with(Code::Invalid).into(),
            DetachError::Write(error) => of_write(error).into(),
            DetachError::Stopped(stopped) => (*stopped).into(),
        }
    }
}
