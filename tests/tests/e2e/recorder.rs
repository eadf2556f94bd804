//! Somebody on the way: hands packets and streams on to a node, and keeps a copy of every packet.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UdpSocket},
    task::JoinSet,
};

/// Packets that are kept; later ones are only handed on.
const KEPT: usize = 4096;
/// No packet is larger.
const LARGEST: usize = 65_536;

/// Ends when it is dropped.
pub(crate) struct Recorder {
    packets: Arc<Mutex<Vec<Vec<u8>>>>,
    _tasks: JoinSet<()>,
}

impl Recorder {
    /// Hands on from `here` to `node`.
    pub(crate) async fn start(here: SocketAddr, node: SocketAddr) -> std::io::Result<Self> {
        let packets: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let socket = UdpSocket::bind(here).await?;
        let listener = TcpListener::bind(here).await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(hand_on(socket, node, Arc::clone(&packets)));
        tasks.spawn(async move {
            let mut streams = JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                streams.spawn(async move {
                    if let Ok(mut to) = TcpStream::connect(node).await {
                        // How it ends is between the two ends.
                        let _ = copy_bidirectional(&mut from, &mut to).await;
                    }
                });
            }
        });
        Ok(Self { packets, _tasks: tasks })
    }

    /// What was recorded so far.
    pub(crate) fn packets(&self) -> Vec<Vec<u8>> {
        self.packets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn hand_on(socket: UdpSocket, node: SocketAddr, packets: Arc<Mutex<Vec<Vec<u8>>>>) {
    let mut buffer = vec![0; LARGEST];
    while let Ok((length, _)) = socket.recv_from(&mut buffer).await {
        let packet = &buffer[..length];
        // A packet that is lost here is lost like any other.
        let _ = socket.send_to(packet, node).await;
        let mut packets = packets.lock().unwrap_or_else(PoisonError::into_inner);
        if packets.len() < KEPT {
            packets.push(packet.to_vec());
        }
    }
}
