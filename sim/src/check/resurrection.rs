//! Nothing that was deleted or overwritten comes back.
//!
//! During the run: a view never goes back to a write that it saw replaced or deleted. At rest: no row shows
//! a write that an acknowledged later one had replaced, on any node.

use std::{collections::BTreeMap, sync::Arc};

use netdb_core::{
    entry::{Entry, RowKey},
    view::{DeleteReason, Event, EventKind},
};
use netdb_gossip_core::identity::Name;

use super::{Check, Verdict, replay::show};
use crate::world::World;

/// The last write that each view saw go.
#[derive(Default)]
pub struct Resurrection {
    gone: BTreeMap<(usize, Arc<Name>, RowKey), Arc<Entry>>,
}

impl Check for Resurrection {
    fn name(&self) -> &'static str {
        "nothing deleted returns"
    }

    fn started(&mut self, host: usize) {
        // A node that starts knows what its disk knows, which may be an older copy.
        self.gone.retain(|(of, ..), _| *of != host);
    }

    fn attached(&mut self, host: usize, network: &Name) {
        self.gone.retain(|(of, name, _), _| *of != host || **name != *network);
    }

    fn event(&mut self, host: usize, event: &Event) -> Verdict {
        let (old, new) = match &event.kind {
            EventKind::Created { new } => (None, Some(new)),
            EventKind::Updated { old, new } if old.dot != new.dot => (Some(old), Some(new)),
            EventKind::Deleted { old, reason: DeleteReason::Deleted } => (Some(old), None),
            _ => return Ok(()),
        };
        let Some(entry) = new.or(old) else { return Ok(()) };
        let key = (host, Arc::clone(&event.network), entry.row.clone());
        if let (Some(gone), Some(new)) = (self.gone.get(&key), new)
            && !new.beats(gone)
        {
            return Err(format!(
                "n{host} shows {} again, after {} was gone",
                show(new),
                show(gone)
            ));
        }
        if let Some(old) = old {
            self.gone.insert(key, Arc::clone(old));
        }
        Ok(())
    }

    fn at_rest(&mut self, world: &World) -> Verdict {
        for network in world.ledger.networks() {
            let Some(host) = world.attached(&network).first().copied() else { continue };
            let rows = world.rows_of(host, &network);
            for (name, row, history) in world.ledger.rows() {
                let standing = rows.get(row).filter(|_| *name == network && !history.excused);
                if let Some(standing) = standing
                    && history.replaced().contains(&standing.dot)
                {
                    return Err(format!(
                        "{network}/{} stands on n{host}, but an acknowledged write or delete had replaced it",
                        show(standing)
                    ));
                }
            }
        }
        Ok(())
    }
}
