//! A dot names one write for ever: no two writes anywhere carry the same.

use std::{collections::BTreeMap, hash::Hasher};

use netdb_core::{
    entry::{Dot, Entry},
    view::{Event, EventKind},
};
use siphasher::sip::SipHasher13;

use super::{Check, Verdict, replay::show};

/// Remembers what every dot named, per network.
#[derive(Default)]
pub struct Dots {
    seen: BTreeMap<(String, Dot), u64>,
}

impl Check for Dots {
    fn name(&self) -> &'static str {
        "one write per dot"
    }

    fn event(&mut self, host: usize, event: &Event) -> Verdict {
        let (EventKind::Created { new } | EventKind::Updated { new, .. }) = &event.kind else {
            return Ok(());
        };
        let mark = mark(new);
        let key = (event.network.to_string(), new.dot);
        if *self.seen.entry(key).or_insert(mark) == mark {
            Ok(())
        } else {
            Err(format!("n{host} shows {} as another write than was seen before", show(new)))
        }
    }
}

fn mark(entry: &Entry) -> u64 {
    let mut hash = SipHasher13::new();
    hash.write_u64(entry.mark());
    hash.write_u64(entry.at);
    hash.write(entry.value.as_deref().unwrap_or_default());
    hash.finish()
}
