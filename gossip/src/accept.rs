//! Takes connections from outside: through the gate, the hello and the handshake, to a stream or a join.
//!
//! Must never answer who is not a joiner: a stranger learns nothing from a member's silence. Must never
//! let a silent stranger hold more than one slot for the time of a handshake.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use netdb_gossip_core::{identity::PublicIdentity, token::TokenId};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{Instant, timeout},
};

use crate::{
    admit,
    bind::{canonical, tune_stream},
    gate::Slot,
    handshake::{HandshakeError, Secured, respond},
    hello::{BadHello, HELLO_LEN, Hello, Mode, PREFIX_LEN, Refusal, Reply},
    incoming::{Incoming, TokenAnswer},
    shell::{Shell, seal},
    stream::{Line, Running},
};

/// Rest after an error of the system (out of file descriptors), so that it is not met in a busy loop.
const ERROR_REST: Duration = Duration::from_millis(50);

/// How long a refused joiner may take to read why, before the connection goes.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Who came through the handshake.
enum Guest {
    Member(Secured),
    Joiner(Secured, TokenId, OwnedSemaphorePermit),
}

/// Why nobody did.
#[derive(Debug, thiserror::Error)]
enum Turned {
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
    #[error("not a member")]
    NotMember,
    /// A joiner, who is told.
    #[error("{0}")]
    Tell(Refusal),
}

impl From<std::io::Error> for Turned {
    fn from(error: std::io::Error) -> Self {
        Self::Handshake(error.into())
    }
}

/// Accepts until the transport stops.
pub(crate) async fn accept(
    shell: Arc<Shell>,
    listener: TcpListener,
    owner: mpsc::Sender<Incoming>,
) {
    let mut stop = shell.stop();
    loop {
        let accepted = tokio::select! {
            () = stop.wait() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, from)) = accepted else {
            tokio::time::sleep(ERROR_REST).await;
            continue;
        };
        let slot = match shell.gate.enter(from.ip(), Instant::now()) {
            Some(slot) if shell.peers.has_room() => slot,
            _ => {
                shell.counters.connections_turned_away.add(1);
                continue;
            }
        };
        tune_stream(&stream);
        let guest = serve(Arc::clone(&shell), stream, canonical(from), slot, owner.clone());
        shell.tasks.spawn(guest);
    }
}

async fn serve(
    shell: Arc<Shell>,
    mut stream: TcpStream,
    from: SocketAddr,
    slot: Slot,
    owner: mpsc::Sender<Incoming>,
) {
    let mut stop = shell.stop();
    let greeted = tokio::select! {
        () = stop.wait() => return,
        greeted = timeout(shell.limits.handshake, greet(&shell, &mut stream, &owner)) => greeted,
    };
    drop(slot);
    match greeted {
        Ok(Ok(Guest::Member(secured))) => {
            run_member(shell, stream, from, &secured, owner).await;
        }
        Ok(Ok(Guest::Joiner(secured, token_id, permit))) => {
            let (reader, writer) = seal(stream, &secured);
            let joiner = admit::Joiner { identity: secured.peer, token_id };
            tokio::select! {
                () = stop.wait() => {}
                () = admit::serve(&shell, joiner, reader, writer, &owner) => {}
            }
            drop(permit);
        }
        Ok(Err(turned)) => {
            shell.counters.handshakes_refused.add(1);
            tracing::debug!(%from, %turned, "handshake refused");
            if let Turned::Tell(refusal) = turned {
                shell.counters.joins_refused.add(1);
                tokio::select! {
                    () = stop.wait() => {}
                    _ = timeout(LAST_WORDS, tell(&mut stream, refusal)) => {}
                }
            }
        }
        Err(_) => {
            shell.counters.handshakes_refused.add(1);
            tracing::debug!(%from, "handshake not finished in time");
        }
    }
}

