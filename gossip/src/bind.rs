//! Opens the two sockets of a node, UDP and TCP on one port number, with buffers fit for bursts.
//!
//! Must never leave one of the pair open when the other could not be had.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};

use crate::limits::Limits;

/// Tries for a port that is free for both protocols when port 0 was asked for.
const PORT_TRIES: usize = 32;

/// Connections that the kernel completes ahead of us.
const BACKLOG: i32 = 256;

/// Why the sockets could not be opened. Nothing stays open.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else has the port: another node on this host, or another program.
    #[error("{protocol} {address} is already in use by another process")]
    InUse {
        /// What was to be bound.
        address: SocketAddr,
        /// "UDP" or "TCP".
        protocol: &'static str,
    },
    /// The system forbids it, for example a port below 1024 without the right to it.
    #[error("not permitted to listen on {protocol} {address}")]
    Permission {
        /// What was to be bound.
        address: SocketAddr,
        /// "UDP" or "TCP".
        protocol: &'static str,
    },
    /// No interface of this host has the address.
    #[error("{} is not an address of this host", address.ip())]
    NotAvailable {
        /// What was to be bound.
        address: SocketAddr,
    },
    /// Anything else that the system said.
    #[error("cannot listen on {protocol} {address}: {source}")]
    Other {
        /// What was to be bound.
        address: SocketAddr,
        /// "UDP" or "TCP".
        protocol: &'static str,
        /// The system's words.
        source: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, protocol: &'static str, source: io::Error) -> Self {
        match source.kind() {
            ErrorKind::AddrInUse => Self::InUse { address, protocol },
            ErrorKind::PermissionDenied => Self::Permission { address, protocol },
            ErrorKind::AddrNotAvailable => Self::NotAvailable { address },
            _ => Self::Other { address, protocol, source },
        }
    }
}

/// The two sockets of one node.
pub(crate) struct Sockets {
    pub(crate) udp: UdpSocket,
    pub(crate) tcp: TcpListener,
    pub(crate) local: SocketAddr,
}

/// Binds both sockets; port 0 looks for a port that is free for both.
pub(crate) fn bind(listen: SocketAddr, limits: &Limits) -> Result<Sockets, BindError> {
    let mut tries = if listen.port() == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match bind_pair(listen, limits) {
            // The port that TCP was given may be taken on UDP: try another.
            Err(BindError::InUse { .. }) if tries > 0 => {}
            result => return result,
        }
    }
}

fn bind_pair(listen: SocketAddr, limits: &Limits) -> Result<Sockets, BindError> {
    let (tcp, local) = bind_tcp(listen).map_err(|e| BindError::new(listen, "TCP", e))?;
    let udp = bind_udp(local, limits).map_err(|e| BindError::new(local, "UDP", e))?;
    Ok(Sockets { udp, tcp, local })
}

fn bind_tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = open(address, Type::STREAM, Protocol::TCP)?;
    // A restart must not wait for the connections of the process before it.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    let local = listener.local_addr()?;
    Ok((listener, local))
}

fn bind_udp(address: SocketAddr, limits: &Limits) -> io::Result<UdpSocket> {
    let socket = open(address, Type::DGRAM, Protocol::UDP)?;
    size_buffers(&socket, limits);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

fn open(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // `[::]` serves both families; a system that refuses serves IPv6 alone.
        let _ = socket.set_only_v6(false);
    }
    Ok(socket)
}

/// Buffers are a wish: where the system grants less, bursts are dropped and counted sooner.
fn size_buffers(socket: &Socket, limits: &Limits) {
    let _ = socket.set_recv_buffer_size(limits.receive_buffer);
    let _ = socket.set_send_buffer_size(limits.send_buffer);
    #[cfg(target_os = "linux")]
    {
        use nix::sys::socket::{setsockopt, sockopt};
        // With CAP_NET_ADMIN the limit of the system (net.core.rmem_max) does not hold.
        let _ = setsockopt(socket, sockopt::RcvBufForce, &limits.receive_buffer);
        let _ = setsockopt(socket, sockopt::SndBufForce, &limits.send_buffer);
    }
}

/// Connects from the address that packets leave from, if it is one: else, on a host with several, streams
/// would come from another address than packets, past the rules of firewalls and into the wrong share of
/// what a peer grants each source.
pub(crate) async fn dial(local: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    if local.ip().is_unspecified() || local.is_ipv4() != to.is_ipv4() {
        return TcpStream::connect(reachable_from(local, to)).await;
    }
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(SocketAddr::new(local.ip(), 0))?;
    socket.connect(to).await
}

/// The address in the form that a socket bound to `local` can send to.
pub(crate) fn reachable_from(local: SocketAddr, to: SocketAddr) -> SocketAddr {
    match (local, to) {
        (SocketAddr::V6(_), SocketAddr::V4(v4)) => {
            SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port())
        }
        _ => to,
    }
}

/// The address as people write it: an IPv4 address that came through an IPv6 socket is IPv4.
pub(crate) fn canonical(from: SocketAddr) -> SocketAddr {
    match from {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => {
            SocketAddr::new(v6.ip().to_canonical(), v6.port())
        }
        _ => from,
    }
}

/// Small messages go out at once on a stream: they are answers that somebody waits for.
pub(crate) fn tune_stream(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_tcp_nodelay(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn dialled_from(local: &str) -> SocketAddr {
        let (listener, there) = bind_tcp(([127, 0, 1, 77], 0).into()).unwrap();
        let (dialled, accepted) =
            tokio::join!(dial(local.parse().unwrap(), there), listener.accept());
        dialled.unwrap();
        accepted.unwrap().1
    }

    #[tokio::test]
    async fn a_stream_comes_from_where_packets_come_from() {
        assert_eq!(dialled_from("127.0.1.78:7940").await.ip().to_string(), "127.0.1.78");
    }

    #[tokio::test]
    async fn without_an_address_of_its_own_the_system_chooses() {
        assert!(dialled_from("0.0.0.0:7940").await.ip().is_loopback());
        assert!(dialled_from("[::1]:7940").await.ip().is_loopback());
    }
}
