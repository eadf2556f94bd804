//! Answering pulls: rows in bounded chunks, with what they complete. Nothing is kept between chunks.

use alloc::{collections::BTreeSet, vec::Vec};
use core::ops::Bound;

use netdb_gossip_core::{identity::Name, time::Time};

use crate::{
    entry::{Dot, Entry, RowKey, Writer},
    replica::Replica,
    wire::{BatchBuilder, Chunk, Pull, PullWhat, Reached, Resume, Want},
};

/// Bytes of rows in one chunk.
pub const CHUNK_BUDGET: usize = 128 * 1024;

/// The most writers that one chunk completes; the others are left to the comparison that follows.
const MAX_COMPLETE: usize = 8192;

/// The answer to a pull.
pub fn serve(replica: &Replica, copy: u64, synced: bool, now: Time, pull: Pull) -> Chunk {
    let mut chunk = Chunk {
        network: pull.network,
        id: pull.id,
        copy,
        batch: crate::wire::Batch::default(),
        complete: Vec::new(),
        synced,
        purged: false,
        more: None,
    };
    let mut rows = BatchBuilder::new(CHUNK_BUDGET);
    let mut add = |entry: &Entry| rows.add(entry, replica.age(now, entry));
    match pull.what {
        PullWhat::All(resume) => all(replica, resume, &mut chunk, &mut add),
        PullWhat::Ranges(wants) => ranges(replica, wants, &mut chunk, &mut add),
        PullWhat::Dots(dots) => singles(replica, dots, &mut chunk, &mut add),
    }
    chunk.batch = rows.finish();
    chunk
}

/// Everything in row order. The first chunk says what all of them together complete: the digest of
/// now. What is written later reaches an attached asker by itself.
fn all(
    replica: &Replica,
    resume: Option<Resume>,
    chunk: &mut Chunk,
    add: &mut impl FnMut(&Entry) -> bool,
) {
    let start = resume.map(|resume| RowKey {
        table: resume.table.as_str().into(),
        lifetime: resume.lifetime,
        key: resume.key.into(),
        owner: resume.owner,
    });
    if start.is_none() {
        // Writes kept aside are no rows yet: their writers are left to the comparison that follows.
        let aside: BTreeSet<Writer> = replica.aside().map(|entry| entry.dot.writer).collect();
        let digest = replica.digest().writers();
        chunk.complete = digest
            .map(|(writer, p)| Reached { writer: *writer, contiguous: p.contiguous() })
            .filter(|reached| reached.contiguous > 0 && !aside.contains(&reached.writer))
            .take(MAX_COMPLETE)
            .collect();
    }
    let mut last: Option<&RowKey> = start.as_ref();
    let bound = start.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    for entry in replica.rows_from(bound) {
        if !add(entry) {
            chunk.more = last.and_then(resume_behind).map(|r| PullWhat::All(Some(r)));
            return;
        }
        last = Some(&entry.row);
    }
}

fn resume_behind(row: &RowKey) -> Option<Resume> {
    let table = Name::new(&row.table).ok()?;
    Some(Resume { table, lifetime: row.lifetime, key: row.key.to_vec(), owner: row.owner })
}

fn ranges(
    replica: &Replica,
    wants: Vec<Want>,
    chunk: &mut Chunk,
    add: &mut impl FnMut(&Entry) -> bool,
) {
    let mut wants = wants.into_iter();
    for want in wants.by_ref() {
        let Some(progress) = replica.digest().progress(&want.writer) else { continue };
        chunk.purged |= want.after < progress.purged();
        let through = want.through.min(progress.contiguous());
        let mut reached = want.after;
        for entry in replica.dots(&want.writer, want.after, through) {
            if !add(entry) {
                let rest = Want { after: reached, ..want };
                let left = core::iter::once(rest).chain(wants).collect();
                if reached > want.after {
                    chunk.complete.push(Reached { writer: want.writer, contiguous: reached });
                }
                chunk.more = Some(PullWhat::Ranges(left));
                return;
            }
            reached = entry.dot.sequence;
        }
        if through > want.after {
            chunk.complete.push(Reached { writer: want.writer, contiguous: through });
        }
    }
}

fn singles(
    replica: &Replica,
    dots: Vec<Dot>,
    chunk: &mut Chunk,
    add: &mut impl FnMut(&Entry) -> bool,
) {
    let mut dots = dots.into_iter();
    while let Some(dot) = dots.next() {
        let Some(entry) = replica.dot(&dot) else { continue };
        if !add(entry) {
            chunk.more = Some(PullWhat::Dots(core::iter::once(dot).chain(dots).collect()));
            return;
        }
    }
}
