//! Watches as server-sent events, with a heartbeat, ended in good order when the node stops.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::{Query, State, rejection::QueryRejection},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use netdb::{Event, Lifetime, NodeId};
use netnode_api::{
    client::HEARTBEAT,
    rows::{RowQuery, WatchEvent},
};
use tokio::time::timeout;

use super::{
    Control,
    convert::{Viewer, cluster_time},
    names::Names,
    problem::Refused,
    rows::line,
    select::Selection,
    stopped,
};

/// How often names are asked for again, at most, because an owner is unknown.
const REFRESH: Duration = Duration::from_secs(1);

/// A watch under way.
struct Watching {
    control: Arc<Control>,
    watch: netdb::Watch,
    selection: Selection,
    refreshed: Instant,
    clock_offset_us: i64,
    ended: bool,
}

pub(super) async fn watch(
    State(control): State<Arc<Control>>,
    query: Result<Query<RowQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let selection = control.select(&query?.0).await?;
    let watch = control.db.watch(selection.filter.clone()).await?;
    let clock_offset_us = control.db.info().await?.node.clock_offset;
    let refreshed = Instant::now();
    let watching = Watching { control, watch, selection, refreshed, clock_offset_us, ended: false };
    let events = stream::unfold(watching, |mut watching| async {
        let text = watching.next().await?;
        Some((Ok::<_, Infallible>(text), watching))
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    Ok((headers, Body::from_stream(events)).into_response())
}

impl Watching {
    /// The next event or heartbeat; `None` after the end was told.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        loop {
            let mut stopping = self.control.stopping.clone();
            let next = async {
                tokio::select! {
                    // In this order: what happened before the node stops is told.
                    biased;
                    event = self.watch.next() => event,
                    () = stopped(&mut stopping) => None,
                }
            };
            match timeout(HEARTBEAT, next).await {
                Err(_) => return Some(Bytes::from_static(b": heartbeat\n\n")),
                Ok(None) => {
                    self.ended = true;
                    return Some(told("end", &WatchEvent::End));
                }
                Ok(Some(event)) if self.selects(&event) => return Some(self.tell(&event).await),
                Ok(Some(_)) => {}
            }
        }
    }

    fn selects(&self, event: &Event) -> bool {
        event.kind.entry().is_none_or(|entry| self.selection.selects_key(&entry.row.key))
    }

    async fn tell(&mut self, event: &Event) -> Bytes {
        let owner = owner(event).filter(|owner| self.selection.names.of(*owner).is_none());
        if owner.is_some() && self.refreshed.elapsed() >= REFRESH {
            self.refreshed = Instant::now();
            // If the node has stopped, the watch says so next.
            if let Ok(names) = Names::ask(&self.control.db).await {
                self.selection.names = names;
            }
        }
        let now_us = cluster_time(self.clock_offset_us);
        let event = Viewer { names: &self.selection.names, now_us }.event(event);
        let name = match event {
            WatchEvent::Created { .. } => "created",
            WatchEvent::Updated { .. } => "updated",
            WatchEvent::Deleted { .. } => "deleted",
            WatchEvent::Snapshot => "snapshot",
            WatchEvent::End => "end",
        };
        told(name, &event)
    }
}

fn owner(event: &Event) -> Option<NodeId> {
    let row = &event.kind.entry()?.row;
    (row.lifetime == Lifetime::Owner).then_some(row.owner)
}

/// One event as it goes over the wire. JSON has no line ends of its own.
fn told(name: &str, event: &WatchEvent) -> Bytes {
    let mut text = format!("event: {name}\ndata: ").into_bytes();
    text.extend(line(event));
    text.push(b'\n');
    text.into()
}
