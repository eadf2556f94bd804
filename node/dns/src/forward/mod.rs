//! What is not ours goes to the resolvers of the host: once for all who ask, tried again, and kept.
//!
//! One forwarder serves all sandboxes of a host, and its sockets are opened in this process's own network
//! namespace. Must never let one sandbox's questions keep another's from being asked, and never ask more at
//! once than its bounds allow, also if an upstream leads back to ourselves: the same question does not leave
//! twice while it is under way.

pub mod answer;
mod asked;
mod cache;
mod exchange;
pub mod resolv_conf;
mod share;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::watch, time::Instant};
use tracing::debug;

pub use self::asked::Asked;
pub(crate) use self::share::{Permit, Share};
use self::{
    answer::Found,
    asked::Key,
    cache::Cache,
    exchange::{Question, Tried},
    share::ClientId,
};
use crate::{
    counters::{Counters, Stats},
    limits::{MAX_FLIGHTS, MAX_TRIES, MAX_UPSTREAMS},
    wire::ede,
};

/// How the upstreams are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whom to ask. All count as equal: the one that answered last is asked first. Those beyond
    /// [`MAX_UPSTREAMS`] are left out.
    pub upstreams: Vec<SocketAddr>,
    /// How long to wait for one answer before the next upstream is tried; twice that over TCP.
    pub patience: Duration,
    /// How long to try in all: below the 5 s after which clients give up (resolv.conf(5), `timeout`).
    pub deadline: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            upstreams: Vec::new(),
            patience: Duration::from_secs(1),
            deadline: Duration::from_millis(4_500),
        }
    }
}

/// Asks the upstreams, for all sandboxes of a host. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Forwarder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    upstreams: Mutex<Arc<[SocketAddr]>>,
    patience: Duration,
    deadline: Duration,
    /// The upstream that answered last.
    preferred: AtomicUsize,
    cache: Mutex<Cache>,
    /// How many clients there have been.
    clients: AtomicU64,
    /// Questions under way, and where their answer will be seen.
    flights: Mutex<BTreeMap<Key, Flight>>,
    counters: Counters,
}

type Flight = watch::Receiver<Option<Arc<Found>>>;

/// Where the answer to a question comes from.
enum Source {
    Known(Arc<Found>),
    Flight(Flight),
}

impl Forwarder {
    /// A forwarder with an empty cache.
    pub fn new(settings: Settings) -> Self {
        let Settings { upstreams, patience, deadline } = settings;
        Self(Arc::new(Inner {
            upstreams: Mutex::new(bounded(upstreams)),
            patience,
            deadline,
            preferred: AtomicUsize::new(0),
            cache: Mutex::default(),
            clients: AtomicU64::new(0),
            flights: Mutex::default(),
            counters: Counters::default(),
        }))
    }

    /// Asks others from now on, and forgets what the former ones said if they are not the same.
    pub fn set_upstreams(&self, upstreams: Vec<SocketAddr>) {
        let upstreams = bounded(upstreams);
        let mut current = lock(&self.0.upstreams);
        if *current != upstreams {
            *current = upstreams;
            lock(&self.0.cache).clear();
        }
    }

    /// Who is asked.
    pub fn upstreams(&self) -> Vec<SocketAddr> {
        lock(&self.0.upstreams).to_vec()
    }

    /// What has been counted, here and at every client.
    pub fn stats(&self) -> Stats {
        self.0.counters.read()
    }

