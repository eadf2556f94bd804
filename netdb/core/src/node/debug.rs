//! What goes on inside a node, for somebody who wonders why it does what it does.
//!
//! Must never change anything, nor show more of anything than [`MAX_SHOWN`].

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use netdb_gossip_core::{
    gossip::LinkInfo,
    identity::{Name, NodeId},
    relay::{self, Span},
    time::Now,
};

use super::{Node, network::Network, timers::Timer};
use crate::entry::{Entry, Lifetime, Writer};

/// The most writers, kept-aside entries and timers that are shown; how many there are is told besides.
pub const MAX_SHOWN: usize = 1000;

/// What goes on inside a node.
#[derive(Clone, Debug)]
pub struct Insides {
    /// Writes that have not left yet.
    pub outgoing: Outgoing,
    /// The most bytes that may wait for one peer.
    pub queue_bytes: usize,
    /// What is due next, the earliest first.
    pub timers: Vec<Due>,
    /// How many timers there are, those of the membership and the links not counted.
    pub timer_count: usize,
    /// When the node has to be called next at the latest, whatever for.
    pub next_deadline: Option<Duration>,
    /// The attached networks.
    pub networks: Vec<NetworkInsides>,
    /// The way to each member.
    pub links: Vec<(NodeId, LinkInfo)>,
}

/// Writes that have not left yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Those that leave with the next packets.
    pub waiting: usize,
    /// Those that wait for word of who is attached to what.
    pub early: usize,
    /// How many of these there may be.
    pub limit: usize,
}

/// Something that is due.
#[derive(Clone, Debug)]
pub struct Due {
    /// What for.
    pub what: &'static str,
    /// In which network, if in one.
    pub network: Option<Name>,
    /// How soon; zero if it is overdue.
    pub within: Duration,
}

/// What goes on inside a network.
#[derive(Clone, Debug)]
pub struct NetworkInsides {
    /// Its name.
    pub name: Name,
    /// Whether it is in sync.
    pub synced: bool,
    /// Number of this node's attachment.
    pub attachment: u32,
    /// Writes of this node in its present generation.
    pub written: u64,
    /// Hash over what was received.
    pub received: u64,
    /// Hash over what is held.
    pub held: u64,
    /// Whose writes are here, and how far.
    pub writers: Vec<WriterInsides>,
    /// How many there are.
    pub writer_count: usize,
    /// Writers that own nothing any more.
    pub retired: usize,
    /// Writes that are stamped too far ahead, the nearest first.
    pub aside: Vec<Arc<Entry>>,
    /// How many there are.
    pub aside_count: usize,
    /// Whom this node sends its own writes to.
    pub children: Vec<Child>,
    /// When it is compared with a peer next, and how long from one time to the next.
    pub compare: (Duration, Duration),
    /// Rows that are being fetched.
    pub pull: Option<PullInsides>,
    /// Whom this node is about to ask for what is missing, and when.
    pub gap: Option<(NodeId, Duration)>,
}

/// How far a writer got here.
#[derive(Clone, Copy, Debug)]
pub struct WriterInsides {
    /// The stream.
    pub writer: Writer,
    /// Everything through this sequence was received.
    pub contiguous: u64,
    /// Sequences that are missing: after the first, through the second.
    pub gap: Option<(u64, u64)>,
    /// Tombstones through this sequence may be gone.
    pub purged: u64,
}

/// Somebody who gets this node's writes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Child {
    /// Who.
    pub node: NodeId,
    /// How many others it passes them on to.
    pub passes_on_to: usize,
    /// Whether it answers: others are given to nobody who does not, if there is a choice.
    pub trusted: bool,
}

/// Rows on their way from a peer.
#[derive(Clone, Copy, Debug)]
pub struct PullInsides {
    /// Which peer.
    pub from: NodeId,
    /// Whether everything was asked for.
    pub all: bool,
    /// When it is given up if nothing comes.
    pub patience: Duration,
}

