//! Sockets inside a sandbox.

use std::{
    fs::{self, File},
    io,
    net::{SocketAddr, TcpListener, UdpSocket},
    os::unix::fs::MetadataExt,
};

use netnode_plan::host::{Change, HOST};

use super::{LOOPBACK, namespace::inside, socket::Socket, write::change};

/// Which namespace a path leads to: two that are equal lead to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceId {
    device: u64,
    inode: u64,
}

impl NamespaceId {
    /// A number that differs from namespace to namespace, and on each boot.
    pub fn seed(self) -> u64 {
        self.inode ^ self.device.rotate_left(u64::BITS / 2)
    }
}

/// Looks where a path leads now, without holding what is there.
///
/// # Errors
/// Nowhere, or to what is no namespace.
pub fn namespace_id(path: &str) -> io::Result<NamespaceId> {
    let id = |path| {
        let found = fs::metadata(path)?;
        io::Result::Ok(NamespaceId { device: found.dev(), inode: found.ino() })
    };
    let (found, own) = (id(path_to(path))?, id(OWN)?);
    if found.device == own.device {
        Ok(found)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "there is something else"))
    }
}

/// The namespace that this process was started in: no thread of it stays elsewhere, the main one least of all.
const OWN: &str = "/proc/self/ns/net";

fn path_to(sandbox: &str) -> &str {
    if sandbox == HOST { OWN } else { sandbox }
}

/// A pair of sockets for UDP and TCP at one address of a namespace. They keep the namespace alive.
///
/// An address of the loopback needs that link to be up: it is set so, as every container runtime does.
///
/// # Errors
/// The namespace can't be entered, or somebody else has the address.
pub fn listen(path: &str, at: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    inside(&File::open(path_to(path))?, || {
        if at.ip().is_loopback() {
            loopback_up()?;
        }
        // TCP first: its bind says whether anybody listens there, and takes no port from who asks.
        let tcp = TcpListener::bind(at)?;
        Ok((UdpSocket::bind(at)?, tcp))
    })?
}

fn loopback_up() -> io::Result<()> {
    let up = change(LOOPBACK, &Change::Up, None).into_iter().collect();
    match Socket::route()?.batch(up)?.pop() {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}
