//! Who gets what is for a virtual address.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use netdb::OwnerState;
use netnode_api::{
    lb::{BackendShare, LbQuery, VirtualAddress},
    rows::RowState,
};
use netnode_plan::{
    lb::{Explained, Share},
    records::{ServiceId, ServiceRecord},
};

use super::{Control, names::Names, problem::Refused};

pub(super) async fn show(
    State(control): State<Arc<Control>>,
    query: Result<Query<LbQuery>, QueryRejection>,
) -> Result<Json<Vec<VirtualAddress>>, Refused> {
    let Query(LbQuery { endpoint, service }) = query?;
    let networks = endpoint.map(|text| control.endpoints.networks_beside(&text)).transpose()?;
    let only = service.map(|text| control.services.find(&text)).transpose()?.map(|(id, _)| id);
    let all = control.services.all();
    let asked = all.iter().filter(|(id, listed)| {
        only.is_none_or(|only| only == *id)
            && networks.as_ref().is_none_or(|on| on.contains(&listed.record.network))
    });
    let asked: Vec<ServiceId> = asked.map(|(id, _)| id).collect();
    let explained = control.endpoints.explain(asked).await?;
    let names = Names::ask(&control.db).await?;
    let mut shown = Vec::new();
    for (id, addresses) in explained {
        if let Some(listed) = all.get(id) {
            shown.extend(addresses.iter().map(|of| address(&control, &listed.record, of, &names)));
        }
    }
    shown.sort_by(|one, other| (&one.service, &one.vip).cmp(&(&other.service, &other.vip)));
    Ok(Json(shown))
}

fn address(
    control: &Control,
    record: &ServiceRecord,
    explained: &Explained,
    names: &Names,
) -> VirtualAddress {
    let catalog = control.networks.catalog();
    let listed = catalog.get(record.network);
    VirtualAddress {
        service: record.name.to_string(),
        network: listed.map(|listed| listed.record.name.to_string()),
        vip: explained.vip.to_string(),
        balanced: control.endpoints.is_used(record.network),
        backends: explained.shares.iter().map(|of| share(of, names)).collect(),
    }
}

fn share(share: &Share, names: &Names) -> BackendShare {
    let Share { endpoint, node, state, backend, address, slots: (own, all), idle, .. } = share;
    let count = |slots: &usize| f64::from(u32::try_from(*slots).unwrap_or(u32::MAX));
    BackendShare {
        task: backend.task.to_string(),
        name: endpoint.to_string(),
        address: address.map(|address| address.to_string()),
        node: names.who(*node),
        node_state: match state {
            OwnerState::Alive => RowState::Alive,
            OwnerState::Suspect => RowState::Suspect,
            OwnerState::Restarting => RowState::Restarting,
            OwnerState::Failed => RowState::Failed,
        },
        weight: backend.weight,
        share_percent: if *all == 0 { 0.0 } else { 100.0 * count(own) / count(all) },
        why: idle.map(|idle| idle.to_string()),
    }
}
