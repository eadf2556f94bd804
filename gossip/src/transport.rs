//! The handle: binds, starts the tasks, sends without waiting, shuts down.
//!
//! Must never do more than hand over: what comes in and what it means is the owner's business.

use std::{net::SocketAddr, sync::Arc};

use netdb_gossip_core::{
    identity::{ClusterId, Identity, NodeId},
    packet::ClusterTag,
};
use tokio::sync::Semaphore;

use crate::{
    accept,
    bind::{self, BindError},
    gate::Gate,
    handshake::Keys,
    incoming::{Inbox, lanes},
    limits::Limits,
    peers::{Peers, SendError},
    shell::Shell,
    stats::{Counters, Stats},
    stop::Tasks,
    udp,
};

/// What a transport is made from.
#[derive(Debug)]
pub struct Config {
    /// Address and port for UDP and TCP; port 0 takes one that is free for both.
    pub listen: SocketAddr,
    /// Who we are.
    pub identity: Identity,
    /// The cluster that peers must belong to.
    pub cluster: ClusterId,
    /// What is allowed.
    pub limits: Limits,
}

/// The sockets of one node and all that runs on them. Clones share it; when the last clone is dropped, or
/// after [`Transport::shutdown`], nothing runs any more.
#[derive(Clone)]
pub struct Transport {
    running: Arc<Running>,
}

struct Running(Arc<Shell>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.tasks.abort();
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transport({})", self.local_addr())
    }
}

impl Transport {
    /// Opens the sockets and starts to receive. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] names the address and the reason; nothing stays open then.
    pub fn bind(config: Config) -> Result<(Self, Inbox), BindError> {
        let Config { listen, identity, cluster, limits } = config;
        let sockets = bind::bind(listen, &limits)?;
        let udp = Arc::new(sockets.udp);
        let (lanes, inbox) = lanes(limits.packets, limits.messages);
        let shell = Arc::new(Shell {
            tag: ClusterTag::of(cluster),
            keys: Keys { identity, cluster },
            local: sockets.local,
            udp: Arc::downgrade(&udp),
            counters: Arc::new(Counters::default()),
            peers: Peers::new(limits.clone()),
            gate: Gate::new(limits.clone()),
            joins: Arc::new(Semaphore::new(limits.joins)),
            tasks: Tasks::new(),
            owner: lanes.streams.downgrade(),
            limits,
        });
        shell.tasks.spawn(udp::receive(
            udp,
            lanes.packets,
            Arc::clone(&shell.counters),
            shell.stop(),
        ));
        shell.tasks.spawn(accept::accept(Arc::clone(&shell), sockets.tcp, lanes.streams));
        Ok((Self { running: Arc::new(Running(shell)) }, inbox))
    }

    /// The address that both sockets are bound to.
    pub fn local_addr(&self) -> SocketAddr {
        self.running.0.local
    }

    /// Sends one packet. Never waits: what the socket has no room for is dropped and counted.
    pub fn send_packet(&self, to: SocketAddr, bytes: &[u8]) {
        let shell = &self.running.0;
        // Without the socket we have shut down.
        if let Some(udp) = shell.udp.upgrade() {
            udp::send(&udp, shell.local, to, bytes, &shell.counters);
        }
    }

    /// Queues one message for a peer; a stream is opened if none is. Never waits. Messages to one peer
    /// arrive in order and at most once. If one may not have arrived,
    /// [`Incoming::StreamFailed`](crate::Incoming::StreamFailed) says so, once for all that was queued.
    ///
    /// # Errors
    /// [`SendError`]; the message was not queued and no `StreamFailed` follows for it.
    pub fn send_stream(
        &self,
        to: NodeId,
        addr: SocketAddr,
        message: Vec<u8>,
    ) -> Result<(), SendError> {
        let shell = &self.running.0;
        if to == shell.keys.identity.node_id() {
            return Err(SendError::ToSelf);
        }
        if let Some(addr) = shell.peers.push(to, addr, message)? {
            shell.dial(to, addr);
        }
        Ok(())
    }

    /// Cuts every stream of a peer, which is no longer admitted.
    pub fn disconnect(&self, peer: NodeId) {
        self.running.0.peers.disconnect(peer);
    }

    /// What has been counted since the sockets were bound.
    pub fn stats(&self) -> Stats {
        self.running.0.counters.read()
    }

    /// True if no stream is open and none is wanted.
    #[cfg(test)]
    pub(crate) fn is_quiet(&self) -> bool {
        self.running.0.peers.is_empty()
    }

    /// Stops to receive, lets queued messages out for at most [`Limits::shutdown`], and returns when no
    /// task is left. The owner should go on taking from its [`Inbox`] meanwhile: peers wait for their
    /// confirmations before they close.
    pub async fn shutdown(&self) {
        let shell = &self.running.0;
        shell.peers.stop();
        shell.tasks.finish(shell.limits.shutdown).await;
    }
}
