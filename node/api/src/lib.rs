//! The control API of a netnode: the bodies that go over its Unix socket, and a small client.
//!
//! HTTP/1.1 with JSON bodies on a Unix socket; long lists come as one JSON object per line, watches
//! as server-sent events. Every error is an [`error::ErrorBody`]. Keys and values are bytes, carried
//! as a [`Payload`] with an explicit encoding.
//!
//! ```no_run
//! # async fn shown() -> Result<(), netnode_api::client::ClientError> {
//! let client = netnode_api::client::Client::new(netnode_api::DEFAULT_SOCKET);
//! println!("{} members", client.members().await?.len());
//! # Ok(())
//! # }
//! ```
//!
//! This crate knows nothing of the daemon's insides and must never depend on them.
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod client;
pub mod debug;
pub mod diff;
pub mod dns;
pub mod endpoints;
pub mod error;
pub mod ipam;
pub mod keys;
pub mod lb;
pub mod metrics;
pub mod networks;
pub mod node;
pub mod paths;
pub mod payload;
pub mod rows;
pub mod services;
pub mod settings;

pub use payload::Payload;

/// Where netnode listens for its control API unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/netnode.sock";

/// The environment variable that names another socket, for netnode and netdbctl alike.
pub const SOCKET_VARIABLE: &str = "NETNODE_SOCKET";
