//! What the kernel tells about changes of the packet filter, so that what others do to our table is mended
//! at once and not only when the timer goes.
//!
//! What happened is not learnt from it: only that there is something to look at.

use std::{
    io,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv,
        setsockopt, socket, sockopt,
    },
};
use tokio::net::UnixDatagram;

use super::{filter, socket::split};

/// `NFNLGRP_NFTABLES` as a bit.
const GROUP: u32 = 1 << (7 - 1);
/// Room for one notice; of a longer one the beginning is enough.
const ROOM: usize = 64 * 1024;
/// Bytes that wait to be read; beyond them the kernel says that it dropped some.
const QUEUE: usize = 1024 * 1024;

/// Notices about the namespace that they were opened in.
#[derive(Debug)]
pub(super) struct Notices(OwnedFd);

impl Notices {
    pub(super) fn open() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let protocol = SockProtocol::NetlinkNetFilter;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUP))?;
        // Past the system's limit where we may; else as the system likes.
        let _ = setsockopt(&fd, sockopt::RcvBufForce, &QUEUE);
        Ok(Self(fd))
    }

    /// Forgets what was told until now, since everything will be looked at: what we changed ourselves
    /// before that is no news.
    pub(super) fn forget(&self) {
        let mut buffer = [0; 1];
        // It ends with the last one; that some were dropped is told once in between.
        while !matches!(
            recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()),
            Err(error) if error != Errno::ENOBUFS
        ) {}
    }

    /// Waits until something happened to our table.
    ///
    /// # Errors
    /// It can't be waited for.
    pub(super) async fn about_ours(&self) -> io::Result<()> {
        // The runtime knows only sockets of some families; receiving is the same for all of them.
        let socket = UnixDatagram::from_std(self.0.try_clone()?.into())?;
        let mut buffer = vec![0; ROOM];
        loop {
            let about_ours = match socket.recv(&mut buffer).await {
                Ok(length) => is_about_ours(buffer.get(..length).unwrap_or_default()),
                // Some were dropped: they may have been about it.
                Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => true,
                Err(error) => return Err(error),
            };
            if about_ours {
                return Ok(());
            }
        }
    }
}

fn is_about_ours(mut bytes: &[u8]) -> bool {
    while let Some((header, message, rest)) = split(bytes) {
        if filter::is_about_ours(header.message_type, message) {
            return true;
        }
        bytes = rest;
    }
    false
}
