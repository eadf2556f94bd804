//! Logs what happens to the node and its cluster.

use netdb::{EventsError, MemberState, NetDb, NodeEvent};

/// Logs until the node ends.
pub(super) async fn tell(db: NetDb) {
    let Ok(mut events) = db.events().await else { return };
    loop {
        match events.next().await {
            Ok(event) => tell_one(&event),
            Err(EventsError::Missed(missed)) => {
                tracing::debug!(missed, "too much happens to log it");
            }
            Err(EventsError::Stopped(_)) => return,
        }
    }
}

fn tell_one(event: &NodeEvent) {
    match event {
        NodeEvent::Member { node, state: MemberState::Failed } => {
            tracing::warn!(%node, "a member failed");
        }
        NodeEvent::Member { node, state } => tracing::info!(%node, ?state, "a member changed"),
        NodeEvent::Synced(network) => tracing::info!(%network, "a network is in sync"),
        NodeEvent::Keys => tracing::info!("the keyring changed"),
        NodeEvent::Conflict { claimed, nodes: [one, other] } => {
            tracing::warn!(%one, %other, "two nodes claim {claimed}: change one of them");
        }
        NodeEvent::Reborn(generation) => tracing::warn!(
            generation = generation.0,
            "an older copy of the state directory was put back: going on under a new generation"
        ),
        NodeEvent::WatchReady(_) => {}
    }
}
