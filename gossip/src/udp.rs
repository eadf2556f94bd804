//! Packets in and out: drains the socket in batches into the owner's packet lane, sends without waiting.
//!
//! Must never wait for the owner or for a full socket: what does not fit is dropped and counted.

use std::{io::ErrorKind, net::SocketAddr, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{net::UdpSocket, sync::mpsc};

use crate::{
    bind::{canonical, reachable_from},
    limits::MAX_DATAGRAM,
    stats::Counters,
    stop::Stop,
};

/// Packets taken from the socket before other tasks get their turn.
const BATCH: usize = 64;

/// Rest after an error of the system that may last (out of memory), so that it is not met in a busy loop.
const ERROR_REST: Duration = Duration::from_millis(10);

/// A packet and where it came from.
pub(crate) type Packet = (SocketAddr, Vec<u8>);

/// Receives until the transport stops.
pub(crate) async fn receive(
    socket: Arc<UdpSocket>,
    lane: mpsc::Sender<Packet>,
    counters: Arc<Counters>,
    mut stop: Stop,
) {
    // One byte more than allowed shows what was larger.
    let mut buffer = vec![0; MAX_DATAGRAM + 1];
    loop {
        tokio::select! {
            () = stop.wait() => return,
            ready = socket.readable() => if ready.is_err() { return },
        }
        if !drain(&socket, &mut buffer, &lane, &counters) {
            tokio::time::sleep(ERROR_REST).await;
        }
        tokio::task::yield_now().await;
    }
}

/// Takes one batch; false if the system reported an error.
fn drain(
    socket: &UdpSocket,
    buffer: &mut [u8],
    lane: &mpsc::Sender<Packet>,
    counters: &Counters,
) -> bool {
    for _ in 0..BATCH {
        match socket.try_recv_from(buffer) {
            Ok((len, _)) if len > MAX_DATAGRAM => counters.packets_oversized.add(1),
            Ok((len, from)) => {
                counters.packets_received.add(1);
                counters.packet_bytes_received.add(len as u64);
                let bytes = buffer.get(..len).unwrap_or_default().to_vec();
                if lane.try_send((canonical(from), bytes)).is_err() {
                    counters.packets_not_taken.add(1);
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => {
                counters.packet_errors.add(1);
                return false;
            }
        }
    }
    true
}

/// Sends one packet or drops and counts it.
pub(crate) fn send(
    socket: &UdpSocket,
    local: SocketAddr,
    to: SocketAddr,
    bytes: &[u8],
    counters: &Counters,
) {
    // Straight to the system: tokio's own `try_send_to` says "would block" until its reactor has once seen
    // the socket writable, which would drop the first packets of every start.
    match SockRef::from(socket).send_to(bytes, &reachable_from(local, to).into()) {
        Ok(len) => {
            counters.packets_sent.add(1);
            counters.packet_bytes_sent.add(len as u64);
        }
        Err(error) if error.kind() == ErrorKind::WouldBlock => counters.packets_not_sent.add(1),
        Err(_) => counters.packet_errors.add(1),
    }
}
