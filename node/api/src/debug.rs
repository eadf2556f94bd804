//! What goes on inside a node. For people who look into one; fields may come and go.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    node::Who,
    payload::Payload,
    rows::{Dot, Lifetime},
};

/// What goes on inside a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Debug {
    /// What waits, and how much may.
    pub queues: Vec<Queue>,
    /// Packets dropped since start, by reason.
    pub drops: BTreeMap<String, u64>,
    /// Events handed to watchers since start.
    pub watch_events: u64,
    /// The attached networks.
    pub networks: Vec<NetworkDebug>,
    /// The way to each member.
    pub links: Vec<Link>,
    /// What is due, the earliest first; at most 1,000.
    pub timers: Vec<Timer>,
    /// How many timers there are, those of the membership and the links not counted.
    pub timer_count: usize,
    /// How soon the node acts by itself at the latest, in microseconds.
    pub next_deadline_us: Option<u64>,
}

/// Something that can pile up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Queue {
    /// What waits, and for what.
    pub name: String,
    /// How much of it.
    pub depth: usize,
    /// How much there may be, where that is one number.
    pub limit: Option<usize>,
}

/// Inside an attached network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkDebug {
    /// Its name.
    pub name: String,
    /// Whether the tables here hold what the peers hold.
    pub synced: bool,
    /// Number of this node's attachment.
    pub attachment: u32,
    /// Writes of this node since it started.
    pub written: u64,
    /// Hash over the writes received, in hexadecimal.
    pub received: String,
    /// Hash over the rows held, in hexadecimal.
    pub held: String,
    /// Whose writes are here, and how far; at most 1,000.
    pub writers: Vec<Writer>,
    /// How many there are.
    pub writer_count: usize,
    /// Writers that own nothing any more and are only remembered.
    pub retired: usize,
    /// Writes that are stamped too far ahead, the nearest first; at most 1,000.
    pub aside: Vec<Aside>,
    /// How many there are.
    pub aside_count: usize,
    /// Whom this node sends its own writes to.
    pub children: Vec<Child>,
    /// When it is compared with a peer next, in microseconds.
    pub next_compare_us: u64,
    /// How often it is compared at present, in microseconds.
    pub compare_interval_us: u64,
    /// Rows that are being fetched.
    pub pull: Option<Pull>,
    /// Writes are missing, and somebody is about to be asked for them.
    pub gap: Option<Gap>,
}

/// How far a stream of writes got here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Writer {
    /// Who writes.
    pub writer: Who,
    /// Writes of which lifetime.
    pub lifetime: Lifetime,
    /// In which generation.
    pub generation: u64,
    /// In which of its attachments to the network.
    pub attachment: u32,
    /// Everything through this sequence was received.
    pub contiguous: u64,
    /// The first sequences that are missing while later ones are here.
    pub missing: Option<Missing>,
    /// Deletes through this sequence may be forgotten here.
    pub purged: u64,
}

/// Sequences that were not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Missing {
    /// The first.
    pub from: u64,
    /// The last.
    pub through: u64,
}

/// A write that is stamped too far ahead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Aside {
    /// The table.
    pub table: String,
    /// The key.
    pub key: Payload,
    /// Which write it is.
    pub dot: Dot,
    /// Its stamp's time, in microseconds since the Unix epoch.
    pub stamp_us: u64,
    /// How far that is ahead of cluster time.
    pub ahead_ms: u64,
}

/// Somebody who gets this node's writes from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Child {
    /// Who.
    pub node: Who,
    /// How many others it passes them on to.
    pub passes_on_to: usize,
    /// Whether it answers.
    pub trusted: bool,
}

/// Rows on their way from a peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Pull {
    /// Which peer.
    pub from: Who,
    /// Whether everything was asked for.
    pub all: bool,
    /// When it is given up if nothing comes, in microseconds.
    pub patience_us: u64,
}

/// Writes are missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// Who is asked for them.
    pub from: Who,
    /// How soon, in microseconds.
    pub within_us: u64,
}

/// The way to one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// Which.
    pub node: Who,
    /// Frames and messages that wait to leave.
    pub queued: usize,
    /// Bytes of frames that wait or are in flight.
    pub bytes: usize,
    /// The most that may.
    pub bytes_limit: usize,
    /// Packets that were sent and are not confirmed.
    pub in_flight: usize,
    /// The most that may be at present.
    pub window: u32,
    /// The smoothed round trip in microseconds, once measured.
    pub rtt_us: Option<u64>,
    /// Frames that were repeated and are still not confirmed.
    pub late: usize,
    /// Whether the peer answered what was sent last, or has not had the time to.
    pub responsive: bool,
}

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timer {
    /// What for.
    pub what: String,
    /// In which network, if in one.
    pub network: Option<String>,
    /// How soon, in microseconds; 0 if it is overdue.
    pub within_us: u64,
}
