//! No acknowledged write is lost while its owner lives.
//!
//! A row must show its last acknowledged write, or one that the script made and that is no older. A delete
//! that nobody remembers any more (after a partition longer than the life of tombstones) can't undo a
//! concurrent write of the other side, so then any write counts that nobody had replaced knowingly.

use std::collections::BTreeMap;

use netdb_core::entry::{Entry, Lifetime, RowKey};
use std::sync::Arc;

use super::{Check, Verdict};
use crate::{ledger::History, world::World};

/// Compares what stands with what was acknowledged.
pub struct Acknowledged;

impl Check for Acknowledged {
    fn name(&self) -> &'static str {
        "no acknowledged write lost"
    }

    fn at_rest(&mut self, world: &World) -> Verdict {
        for network in world.ledger.networks() {
            let Some(host) = world.attached(&network).first().copied() else { continue };
            let rows = world.rows_of(host, &network);
            for (name, row, history) in world.ledger.rows().filter(|(name, ..)| **name == network) {
                if !history.excused && owner_lives(world, name, row) {
                    judge(&rows, row, history, world.forgets_tombstones)
                        .map_err(|what| format!("{name}/{}: {what} on n{host}", words(row)))?;
                }
            }
        }
        Ok(())
    }
}

fn owner_lives(world: &World, network: &netdb_gossip_core::identity::Name, row: &RowKey) -> bool {
    row.lifetime == Lifetime::Cluster
        || world
            .attached(network)
            .iter()
            .any(|host| world.host(*host).is_some_and(|h| h.id == row.owner))
}

fn words(row: &RowKey) -> String {
    format!("{}/{} ({})", row.table, super::replay::key_words(&row.key), row.lifetime)
}

fn judge(
    rows: &BTreeMap<RowKey, Arc<Entry>>,
    row: &RowKey,
    history: &History,
    lenient: bool,
) -> Verdict {
    let Some(last) = history.last_acknowledged() else { return Ok(()) };
    let standing = rows.get(row);
    if row.lifetime == Lifetime::Owner {
        // Under a new generation the same value stands under another dot.
        let (is, should) = (standing.and_then(|e| e.value.as_ref()), last.value.as_ref());
        return if is == should {
            Ok(())
        } else {
            Err(format!("{} stands instead of {:?}", dot(standing), last.dot))
        };
    }
    if lenient {
        let replaced = history.replaced();
        let mut open = history.writes.iter().filter(|write| !replaced.contains(&write.dot));
        let may_stand = match standing {
            Some(entry) => open.any(|write| write.dot == entry.dot),
            None => open.any(|write| write.value.is_none()),
        };
        return if may_stand { Ok(()) } else { Err(format!("{} stands", dot(standing))) };
    }
    let fits = if let Some(entry) = standing {
        let known = history.writes.iter().any(|write| write.dot == entry.dot);
        let order = (entry.at, entry.dot.writer.node);
        known && order >= (last.at, last.dot.writer.node)
    } else {
        let later = |write: &&crate::ledger::Issued| {
            write.value.is_none()
                && (write.at, write.dot.writer.node) >= (last.at, last.dot.writer.node)
        };
        history.writes.iter().any(|write| later(&write))
    };
    if fits { Ok(()) } else { Err(format!("{} stands instead of {:?}", dot(standing), last.dot)) }
}

fn dot(standing: Option<&Arc<Entry>>) -> String {
    standing.map_or_else(|| "nothing".into(), |entry| format!("{:?}", entry.dot))
}
