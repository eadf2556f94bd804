//! Tables that a cluster shares, without a server: embed a node, attach to a network, write and watch.
//!
//! Every program that opens a [`NetDb`] is a *node*. Nodes find each other, notice when one fails,
//! and keep tables in step by gossip, in sealed packets under keys that rotate by themselves. There is no
//! leader and no quorum: every node reads and writes its own copy at once, also while it is cut off, and
//! copies that have met agree.
//!
//! # In a project of your own
//!
//! ```toml
//! [dependencies]
//! netdb = { path = "../netdb/netdb" } # where its tree is; nothing is released yet
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! ```
//!
//! Small packets are sealed four times faster if your `.cargo/config.toml` says, as that of this tree does:
//!
//! ```toml
//! [build]
//! rustflags = ["--cfg", "poly1305_backend=\"soft\""]
//! ```
//!
//! # From nothing to a row
//!
//! ```
//! use netdb::{Config, Farewell, Lifetime, Name, NetDb};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! // The first node makes the cluster, once; the token lets others in.
//! let first = Config::local(dir.path().join("first"), Name::new("first")?);
//! let token = NetDb::init(&first).await?.text;
//! let first = NetDb::open(first).await?;
//!
//! // Once per node: joining needs the token and the address of any member. After that, `open` is enough.
//! let second = Config::local(dir.path().join("second"), Name::new("second")?);
//! NetDb::join(&second, &token, &[first.local_addr()]).await?;
//! let second = NetDb::open(second).await?;
//!
//! // A network is a scope: only nodes that are attached to it hold its tables.
//! let here = first.ensure_attached("shop").await?;
//! let there = second.ensure_attached("shop").await?;
//!
//! let mut watch = there.table("prices", Lifetime::Cluster)?.watch().await?;
//! here.table("prices", Lifetime::Cluster)?.create("apple", "0.40").await?;
//! while let Some(event) = watch.next().await {
//!     if let netdb::EventKind::Created { new } = event.kind {
//!         assert_eq!(&*new.row.key, b"apple");
//!         break;
//!     }
//! }
//!
//! // Say goodbye, so that nobody takes it for a failure.
//! second.stop(Farewell::ShuttingDown).await?;
//! first.stop(Farewell::ShuttingDown).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Which lifetime a table needs
//!
//! | | [`Lifetime::Owner`] | [`Lifetime::Cluster`] |
//! | --- | --- | --- |
//! | for | what is true while its writer lives: endpoints, presence, load | what was decided: definitions, configuration |
//! | a key holds | one row per owner | one row |
//! | written by | its owner only | any attached node; of two writes the later stamp stands |
//! | leaves the view | when its owner fails, leaves or detaches | when somebody deletes it |
//! | acknowledged | at once; it is in memory only | once it is on this node's disk |
//! | after a restart | its owner writes it again, then calls [`Network::mark_complete`] | is still there |
//!
//! The two lifetimes of one name are two tables. What a row leaves the view for is in every
//! [`EventKind::Deleted`]; rows of failed nodes are remembered for their return, and a [`Filter`] can ask
//! for them.
//!
//! # What is promised
//!
//! - A write is in the writer's own view when it returns, and on its way to the others. A
//!   [`Lifetime::Cluster`] write that was acknowledged survives `kill -9` and power loss.
//! - [`Table::create`] looks at the local view only. Where two nodes create one key at once, both
//!   succeed, and one value stands everywhere.
//! - A [`Watch`] tells each row's changes in order and never one twice. One that is slow costs nothing:
//!   it is told the outcome instead of every step.
//! - [`Network::wait_synced`] returns when this node holds what its peers hold, or is alone.
//! - Nothing blocks: handles are cheap to clone, talk to one task over bounded channels, and hold no lock.
//!   If the disk is full or fails, writes that need it say so, everything else goes on, and
//!   [`NetDb::info`] shows it until the node has recovered by itself.
//!
//! # The state directory
//!
//! Each node has one, for its owner only (mode 0700; files 0600): `identity` (its secret keys), `netdb.redb`
//! (keyring, members, attachments, `Cluster` rows) and `lock`. Nothing in it is ever deleted because
//! it could not be read: the error names the file and the way out. Putting back an older copy of the whole
//! directory does no harm; using one copy on two machines at once does.
//!
//! # More
//!
//! `examples/` has a service registry, presence, the distribution of configuration and a leader hint, each
//! of them nodes in one process, and `custom_transport`, which drives the core below with packets of its own.
//! The design is described in `docs/architecture.md`, and `docs/api.txt` lists all that is public. This crate
//! needs a tokio runtime with time and I/O enabled, and Unix.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic))]

mod address;
mod clock;
mod command;
mod config;
mod db;
mod diff;
mod disk;
mod driver;
mod entropy;
mod events;
mod identity_file;
mod info;
mod init;
mod insides;
mod join;
mod network;
mod open;
mod requests;
mod state_dir;
mod storage;
mod table;
mod watch;

pub use netdb_core::{
    config::{Config as Settings, InvalidConfig},
    entry::{Dot, Entry, KeyBytes, Lifetime, MAX_KEY, MAX_VALUE, RowKey, Writer},
    node::{
        AttachError as AttachRefused, CLUSTER_NETWORK, Child, Due, Farewell,
        Insides as NodeInsides, KeyInfo, KeysInfo, MAX_REQUEST, MemberInfo, MemberState,
        NetworkInfo, NetworkInsides, NodeEvent, NodeInfo, NodeStats, Operation, PullInsides,
        Receipt, RequestError, RequestFailure, RotateError, RotationStep, StartError, TokenInfo,
        WriteError as WriteRefused, WriterInsides,
    },
    records::describe,
    sync::diff::{Diff, NetworkDiff, RowDiff, Side, Standing, Verdict, WriterDiff},
    times::Times,
    view::{DeleteReason, Event, EventKind, Filter, OwnerState, Row},
    wire::{
        MessageKind, Tallies, Tally,
        inspect::{HeldRow, NetworkSum, WriterSum},
    },
};
pub use netdb_gossip::{BindError, JoinError as JoinAttemptError, Stats as TransportStats};
pub use netdb_gossip_core::{
    config::Config as GossipSettings,
    gossip::{LinkInfo, Member},
    identity::{ClusterId, Generation, Name, NameError, NodeId},
    keyring::KeyId,
    packet::{DropReason, Drops},
    stats::{LinkStats, MembershipStats, Stats as GossipStats},
    time::Wall,
    token::{ParseTokenError, TokenId},
};

pub use crate::{
    config::{Config, ConfigError, DEFAULT_PORT},
    db::{ChangeError, KnownNetworks, MAX_PAGE, NetDb, NetworkRow, Never, StopError, Stopped},
    diff::DiffError,
    disk::{StorageState, StorageStats},
    driver::MAX_WATCHES,
    events::{Events, EventsError},
    info::{Info, Queues, Stats},
    init::InitError,
    insides::{Insides, Queue},
    join::{Attempts, JoinError, Joined},
    network::{AttachError, Network, SyncError},
    open::OpenError,
    requests::{AskError, MAX_TOPICS, MAX_UNTAKEN, Request, Requests, ServeError},
    state_dir::StateDirError,
    storage::StorageError,
    table::{Table, WriteError},
    watch::{Watch, WatchError},
};