/// Reads the hello, asks the owner, runs the handshake.
async fn greet(
    shell: &Shell,
    stream: &mut TcpStream,
    owner: &mpsc::Sender<Incoming>,
) -> Result<Guest, Turned> {
    let hello = read_hello(stream).await?;
    let Mode::Join(token_id) = hello.mode else {
        if hello.tag != shell.tag {
            return Err(HandshakeError::NotOurs.into());
        }
        let secured = respond(stream, &shell.keys, hello, None).await?;
        return if is_member(owner, secured.peer).await {
            Ok(Guest::Member(secured))
        } else {
            Err(Turned::NotMember)
        };
    };
    if hello.tag != shell.tag {
        return Err(Turned::Tell(Refusal::OtherCluster));
    }
    let permit = Arc::clone(&shell.joins).try_acquire_owned();
    let permit = permit.map_err(|_| Turned::Tell(Refusal::Busy))?;
    match ask(owner, |reply| Incoming::Token { token_id, reply }).await {
        Some(TokenAnswer::Good(psk)) => {
            let secured = respond(stream, &shell.keys, hello, Some(&psk)).await?;
            Ok(Guest::Joiner(secured, token_id, permit))
        }
        Some(TokenAnswer::Refused(refusal)) => Err(Turned::Tell(refusal)),
        None => Err(Turned::Tell(Refusal::Busy)),
    }
}

async fn read_hello(stream: &mut TcpStream) -> Result<Hello, Turned> {
    let mut bytes = [0; HELLO_LEN];
    let (prefix, rest) = bytes.split_at_mut(PREFIX_LEN);
    // A hello of another version may be shorter than ours: what it starts with decides.
    stream.read_exact(prefix).await?;
    let prefix = prefix.first_chunk().copied().unwrap_or_default();
    let turned = |bad| match bad {
        BadHello::Version { join: true } => Turned::Tell(Refusal::Version),
        BadHello::Version { join: false } | BadHello::NotOurs => HandshakeError::NotOurs.into(),
    };
    Hello::check_prefix(prefix).map_err(turned)?;
    stream.read_exact(rest).await?;
    Hello::from_bytes(bytes).map_err(turned)
}

/// Asks the owner something; `None` if it does not answer.
pub(crate) async fn ask<T>(
    owner: &mpsc::Sender<Incoming>,
    question: impl FnOnce(oneshot::Sender<T>) -> Incoming,
) -> Option<T> {
    let (reply, answer) = oneshot::channel();
    owner.send(question(reply)).await.ok()?;
    answer.await.ok()
}

async fn is_member(owner: &mpsc::Sender<Incoming>, identity: PublicIdentity) -> bool {
    ask(owner, |reply| Incoming::Admission { identity, reply }).await.unwrap_or(false)
}

/// Tells a joiner why not, and lets it read that: closing with unread bytes would take it away.
async fn tell(stream: &mut TcpStream, refusal: Refusal) -> std::io::Result<()> {
    stream.write_all(&Reply::Refused(refusal).to_bytes()).await?;
    stream.shutdown().await?;
    let mut scrap = [0; 512];
    while stream.read(&mut scrap).await? > 0 {}
    Ok(())
}

async fn run_member(
    shell: Arc<Shell>,
    stream: TcpStream,
    from: SocketAddr,
    secured: &Secured,
    owner: mpsc::Sender<Incoming>,
) {
    let peer = secured.peer.node_id();
    let (reader, mut writer) = seal(stream, secured);
    let line = Line::new(true);
    let Some(id) = shell.peers.accepted(peer, from, &line) else {
        shell.counters.connections_turned_away.add(1);
        return;
    };
    shell.counters.streams_accepted.add(1);
    // "You are admitted." If this cannot be written, the stream finds that out by itself.
    let _ = writer.ack(0, Instant::now() + shell.limits.message).await;
    Running { shell, peer, id, line }.run(reader, writer, owner).await;
}
