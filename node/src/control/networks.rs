//! Networks with a driver and subnets: listing, creating, inspecting, removing.

use std::{str::FromStr, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::StatusCode,
};
use netdb::Name;
use netnode_api::{
    error::{Code, Problem},
    ipam::Usage,
    networks::{CreateNetwork, Network, NetworkConflict, NetworkDetail, Subnet},
};
use netnode_plan::{
    catalog::{FindError, Listed, Scope},
    local::LocalError,
    records::{NetworkId, NetworkRecord, Subnet as SubnetRecord},
    request::{NetworkRequest, options_of},
};

use super::{
    Control, ipam,
    problem::{Refused, body, of_write},
};
use crate::networks::{CreateError, RemoveError};

pub(super) async fn list(State(control): State<Arc<Control>>) -> Json<Vec<Network>> {
    let catalog = control.networks.catalog();
    let mut all: Vec<Network> = catalog.iter().map(|(id, listed)| network(id, listed)).collect();
    all.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    Json(all)
}

pub(super) async fn create(
    State(control): State<Arc<Control>>,
    bytes: Result<Bytes, BytesRejection>,
) -> Result<Json<Network>, Refused> {
    let wanted: CreateNetwork = body(bytes)?;
    let ipv6 = wanted.ipv6;
    let (id, listed) = control.networks.create(request(wanted)?, ipv6).await?;
    Ok(Json(network(id, &listed)))
}

pub(super) async fn inspect(
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Result<Json<NetworkDetail>, Refused> {
    let (id, listed) = control.networks.find(&name)?;
    let Usage { spaces: usage, silent } = ipam::usage_of(&control, Some(id)).await?;
    Ok(Json(NetworkDetail { network: network(id, &listed), usage, silent }))
}

pub(super) async fn remove(
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    let (id, listed) = control.networks.find(&name)?;
    let nodes = control.endpoints.nodes_on(id).await?;
    let (used, hint) = match listed.scope {
        Scope::Local => (format!("network {name} has endpoints"), "detach them first"),
        Scope::Cluster => (
            format!("network {name} is in use on {nodes} nodes"),
            "detach its endpoints; a node lets go of a network 30 s after its last endpoint went",
        ),
    };
    if nodes > 0 {
        return Err(Problem::new(Code::Conflict, used).with_hint(hint).into());
    }
    let services = control.services.names_on(id);
    if !services.is_empty() {
        let names: Vec<&str> = services.iter().map(Name::as_str).collect();
        let used = format!("services are on network {name}: {}", names.join(" "));
        let hint = "`netdbctl service rm` removes them";
        return Err(Problem::new(Code::Conflict, used).with_hint(hint).into());
    }
    control.networks.remove(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn request(wanted: CreateNetwork) -> Result<NetworkRequest, Refused> {
    let mut aux = Vec::with_capacity(wanted.aux_addresses.len());
    for (name, address) in wanted.aux_addresses {
        aux.push((Name::new(&name)?, parse("aux_addresses", &address)?));
    }
    Ok(NetworkRequest {
        name: Name::new(&wanted.name)?,
        driver: parse("driver", &wanted.driver)?,
        scope: wanted.scope.map(|scope| parse("scope", &scope)).transpose()?,
        subnets: parse_all("subnets", &wanted.subnets)?,
        ranges: parse_all("ip_ranges", &wanted.ip_ranges)?,
        gateways: parse_all("gateways", &wanted.gateways)?,
        aux,
        options: wanted.options.into_iter().collect(),
        internal: wanted.internal,
        attachable: wanted.attachable,
        labels: wanted.labels,
    })
}

pub(super) fn parse_all<T: FromStr<Err: std::fmt::Display>>(
    field: &str,
    texts: &[String],
) -> Result<Vec<T>, Problem> {
    texts.iter().map(|text| parse(field, text)).collect()
}

pub(super) fn parse<T: FromStr<Err: std::fmt::Display>>(
    field: &str,
    text: &str,
) -> Result<T, Problem> {
    text.parse().map_err(|error| Problem::new(Code::Invalid, format!("{field}: {text:?}: {error}")))
}

fn network(id: NetworkId, listed: &Listed) -> Network {
    let NetworkRecord { name, driver, subnets, options, created_us } = &listed.record;
    let conflicts = listed.conflicts.iter().map(|conflict| NetworkConflict {
        claim: conflict.claim.to_string(),
        with: conflict.with.to_string(),
    });
    Network {
        id: id.to_string(),
        name: name.to_string(),
        driver: driver.to_string(),
        scope: listed.scope.to_string(),
        subnets: subnets.iter().map(subnet).collect(),
        options: options_of(options),
        internal: options.internal,
        attachable: options.attachable,
        labels: options.labels.clone(),
        created_us: *created_us,
        conflicts: conflicts.collect(),
    }
}

fn subnet(record: &SubnetRecord) -> Subnet {
    let aux = record.aux.iter().map(|(name, address)| (name.to_string(), address.to_string()));
    Subnet {
        subnet: record.prefix.to_string(),
        gateway: record.gateway.map(|gateway| gateway.to_string()),
        ip_range: record.range.map(|range| range.to_string()),
        aux_addresses: aux.collect(),
    }
}

impl From<FindError> for Refused {
    fn from(error: FindError) -> Self {
        let code = match error {
            FindError::Unknown { .. } => Code::NotFound,
            FindError::Ambiguous { .. } => Code::Conflict,
        };
        let hint = format!("`netdbctl {} ls` lists all", error.kind());
        Problem::new(code, error).with_hint(hint).into()
    }
}

impl From<CreateError> for Refused {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Write(error) => of_write(&error).into(),
            CreateError::Stopped(stopped) => stopped.into(),
            CreateError::Request(_)
            | CreateError::Space(_)
            | CreateError::Local(LocalError::Request(_)) => {
                Problem::new(Code::Invalid, error).into()
            }
            CreateError::Exists { .. }
            | CreateError::Overlaps(_)
            | CreateError::Local(LocalError::Exists { .. } | LocalError::Overlaps(_)) => {
                Problem::new(Code::Exists, error).into()
            }
            CreateError::Local(LocalError::NoSubnet(_)) => Problem::new(Code::Full, error).into(),
            CreateError::File(_) => Problem::new(Code::Storage, error).into(),
            CreateError::NoPools => {
                Problem::new(Code::Starting, error).with_hint("try again in a moment").into()
            }
            CreateError::Nothing { ref of, ref why } => ipam::of_take(why, of, &error).into(),
            CreateError::Entropy(_) => Problem::new(Code::Internal, error).into(),
        }
    }
}

impl From<RemoveError> for Refused {
    fn from(error: RemoveError) -> Self {
        match error {
            RemoveError::Find(error) => error.into(),
            RemoveError::File(error) => Problem::new(Code::Storage, error).into(),
            RemoveError::Write(error) => of_write(&error).into(),
            RemoveError::Stopped(stopped) => stopped.into(),
        }
    }
}