impl Node {
    /// What goes on inside.
    pub fn insides(&self, now: Now) -> Insides {
        let timers = self.timers.iter().take(MAX_SHOWN).map(|(at, timer)| {
            let (what, network) = describe(timer);
            Due { what, network, within: at.since(now.mono) }
        });
        let link = |id: NodeId| Some((id, self.gossip.link(id)?));
        Insides {
            outgoing: self.outbox.shown(),
            queue_bytes: self.config.gossip.queue_bytes,
            timers: timers.collect(),
            timer_count: self.timers.iter().count(),
            next_deadline: self.poll_timeout().map(|at| at.since(now.mono)),
            networks: self.networks.values().map(|n| self.network_insides(now, n)).collect(),
            links: self.gossip.members().filter_map(|(member, _)| link(member.id)).collect(),
        }
    }

    fn network_insides(&self, now: Now, network: &Network) -> NetworkInsides {
        let replica = &network.replica;
        let digest = replica.digest();
        let shown = |(writer, progress): (&Writer, &crate::digest::Progress)| WriterInsides {
            writer: *writer,
            contiguous: progress.contiguous(),
            gap: progress.first_gap(),
            purged: progress.purged(),
        };
        let pull = |pull: &super::network::PullState| PullInsides {
            from: pull.from,
            all: pull.all,
            patience: pull.deadline.since(now.mono),
        };
        NetworkInsides {
            name: (*network.name).clone(),
            synced: network.synced,
            attachment: network.attachment,
            written: network.written(Lifetime::Owner) + network.written(Lifetime::Cluster),
            received: digest.hash(),
            held: replica.hash(),
            writers: digest.writers().take(MAX_SHOWN).map(shown).collect(),
            writer_count: digest.writers().count(),
            retired: digest.retired().count(),
            aside: replica.aside().take(MAX_SHOWN).cloned().collect(),
            aside_count: replica.aside().count(),
            children: self.children(&network.name),
            compare: (network.schedule.at.since(now.mono), network.schedule.interval),
            pull: network.pull.as_ref().map(pull),
            gap: network.gap.map(|(at, from)| (from, at.since(now.mono))),
        }
    }

    /// Whom a write of this node's would be sent to now.
    fn children(&self, name: &Name) -> Vec<Child> {
        let mut members = self.peers(name);
        members.retain(|node| *node != self.id);
        let trusted = |node| self.is_trusted(node);
        let span = Span::all_but(self.id);
        let hops = relay::split(span, &members, self.id, self.config.fanout, trusted);
        let child = |hop: relay::Hop| {
            let covers = |node: &&NodeId| hop.rest.is_some_and(|rest| rest.contains(**node));
            let others = members.iter().filter(|node| **node != hop.to).filter(covers);
            Child { node: hop.to, passes_on_to: others.count(), trusted: trusted(hop.to) }
        };
        hops.into_iter().map(child).collect()
    }
}

fn describe(timer: &Timer) -> (&'static str, Option<Name>) {
    let of = |name: &Arc<Name>| Some((**name).clone());
    match timer {
        Timer::Compare(name) => ("compare with a peer", of(name)),
        Timer::Gap(name) => ("ask for what is missing", of(name)),
        Timer::Pull(name) => ("give up a silent pull", of(name)),
        Timer::Replace(name) => ("let an older generation go", of(name)),
        Timer::Purge(name) => ("purge tombstones", of(name)),
        Timer::Release(name) => ("let a kept-aside write in", of(name)),
        Timer::Hold => ("end the hold of a restarting node", None),
        Timer::Keys => ("see to the keys", None),
        Timer::Boot => ("stop waiting for old peers", None),
        Timer::Peers => ("save the peers", None),
        Timer::Requests => ("end requests without an answer", None),
        Timer::Housekeeping => ("retire writers", None),
        Timer::Flush => ("send gathered writes", None),
        Timer::Depart => ("end the farewell", None),
    }
}
