//! What the gossip core counts. Counters only ever grow; nothing decides by them.

use crate::packet::Drops;

/// Counters of one [`crate::gossip::Gossip`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Datagrams handed out.
    pub packets_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Datagrams that opened and were used.
    pub packets_received: u64,
    /// Their bytes.
    pub bytes_received: u64,
    /// Datagrams that were dropped, by reason.
    pub drops: Drops,
    /// Frames in good packets that were ignored: an unknown kind, or an ill-formed body.
    pub frames_ignored: u64,
    /// Packets of senders that are down here, answered by telling them so.
    pub from_down: u64,
    /// What membership counts.
    pub membership: MembershipStats,
    /// What links count.
    pub link: LinkStats,
}

/// Counters of the membership.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MembershipStats {
    /// Messages that did not decode or that foca refused.
    pub malformed: u64,
    /// Messages meant for an earlier life of this node.
    pub misdirected: u64,
    /// News of further members, dropped because `max_members` are known.
    pub members_refused: u64,
    /// Probes started.
    pub probes: u64,
    /// Probes that nobody answered.
    pub probes_failed: u64,
    /// Members that this node was the first to accuse here.
    pub accusations: u64,
    /// Suspicions of this node that it refuted.
    pub refutations: u64,
    /// Times that a peer knew other members for longer than news takes to spread.
    pub differences: u64,
    /// Times that this node took a new revision because it was told it is down.
    pub renewals: u64,
}

/// Counters of the links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Frames with acknowledgement that were sent for the first time.
    pub frames_sent: u64,
    /// Frames sent again.
    pub frames_repeated: u64,
    /// Frames that were acknowledged.
    pub frames_acked: u64,
    /// Frames given up.
    pub frames_lost: u64,
    /// Round trips measured.
    pub rtt_samples: u64,
    /// Membership messages dropped because too many waited for one peer.
    pub messages_dropped: u64,
    /// Clock offsets measured.
    pub offset_samples: u64,
}
