//! What happens to the node and its cluster, for whoever listens.

use netdb_core::node::NodeEvent;
use tokio::sync::broadcast;

use crate::db::Stopped;

/// Events kept for a listener that is behind; older ones are dropped, and it is told how many.
pub(crate) const EVENTS: usize = 256;

/// Why there is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventsError {
    /// The listener was too slow and missed some. The next call goes on after them; what they told is
    /// best looked up.
    #[error("{0} events were missed")]
    Missed(u64),
    /// The node was stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// A listener; see [`NetDb::events`](crate::NetDb::events).
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<NodeEvent>,
}

impl Events {
    pub(crate) fn new(receiver: broadcast::Receiver<NodeEvent>) -> Self {
        Self { receiver }
    }

    /// The next event. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<NodeEvent, EventsError> {
        self.receiver.recv().await.map_err(|error| match error {
            broadcast::error::RecvError::Lagged(missed) => EventsError::Missed(missed),
            broadcast::error::RecvError::Closed => EventsError::Stopped(Stopped),
        })
    }
}

#[cfg(test)]
mod tests {
    use netdb_gossip_core::identity::Generation;

    use super::*;

    #[tokio::test]
    async fn a_slow_listener_is_told_what_it_missed() {
        let (sender, receiver) = broadcast::channel(EVENTS);
        let mut events = Events::new(receiver);
        for n in 0..EVENTS as u64 + 3 {
            sender.send(NodeEvent::Reborn(Generation(n))).unwrap();
        }
        drop(sender);
        assert_eq!(events.next().await, Err(EventsError::Missed(3)));
        for n in 3..EVENTS as u64 + 3 {
            assert_eq!(events.next().await, Ok(NodeEvent::Reborn(Generation(n))));
        }
        assert_eq!(events.next().await, Err(EventsError::Stopped(Stopped)));
    }
}
