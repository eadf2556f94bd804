//! The two clocks of a node, read at each input, and its deadlines as tokio understands them.
//!
//! Must be the only place where a clock is read: everything else is told the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use netdb_gossip_core::time::{Now, Time, Wall, micros};
use tokio::time::Instant;

/// Counts monotonic time from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    pub(crate) fn now(&self) -> Now {
        Now { mono: Time(micros(self.start.elapsed())), wall: wall() }
    }

    /// When `time` is.
    pub(crate) fn instant(&self, time: Time) -> Instant {
        // A deadline that does not fit is as good as none.
        let far = Duration::from_hours(24);
        self.start
            .checked_add(Duration::from_micros(time.0))
            .unwrap_or_else(|| Instant::now() + far)
    }
}

/// The wall clock; a time before 1970 counts as 1970.
pub(crate) fn wall() -> Wall {
    Wall(micros(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()))
}
