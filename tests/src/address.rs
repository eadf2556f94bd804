//! Loopback addresses that nobody uses, for UDP and TCP alike.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, UdpSocket},
    sync::atomic::{AtomicU8, Ordering},
};

use anyhow::{Context, Result};

/// How many ports are tried for one address.
const ATTEMPTS: usize = 32;

/// Counts the ranges that this process has handed out.
static RANGES: AtomicU8 = AtomicU8::new(0);

/// A range of loopback addresses; all of 127.0.0.0/8 is this machine.
#[derive(Debug)]
pub struct Addresses {
    network: [u8; 3],
    next: u8,
}

impl Addresses {
    /// 127.0.0.11 and up: for people to look at.
    pub fn plain() -> Self {
        Self { network: [127, 0, 0], next: 11 }
    }

    /// A range that other tests, in this process and in others, most likely don't use. If one does, the
    /// ports differ.
    pub fn apart() -> Self {
        let [.., process] = std::process::id().to_be_bytes();
        let range = RANGES.fetch_add(1, Ordering::Relaxed);
        Self { network: [127, process | 1, range], next: 1 }
    }

    /// The next address of the range, with a port that is free now.
    pub fn free(&mut self) -> Result<SocketAddr> {
        let [a, b, c] = self.network;
        let ip = Ipv4Addr::new(a, b, c, self.next);
        self.next = self.next.checked_add(1).context("the range of addresses is used up")?;
        (0..ATTEMPTS)
            .find_map(|_| free_port(ip))
            .with_context(|| format!("no port is free at {ip} for both UDP and TCP"))
    }
}

fn free_port(ip: Ipv4Addr) -> Option<SocketAddr> {
    let stream = TcpListener::bind(SocketAddrV4::new(ip, 0)).ok()?;
    let address = stream.local_addr().ok()?;
    UdpSocket::bind(address).ok()?;
    Some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_free_and_differ() {
        let (mut one, mut other) = (Addresses::apart(), Addresses::apart());
        let found = [one.free().unwrap(), one.free().unwrap(), other.free().unwrap()];
        for (place, address) in found.iter().enumerate() {
            assert!(address.ip().is_loopback());
            assert!(TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok());
            assert!(!found[..place].contains(address));
        }
    }
}
