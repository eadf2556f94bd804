//! Rows: listing them bit by bit, summing tables up, writing one.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{
        Query, State,
        rejection::{BytesRejection, QueryRejection},
    },
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use netdb::{Lifetime, Name, NetDb, NetworkRow, NodeId, Receipt, RowKey, WriteError};
use netnode_api::{
    error::{Code, ErrorBody, Problem},
    rows::{self, Operation, RowQuery, Write},
};

use super::{
    Control,
    convert::{self, Viewer, cluster_time, to_lifetime},
    problem::{self, Refused, not_attached},
    select::Selection,
};

/// Rows that are fetched and sent together: bounds what one slow reader makes the daemon hold.
const PAGE: usize = 64;

/// A list under way.
struct List {
    db: NetDb,
    selection: Selection,
    now_us: u64,
    /// The last row told, or the end.
    place: Place,
}

enum Place {
    Start,
    After(Arc<Name>, RowKey),
    End,
}

pub(super) async fn list(
    State(control): State<Arc<Control>>,
    query: Result<Query<RowQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let selection = control.select(&query?.0).await?;
    let now_us = cluster_time(control.db.info().await?.node.clock_offset);
    let list = List { db: control.db.clone(), selection, now_us, place: Place::Start };
    let lines = stream::unfold(list, |mut list| async {
        let lines = list.next().await?;
        Some((Ok::<_, std::convert::Infallible>(lines), list))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

impl List {
    /// The next lines; `None` at the end. What goes wrong on the way is the last line.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let page = match self.page().await? {
                Ok(page) => page,
                Err(Refused(error)) => {
                    self.place = Place::End;
                    return Some(line(&ErrorBody { error }).into());
                }
            };
            let viewer = Viewer { names: &self.selection.names, now_us: self.now_us };
            let mut lines = Vec::new();
            for (network, row) in page.iter().filter(|(_, row)| self.selection.selects(row)) {
                let row = viewer.row(network.as_str(), &row.entry, row.owner_state);
                lines.extend(line(&row));
            }
            // A page without a line would read as the end of the body.
            if !lines.is_empty() {
                return Some(lines.into());
            }
        }
    }

    async fn page(&mut self) -> Option<Result<Vec<NetworkRow>, Refused>> {
        let after = match &self.place {
            Place::Start => None,
            Place::After(network, key) => Some((&**network, key)),
            Place::End => return None,
        };
        match self.db.rows_page(&self.selection.filter, after, PAGE).await {
            Ok(page) => {
                let (network, row) = page.last()?;
                self.place = Place::After(Arc::clone(network), row.entry.row.clone());
                Some(Ok(page))
            }
            Err(stopped) => Some(Err(stopped.into())),
        }
    }
}

/// One object on one line. What can't be written as JSON does not exist among the API's types.
pub(super) fn line(object: &impl serde::Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(object).unwrap_or_default();
    line.push(b'\n');
    line
}

/// What is counted of one table.
#[derive(Default)]
struct Sum {
    rows: usize,
    bytes: usize,
    owners: std::collections::BTreeSet<NodeId>,
}

pub(super) async fn tables(
    State(control): State<Arc<Control>>,
    query: Result<Query<RowQuery>, QueryRejection>,
) -> Result<Json<Vec<rows::Table>>, Refused> {
    let selection = control.select(&query?.0).await?;
    let mut sums: BTreeMap<(Arc<Name>, Arc<str>, Lifetime), Sum> = BTreeMap::new();
    let mut list = List { db: control.db.clone(), selection, now_us: 0, place: Place::Start };
    while let Some(page) = list.page().await {
        for (network, row) in page?.into_iter().filter(|(_, row)| list.selection.selects(row)) {
            let key = &row.entry.row;
            let sum = sums.entry((network, Arc::clone(&key.table), key.lifetime)).or_default();
            sum.rows += 1;
            sum.bytes += row.entry.size();
            if key.lifetime == Lifetime::Owner {
                sum.owners.insert(key.owner);
            }
        }
    }
    let table =
        |((network, table, lifetime), sum): ((Arc<Name>, Arc<str>, Lifetime), Sum)| rows::Table {
            network: network.to_string(),
            table: table.to_string(),
            lifetime: convert::lifetime(lifetime),
            rows: sum.rows,
            bytes: sum.bytes,
            owners: sum.owners.len(),
        };
    Ok(Json(sums.into_iter().map(table).collect()))
}

pub(super) async fn write(
    State(control): State<Arc<Control>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<rows::Receipt>, Refused> {
    let write: Write = problem::body(body)?;
    if write.value.is_none() && write.operation != Operation::Delete {
        let message = format!("to {} a row takes a value", write.operation.as_str());
        return Err(Problem::new(Code::Invalid, message).into());
    }
    let table = control.table(&write.network, &write.table, write.lifetime).await?;
    let value = write.value.map(|value| value.0).unwrap_or_default();
    let written = apply(&table, write.operation, &write.key.0, &value).await;
    let Receipt { dot, at, .. } = written.map_err(|error| problem::of_write(&error))?;
    Ok(Json(rows::Receipt { dot: convert::dot(dot), stamp_us: at }))
}

/// Makes one write.
pub(super) async fn apply(
    table: &netdb::Table,
    operation: Operation,
    key: &[u8],
    value: &[u8],
) -> Result<Receipt, WriteError> {
    match operation {
        Operation::Create => table.create(key, value).await,
        Operation::Update => table.update(key, value).await,
        Operation::Upsert => table.upsert(key, value).await,
        Operation::Delete => table.delete(key).await,
    }
}

impl Control {
    /// A table of an attached network.
    pub(super) async fn table(
        &self,
        network: &str,
        table: &str,
        lifetime: rows::Lifetime,
    ) -> Result<netdb::Table, Refused> {
        let name = Name::new(network)?;
        let network = self.db.network(name.as_str()).await?;
        let network = network.ok_or_else(|| not_attached(name.as_str()))?;
        Ok(network.table(table, to_lifetime(lifetime))?)
    }
}
