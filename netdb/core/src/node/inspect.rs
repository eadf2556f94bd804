//! Being looked into by another member, and asking one: what somebody sees who compares two nodes by hand.
//!
//! Must never change what is held, when it is compared, or what is sent to anybody else.

use alloc::collections::BTreeMap;
use core::ops::Bound;

use netdb_gossip_core::{
    identity::{Name, NodeId},
    time::{Now, Time, micros},
};

use super::{
    Node,
    network::{Network, SETTLE},
};
use crate::{
    entry::Writer,
    replica::Replica,
    wire::{
        self, Message, Want,
        inspect::{
            Answer, HeldRow, LIST_AT_MOST, MAX_LISTED, MAX_PLACES, MAX_RANGES, NetworkSum,
            Question, Rows, WriterSum,
        },
    },
};

/// The most questions that a node answers within a second; of the others it says that it is busy.
const MAX_PER_SECOND: u32 = 200;

const SECOND: core::time::Duration = core::time::Duration::from_secs(1);

/// How many questions were answered lately.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    since: Time,
    answered: u32,
}

impl Pace {
    fn admit(&mut self, now: Time) -> bool {
        if now >= self.since + SECOND {
            *self = Self { since: now, answered: 0 };
        }
        self.answered += 1;
        self.answered <= MAX_PER_SECOND
    }
}

impl Node {
    /// Asks a member; the answer comes as [`Output::Answer`](super::Output::Answer) with the same number,
    /// if it comes at all. False if it is certain that it does not.
    pub fn ask(&mut self, to: NodeId, id: u64, question: Question) -> bool {
        !self.is_starting()
            && self.say_on_stream(to, wire::encode(&Message::Question(id, question)))
    }

    /// Before this stamp everything has had the time to arrive.
    pub fn settled_before(&self, now: Now) -> u64 {
        self.cluster_time(now).0.saturating_sub(micros(SETTLE))
    }

    /// What this node says to a question.
    pub fn answer(&self, question: &Question) -> Answer {
        let network = match question {
            Question::Networks { only, cutoff, after } => {
                return self.sum_networks(only.as_ref(), *cutoff, after.as_ref());
            }
            Question::Writers { network, .. }
            | Question::Held { network, .. }
            | Question::Standing { network, .. } => network,
        };
        let Some(network) = self.networks.get(network) else { return Answer::NotAttached };
        let replica = &network.replica;
        match question {
            Question::Writers { cutoff, after, .. } => sum_writers(replica, *cutoff, *after),
            Question::Held { ranges, .. } if are_apart(ranges) => {
                Answer::Held(ranges.iter().map(|range| held(replica, range)).collect())
            }
            Question::Standing { places, .. } if places.len() <= MAX_PLACES => {
                let standing = |place: &u64| replica.standing(*place).and_then(|e| HeldRow::of(e));
                Answer::Standing(places.iter().map(standing).collect())
            }
            Question::Networks { .. } | Question::Held { .. } | Question::Standing { .. } => {
                Answer::Refused
            }
        }
    }

    pub(super) fn take_question(&mut self, now: Now, from: NodeId, id: u64, question: &Question) {
        let answer =
            if self.inspected.admit(now.mono) { self.answer(question) } else { Answer::Busy };
        self.say_on_stream(from, wire::encode(&Message::Answer(id, answer)));
    }

    fn sum_networks(&self, only: Option<&Name>, cutoff: u64, after: Option<&Name>) -> Answer {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let all = self.networks.range::<Name, _>((start, Bound::Unbounded));
        let mut wanted = all
            .map(|(_, network)| network)
            .filter(|network| only.is_none_or(|only| *network.name == *only));
        let networks = wanted.by_ref().take(MAX_LISTED).map(|n| sum_network(n, cutoff)).collect();
        Answer::Networks { networks, more: wanted.next().is_some() }
    }
}

fn sum_network(network: &Network, cutoff: u64) -> NetworkSum {
    let replica = &network.replica;
    let settled = replica.recent().as_of(cutoff, replica.digest(), replica.hash());
    NetworkSum {
        network: (*network.name).clone(),
        synced: network.synced,
        rows: count(replica.live()),
        held: replica.hash(),
        received: replica.digest().hash(),
        settled_held: settled.held,
        settled_received: settled.received,
    }
}

fn sum_writers(replica: &Replica, cutoff: u64, after: Option<Writer>) -> Answer {
    let settled = replica.recent().as_of(cutoff, replica.digest(), replica.hash());
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let mut all = replica.digest().range((start, Bound::Unbounded));
    let sum = |(writer, progress): (&Writer, &crate::digest::Progress)| {
        let (rows, hash, last) = marks(replica.dots(writer, 0, u64::MAX));
        let contiguous = progress.contiguous();
        let settled = settled.contiguous(writer, contiguous);
        WriterSum { writer: *writer, contiguous, settled, rows, hash, last }
    };
    let writers = all.by_ref().take(MAX_LISTED).map(sum).collect();
    Answer::Writers { writers, more: all.next().is_some() }
}

/// Few enough, and no dot asked for twice: one pass over what is held answers them.
fn are_apart(ranges: &[Want]) -> bool {
    let mut reached = BTreeMap::new();
    ranges.len() <= MAX_RANGES
        && ranges.iter().all(|range| {
            let behind = reached.insert(range.writer, range.through).unwrap_or(0);
            behind <= range.after && range.after < range.through
        })
}

fn held(replica: &Replica, range: &Want) -> Rows {
    let rows = || live(replica.dots(&range.writer, range.after, range.through));
    if rows().nth(LIST_AT_MOST).is_none() {
        Rows::List(rows().filter_map(|entry| HeldRow::of(entry)).collect())
    } else {
        let (count, hash, _) = marks(rows());
        Rows::Sum(count, hash)
    }
}

type Held<'a> = &'a alloc::sync::Arc<crate::entry::Entry>;

fn live<'a>(entries: impl Iterator<Item = Held<'a>>) -> impl Iterator<Item = Held<'a>> {
    entries.filter(|entry| !entry.is_tombstone())
}

/// How many live entries there are, the sum of their marks, and the highest sequence.
fn marks<'a>(entries: impl Iterator<Item = Held<'a>>) -> (u64, u64, u64) {
    live(entries).fold((0, 0u64, 0), |(count, sum, last), entry| {
        (count + 1, sum.wrapping_add(entry.mark()), last.max(entry.dot.sequence))
    })
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
