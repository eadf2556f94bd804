//! Answers that are kept, within a number of them and of bytes. Time is handed in.
//!
//! At a bound, what would end soonest goes first. Must never give out what has ended.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use super::{answer::Found, asked::Key};
use crate::limits::{MAX_CACHED, MAX_CACHED_BYTES};

/// Bytes that an entry costs beyond its key and answer: the nodes of both maps, and counts.
const OVERHEAD: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: BTreeMap<Key, Entry>,
    /// What ends next, by time and number.
    ends: BTreeMap<(Instant, u64), Key>,
    bytes: usize,
    number: u64,
}

#[derive(Debug)]
struct Entry {
    found: Arc<Found>,
    end: (Instant, u64),
}

impl Cache {
    /// What is known of a question.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<Arc<Found>> {
        let entry = self.entries.get(key)?;
        (now < entry.end.0).then(|| Arc::clone(&entry.found))
    }

    /// Keeps an answer in place of an older one, if it holds for any time and is no larger than the cache.
    pub(super) fn put(&mut self, key: Key, found: Arc<Found>, now: Instant) {
        self.remove(&key);
        let Some(end) = found.ends().filter(|end| *end > now) else { return };
        let cost = cost(&key, &found);
        if cost > MAX_CACHED_BYTES {
            return;
        }
        while let Some((&first, _)) = self.ends.first_key_value()
            && (first.0 <= now
                || self.entries.len() >= MAX_CACHED
                || self.bytes + cost > MAX_CACHED_BYTES)
        {
            self.remove_at(first);
        }
        self.number += 1;
        let end = (end, self.number);
        self.bytes += cost;
        self.ends.insert(end, Arc::clone(&key));
        self.entries.insert(key, Entry { found, end });
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self { number: self.number, ..Self::default() };
    }

    fn remove_at(&mut self, end: (Instant, u64)) {
        match self.ends.get(&end).map(Arc::clone) {
            Some(key) if self.entries.contains_key(&key) => self.remove(&key),
            _ => drop(self.ends.remove(&end)),
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.ends.remove(&entry.end);
            self.bytes -= cost(key, &entry.found);
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

    fn key(n: usize) -> Key {
        n.to_be_bytes().to_vec().into()
    }

    fn found(bytes: usize, ttl: u32, now: Instant) -> Arc<Found> {
        Found::new(answer(bytes, ttl), now)
    }

    #[test]
    fn an_answer_is_given_until_it_ends() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        cache.put(key(1), found(10, 5, now), now);
        cache.put(key(2), found(10, 0, now), now);
        let at = |ms| now + Duration::from_millis(ms);
        assert!(cache.get(&key(1), at(4_999)).is_some());
        assert!(cache.get(&key(1), at(5_000)).is_none());
        assert!(cache.get(&key(2), now).is_none());
        cache.put(key(1), found(10, 0, now), now);
        assert!(cache.get(&key(1), now).is_none(), "replaced by what is not kept");
        assert!(cache.bytes == 0 && cache.ends.is_empty());
    }

    #[test]
    fn at_the_bound_of_entries_what_ends_soonest_goes() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        for n in 0..MAX_CACHED {
            let ttl = if n == 77 { 9 } else { 10 };
            cache.put(key(n), found(0, ttl, now), now);
        }
        assert!(cache.entries.len() == MAX_CACHED && cache.get(&key(77), now).is_some());
        cache.put(key(MAX_CACHED), found(0, 10, now), now);
        assert!(cache.entries.len() == MAX_CACHED && cache.get(&key(77), now).is_none());
        let later = now + Duration::from_secs(10);
        cache.put(key(0), found(0, 10, later), later);
        assert_eq!(cache.entries.len(), 1, "what has ended makes room");
        cache.clear();
        assert!(cache.get(&key(0), later).is_none() && cache.bytes == 0);
    }

    #[test]
    fn at_the_bound_of_bytes_what_ends_soonest_goes() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let large = MAX_CACHED_BYTES / 2 - OVERHEAD - 16;
        cache.put(key(1), found(large, 20, now), now);
        cache.put(key(2), found(large, 10, now), now);
        assert!(cache.bytes == MAX_CACHED_BYTES && cache.entries.len() == 2);
        cache.put(key(3), found(0, 30, now), now);
        assert!(cache.get(&key(2), now).is_none() && cache.get(&key(1), now).is_some());
        cache.put(key(4), found(MAX_CACHED_BYTES, 30, now), now);
        assert!(cache.get(&key(4), now).is_none() && cache.get(&key(1), now).is_some());
    }
}
