//! Callers that wait until a network's tables are in sync.

use std::collections::BTreeMap;

use netdb_gossip_core::identity::Name;

use crate::{command::Reply, network::SyncError};

type Waiter = Reply<Result<(), SyncError>>;

/// All that wait, by network. There are as many as callers that wait at this moment: whoever went away
/// is forgotten when the next one comes.
#[derive(Default)]
pub(crate) struct Waiters(BTreeMap<Name, Vec<Waiter>>);

impl Waiters {
    pub(crate) fn add(&mut self, network: Name, waiter: Waiter) {
        for waiters in self.0.values_mut() {
            waiters.retain(|waiter| !waiter.is_closed());
        }
        self.0.retain(|_, waiters| !waiters.is_empty());
        self.0.entry(network).or_default().push(waiter);
    }

    pub(crate) fn synced(&mut self, network: &Name) {
        self.tell(network, &Ok(()));
    }

    pub(crate) fn detached(&mut self, network: &Name) {
        self.tell(network, &Err(SyncError::NotAttached(network.clone())));
    }

    fn tell(&mut self, network: &Name, result: &Result<(), SyncError>) {
        for waiter in self.0.remove(network).unwrap_or_default() {
            let _ = waiter.send(result.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn whoever_went_away_is_forgotten() {
        let (a, b) = (Name::new("a").unwrap(), Name::new("b").unwrap());
        let mut waiters = Waiters::default();
        for _ in 0..100 {
            waiters.add(a.clone(), oneshot::channel().0);
        }
        let (waiter, mut told) = oneshot::channel();
        waiters.add(b.clone(), waiter);
        assert!(waiters.0.keys().eq([&b]));
        waiters.synced(&a);
        assert!(told.try_recv().is_err());
        waiters.detached(&b);
        assert_eq!(told.try_recv().unwrap(), Err(SyncError::NotAttached(b)));
    }
}
