//! Who passes a message on to whom: a ring of node ids, cut into spans that are delegated.
//!
//! The writer cuts the whole ring into a few spans and sends one copy to a head in each; a head does the
//! same with the span it was given, from *its own* view of who is there. Views may differ: a span
//! is an interval of ids, not a list, so a node that only the head knows is still reached, and nobody is
//! reached twice. Depth is `log(n) / log(fanout)`, one copy per node, and no tree is kept anywhere.
//! (Delegation of key intervals as in El-Ansary et al., "Efficient Broadcast in Structured P2P
//! Networks", IPTPS 2003.)

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::identity::NodeId;

/// The ids that somebody is responsible for: the ring interval `(after, through]`.
/// With both ends equal it is the whole ring but that one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// Excluded.
    pub after: NodeId,
    /// Included.
    pub through: NodeId,
}

/// One copy to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// To whom.
    pub to: NodeId,
    /// What the receiver is to cover besides itself.
    pub rest: Option<Span>,
}

impl Span {
    /// Everybody but `node`.
    pub fn all_but(node: NodeId) -> Self {
        Self { after: node, through: node }
    }

    /// `node` alone. (No part of a ring that was cut: those have more, or need no span.)
    pub fn only(node: NodeId) -> Self {
        let before = u128::from_be_bytes(node.0).wrapping_sub(1);
        Self { after: NodeId(before.to_be_bytes()), through: node }
    }

    /// Whether the interval includes `id`.
    pub fn contains(&self, id: NodeId) -> bool {
        match self.after.cmp(&self.through) {
            core::cmp::Ordering::Less => self.after < id && id <= self.through,
            core::cmp::Ordering::Greater => self.after < id || id <= self.through,
            core::cmp::Ordering::Equal => id != self.after,
        }
    }
}

/// Cuts `span` among the `members` in it (sorted by id; `me` is left out), into at most `fanout`
/// groups on either side of `me`.
///
/// A group's head is its first member that is `trusted`, so that nobody depends on one that may be
/// gone; a group without one is headed by its first member all the same.
pub fn split(
    span: Span,
    members: &[NodeId],
    me: NodeId,
    fanout: usize,
    trusted: impl Fn(NodeId) -> bool,
) -> Vec<Hop> {
    let start = members.partition_point(|id| *id <= span.after);
    let (low, high) = members.split_at(start);
    let ring: Vec<NodeId> =
        high.iter().chain(low).copied().filter(|id| *id != me && span.contains(*id)).collect();
    let mut hops = Vec::new();
    if span.contains(me) {
        // Those before this node are few: whoever sent this did not know or did not trust them.
        let before = Span { after: span.after, through: me };
        let (first, second) = ring.split_at(ring.partition_point(|id| before.contains(*id)));
        group(&mut hops, span.after, first, fanout, &trusted);
        group(&mut hops, me, second, fanout, &trusted);
    } else {
        group(&mut hops, span.after, &ring, fanout, &trusted);
    }
    // Who is asked for one node only is the second to try: the copy says so.
    if let [hop] = &mut hops[..]
        && span == Span::only(hop.to)
    {
        hop.rest = Some(span);
    }
    hops
}

fn group(
    hops: &mut Vec<Hop>,
    mut after: NodeId,
    mut ring: &[NodeId],
    fanout: usize,
    trusted: &impl Fn(NodeId) -> bool,
) {
    for groups_left in (1..=fanout.max(1)).rev() {
        let (group, others) = ring.split_at(ring.len().div_ceil(groups_left));
        ring = others;
        let (Some(first), Some(last)) = (group.first(), group.last()) else { break };
        let head = group.iter().find(|id| trusted(**id)).unwrap_or(first);
        let rest = (group.len() > 1).then_some(Span { after, through: *last });
        hops.push(Hop { to: *head, rest });
        after = *last;
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId([n; 16])
    }

    /// Runs the relay to its end; returns copies per node and the depth.
    fn spread(
        views: &BTreeMap<NodeId, Vec<NodeId>>,
        origin: NodeId,
        fanout: usize,
        trusted: impl Fn(NodeId) -> bool + Copy,
    ) -> (BTreeMap<NodeId, usize>, usize) {
        let mut copies = BTreeMap::new();
        let mut wave = alloc::vec![(origin, Span::all_but(origin))];
        let mut depth = 0;
        while !wave.is_empty() {
            let mut next = Vec::new();
            for (node, span) in wave {
                for hop in split(span, &views[&node], node, fanout, trusted) {
                    *copies.entry(hop.to).or_insert(0) += 1;
                    next.extend(hop.rest.map(|rest| (hop.to, rest)));
                }
            }
            depth += 1;
            wave = next;
        }
        (copies, depth)
    }

    proptest! {
        #[test]
        fn each_node_gets_one_copy(
            nodes in prop::collection::btree_set(any::<u8>(), 1..80),
            distrusted in prop::collection::btree_set(any::<u8>(), 0..20),
            fanout in 2usize..8,
        ) {
            let members: Vec<NodeId> = nodes.iter().map(|n| id(*n)).collect();
            let views = members.iter().map(|m| (*m, members.clone())).collect();
            let origin = members[members.len() / 2];
            let trusted = |node: NodeId| !distrusted.contains(&node.0[0]);
            let (copies, _) = spread(&views, origin, fanout, trusted);
            let reached: BTreeSet<_> = copies.keys().copied().collect();
            let expected: BTreeSet<_> = members.iter().copied().filter(|m| *m != origin).collect();
            prop_assert_eq!(reached, expected);
            prop_assert!(copies.values().all(|n| *n == 1));
        }

        /// A node that some do not know yet is reached at most once, and known ones exactly once.
        #[test]
        fn views_may_differ(
            nodes in prop::collection::btree_set(any::<u8>(), 3..60),
            newcomer in any::<u8>(),
            ignorant in prop::collection::btree_set(any::<u8>(), 0..60),
        ) {
            let all: Vec<NodeId> = nodes.iter().map(|n| id(*n)).collect();
            let origin = all[0];
            prop_assume!(id(newcomer) != origin);
            let without: Vec<_> = all.iter().copied().filter(|m| *m != id(newcomer)).collect();
            let views = all
                .iter()
                .map(|m| (*m, if ignorant.contains(&m.0[0]) { without.clone() } else { all.clone() }))
                .collect();
            let (copies, _) = spread(&views, origin, 4, |_| true);
            for member in &without {
                prop_assert_eq!(copies.get(member).copied().unwrap_or(0), usize::from(*member != origin));
            }
            prop_assert!(copies.get(&id(newcomer)).copied().unwrap_or(0) <= 1);
        }
    }

    #[test]
    fn depth_is_logarithmic() {
        let members: Vec<NodeId> = (0..=255).map(id).collect();
        let views = members.iter().map(|m| (*m, members.clone())).collect();
        assert_eq!(spread(&views, id(7), 5, |_| true).1, 4);
        assert_eq!(spread(&views, id(7), 16, |_| true).1, 2);
    }
}
