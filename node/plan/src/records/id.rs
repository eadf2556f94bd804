//! The random ids of networks, endpoints and services: names may change or clash, these don't.

use alloc::string::String;
use core::{fmt, str::FromStr};

use netdb_gossip_core::identity::NodeId;
use serde::{Deserialize, Serialize};

pub use netdb_gossip_core::identity::ParseIdError;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// The first eight hexadecimal digits: for tables, logs and the names of links.
            pub fn short(&self) -> String {
                NodeId(self.0).short()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&NodeId(self.0), f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                text.parse().map(|NodeId(bytes)| Self(bytes))
            }
        }
    };
}

random_id! {
    /// Names a network for ever.
    NetworkId
}
random_id! {
    /// Names an endpoint for ever, also when it moves to another node.
    EndpointId
}
random_id! {
    /// Names a service for ever.
    ServiceId
}
