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
use crate::{limits::TURNS, local::Scratch, wire::Via};

/// Serves the socket until it is dropped.
pub(super) async fn run(client: &Client, socket: UdpSocket) -> io::Result<()> {
    let is_ipv4 = socket.local_addr()?.is_ipv4();
    let socket = Arc::new(socket);
    // Their number is bounded by what a sandbox may have waiting.
    let mut waiting = JoinSet::new();
    loop {
        socket.readable().await?;
        let turns = || turn(client, &socket, is_ipv4, &mut waiting);
        match socket.try_io(Interest::READABLE, turns) {
            // Others get their turn; when the socket is empty, waiting for it gives them that.
            Ok(()) => tokio::task::yield_now().await,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => sleep(ERROR_REST).await,
        }
        while waiting.try_join_next().is_some() {}
    }
}

/// A few batches. "Would block" once the socket has no more, which spares asking it again for nothing.
fn turn(
    client: &Client,
    socket: &Arc<UdpSocket>,
    is_ipv4: bool,
    waiting: &mut JoinSet<()>,
) -> io::Result<()> {
    let counters = client.forwarder.counters();
    let mut each = |query: &[u8], from, scratch: &mut Scratch, out: &mut Vec<u8>| match client.step(
        query,
        Via::Udp,
        scratch,
        out,
    ) {
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
    };
    for _ in 0..TURNS {
        if !batch::turn(socket, is_ipv4, counters, &mut each)? {
            return Err(ErrorKind::WouldBlock.into());
        }
    }
    Ok(())
}

fn reply(client: &Client, socket: &UdpSocket, to: SocketAddr, answer: &[u8]) {
    // Straight to the system: tokio's own says "would block" until its reactor has seen the socket writable.
    let sent = rustix::net::sendto(socket, answer, rustix::net::SendFlags::DONTWAIT, &to);
    if sent.is_err() {
        client.forwarder.counters().dropped_answers.add(1);
    }
}
