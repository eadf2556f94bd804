//! Endpoints that serve a service: what their operator wants of them, and how they are doing.

use std::time::Duration;

use netdb::Name;
use netnode_plan::{
    claims::{FindError, find_id},
    records::{Backend, BackendState, EndpointId, Health, NetworkId},
};

use tokio::time::sleep;

use super::{AttachError, Endpoint, Endpoints, store::now_s};

/// How often it is looked whose time to drain is over, in seconds: the clock may be set.
const LOOK_S: u64 = 60;

/// Why what an endpoint is to its service was not changed. What could be stored and not be said to the other
/// nodes is said after the next start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Find(#[from] FindError),
    #[error("this host has an endpoint {0} on several networks: name it by its id")]
    Several(Name),
    #[error("endpoint {0} serves no service")]
    NoService(Name),
    /// It can't be stored or said.
    #[error(transparent)]
    Attach(Box<AttachError>),
}

/// What is to be different about a backend.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Served {
    pub(crate) health: Option<Health>,
    pub(crate) state: Option<BackendState>,
    /// How long what it has begun may go on while it is draining, in seconds.
    pub(crate) grace_s: Option<u64>,
}

/// How long what a backend has begun may go on when it is drained and nothing is said; as load balancers of the clouds
/// have it.
const GRACE_S: u64 = 300;

impl Endpoints {
    /// Changes what an endpoint of this host is to its service: on disk first, then for the other nodes. It is
    /// meant by its name, its id, or the start of that.
    pub(crate) async fn serve(&self, text: &str, wanted: Served) -> Result<Endpoint, ServeError> {
        self.started().await.map_err(AttachError::from)?;
        let _changing = self.changing.lock().await;
        let id = self.meant(text)?;
        let unknown = || FindError::Unknown { kind: "endpoint", text: text.to_owned() };
        let mut local = self.get(id).ok_or_else(unknown)?.local;
        let backend = local.backend.as_mut();
        let backend = backend.ok_or_else(|| ServeError::NoService(local.name.clone()))?;
        let Served { health, state, grace_s } = wanted;
        backend.health = health.unwrap_or(backend.health);
        backend.state = state.unwrap_or(backend.state);
        let until = drain_end(Some(&*backend), grace_s);
        local.drained_s = if state.is_some() { until } else { local.drained_s };
        self.put(id, &local).await?;
        if !self.is_own(local.network) {
            self.publish(id, &local).await?;
        }
        Ok(self.get(id).ok_or_else(unknown)?)
    }

    /// Disables backends whose time to drain is over, until the node stops.
    pub(super) async fn end_drains(self) {
        let mut shown = self.shown.clone();
        loop {
            let drains = shown.borrow_and_update().locals.clone();
            let mut drains: Vec<(u64, EndpointId)> =
                drains.iter().filter_map(|(id, local)| Some((local.drained_s?, *id))).collect();
            drains.sort_unstable();
            let now = now_s();
            for (_, id) in drains.iter().filter(|(end, _)| *end <= now) {
                let disabled = Some(BackendState::Disabled);
                let wanted = Served { state: disabled, ..Served::default() };
                match self.serve(&id.to_string(), wanted).await {
                    Ok(endpoint) => {
                        tracing::info!(name = %endpoint.local.name, "its time to drain is over");
                    }
                    Err(error) => tracing::warn!(endpoint = %id, "it goes on draining: {error}"),
                }
            }
            let next = drains.iter().map(|(end, _)| *end).find(|end| *end > now);
            let wait = next.map_or(LOOK_S, |end| end.saturating_sub(now).clamp(1, LOOK_S));
            tokio::select! {
                changed = shown.changed() => if changed.is_err() { return },
                () = sleep(Duration::from_secs(wait)) => {}
            }
        }
    }

    /// The networks that the sandbox of an endpoint is on. The endpoint is meant as in [`Self::serve`]; several of
    /// one name may be one sandbox's.
    pub(crate) fn networks_beside(&self, text: &str) -> Result<Vec<NetworkId>, ServeError> {
        let all = self.list();
        let mut named = all.iter().filter(|e| e.local.name.as_str() == text).map(|e| &e.local);
        let sandbox = match named.next() {
            Some(first) if named.all(|other| other.sandbox == first.sandbox) => {
                first.sandbox.clone()
            }
            _ => {
                let id = self.meant(text)?;
                all.iter().find(|e| e.id == id).map(|e| e.local.sandbox.clone()).unwrap_or_default()
            }
        };
        let beside = all.iter().filter(|e| e.local.sandbox == sandbox);
        Ok(beside.map(|endpoint| endpoint.local.network).collect())
    }

    fn meant(&self, text: &str) -> Result<EndpointId, ServeError> {
        let all = self.list();
        let mut named = all.iter().filter(|endpoint| endpoint.local.name.as_str() == text);
        match (named.next(), named.next()) {
            (Some(only), None) => Ok(only.id),
            (Some(one), Some(_)) => Err(ServeError::Several(one.local.name.clone())),
            (None, _) => Ok(find_id("endpoint", all.iter().map(|endpoint| endpoint.id), text)?),
        }
    }
}

impl From<AttachError> for ServeError {
    fn from(error: AttachError) -> Self {
        Self::Attach(Box::new(error))
    }
}

/// Until when a backend may end what it has begun that is to from now on: seconds since the Unix epoch.
pub(super) fn drain_end(backend: Option<&Backend>, grace_s: Option<u64>) -> Option<u64> {
    let drains = backend.is_some_and(|backend| backend.state == BackendState::Draining);
    drains.then(|| now_s().saturating_add(grace_s.unwrap_or(GRACE_S)))
}

/// What an endpoint is to be to a service.
pub(super) fn backend_of(name: &Name, service: Option<Service>) -> Option<Backend> {
    service.map(|Service { name: service, task, weight }| Backend {
        weight: weight.unwrap_or(Backend::DEFAULT_WEIGHT),
        ..Backend::new(service, task.unwrap_or_else(|| name.clone()))
    })
}

/// The service that somebody wants an endpoint to serve.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: Name,
    /// What this one of its backends is called; as the endpoint if not said.
    pub(crate) task: Option<Name>,
    pub(crate) weight: Option<u16>,
}
