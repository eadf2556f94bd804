//! Why a run stopped: an invariant that does not hold, or a deadline that passed.

use std::{error::Error, fmt};

use netdb_gossip_core::time::Time;

/// What broke, when, and how it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The invariant, or `script` if the scenario itself could not go on.
    pub invariant: &'static str,
    /// What was found.
    pub what: String,
    /// In virtual time.
    pub at: Time,
}

/// The result of whatever runs in a world.
pub type Outcome<T = ()> = Result<T, Broken>;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken at {}: {}", self.invariant, self.at, self.what)
    }
}

impl Error for Broken {}
