//! Who of several nodes decides about a key, by rendezvous hashing: every node that sees the same nodes
//! names the same one, and when that one goes, only what it decided about gets another.
//!
//! D. G. Thaler, C. V. Ravishankar, "Using Name-Based Mappings to Increase Hit Rates" (1998).

use core::hash::Hasher;

use netdb_gossip_core::identity::NodeId;
use siphasher::sip::SipHasher13;

/// What a node bids for a key; the highest bid wins.
pub fn bid(key: &[u8], node: &NodeId) -> u64 {
    let mut hash = SipHasher13::new();
    hash.write(key);
    hash.write(&node.0);
    hash.finish()
}

/// The node with the highest bid. `None` if there are no nodes.
pub fn winner(key: &[u8], nodes: impl IntoIterator<Item = NodeId>) -> Option<NodeId> {
    nodes.into_iter().max_by_key(|node| (bid(key, node), *node))
}

#[cfg(test)]
mod tests {
    use alloc::{collections::BTreeMap, vec::Vec};

    use super::*;

    #[test]
    fn keys_are_spread_and_stay_when_others_go() {
        let nodes: Vec<NodeId> = (0..10).map(|n| NodeId([n; 16])).collect();
        let all = |nodes: &[NodeId]| -> Vec<NodeId> {
            (0..1000u32).map(|n| winner(&n.to_le_bytes(), nodes.iter().copied()).unwrap()).collect()
        };
        let before = all(&nodes);
        let mut counts = BTreeMap::new();
        for node in &before {
            *counts.entry(node).or_insert(0) += 1;
        }
        assert!(counts.values().all(|count| (60..150).contains(count)), "{counts:?}");
        let after = all(&nodes[1..]);
        for (before, after) in before.iter().zip(&after) {
            assert!(*before == nodes[0] || before == after);
        }
        assert_eq!(winner(b"key", []), None);
    }
}
