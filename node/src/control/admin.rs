//! The node itself: status, members, counters, keys, token, reload, leave.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::header,
    response::IntoResponse,
};
use netdb::{Info, MemberInfo, NetworkInfo, StorageState, TokenInfo};
use netnode_api::{
    error::{Code, Problem},
    keys::{Keys, RotateToken, Token},
    node::{Left, Member, MemberState, Reloaded, Stats, Status},
    settings::Setting,
};
use tokio::sync::oneshot;

use super::{
    Control, Order, convert,
    problem::{self, Refused},
};
use crate::metrics::{self, Snapshot};

/// A clock that is further off than this is worth a warning: stamps beyond it are kept aside.
const CLOCK_OFF_US: u64 = 60_000_000;

pub(super) async fn status(State(control): State<Arc<Control>>) -> Result<Json<Status>, Refused> {
    let info = control.db.info().await?;
    let infos = control.networks.ipam().members().await?;
    let networks = control.db.networks().await?;
    let keys = control.db.keys().await?;
    let mut members: BTreeMap<MemberState, usize> = BTreeMap::new();
    for info in &infos {
        *members.entry(convert::member_state(info.state)).or_default() += 1;
    }
    let warnings = warnings(&info, &infos, &networks);
    let node = info.node;
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: node.member.id.to_string(),
        name: node.name.to_string(),
        cluster: node.cluster.to_string(),
        address: node.member.addr.to_string(),
        generation: node.member.generation.0,
        uptime_ms: u64::try_from(control.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        members,
        networks: networks.iter().map(convert::scope).collect(),
        keys: convert::keys(&keys),
        local_health: node.local_health,
        clock_offset_us: node.clock_offset,
        warnings,
    }))
}

fn warnings(info: &Info, members: &[MemberInfo], networks: &[NetworkInfo]) -> Vec<String> {
    let mut warnings = Vec::new();
    if info.node.isolated {
        warnings.push("cut off: no other node of the cluster answers".to_owned());
    }
    if let StorageState::Failing { error, unsaved, .. } = &info.storage {
        warnings.push(format!("{unsaved} changes are not on disk: {error}"));
    }
    if info.node.clock_offset.unsigned_abs() > CLOCK_OFF_US {
        warnings.push("this host's clock is more than a minute off: set it".to_owned());
    }
    for member in members.iter().filter(|member| member.conflict) {
        let name = member.name.as_ref().map_or("-", |name| name.as_str());
        let (id, addr) = (member.member.id, member.member.addr);
        warnings
            .push(format!("{name} ({id}, {addr}) shares its name or address with another node"));
    }
    for network in networks.iter().filter(|network| network.aside > 0) {
        let (name, aside) = (&network.name, network.aside);
        warnings.push(format!("network {name}: {aside} writes are stamped too far ahead and wait"));
    }
    warnings
}

pub(super) async fn members(
    State(control): State<Arc<Control>>,
) -> Result<Json<Vec<Member>>, Refused> {
    let this = control.db.id();
    let members = control.networks.ipam().members().await?;
    Ok(Json(members.iter().map(|info| convert::member(info, this)).collect()))
}

