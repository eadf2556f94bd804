//! What all tasks of one transport share, and the dialling of peers.
//!
//! Must never own the strong end of the owner's lane nor a socket: they end with the last task.

use std::{
    net::SocketAddr,
    sync::{Arc, Weak},
};

use netdb_gossip_core::{identity::NodeId, packet::ClusterTag};
use tokio::{
    io::BufReader,
    net::{TcpStream, UdpSocket},
    sync::{Semaphore, mpsc},
    time::Instant,
};

use crate::{
    bind::{dial, tune_stream},
    gate::Gate,
    handshake::{HandshakeError, Keys, Secured, initiate},
    hello::{Hello, Mode},
    incoming::Incoming,
    limits::Limits,
    peers::Peers,
    record::{Reader, Record, Writer},
    stats::Counters,
    stop::{Stop, Tasks},
    stream::{Line, Running, StreamReader, StreamWriter},
};

/// Shared by every task of a transport.
pub(crate) struct Shell {
    pub(crate) limits: Limits,
    pub(crate) keys: Keys,
    pub(crate) tag: ClusterTag,
    pub(crate) local: SocketAddr,
    /// Owned by the task that receives: the port is free when the tasks have ended.
    pub(crate) udp: Weak<UdpSocket>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) peers: Peers,
    pub(crate) gate: Arc<Gate>,
    pub(crate) joins: Arc<Semaphore>,
    pub(crate) tasks: Tasks,
    pub(crate) owner: mpsc::WeakSender<Incoming>,
}

/// Splits a connection into its sealed halves.
pub(crate) fn seal(stream: TcpStream, secured: &Secured) -> (StreamReader, StreamWriter) {
    let (read, write) = stream.into_split();
    let reader = Reader::new(BufReader::new(read), Arc::clone(&secured.session));
    (reader, Writer::new(write, Arc::clone(&secured.session)))
}

impl Shell {
    /// The stop signal.
    pub(crate) fn stop(&self) -> Stop {
        self.tasks.stop()
    }

    /// Starts a task that opens a stream to a peer and runs it.
    pub(crate) fn dial(self: &Arc<Self>, to: NodeId, addr: SocketAddr) {
        let Some(owner) = self.owner.upgrade() else {
            self.peers.not_dialled(to);
            return;
        };
        let shell = Arc::clone(self);
        // Boxed, because a stream that ends may dial in turn: the type would contain itself.
        let task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            shell.open_and_run(to, addr, owner).await;
        });
        if !self.tasks.spawn(task) {
            self.peers.not_dialled(to);
        }
    }

    async fn open_and_run(
        self: Arc<Self>,
        to: NodeId,
        addr: SocketAddr,
        owner: mpsc::Sender<Incoming>,
    ) {
        let opened = tokio::time::timeout(self.limits.handshake, self.open(to, addr)).await;
        let error = match opened {
            Ok(Ok((reader, writer))) => {
                let line = Line::new(false);
                let Some(id) = self.peers.dialled(to, &line) else { return };
                self.counters.streams_opened.add(1);
                let running = Running { shell: self, peer: to, id, line };
                return running.run(reader, writer, owner).await;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::debug!(peer = %to, %addr, error, "no stream");
        self.counters.streams_not_opened.add(1);
        if self.peers.not_dialled(to) {
            let _ = owner.send(Incoming::StreamFailed { to }).await;
        }
    }

    async fn open(
        &self,
        to: NodeId,
        addr: SocketAddr,
    ) -> Result<(StreamReader, StreamWriter), HandshakeError> {
        let mut stream = dial(self.local, addr).await?;
        tune_stream(&stream);
        let hello = Hello { tag: self.tag, mode: Mode::Member };
        let secured = initiate(&mut stream, &self.keys, hello, None, Some(to)).await?;
        let (mut reader, writer) = seal(stream, &secured);
        // The first record says that we are admitted; no message leaves before.
        let quiet = Instant::now() + self.limits.handshake;
        match reader.next(Some(quiet), self.limits.handshake).await {
            Ok(Record::Ack(0)) => Ok((reader, writer)),
            _ => Err(HandshakeError::NotAdmitted),
        }
    }
}
