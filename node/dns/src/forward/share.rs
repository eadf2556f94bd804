//! What one sandbox may have under way, so that its flood is its own trouble.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::limits::{MAX_WAITING, RESERVED};

/// Which client it is, among those of a forwarder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClientId(pub(super) u64);

/// The queries of one sandbox that wait for an upstream.
#[derive(Debug)]
pub(crate) struct Share {
    client: ClientId,
    waiting: AtomicUsize,
}

/// The right of one query to wait, until it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    share: Arc<Share>,
    place: usize,
}

impl Share {
    pub(super) fn new(client: ClientId) -> Self {
        Self { client, waiting: AtomicUsize::new(0) }
    }

    /// Lets one more wait, if there is room.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Permit> {
        let more = |waiting| (waiting < MAX_WAITING).then_some(waiting + 1);
        let before = self.waiting.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Permit { share: Arc::clone(self), place: before })
    }
}

impl Permit {
    /// For whom an answer is kept.
    pub(super) fn client(&self) -> ClientId {
        self.share.client
    }

    /// Whether a question may be asked although too many are under way already.
    pub(super) fn is_reserved(&self) -> bool {
        self.place < RESERVED
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.share.waiting.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_a_bound_and_its_first_places_are_reserved() {
        let share = Arc::new(Share::new(ClientId(1)));
        let mut permits: Vec<Permit> = (0..MAX_WAITING).filter_map(|_| share.enter()).collect();
        assert_eq!(permits.len(), MAX_WAITING);
        assert_eq!(permits.iter().filter(|permit| permit.is_reserved()).count(), RESERVED);
        assert!(share.enter().is_none());
        permits.pop();
        assert!(!share.enter().unwrap().is_reserved());
        permits.clear();
        assert!(share.enter().unwrap().is_reserved());
    }
}
