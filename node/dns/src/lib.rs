//! The DNS of a sandbox: what a container's resolver asks is answered from names handed in, or forwarded.
//!
//! It knows names only through [`Names`], and sockets only as they are handed in: opened inside the
//! sandbox's namespace for its clients, and in this process's own namespace towards the resolvers of the
//! host. Must never know of tables or of the daemon, and never keep a copy of a name of ours.
//!
//! One [`Forwarder`] serves a host, with its cache and its bounds; one [`Client`] a sandbox. Whatever a
//! container or an upstream sends is answered or dropped within the bounds of [`limits`], and counted in
//! [`Stats`].

mod counters;
pub mod forward;
pub mod limits;
pub mod local;
mod lookup;
mod names;
mod server;
pub mod wire;

pub use counters::Stats;
pub use forward::{Forwarder, Settings, resolv_conf};
pub use lookup::{Answered, LookupError};
pub use names::{Family, Names, Verdict};
pub use server::Client;
