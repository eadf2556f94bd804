//! What an endpoint is to a service: one of those that serve it.

use core::{fmt, str::FromStr};

use netdb_gossip_core::identity::Name;
use serde::{Deserialize, Serialize};

/// The largest weight of a backend.
pub const MAX_WEIGHT: u16 = 256;

/// An endpoint that serves a service. The service is named and not looked up: who starts endpoints may do so
/// before or after it is created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// The service's name.
    pub service: Name,
    /// What this one of its backends is called.
    pub task: Name,
    /// How much it takes beside the others, 0 to [`MAX_WEIGHT`]; 0: nothing new.
    pub weight: u16,
    /// How it is doing, as whoever checks it says.
    pub health: Health,
    /// What its operator wants of it.
    pub state: BackendState,
}

impl Backend {
    /// What a backend weighs of which nothing else is said.
    pub const DEFAULT_WEIGHT: u16 = 1;

    /// One that is ready and healthy.
    pub fn new(service: Name, task: Name) -> Self {
        let (health, state) = (Health::Healthy, BackendState::Ready);
        Self { service, task, weight: Self::DEFAULT_WEIGHT, health, state }
    }

    /// Whether it is to be given to who looks for the service now.
    pub fn takes_new(&self) -> bool {
        let Self { weight, health, state, .. } = self;
        *weight > 0 && *health == Health::Healthy && *state == BackendState::Ready
    }
}

/// How a backend is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Health {
    /// It answers.
    Healthy,
    /// It does not, or not yet.
    Unhealthy,
}

/// What is wanted of a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BackendState {
    /// It serves.
    Ready,
    /// It ends what it has begun, and is given nothing new.
    Draining,
    /// It is given nothing, and what it has begun may be cut off.
    Disabled,
}

/// Not a [`Health`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected healthy or unhealthy")]
pub struct ParseHealthError;

/// Not a [`BackendState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected ready, draining or disabled")]
pub struct ParseBackendStateError;

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}

impl FromStr for Health {
    type Err = ParseHealthError;

    fn from_str(text: &str) -> Result<Self, ParseHealthError> {
        match text {
            "healthy" => Ok(Self::Healthy),
            "unhealthy" => Ok(Self::Unhealthy),
            _ => Err(ParseHealthError),
        }
    }
}

impl fmt::Display for BackendState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        })
    }
}

impl FromStr for BackendState {
    type Err = ParseBackendStateError;

    fn from_str(text: &str) -> Result<Self, ParseBackendStateError> {
        match text {
            "ready" => Ok(Self::Ready),
            "draining" => Ok(Self::Draining),
            "disabled" => Ok(Self::Disabled),
            _ => Err(ParseBackendStateError),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn only_who_is_ready_and_healthy_and_weighs_something_takes_new() {
        let name = |text| Name::new(text).unwrap();
        let ready = Backend::new(name("web"), name("web.1"));
        assert!(ready.takes_new());
        assert!(!Backend { weight: 0, ..ready.clone() }.takes_new());
        assert!(!Backend { health: Health::Unhealthy, ..ready.clone() }.takes_new());
        for state in [BackendState::Draining, BackendState::Disabled] {
            assert!(!Backend { state, ..ready.clone() }.takes_new());
        }
    }

    #[test]
    fn words_are_read_as_they_are_said() {
        for health in [Health::Healthy, Health::Unhealthy] {
            assert_eq!(health.to_string().parse(), Ok(health));
        }
        for state in [BackendState::Ready, BackendState::Draining, BackendState::Disabled] {
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        assert_eq!("sick".parse::<Health>(), Err(ParseHealthError));
        assert_eq!("down".parse::<BackendState>(), Err(ParseBackendStateError));
    }
}
