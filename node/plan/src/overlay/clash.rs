//! Which of several endpoints has an address, when the rows disagree.
//!
//! An endpoint that moves has two rows for a moment, its own node's old one and the new one: the higher
//! move counter wins, then the higher node id, so that every node picks the same. Two endpoints never hold
//! one address if the allocator did its work; if they do, the one of a live node wins over the remembered
//! one of a failed node, then as above, and the clash is told.

use alloc::{collections::BTreeMap, vec::Vec};
use core::net::IpAddr;

use netdb_gossip_core::identity::NodeId;

use super::Row;
use crate::records::{EndpointId, EndpointRecord, Mac};

/// An endpoint on a node.
pub type Holder = (NodeId, EndpointId);

/// Two claim what only one can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Clash {
    /// Two live endpoints have one address.
    #[error("{address} is claimed by endpoint {} and, winning, by {}", .loser.1, .winner.1)]
    Address {
        /// What both claim.
        address: IpAddr,
        /// Whom packets go to.
        winner: Holder,
        /// Whom none go to.
        loser: Holder,
    },
    /// Two live nodes have one endpoint, and neither came later.
    #[error("endpoint {endpoint} is claimed by node {loser} and, winning, by {winner}")]
    Endpoint {
        /// What both claim.
        endpoint: EndpointId,
        /// Where it is taken to be.
        winner: NodeId,
        /// Where it is not.
        loser: NodeId,
    },
}

/// Who has what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The endpoint of an address.
    pub addresses: BTreeMap<IpAddr, Holder>,
    /// The endpoint of a hardware address.
    pub macs: BTreeMap<Mac, Holder>,
    /// What was told apart only by ids, or should not be at all; in order.
    pub clashes: Vec<Clash>,
}

/// Settles who has what: the same on every node that has the same rows.
pub fn settle(rows: &BTreeMap<Holder, Row<'_, EndpointRecord>>) -> Settled {
    let mut settled = Settled::default();
    // One place for each endpoint, before endpoints are compared with each other.
    let mut places: BTreeMap<EndpointId, (NodeId, &Row<'_, EndpointRecord>)> = BTreeMap::new();
    for ((owner, id), row) in rows {
        let Some((other, there)) = places.get(id).copied() else {
            places.insert(*id, (*owner, row));
            continue;
        };
        let wins = (row.record.moves, *owner) > (there.record.moves, other);
        let (winner, loser) = if wins { (*owner, other) } else { (other, *owner) };
        if row.record.moves == there.record.moves && row.live && there.live {
            settled.clashes.push(Clash::Endpoint { endpoint: *id, winner, loser });
        }
        if wins {
            places.insert(*id, (*owner, row));
        }
    }
    for (id, (owner, row)) in &places {
        let place = (*owner, *id);
        for net in &row.record.addresses {
            claim(rows, &mut settled.addresses, net.addr(), place, |winner, loser| {
                let clash = Clash::Address { address: net.addr(), winner, loser };
                settled.clashes.push(clash);
            });
        }
        claim(rows, &mut settled.macs, row.record.mac, place, |_, _| ());
    }
    settled.clashes.sort();
    settled
}

/// Where endpoints of `node` went on, later than here: each with the node that has it by now. `own` are
/// their move counters.
pub fn moved_away<'a>(
    rows: impl IntoIterator<Item = (&'a Holder, &'a EndpointRecord)>,
    node: NodeId,
    own: &BTreeMap<EndpointId, u32>,
) -> BTreeMap<EndpointId, NodeId> {
    let mut latest: BTreeMap<EndpointId, (u32, NodeId)> = BTreeMap::new();
    for ((owner, id), record) in rows.into_iter().filter(|((owner, _), _)| *owner != node) {
        let later = own.get(id).is_some_and(|moves| record.moves > *moves);
        if later && latest.get(id).is_none_or(|known| (record.moves, *owner) > *known) {
            latest.insert(*id, (record.moves, *owner));
        }
    }
    latest.into_iter().map(|(id, (_, owner))| (id, owner)).collect()
}

fn claim<K: Ord>(
    rows: &BTreeMap<Holder, Row<'_, EndpointRecord>>,
    holders: &mut BTreeMap<K, Holder>,
    what: K,
    place: Holder,
    mut clash: impl FnMut(Holder, Holder),
) {
    let order = |place: &Holder| rows.get(place).map(|row| (row.live, row.record.moves, *place));
    let live = |place: &Holder| rows.get(place).is_some_and(|row| row.live);
    let Some(holder) = holders.get(&what).copied() else {
        holders.insert(what, place);
        return;
    };
    let (winner, loser) =
        if order(&place) > order(&holder) { (place, holder) } else { (holder, place) };
    if live(&winner) && live(&loser) {
        clash(winner, loser);
    }
    holders.insert(what, winner);
}
