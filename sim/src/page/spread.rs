//! How one update spreads: when each node is told of it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use netdb_gossip_core::time::Time;

use crate::{
    broken::Outcome,
    trace::{Event, Reader},
    world::{Options, Table, World},
};

/// Updates that are made; the one of medium length is shown.
const UPDATES: usize = 21;
const KEY: &str = "endpoint-spread0";
const LIMIT: Duration = Duration::from_secs(10);

/// When each host was told, after the write, in microseconds; in order of time.
pub type Told = Vec<u64>;

/// Notes when hosts are told of the row.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<BTreeMap<usize, Time>>>);

impl Listener {
    fn take(&self) -> BTreeMap<usize, Time> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reader for Listener {
    fn event(&mut self, event: &Event<'_>) -> bool {
        if let Some(host) = event.host.filter(|_| event.what == "told")
            && event.words.contains(KEY)
        {
            let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            told.entry(host).or_insert(event.at);
        }
        true
    }
}

/// Makes updates in a world of these settings; the spread of the one of medium length.
pub fn measure(options: Options) -> Outcome<Told> {
    let listener = Listener::default();
    let mut world = World::new(options);
    world.fabric.trace.show_to(Box::new(listener.clone()));
    let table = Table::owner("net", "endpoints");
    world.start()?;
    world.attach_all("net")?;
    world.settle(Duration::from_secs(30))?;
    let writer = world.draws.index(world.hosts().len());
    world.put(writer, &table, KEY, "before")?;
    world.settle(Duration::from_secs(30))?;
    let mut spreads = Vec::with_capacity(UPDATES);
    for n in 0..UPDATES {
        listener.take();
        let written = world.now();
        world.timed_put(writer, &table, KEY, &format!("{n:0>100}"))?;
        world.await_timed("an update seen by all", LIMIT)?;
        let mut told: Told =
            listener.take().values().map(|at| at.0.saturating_sub(written.0)).collect();
        told.sort_unstable();
        spreads.push(told);
        world.run_for(Duration::from_secs(1))?;
    }
    spreads.sort_unstable_by_key(|told| told.last().copied());
    Ok(spreads.swap_remove(UPDATES / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_is_told_once_and_the_writer_first() {
        let told = measure(Options::lan(3, 6)).unwrap();
        assert_eq!(told.len(), 6);
        assert_eq!(told[0], 0, "the writer sees its write at once");
        assert!(told[1] >= 800, "a hop takes a millisecond, give or take a fifth: {told:?}");
    }
}