    /// The share of one more client.
    pub(crate) fn share(&self) -> Share {
        Share::new(ClientId(self.0.clients.fetch_add(1, Relaxed)))
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// Answers from the cache.
    pub(crate) fn tell_known(&self, asked: &Asked, out: &mut Vec<u8>) -> bool {
        let now = Instant::now().into_std();
        let known = lock(&self.0.cache).get(&asked.key(), now);
        let Some(found) = known else { return false };
        found.tell(asked, now, out);
        true
    }

    /// Answers from an upstream, in at most the deadline.
    pub(crate) async fn ask(&self, asked: &Asked, permit: &Permit) -> Vec<u8> {
        self.0.counters.forwarded.add(1);
        let found = match self.source(asked, permit) {
            Some(Source::Known(found)) => Some(found),
            Some(Source::Flight(mut flight)) => {
                // An error means that the flight was lost with its runtime.
                flight.wait_for(Option::is_some).await.ok().and_then(|found| found.clone())
            }
            None => None,
        };
        let now = Instant::now().into_std();
        let found = found.unwrap_or_else(|| Found::failure(ede::OTHER, now));
        let mut out = Vec::new();
        found.tell(asked, now, &mut out);
        out
    }

    /// Joins those who ask the same, or asks; `None` at the bound.
    fn source(&self, asked: &Asked, permit: &Permit) -> Option<Source> {
        let key = asked.key();
        let counters = &self.0.counters;
        let mut flights = lock(&self.0.flights);
        if let Some(flight) = flights.get(&key) {
            counters.joined.add(1);
            return Some(Source::Flight(flight.clone()));
        }
        // A flight is in the cache before it is gone from here.
        if let Some(found) = lock(&self.0.cache).get(&key, Instant::now().into_std()) {
            return Some(Source::Known(found));
        }
        if flights.len() >= MAX_FLIGHTS && !permit.is_reserved() {
            counters.refused_by_load.add(1);
            return None;
        }
        let mut query = asked.query()?;
        query.name = query.name.to_lowercase();
        let question = Question {
            query,
            dnssec_ok: asked.dnssec_ok(),
            checking_disabled: asked.checking_disabled(),
        };
        let (sender, flight) = watch::channel(None);
        flights.insert(Arc::clone(&key), flight.clone());
        let landing = Landing { inner: Arc::clone(&self.0), key, client: permit.client() };
        // On its own, so that it goes on for the others when the sandbox that asked first is gone.
        tokio::spawn(async move {
            let found = landing.inner.resolve(&question).await;
            landing.keep(&found);
            drop(landing);
            sender.send_replace(Some(found));
        });
        Some(Source::Flight(flight))
    }
}

/// Takes a question out of those under way, also if its task was ended.
struct Landing {
    inner: Arc<Inner>,
    key: Key,
    /// Who asked first.
    client: ClientId,
}

impl Landing {
    fn keep(&self, found: &Arc<Found>) {
        let now = Instant::now().into_std();
        let (key, found) = (Arc::clone(&self.key), Arc::clone(found));
        lock(&self.inner.cache).put(key, found, self.client, now);
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        lock(&self.inner.flights).remove(&self.key);
    }
}

impl Inner {
    /// Asks one upstream after the other until one answers, all have said no, or the time is over.
    async fn resolve(&self, question: &Question) -> Arc<Found> {
        let upstreams = Arc::clone(&*lock(&self.upstreams));
        let deadline = Instant::now() + self.deadline;
        let first = self.preferred.load(Relaxed);
        let (mut plain, mut refused, mut error) = (false, 0, ede::NO_REACHABLE_AUTHORITY);
        for number in 0..MAX_TRIES {
            let now = Instant::now();
            let place = (first + number).checked_rem(upstreams.len()).unwrap_or(0);
            let Some(upstream) = upstreams.get(place).filter(|_| now < deadline) else { break };
            let limits = [1, 2].map(|times| (now + self.patience * times).min(deadline)).into();
            match exchange::exchange(*upstream, question, plain, limits, &self.counters).await {
                Tried::Answer(answer) => {
                    if self.preferred.swap(place, Relaxed) != place {
                        debug!(%upstream, "asking another upstream first from now on");
                    }
                    return Found::new(answer, Instant::now().into_std());
                }
                // Asked again without EDNS, which may be what it does not know.
                Tried::Refused { form: true } if !plain => plain = true,
                Tried::Refused { .. } => {
                    refused += 1;
                    error = ede::OTHER;
                }
                Tried::Unreachable => {
                    refused += 1;
                    error = ede::NETWORK_ERROR;
                }
                Tried::Silent => error = ede::NO_REACHABLE_AUTHORITY,
            }
            if refused >= upstreams.len() {
                break;
            }
        }
        self.counters.failed.add(1);
        Found::failure(error, Instant::now().into_std())
    }
}

fn bounded(mut upstreams: Vec<SocketAddr>) -> Arc<[SocketAddr]> {
    upstreams.truncate(MAX_UPSTREAMS);
    upstreams.into()
}

/// Locks, also after a panic elsewhere: what is guarded is valid between any two statements.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
