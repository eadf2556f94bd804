//! What a node learns from its owner and not from peers: who else is here and what they wrote, brought from
//! node to node by other means. A simulation of thousands of nodes begins so, as if they had met long ago.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{
    gossip::{Member, MemberState as Seen},
    identity::Name,
    time::Now,
};

use super::Node;
use crate::entry::{Entry, Lifetime, Writer};

impl Node {
    /// Takes in that these members are alive and that these writes stand in a network, as if peers had told
    /// of them. `received` says how far the writes are whole, for each stream (see [`Node::received`]).
    /// Nothing is passed on: all others are taken to know it too. The writes are shared and not copied.
    ///
    /// Nothing happens while the node is starting, or is not attached to the network.
    pub fn learn(
        &mut self,
        now: Now,
        members: &[Member],
        network: &Name,
        writes: &[Arc<Entry>],
        received: &[(Writer, u64)],
    ) {
        let known = self.networks.get(network).map(|network| Arc::clone(&network.name));
        let Some(name) = known.filter(|_| !self.is_starting()) else { return };
        let others = members.iter().filter(|member| member.id != self.id);
        let others: Vec<_> = others.map(|member| (*member, Seen::Alive)).collect();
        self.gossip.contact(now, &others);
        self.drain_gossip(now);
        for entry in writes {
            self.take_row(now, &name, entry, Duration::ZERO);
        }
        for (writer, sequence) in received.iter().filter(|(writer, _)| writer.node != self.id) {
            if let Some(network) = self.networks.get_mut(&name)
                && network.replica.digest_mut().advance(writer, *sequence)
                && writer.lifetime == Lifetime::Cluster
            {
                self.unsaved.insert((Arc::clone(&name), *writer));
            }
        }
    }
}
