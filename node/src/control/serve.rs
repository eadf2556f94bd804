//! Connections of the control API, and of those who read metrics: how many, how patiently, and how they end.
//!
//! Must never let a client that stalls keep a request head, a slot for ever, or the daemon from stopping.

use std::{io, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use netnode_api::error::{Code, Problem};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch as signal,
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use super::{ControlSocket, problem::Refused, stopped};

/// Connections open at a time, those of watches among them.
const MAX_CONNECTIONS: usize = 256;

/// How long a client may take to send the head of a request, and be idle between two.
const HEAD: Duration = Duration::from_secs(30);

/// The same when there are too many connections already.
const HEAD_WHEN_FULL: Duration = Duration::from_secs(1);

/// How long requests may take to finish once the daemon stops.
const FAREWELL: Duration = Duration::from_secs(2);

/// The rest after a connection could not be accepted: the process is out of files or memory.
const REST: Duration = Duration::from_millis(100);

/// The most bytes of a request's head, which also bounds what is read ahead.
const MAX_HEAD: usize = 64 * 1024;

/// Connections beyond that which are told so; yet further ones are closed without a word.
const TOLD: usize = 16;

/// Where clients come from.
pub(crate) trait Listen: Send + 'static {
    /// What it is called.
    const NAME: &str;
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// The next one.
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listen for ControlSocket {
    const NAME: &str = "the control socket";
    type Stream = UnixStream;
    async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

/// For metrics and the health of services, and nothing else.
impl Listen for TcpListener {
    const NAME: &str = "the address of metrics or of a service's health";
    type Stream = TcpStream;
    async fn accept(&self) -> io::Result<TcpStream> {
        Ok(Self::accept(self).await?.0)
    }
}

/// The task that serves.
pub(crate) struct Server(JoinHandle<()>);

impl Server {
    /// Serves until `stopping` turns true.
    pub(crate) fn start(
        listener: impl Listen,
        router: Router,
        stopping: signal::Receiver<bool>,
    ) -> Self {
        Self(tokio::spawn(serve(listener, router, stopping)))
    }

    /// Waits until every request is finished or cut off, and the socket's file is gone.
    pub(crate) async fn ended(self) {
        if let Err(error) = self.0.await {
            tracing::error!(%error, "the control API ended in disorder");
        }
    }
}

async fn serve<L: Listen>(listener: L, router: Router, mut stopping: signal::Receiver<bool>) {
    let full = Router::new().fallback(|| async { too_many(L::NAME) });
    let mut connections = JoinSet::new();
    let mut told = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stopped(&mut stopping) => break,
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            Some(_) = told.join_next() => continue,
        };
        match accepted {
            Ok(stream) if connections.len() < MAX_CONNECTIONS => {
                connections.spawn(connection(stream, router.clone(), HEAD, stopping.clone()));
            }
            Ok(stream) if told.len() < TOLD => {
                told.spawn(connection(stream, full.clone(), HEAD_WHEN_FULL, stopping.clone()));
            }
            Ok(_) => tracing::debug!("too many connections to {}", L::NAME),
            Err(error) => {
                tracing::warn!(%error, "a connection to {} can't be accepted", L::NAME);
                sleep(REST).await;
            }
        }
    }
    // From here on a client finds no socket, rather than one that does not answer.
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(FAREWELL, ended).await.is_err() {
        tracing::debug!(left = connections.len(), "cutting off requests that did not finish");
    }
    connections.shutdown().await;
    told.shutdown().await;
}

fn too_many(name: &str) -> Refused {
    let message = format!("{MAX_CONNECTIONS} connections to {name} are open already");
    Problem::new(Code::Full, message).with_hint("end some watches").into()
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    router: Router,
    patience: Duration,
    mut stopping: signal::Receiver<bool>,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
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
        tracing::debug!(%error, "a connection broke");
    }
}
