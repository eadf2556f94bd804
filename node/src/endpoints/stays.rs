//! Networks whose rows somebody needs for a moment: this node takes part in them, endpoint or not.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use netdb::{AttachError as ScopeError, NameError, Stopped};
use netnode_plan::records::NetworkId;

use super::{Endpoints, rows::scope_of};

/// Who needs which. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stays(Arc<Mutex<BTreeMap<NetworkId, usize>>>);

/// Somebody needs the rows of a network, until this is dropped.
#[derive(Debug)]
pub(super) struct Stay {
    stays: Stays,
    network: NetworkId,
}

/// Why the rows of a network are not here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VisitError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    Scope(#[from] ScopeError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Stays {
    pub(super) fn begin(&self, network: NetworkId) -> Stay {
        *self.counts().entry(network).or_default() += 1;
        Stay { stays: self.clone(), network }
    }

    pub(super) fn is_anybody_on(&self, network: NetworkId) -> bool {
        self.counts().contains_key(&network)
    }

    /// Counts are right after a panic as well: each is changed by one step.
    fn counts(&self) -> MutexGuard<'_, BTreeMap<NetworkId, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        let mut counts = self.stays.counts();
        if let Some(count) = counts.get_mut(&self.network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

impl Endpoints {
    /// Does something with the rows of a network at hand. A node that did not take part in it takes part
    /// only meanwhile.
    pub(crate) async fn visiting<T>(
        &self,
        network: NetworkId,
        work: impl Future<Output = T>,
    ) -> Result<T, VisitError> {
        let staying = self.stays.begin(network);
        let scope = scope_of(network)?;
        let was_here = self.db.network(scope.as_str()).await?.is_some();
        self.db.ensure_attached(scope.as_str()).await?;
        self.wait_synced(network).await;
        let done = work.await;
        drop(staying);
        if !was_here && self.stays.is_anybody_on(network) {
            let again = self.clone();
            tokio::spawn(async move { again.leave_scope(network).await });
        } else if !was_here {
            self.leave_if_idle(network).await;
        }
        Ok(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_who_goes_makes_it_idle() {
        let (stays, network) = (Stays::default(), NetworkId([1; 16]));
        let (one, other) = (stays.begin(network), stays.begin(network));
        drop(one);
        assert!(stays.is_anybody_on(network) && !stays.is_anybody_on(NetworkId([2; 16])));
        drop(other);
        assert!(!stays.is_anybody_on(network));
    }
}
