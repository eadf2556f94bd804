//! Answers that are kept, within a number of them and of bytes. Time is handed in.
//!
//! Each is kept for the client whose question brought it. At a bound, what would end soonest goes first of the
//! client that has most: one that asks for ever new names pushes out its own. Must never give out what has ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use super::{answer::Found, asked::Key, share::ClientId};
use crate::limits::{MAX_CACHED, MAX_CACHED_BYTES};

/// Bytes that an entry costs beyond its key and answer: its parts of the maps, and counts.
const OVERHEAD: usize = 320;

/// When an entry ends, and its number: no two have the same.
type End = (Instant, u64);

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<Key, Entry>,
    /// What ends next, by time and number.
    ends: BTreeMap<End, Key>,
    /// The same for each client.
    of_clients: BTreeSet<(ClientId, End)>,
    /// Bytes of each client that has any.
    held: BTreeMap<ClientId, usize>,
    bytes: usize,
    number: u64,
}

#[derive(Debug)]
struct Entry {
    found: Arc<Found>,
    client: ClientId,
    end: End,
}

impl Cache {
    /// What is known of a question.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Arc<Found>> {
        let entry = self.entries.get(key)?;
        (now < entry.end.0).then(|| Arc::clone(&entry.found))
    }

    /// Keeps an answer for a client in place of an older one, if it holds for any time and is no larger than the
    /// cache.
    pub(super) fn put(&mut self, key: Key, found: Arc<Found>, client: ClientId, now: Instant) {
        self.remove(&key);
        let Some(end) = found.ends().filter(|end| *end > now) else { return };
        let cost = cost(&key, &found);
        if cost > MAX_CACHED_BYTES {
            return;
        }
        while let Some((&first, _)) = self.ends.first_key_value().filter(|(end, _)| end.0 <= now) {
            self.remove_at(first);
        }
        while (self.entries.len() >= MAX_CACHED || self.bytes + cost > MAX_CACHED_BYTES)
            && let Some(end) = self.next_of_the_largest()
        {
            self.remove_at(end);
        }
        self.number += 1;
        let end = (end, self.number);
        self.bytes += cost;
        *self.held.entry(client).or_default() += cost;
        self.of_clients.insert((client, end));
        self.ends.insert(end, Arc::clone(&key));
        self.entries.insert(key, Entry { found, client, end });
    }

    /// What ends next of the client that has most. Clients are as few as sandboxes.
    fn next_of_the_largest(&self) -> Option<End> {
        let (&client, _) = self.held.iter().max_by_key(|(_, bytes)| **bytes)?;
        let first = (client, *self.ends.first_key_value()?.0);
        self.of_clients.range(first..).next().map(|(_, end)| *end)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self { number: self.number, ..Self::default() };
    }

    fn remove_at(&mut self, end: End) {
        if let Some(key) = self.ends.remove(&end) {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(Entry { found, client, end }) = self.entries.remove(key) else { return };
        let cost = cost(key, &found);
        self.ends.remove(&end);
        self.of_clients.remove(&(client, end));
        self.bytes -= cost;
        if let Some(held) = self.held.get_mut(&client) {
            *held -= cost;
            if *held == 0 {
                self.held.remove(&client);
            }
        }
    }
}

fn cost(key: &Key, found: &Found) -> usize {
    2 * key.len() + found.weight() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::forward::answer::tests::answer;

    const ONE: ClientId = ClientId(1);

    fn key(n: usize) -> Key {
        n.to_be_bytes().to_vec().into()
    }

    fn found(bytes: usize, ttl: u32, now: Instant) -> Arc<Found> {
        Found::new(answer(bytes, ttl), now)
    }

    #[test]
    fn an_answer_is_given_until_it_ends() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.put(key(1), found(10, 5, now), ONE, now);
        cache.put(key(2), found(10, 0, now), ONE, now);
        let at = |ms| now + Duration::from_millis(ms);
        assert!(cache.get(&key(1), at(4_999)).is_some());
        assert!(cache.get(&key(1), at(5_000)).is_none());
        assert!(cache.get(&key(2), now).is_none());
        cache.put(key(1), found(10, 0, now), ONE, now);
        assert!(cache.get(&key(1), now).is_none(), "replaced by what is not kept");
        assert!(cache.bytes == 0 && cache.ends.is_empty());
    }

    #[test]
    fn at_the_bound_of_entries_what_ends_soonest_goes() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for n in 0..MAX_CACHED {
            let ttl = if n == 77 { 9 } else { 10 };
            cache.put(key(n), found(0, ttl, now), ONE, now);
        }
        assert!(cache.entries.len() == MAX_CACHED && cache.get(&key(77), now).is_some());
        cache.put(key(MAX_CACHED), found(0, 10, now), ONE, now);
        assert!(cache.entries.len() == MAX_CACHED && cache.get(&key(77), now).is_none());
        let later = now + Duration::from_secs(10);
        cache.put(key(0), found(0, 10, later), ONE, later);
        assert_eq!(cache.entries.len(), 1, "what has ended makes room");
        cache.clear();
        assert!(cache.get(&key(0), later).is_none() && cache.bytes == 0);
    }

    #[test]
    fn at_the_bound_of_bytes_what_ends_soonest_goes() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let large = MAX_CACHED_BYTES / 2 - OVERHEAD - 16;
        cache.put(key(1), found(large, 20, now), ONE, now);
        cache.put(key(2), found(large, 10, now), ONE, now);
        assert!(cache.bytes == MAX_CACHED_BYTES && cache.entries.len() == 2);
        cache.put(key(3), found(0, 30, now), ONE, now);
        assert!(cache.get(&key(2), now).is_none() && cache.get(&key(1), now).is_some());
        cache.put(key(4), found(MAX_CACHED_BYTES, 30, now), ONE, now);
        assert!(cache.get(&key(4), now).is_none() && cache.get(&key(1), now).is_some());
    }

    #[test]
    fn who_asks_for_ever_new_names_pushes_out_its_own() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        // The others' end sooner than anything of the flood.
        for n in 0..100 {
            cache.put(key(n), found(0, 5, now), ClientId(2 + n as u64 % 10), now);
        }
        for n in 100..3 * MAX_CACHED {
            cache.put(key(n), found(0, 50, now), ONE, now);
        }
        assert!((0..100).all(|n| cache.get(&key(n), now).is_some()));
        assert_eq!(cache.entries.len(), MAX_CACHED);
        // Nobody else has so much that it would go in place of the flood's, until that is the smaller part.
        for n in 0..MAX_CACHED {
            cache.put(key(3 * MAX_CACHED + n), found(0, 5, now), ClientId(99), now);
        }
        let of = |client| cache.of_clients.iter().filter(|(of, _)| *of == client).count();
        assert!(of(ONE).abs_diff(of(ClientId(99))) <= 1, "{} {}", of(ONE), of(ClientId(99)));
        assert!((0..100).all(|n| cache.get(&key(n), now).is_some()));
        let held: usize = cache.held.values().sum();
        assert_eq!((held, cache.of_clients.len()), (cache.bytes, cache.entries.len()));
    }
}
