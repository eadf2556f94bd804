//! Scopes: listing, attaching, detaching, peers, and saying that this node's rows are whole.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use netdb::Name;
use netnode_api::node::{KnownScope, Member, Scope, Scopes};

use super::{
    Control, convert,
    problem::{Refused, not_attached},
};

pub(super) async fn list(State(control): State<Arc<Control>>) -> Result<Json<Scopes>, Refused> {
    let infos = control.db.networks().await?;
    let attached: BTreeSet<&Name> = infos.iter().map(|info| &info.name).collect();
    let known = control.db.known_networks().await?;
    let elsewhere = known.iter().filter(|(name, _)| !attached.contains(name));
    let elsewhere =
        elsewhere.map(|(name, nodes)| KnownScope { name: name.to_string(), nodes: *nodes });
    Ok(Json(Scopes {
        elsewhere: elsewhere.collect(),
        attached: infos.iter().map(convert::scope).collect(),
    }))
}

pub(super) async fn attach(
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Result<Json<Scope>, Refused> {
    control.db.attach(&name).await?;
    let infos = control.db.networks().await?;
    let info = infos.iter().find(|info| info.name.as_str() == name);
    Ok(Json(convert::scope(info.ok_or_else(|| not_attached(&name))?)))
}

pub(super) async fn detach(
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    control.network(&name).await?.detach().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn complete(
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Result<StatusCode, Refused> {
    control.network(&name).await?.mark_complete().await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn peers(
    State(control): State<Arc<Control>>,
    Path(name): Path<String>,
) -> Result<Json<Vec<Member>>, Refused> {
    let peers: BTreeSet<_> = control.network(&name).await?.peers().await?.into_iter().collect();
    let this = control.db.id();
    let members = control.networks.ipam().members().await?;
    let attached = members.iter().filter(|info| peers.contains(&info.member.id));
    Ok(Json(attached.map(|info| convert::member(info, this)).collect()))
}

impl Control {
    /// An attached network.
    async fn network(&self, name: &str) -> Result<netdb::Network, Refused> {
        let name = Name::new(name)?;
        let network = self.db.network(name.as_str()).await?;
        Ok(network.ok_or_else(|| not_attached(name.as_str()))?)
    }
}
