//! Answers that come bit by bit: rows one per line, watches as server-sent events.

use std::time::Duration;

use hyper::body::Incoming;
use serde::Deserialize;
use tokio::time::timeout;

use super::{ClientError, lines::Lines};
use crate::{
    error::Problem,
    rows::{Row, WatchEvent},
};

/// How often a watch hears from the daemon at least.
pub const HEARTBEAT: Duration = Duration::from_secs(10);

/// How long a watch may hear nothing before the daemon is taken for hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// Rows, one by one.
pub struct RowStream(Lines);

/// A line of a list that could not be finished says why.
#[derive(Deserialize)]
#[serde(untagged)]
enum RowLine {
    Row(Box<Row>),
    Failed { error: Problem },
}

impl RowStream {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Lines::new(body))
    }

    /// The next row; `None` when all have been told.
    pub async fn next(&mut self) -> Result<Option<Row>, ClientError> {
        let Some(line) = self.0.next().await? else { return Ok(None) };
        match super::parse(&line)? {
            RowLine::Row(row) => Ok(Some(*row)),
            RowLine::Failed { error } => Err(ClientError::Refused(error)),
        }
    }

    /// All rows; for queries that are known to select few.
    pub async fn collect(mut self) -> Result<Vec<Row>, ClientError> {
        let mut rows = Vec::new();
        while let Some(row) = self.next().await? {
            rows.push(row);
        }
        Ok(rows)
    }
}

/// Events of a watch.
pub struct WatchStream {
    lines: Lines,
    ended: bool,
}

impl WatchStream {
    pub(super) fn new(body: Incoming) -> Self {
        Self { lines: Lines::new(body), ended: false }
    }

    /// The next event; `None` when the node stopped in good order.
    pub async fn next(&mut self) -> Result<Option<WatchEvent>, ClientError> {
        if self.ended {
            return Ok(None);
        }
        loop {
            let line = timeout(PATIENCE, self.lines.next())
                .await
                .map_err(|_| ClientError::TimedOut(PATIENCE))??;
            let Some(line) = line else {
                let cut = "the watch ended without a word";
                return Err(ClientError::Broken(cut.into()));
            };
            // Events have one data line each; names, comments and blank lines say nothing new.
            let Some(data) = line.strip_prefix(b"data:") else { continue };
            match super::parse(data)? {
                WatchEvent::End => {
                    self.ended = true;
                    return Ok(None);
                }
                event => return Ok(Some(event)),
            }
        }
    }
}
