//! Loading many rows in one request: read line by line, written many at a time, answered when all are
//! safe.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, BodyDataStream},
    extract::{Query, State, rejection::QueryRejection},
};
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use netdb::{Receipt, Table, WriteError};
use netnode_api::{
    error::{Code, Problem},
    rows::{Load, LoadRow, Loaded, MAX_REFUSALS, Operation, Refusal},
};
use tokio::time::timeout;

use super::{
    Control, MAX_BODY,
    problem::{self, Refused},
    rows::apply,
};

/// Writes that wait for their commit at a time; they share its transaction.
const IN_FLIGHT: usize = 256;

/// How long the rest of a body is read after it is of no use any more. A client that is cut off while
/// it sends does not see the answer.
const DRAIN: Duration = Duration::from_secs(5);

pub(super) async fn load(
    State(control): State<Arc<Control>>,
    query: Result<Query<Load>, QueryRejection>,
    body: Body,
) -> Result<Json<Loaded>, Refused> {
    let mut lines = Lines { body: body.into_data_stream(), buffer: Vec::new(), number: 0 };
    let loaded = match begin(&control, query).await {
        Ok((table, load)) => Loading::new(table, &load).run(&mut lines).await,
        Err(refused) => Err(refused),
    };
    // Whoever is still sending after that is cut off.
    let _ = timeout(DRAIN, lines.drain()).await;
    loaded.map(Json)
}

async fn begin(
    control: &Control,
    query: Result<Query<Load>, QueryRejection>,
) -> Result<(Table, Load), Refused> {
    let Query(load) = query?;
    if load.operation == Operation::Delete {
        return Err(Problem::new(Code::Invalid, "a load creates, updates or upserts").into());
    }
    let table = control.table(&load.network, &load.table, load.lifetime).await?;
    Ok((table, load))
}

/// A write that was begun: its line, its key, and what became of it.
type Written = (u64, Vec<u8>, Result<Receipt, WriteError>);

struct Loading {
    table: Table,
    operation: Operation,
    keep_going: bool,
    writes: FuturesUnordered<BoxFuture<'static, Written>>,
    /// The keys being written: two writes of one key happen in the order of their lines.
    keys: BTreeSet<Vec<u8>>,
    loaded: Loaded,
}

impl Loading {
    fn new(table: Table, load: &Load) -> Self {
        Self {
            table,
            operation: load.operation,
            keep_going: load.keep_going,
            writes: FuturesUnordered::new(),
            keys: BTreeSet::new(),
            loaded: Loaded::default(),
        }
    }

    async fn run(mut self, lines: &mut Lines) -> Result<Loaded, Refused> {
        while self.goes_on() {
            let Some(line) = lines.next().await? else { break };
            let row: LoadRow = match serde_json::from_slice(&line) {
                Ok(row) => row,
                Err(error) => {
                    self.refuse(lines.number, Problem::new(Code::Invalid, error));
                    continue;
                }
            };
            while self.goes_on()
                && (self.writes.len() >= IN_FLIGHT || self.keys.contains(&row.key.0))
            {
                self.settle_one().await;
            }
            if self.goes_on() {
                self.begin(lines.number, row);
            }
        }
        while self.settle_one().await {}
        self.loaded.refusals.sort_by_key(|refusal| refusal.line);
        Ok(self.loaded)
    }

    fn goes_on(&self) -> bool {
        self.keep_going || self.loaded.refused == 0
    }

    fn begin(&mut self, line: u64, row: LoadRow) {
        let (table, operation) = (self.table.clone(), self.operation);
        self.keys.insert(row.key.0.clone());
        self.writes.push(Box::pin(async move {
            let written = apply(&table, operation, &row.key.0, &row.value.0).await;
            (line, row.key.0, written)
        }));
    }

    /// Waits for one write; false if there is none.
    async fn settle_one(&mut self) -> bool {
        let Some((line, key, written)) = self.writes.next().await else { return false };
        self.keys.remove(&key);
        match written {
            Ok(_) => self.loaded.written += 1,
            Err(error) => self.refuse(line, problem::of_write(&error)),
        }
        true
    }

    fn refuse(&mut self, line: u64, error: Problem) {
        // Every row after these would be refused as well.
        if matches!(error.code, Code::NotAttached | Code::Stopping) {
            self.keep_going = false;
        }
        self.loaded.refused += 1;
        if self.loaded.refusals.len() < MAX_REFUSALS {
            self.loaded.refusals.push(Refusal { line, error });
        }
    }
}

/// The lines of a body, none longer than [`MAX_BODY`].
struct Lines {
    body: BodyDataStream,
    /// Read, and not cut into lines yet.
    buffer: Vec<u8>,
    number: u64,
}

impl Lines {
    /// The next line that is not blank; `None` at the end of the body.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Refused> {
        loop {
            let Some(line) = self.next_line().await? else { return Ok(None) };
            self.number += 1;
            if !line.trim_ascii().is_empty() {
                return Ok(Some(line));
            }
        }
    }

    async fn next_line(&mut self) -> Result<Option<Vec<u8>>, Refused> {
        let mut searched = 0;
        loop {
            let unsearched = self.buffer.get(searched..).unwrap_or_default();
            if let Some(end) = unsearched.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(searched + end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                return Ok(Some(line));
            }
            searched = self.buffer.len();
            if searched > MAX_BODY {
                let message = format!("line {} is over {MAX_BODY} bytes", self.number + 1);
                return Err(Problem::new(Code::TooLarge, message).into());
            }
            match self.body.next().await {
                Some(Ok(data)) => self.buffer.extend_from_slice(&data),
                Some(Err(error)) => {
                    let message = format!("the body broke off: {error}");
                    return Err(Problem::new(Code::Invalid, message).into());
                }
                None if self.buffer.is_empty() => return Ok(None),
                None => return Ok(Some(std::mem::take(&mut self.buffer))),
            }
        }
    }

    async fn drain(&mut self) {
        while let Some(Ok(_)) = self.body.next().await {}
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    fn lines(pieces: Vec<Vec<u8>>) -> Lines {
        let pieces = pieces.into_iter().map(Ok::<_, std::convert::Infallible>);
        let body = Body::from_stream(stream::iter(pieces)).into_data_stream();
        Lines { body, buffer: Vec::new(), number: 0 }
    }

    #[tokio::test]
    async fn lines_are_cut_from_any_pieces_and_counted_with_the_blank_ones() {
        let mut lines = lines(vec![b"a".to_vec(), b"b\n\n".to_vec(), b"c".to_vec()]);
        assert_eq!(lines.next().await.unwrap().unwrap(), b"ab");
        assert_eq!(lines.number, 1);
        assert_eq!(lines.next().await.unwrap().unwrap(), b"c");
        assert_eq!(lines.number, 3);
        assert!(lines.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_line_at_the_limit_is_read_and_one_over_it_is_refused() {
        let mut at = vec![b'x'; MAX_BODY];
        let mut lines_at = lines(vec![at.clone(), b"\n".to_vec()]);
        assert_eq!(lines_at.next().await.unwrap().unwrap().len(), MAX_BODY);
        at.push(b'x');
        let refused = lines(vec![at]).next().await.unwrap_err();
        assert_eq!(refused.0.code, Code::TooLarge);
    }
}