pub(super) async fn stats(State(control): State<Arc<Control>>) -> Result<Json<Stats>, Refused> {
    let stats = control.db.stats().await?;
    let (node, gossip, storage) = (&stats.node, &stats.gossip, &stats.storage);
    let (members, link) = (&gossip.membership, &gossip.link);
    let own = [
        ("tables_entries_fresh", node.entries_fresh),
        ("tables_entries_known", node.entries_known),
        ("tables_entries_relayed", node.entries_relayed),
        ("tables_takeovers", node.takeovers),
        ("tables_compares", node.compares),
        ("tables_differences", node.differences),
        ("tables_rows_gone", node.rows_gone),
        ("tables_chunks_served", node.chunks_served),
        ("tables_malformed", node.malformed),
        ("requests_dropped", node.requests_dropped),
        ("packets_sent", gossip.packets_sent),
        ("packets_sent_bytes", gossip.bytes_sent),
        ("packets_received", gossip.packets_received),
        ("packets_received_bytes", gossip.bytes_received),
        ("packets_frames_ignored", gossip.frames_ignored),
        ("packets_from_down", gossip.from_down),
        ("members_malformed", members.malformed),
        ("members_misdirected", members.misdirected),
        ("members_refused", members.members_refused),
        ("members_probes", members.probes),
        ("members_probes_failed", members.probes_failed),
        ("members_accusations", members.accusations),
        ("members_refutations", members.refutations),
        ("members_renewals", members.renewals),
        ("links_frames_sent", link.frames_sent),
        ("links_frames_repeated", link.frames_repeated),
        ("links_frames_acked", link.frames_acked),
        ("links_frames_lost", link.frames_lost),
        ("links_rtt_samples", link.rtt_samples),
        ("links_offset_samples", link.offset_samples),
        ("storage_commits", storage.commits),
        ("storage_transactions", storage.transactions),
        ("storage_failures", storage.failures),
        ("watches_open", stats.watches as u64),
    ];
    let mut counters: BTreeMap<String, u64> =
        own.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    for (reason, count) in gossip.drops.iter() {
        counters.insert(format!("packets_dropped_{}", reason.name()), count);
    }
    counters.extend(stats.transport.named().map(|(name, n)| (format!("transport_{name}"), n)));
    Ok(Json(Stats { counters }))
}

pub(super) async fn metrics(
    State(control): State<Arc<Control>>,
) -> Result<impl IntoResponse, Refused> {
    let snapshot =
        Snapshot::ask(&control.db, control.dns.stats(), control.started.elapsed()).await?;
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&snapshot)))
}

pub(super) async fn keys(State(control): State<Arc<Control>>) -> Result<Json<Keys>, Refused> {
    Ok(Json(convert::keys(&control.db.keys().await?)))
}

pub(super) async fn rotate_keys(
    State(control): State<Arc<Control>>,
) -> Result<Json<Keys>, Refused> {
    control.db.rotate_keys().await?;
    tracing::info!("a key rotation was asked for");
    Ok(Json(convert::keys(&control.db.keys().await?)))
}

pub(super) async fn token(State(control): State<Arc<Control>>) -> Result<Json<Token>, Refused> {
    let missing = || {
        let message = "this node has not heard of the cluster's join token yet";
        Problem::new(Code::Starting, message).with_hint("try again in a moment")
    };
    let token = control.db.token().await?.ok_or_else(missing)?;
    control.shown_token(token).await
}

pub(super) async fn rotate_token(
    State(control): State<Arc<Control>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Token>, Refused> {
    let request: RotateToken = problem::body(body)?;
    let expires = request.expires_after_secs.map(Duration::from_secs);
    let token = control.db.rotate_token(expires).await?;
    tracing::info!(id = %token.id, "the join token was rotated");
    control.shown_token(token).await
}

impl Control {
    async fn shown_token(&self, token: TokenInfo) -> Result<Json<Token>, Refused> {
        let address = self.db.info().await?.node.member.addr.to_string();
        let (id, expires_us) = (token.id.to_string(), token.expires.map(|wall| wall.0));
        Ok(Json(Token { text: token.text, id, expires_us, address }))
    }
}

pub(super) async fn reload(State(control): State<Arc<Control>>) -> Result<Json<Reloaded>, Refused> {
    let (reply, answer) = oneshot::channel();
    control.orders.send(Order::Reload(reply)).await.map_err(|_| stopping())?;
    Ok(Json(answer.await.map_err(|_| stopping())??))
}

pub(super) async fn settings(
    State(control): State<Arc<Control>>,
) -> Result<Json<Vec<Setting>>, Refused> {
    let (reply, answer) = oneshot::channel();
    control.orders.send(Order::Settings(reply)).await.map_err(|_| stopping())?;
    Ok(Json(answer.await.map_err(|_| stopping())?))
}

fn stopping() -> Problem {
    Problem::new(Code::Stopping, "netnode is stopping")
}

pub(super) async fn leave(State(control): State<Arc<Control>>) -> Result<Json<Left>, Refused> {
    let (reply, answer) = oneshot::channel();
    control.orders.send(Order::Leave(reply)).await.map_err(|_| stopping())?;
    Ok(Json(answer.await.map_err(|_| stopping())??))
}
