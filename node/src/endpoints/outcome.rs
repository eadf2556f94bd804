//! What became of an endpoint, by the last comparison of the kernel with what is wanted.

use std::collections::BTreeSet;

use netnode_plan::{
    bridge,
    host::{HOST, Obstacle, Place, port_name},
    records::{EndpointId, LinkName},
};

use super::{board::State, store::Local};
use crate::drivers::reconcile::Report;

/// What a comparison says of one endpoint.
pub(super) fn state_of(report: &Report, id: EndpointId, local: &Local) -> State {
    let bridges = local.networks().filter_map(bridge::bridge_name);
    let ours: BTreeSet<LinkName> = bridges.chain(port_name(id)).collect();
    let hinders = |obstacle: &&Obstacle| match obstacle {
        Obstacle::Foreign { at: Place::Sandbox(path), name } => {
            *path == local.sandbox && local.interfaces().any(|own| own == name)
        }
        Obstacle::Foreign { at: Place::Network(network), .. } => *network == local.network,
        Obstacle::Foreign { at: Place::Host, name } => {
            let is_own = || local.interfaces().any(|own| own == name);
            ours.contains(name) || (local.sandbox == HOST && is_own())
        }
        Obstacle::SandboxGone(path) => *path == local.sandbox,
    };
    if let Some(obstacle) = report.obstacles.iter().find(hinders) {
        return State::Error(obstacle.to_string());
    }
    let is_ours = |link: &LinkName| {
        ours.contains(link) || (local.sandbox == HOST && local.interface == *link)
    };
    if let Some(blocked) = report.blocked.iter().find(|blocked| is_ours(&blocked.link)) {
        return State::Error(blocked.to_string());
    }
    if report.is_settled() {
        return State::Ready;
    }
    match report.failures.first() {
        Some(failure) => State::Pending(failure.to_string()),
        None => State::Pending("the kernel is not as it should be yet".into()),
    }
}
