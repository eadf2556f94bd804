//! Queries over TCP (RFC 7766): as many connections as a sandbox may have, each a task.
//!
//! Must never let a client that is silent or slow hold a connection for long, nor read what it does not answer.

use std::{io, sync::Arc};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{Client, ERROR_REST, Step};
use crate::{
    limits::{IDLE, MAX_PIPELINED, MAX_TCP_QUERY, WRITE_PATIENCE},
    local::Scratch,
    wire::Via,
};

/// Bytes read at once.
const CHUNK: usize = 2_048;
/// Bytes of the length in front of each message (RFC 1035, 4.2.2).
const PREFIX: usize = 2;

/// Serves the listener until it is dropped, and its connections with it.
pub(super) async fn run(client: &Client, listener: TcpListener) -> io::Result<()> {
    let counters = client.forwarder.counters();
    let mut connections = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            sleep(ERROR_REST).await;
            continue;
        };
        let Ok(slot) = Arc::clone(&client.connections).try_acquire_owned() else {
            counters.refused_connections.add(1);
            continue;
        };
        counters.connections.add(1);
        let client = client.clone();
        connections.spawn(async move {
            let _slot = slot;
            if Connection::new(&client, stream).run().await.is_err() {
                client.forwarder.counters().cut_connections.add(1);
            }
        });
    }
}

/// One connection. Answers that wait for an upstream are sent as they come, in any order (RFC 7766, 7).
struct Connection<'a> {
    client: &'a Client,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    /// What has been read and not been answered; at most a query and a chunk.
    unread: Vec<u8>,
    waiting: FuturesUnordered<BoxFuture<'a, Vec<u8>>>,
    scratch: Scratch,
    out: Vec<u8>,
}

/// The client was too slow or said what is no query.
struct Cut;

impl<'a> Connection<'a> {
    fn new(client: &'a Client, stream: TcpStream) -> Self {
        // Answers are small and somebody waits for each.
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let (unread, out) = (Vec::new(), Vec::new());
        let (waiting, scratch) = (FuturesUnordered::new(), Scratch::default());
        Self { client, reader, writer, unread, waiting, scratch, out }
    }

    async fn run(&mut self) -> Result<(), Cut> {
        let mut chunk = vec![0; CHUNK];
        let mut idle = Instant::now() + IDLE;
        let mut open = true;
        loop {
            while self.waiting.len() < MAX_PIPELINED
                && let Some(query) = self.next_query()?
            {
                idle = Instant::now() + IDLE;
                self.answer(&query).await?;
            }
            if !open && self.waiting.is_empty() {
                return Ok(());
            }
            tokio::select! {
                read = self.reader.read(&mut chunk), if open && self.waiting.len() < MAX_PIPELINED => {
                    // The client may have no more to ask and still wait for answers.
                    let count = read.unwrap_or(0);
                    open = count > 0;
                    self.unread.extend_from_slice(chunk.get(..count).unwrap_or_default());
                }
                Some(answer) = self.waiting.next() => {
                    idle = Instant::now() + IDLE;
                    self.write(&answer).await?;
                }
                () = sleep_until(idle), if self.waiting.is_empty() => return Err(Cut),
            }
        }
    }

    /// Takes a whole query out of what has been read.
    fn next_query(&mut self) -> Result<Option<Vec<u8>>, Cut> {
        let Some((prefix, rest)) = self.unread.split_first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = usize::from(u16::from_be_bytes(*prefix));
        if length > MAX_TCP_QUERY {
            return Err(Cut);
        }
        let Some(query) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.unread.drain(..PREFIX + length);
        Ok(Some(query))
    }

    async fn answer(&mut self, query: &[u8]) -> Result<(), Cut> {
        let client = self.client;
        client.forwarder.counters().tcp_queries.add(1);
        match client.step(query, Via::Tcp, &mut self.scratch, &mut self.out) {
            Step::Answered => {
                let answer = std::mem::take(&mut self.out);
                self.write(&answer).await?;
                self.out = answer;
                Ok(())
            }
            // In a stream, what is no query is a fault of the client's.
            Step::Dropped => Err(Cut),
            Step::Wait(asked, permit) => {
                self.waiting
                    .push(Box::pin(async move { client.forwarder.ask(&asked, &permit).await }));
                Ok(())
            }
        }
    }

    async fn write(&mut self, answer: &[u8]) -> Result<(), Cut> {
        let Ok(length) = u16::try_from(answer.len()) else { return Err(Cut) };
        // In one piece: some clients don't wait for the second.
        let message = [&length.to_be_bytes(), answer].concat();
        match timeout(WRITE_PATIENCE, self.writer.write_all(&message)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Cut),
        }
    }
}
