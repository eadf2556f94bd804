//! What rings want done: rows written one after the other, and other nodes asked.
//!
//! Results come back in any order; nothing here decides anything.

use netdb::{Entry, NetDb, NodeId, Request, Table};
use netnode_plan::{
    ring::{self, Row},
    spaces::SpaceId,
};
use tokio::{sync::oneshot, task::JoinSet};

use super::TOPIC;

/// Something is done.
pub(super) enum Done {
    /// A row is durable, or was `refused`; `shown` is what the table shows of it now.
    Written { id: SpaceId, write: u64, refused: bool, shown: Option<Row> },
    /// A node answered, or did not.
    Answered { id: SpaceId, ask: u64, answer: Option<Vec<u8>> },
}

/// What is under way.
pub(super) struct Errands {
    db: NetDb,
    table: Table,
    under_way: JoinSet<Option<Done>>,
    /// Resolves when the last row is written.
    last_write: Option<oneshot::Receiver<()>>,
}

impl Errands {
    pub(super) fn new(db: NetDb, table: Table) -> Self {
        Self { db, table, under_way: JoinSet::new(), last_write: None }
    }

    /// The next that is done; waits for ever if nothing is under way. Nothing is lost when the future is
    /// dropped.
    pub(super) async fn next(&mut self) -> Option<Done> {
        match self.under_way.join_next().await {
            // A panic has been reported where it happened; whoever waits asks again.
            Some(result) => result.ok().flatten(),
            None => std::future::pending().await,
        }
    }

    /// Writes a row (`None`: deletes it) after all that were to be written before.
    pub(super) fn write(&mut self, id: SpaceId, write: u64, start: u128, row: Option<Row>) {
        let (table, key) = (self.table.clone(), ring::key(&id.to_bytes(), start));
        let (written, wait) = oneshot::channel();
        let before = self.last_write.replace(wait);
        self.under_way.spawn(async move {
            if let Some(before) = before {
                // An error means that it ended, which is as good.
                let _ = before.await;
            }
            let refused = match row {
                Some(row) => table.upsert(&key, row.encode()).await.is_err(),
                None => table.delete(&key).await.is_err(),
            };
            // Whoever comes next may be gone.
            let _ = written.send(());
            let shown = shown(&table, &key).await?;
            Some(Done::Written { id, write, refused, shown })
        });
    }

    /// Asks another node about a space.
    pub(super) fn ask(&mut self, id: SpaceId, ask: u64, to: NodeId, question: &[u8]) {
        let (db, body) = (self.db.clone(), envelope(id, question));
        self.under_way.spawn(async move {
            let answer = db.ask(to, TOPIC, body).await.ok();
            Some(Done::Answered { id, ask, answer })
        });
    }

    /// Answers what another node asked.
    pub(super) fn answer(&mut self, request: Request, answer: Vec<u8>) {
        self.under_way.spawn(async move {
            // The node is stopping.
            let _ = request.answer(answer).await;
            None
        });
    }

    /// Deletes rows of a space that is gone.
    pub(super) fn erase(&mut self, id: SpaceId, starts: Vec<u128>) {
        let table = self.table.clone();
        self.under_way.spawn(async move {
            for start in starts {
                // Another node may have done it.
                let _ = table.delete(ring::key(&id.to_bytes(), start)).await;
            }
            None
        });
    }
}

/// The row that a table shows; `None` if the node was stopped.
async fn shown(table: &Table, key: &[u8]) -> Option<Option<Row>> {
    let rows = table.get(key).await.ok()?;
    Some(rows.first().and_then(|row| row_of(&row.entry)))
}

/// The space and the first number that a row of the table is about.
pub(super) fn place_of(entry: &Entry) -> Option<(SpaceId, u128)> {
    let (space, start) = ring::parse_key(&entry.row.key)?;
    Some((SpaceId::from_bytes(space)?, start))
}

/// What a row of the table says, if it says anything.
pub(super) fn row_of(entry: &Entry) -> Option<Row> {
    Row::decode(entry.value.as_ref()?).ok()
}

/// A question with the space that it is about.
fn envelope(id: SpaceId, question: &[u8]) -> Vec<u8> {
    let id = id.to_bytes();
    let length = u8::try_from(id.len()).unwrap_or(u8::MAX);
    [&[length], id.as_slice(), question].concat()
}

/// The space and the question of what a peer sent.
pub(super) fn open_envelope(body: &[u8]) -> Option<(SpaceId, &[u8])> {
    let (length, rest) = body.split_first()?;
    let (id, question) = rest.split_at_checked(usize::from(*length))?;
    Some((SpaceId::from_bytes(id)?, question))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_names_its_space() {
        let body = envelope(SpaceId::Vni, b"question");
        assert_eq!(open_envelope(&body), Some((SpaceId::Vni, &b"question"[..])));
        assert_eq!(open_envelope(&[9, b'v']), None);
        assert_eq!(open_envelope(&[]), None);
    }
}
