//! Endpoints that go on elsewhere: taken over from another host, given up when another host has taken over.

use netdb::{Filter, Lifetime, Name};
use netnode_plan::records::{self, ENDPOINTS, EndpointId, EndpointRecord, NetworkId};

use super::{AttachError, Endpoints, attach::Identity, rows::scope_of};

impl Endpoints {
    /// What an endpoint of another host is known by, to go on here: all as it was, one move later.
    pub(super) async fn taken_over(
        &self,
        network: NetworkId,
        name: &Name,
    ) -> Result<Identity, AttachError> {
        self.wait_synced(network).await;
        let filter = Filter {
            network: Some(scope_of(network)?),
            table: Some(Name::new(ENDPOINTS)?),
            lifetime: Some(Lifetime::Owner),
            // A host that is down for good is a reason to move.
            include_failed: true,
            ..Filter::default()
        };
        let rows = self.db.rows(filter).await?;
        let found = rows.iter().filter_map(|(_, row)| {
            let key = &row.entry.row;
            let id = <[u8; 16]>::try_from(&*key.key).map(EndpointId).ok()?;
            let record: EndpointRecord = records::decode(row.entry.value.as_deref()?).ok()?;
            let elsewhere = record.name == *name && key.owner != self.db.id();
            elsewhere.then_some((record.moves, key.owner, id, record))
        });
        let latest = found.max_by_key(|(moves, owner, ..)| (*moves, *owner));
        let (moves, _, id, record) = latest.ok_or_else(|| AttachError::NotThere(name.clone()))?;
        let EndpointRecord { addresses, mac, aliases, .. } = record;
        Ok(Identity { id, addresses, mac, aliases, moves: moves.saturating_add(1) })
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
