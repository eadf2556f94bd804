//! Endpoints that go on elsewhere: taken over from another host, given up when another host has taken over.

use netdb::{Filter, Name};
use netnode_plan::records::{ENDPOINTS, NetworkId};

use super::{
    AttachError, Endpoints,
    attach::Identity,
    of_all_networks,
    rows::{AllRows, Rows, scope_of},
};

impl Endpoints {
    /// What an endpoint of another host is known by, to go on here: all as it was, one move later. The
    /// network's rows are here.
    pub(super) async fn taken_over(
        &self,
        network: NetworkId,
        name: &Name,
    ) -> Result<Identity, AttachError> {
        // Rows of failed nodes count: a host that is down for good is a reason to move.
        let of_all = of_all_networks(ENDPOINTS)?;
        let mut rows = AllRows::default();
        for (scope, row) in
            self.db.rows(Filter { network: Some(scope_of(network)?), ..of_all }).await?
        {
            rows.take_row(&scope, &row);
        }
        let found = rows.of(network).into_iter().flat_map(Rows::records);
        let elsewhere =
            found.filter(|((owner, _), record)| record.name == *name && *owner != self.db.id());
        let latest = elsewhere.max_by_key(|((owner, _), record)| (record.moves, *owner));
        let ((_, id), record) = latest.ok_or_else(|| AttachError::NotThere(name.clone()))?;
        Ok(Identity {
            id: *id,
            addresses: record.addresses.clone(),
            mac: record.mac,
            aliases: record.aliases.clone(),
            moves: record.moves.saturating_add(1),
            backend: record.backend.clone(),
        })
    }

    /// Gives up endpoints of this host that went on elsewhere, until the node stops.
    pub(super) async fn follow_moves(self) {
        let mut shown = self.shown.clone();
        while shown.changed().await.is_ok() {
            let moved = shown.borrow_and_update().moved.clone();
            for (id, to) in moved {
                let Some(endpoint) = self.get(id) else { continue };
                match self.give_up(endpoint.local.network, id).await {
                    Ok(_) => {
                        let name = &endpoint.local.name;
                        tracing::info!(%name, endpoint = %id, node = %to, "an endpoint moved away");
                    }
                    Err(error) => tracing::warn!(endpoint = %id, "it moved away, but: {error}"),
                }
            }
        }
    }
}
