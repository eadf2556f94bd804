//! Endpoints of this host: listing, attaching, detaching.

use std::{fmt, str::FromStr, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::StatusCode,
};
use netdb::Name;
use netnode_api::{
    endpoints::{AttachEndpoint, Endpoint, EndpointState},
    error::{Code, Problem},
};
use netnode_plan::{publish::PublishError, records::LinkName};

use super::{
    Control, ipam,
    problem::{Refused, body, of_write},
};
use crate::endpoints::{self, AddError, AttachError, DetachError, PortError, Wish};

pub(super) async fn list(State(control): State<Arc<Control>>) -> Json<Vec<Endpoint>> {
    Json(control.endpoints.list().iter().map(|endpoint| shown(&control, endpoint)).collect())
}

pub(super) async fn attach(
    State(control): State<Arc<Control>>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Endpoint>), Refused> {
    let wish = wish(body(bytes)?)?;
    let endpoint = control.endpoints.attach(wish).await?;
    // Whoever plugs a sandbox in begins to ask for names in it.
    control.dns.stands(&endpoint.local.sandbox, endpoint.local.network).await;
    Ok((StatusCode::CREATED, Json(shown(&control, &endpoint))))
}

pub(super) async fn detach(
    State(control): State<Arc<Control>>,
    Path((network, endpoint)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    control.endpoints.detach(&network, &Name::new(&endpoint)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn wish(wanted: AttachEndpoint) -> Result<Wish, Refused> {
    let told = !(wanted.addresses.is_empty() && wanted.aliases.is_empty()) || wanted.mac.is_some();
    if wanted.move_here && told {
        let why =
            "an endpoint that moves keeps its addresses, its hardware address and its aliases";
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
        takes_over: wanted.move_here,
    })
}

fn parse<T: FromStr<Err: fmt::Display>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::new(Code::Invalid, format!("{field}: {text:?}: {error}")))
}

fn shown(control: &Control, endpoint: &endpoints::Endpoint) -> Endpoint {
    let endpoints::Endpoint { id, local, state, mtu } = endpoint;
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
        published: local.published.iter().map(ToString::to_string).collect(),
        mtu: *mtu,
        state: match state.clone() {
            endpoints::State::Ready => match control.dns.fault(&local.sandbox) {
                Some(fault) => EndpointState::Error(fault),
                None => EndpointState::Ready,
            },
            endpoints::State::Pending(why) => EndpointState::Pending(why),
            endpoints::State::Conflict(why) => EndpointState::Conflict(why),
            endpoints::State::Error(why) => EndpointState::Error(why),
        },
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
            AttachError::Host
            | AttachError::None
            | AttachError::Overlay(_)
            | AttachError::Sandbox { .. }
            | AttachError::Outside(_)
            | AttachError::Port(_)
            | AttachError::Mac(_)
            | AttachError::Interface(_)
            | AttachError::Name(_)
            | AttachError::Record(_) => with(Code::Invalid).into(),
            AttachError::Entropy(_) => with(Code::Internal).into(),
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
