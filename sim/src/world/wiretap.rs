//! A tap that sees what nodes send in clear: how often a payload leaves any node, repetitions included.
//!
//! The world can read sealed packets because it knows every node's keyring. Nothing that nodes do depends
//! on the tap, unless it is told to lose what it finds.

use netdb_core::{
    node::Node,
    wire::{self, Message},
};
use netdb_gossip_core::{
    identity::NodeId,
    packet::{self, ClusterTag},
};

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wiretap {
    marker: Vec<u8>,
    lose_pushes: bool,
    found: u64,
}

impl Wiretap {
    /// Looks for a marker; with `lose_pushes` every datagram with a push that has it is lost.
    pub(crate) fn new(marker: &[u8], lose_pushes: bool) -> Self {
        Self { marker: marker.to_vec(), lose_pushes, found: 0 }
    }

    /// Whether there is anything to look for.
    pub(crate) fn is_on(&self) -> bool {
        !self.marker.is_empty()
    }

    /// How often the marker was sent.
    pub(crate) fn found(&self) -> u64 {
        self.found
    }

    /// A node sends a datagram to `to`; whether it is to be lost.
    pub(crate) fn datagram(&mut self, node: &Node, to: NodeId, bytes: &[u8]) -> bool {
        let mut copy = bytes.to_vec();
        let cluster = ClusterTag::of(node.info().cluster);
        let opened = packet::open(&mut copy, cluster, to, node.gossip().keyring());
        let mut lost = false;
        for frame in opened.into_iter().flat_map(|opened| opened.frames) {
            let found = occurrences(frame.body, &self.marker);
            self.found += found as u64;
            lost |= self.lose_pushes && found > 0 && is_push(frame.body);
        }
        lost
    }

    /// A node sends a message on a stream.
    pub(crate) fn message(&mut self, message: &[u8]) {
        self.found += occurrences(message, &self.marker) as u64;
    }
}

fn is_push(frame: &[u8]) -> bool {
    matches!(wire::decode(frame), Ok(Message::Push(_)))
}

/// How often `marker` is in `bytes`, without overlaps.
fn occurrences(bytes: &[u8], marker: &[u8]) -> usize {
    if marker.is_empty() {
        return 0;
    }
    let (mut rest, mut found) = (bytes, 0);
    while let Some(at) = rest.windows(marker.len()).position(|window| window == marker) {
        rest = rest.get(at + marker.len()..).unwrap_or_default();
        found += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn occurrences_do_not_overlap() {
        assert_eq!(occurrences(b"aXXXXbXXc", b"XX"), 3);
        assert_eq!(occurrences(b"aX", b"XX"), 0);
        assert_eq!(occurrences(b"aX", b""), 0);
    }
}
