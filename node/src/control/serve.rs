//! Connections of the control API: how many, how patiently, and how they end.
//!
//! Must never let a client that stalls keep a request head, a slot for ever, or the daemon from stopping.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::UnixStream,
    sync::watch as signal,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{ControlSocket, stopped};

/// Connections open at a time, those of watches among them.
pub(crate) const MAX_CONNECTIONS: usize = 256;

/// How long a client may take to send the head of a request, and be idle between two.
const HEAD: Duration = Duration::from_secs(30);

/// How long requests may take to finish once the daemon stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// The rest after a connection could not be accepted: the process is out of files or memory.
const REST: Duration = Duration::from_millis(100);

/// The most bytes of a request's head, which also bounds what is read ahead.
const MAX_HEAD: usize = 64 * 1024;

/// What a client hears when there are too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    content-length: 95\r\nconnection: close\r\n\r\n\
    {\"error\":{\"code\":\"full\",\"message\":\"too many connections to netnode's control socket are open\"}}";

/// The task that serves.
pub(crate) struct Server(JoinHandle<()>);

impl Server {
    /// Serves until `stopping` turns true.
    pub(crate) fn start(
        socket: ControlSocket,
        router: Router,
        stopping: signal::Receiver<bool>,
    ) -> Self {
        Self(tokio::spawn(serve(socket, router, stopping)))
    }

    /// Waits until every request is finished or cut off, and the socket's file is gone.
    pub(crate) async fn ended(self) {
        if let Err(error) = self.0.await {
            tracing::error!(%error, "the control API ended in disorder");
        }
    }
}

async fn serve(socket: ControlSocket, router: Router, mut stopping: signal::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stopping) => break,
            accepted = socket.listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) if connections.len() < MAX_CONNECTIONS => {
                connections.spawn(connection(stream, router.clone(), stopping.clone()));
            }
            Ok((stream, _)) => refuse(&stream),
            Err(error) => {
                tracing::warn!(%error, "a connection to the control socket can't be accepted");
                sleep(REST).await;
            }
        }
    }
    // From here on a client finds no socket, rather than one that does not answer.
    drop(socket);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(FAREWELL, ended).await.is_err() {
        tracing::debug!(left = connections.len(), "cutting off requests that did not finish");
    }
    connections.shutdown().await;
}

/// Says so if it can be said at once.
fn refuse(stream: &UnixStream) {
    let _ = stream.try_write(FULL);
    tracing::debug!("too many connections to the control socket");
}

async fn connection(stream: UnixStream, router: Router, mut stopping: signal::Receiver<bool>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stopped(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to the control socket broke");
    }
}

#[cfg(test)]
mod tests {
    use netnode_api::error::{Code, ErrorBody};

    use super::*;

    #[test]
    fn the_refusal_is_a_whole_answer() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{}", body.len());
        let error: ErrorBody = serde_json::from_str(body).unwrap();
        assert_eq!(error.error.code, Code::Full);
    }
}
