//! Queries over UDP: taken and answered in batches; those that wait for an upstream get a task each.
//!
//! Must never wait for a full socket: an answer that does not go out is dropped and counted, and the client
//! asks again.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::Arc,
};

use tokio::{io::Interest, net::UdpSocket, task::JoinSet, time::sleep};

use super::{Client, ERROR_REST, Step, batch};
use crate::{limits::TURNS, wire::Via};

/// Serves the socket until it is dropped.
pub(super) async fn run(client: &Client, socket: UdpSocket) -> io::Result<()> {
    let is_ipv4 = socket.local_addr()?.is_ipv4();
    let socket = Arc::new(socket);
    // Their number is bounded by what a sandbox may have waiting.
    let mut waiting = JoinSet::new();
    loop {
        socket.readable().await?;
        for _ in 0..TURNS {
            let turn =
                socket.try_io(Interest::READABLE, || turn(client, &socket, is_ipv4, &mut waiting));
            match turn {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => {
                    sleep(ERROR_REST).await;
                    break;
                }
            }
        }
        while waiting.try_join_next().is_some() {}
        tokio::task::yield_now().await;
    }
}

/// One batch. "Would block" if the socket has no more, which spares asking it again for nothing.
fn turn(
    client: &Client,
    socket: &Arc<UdpSocket>,
    is_ipv4: bool,
    waiting: &mut JoinSet<()>,
) -> io::Result<()> {
    let counters = client.forwarder.counters();
    let more = batch::turn(socket, is_ipv4, counters, |query, from, scratch, out| {
        match client.step(query, Via::Udp, scratch, out) {
            Step::Answered => true,
            Step::Dropped => false,
            Step::Wait(asked, permit) => {
                let (client, socket) = (client.clone(), Arc::clone(socket));
                waiting.spawn(async move {
                    let answer = client.forwarder.ask(&asked, &permit).await;
                    reply(&client, &socket, from, &answer);
                });
                false
            }
        }
    })?;
    if more { Ok(()) } else { Err(ErrorKind::WouldBlock.into()) }
}

fn reply(client: &Client, socket: &UdpSocket, to: SocketAddr, answer: &[u8]) {
    // Straight to the system: tokio's own says "would block" until its reactor has seen the socket writable.
    let sent = rustix::net::sendto(socket, answer, rustix::net::SendFlags::DONTWAIT, &to);
    if sent.is_err() {
        client.forwarder.counters().dropped_answers.add(1);
    }
}
