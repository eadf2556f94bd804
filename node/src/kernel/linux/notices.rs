//! What the kernel tells about changes of packet filters and of rules of routing, so that what others do to ours is
//! mended at once and not only when the timer goes.
//!
//! What happened is not learnt from it: only that there is something to look at. A socket in a namespace keeps it
//! alive, so those in sandboxes are closed soon after the path leads elsewhere.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    time::Duration,
};

use netnode_plan::host::Place;
use nix::{
    errno::Errno,
    sys::{
        epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
        socket::{
            self, AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind,
            recv, setsockopt, sockopt,
        },
    },
};
use tokio::{io::unix::AsyncFd, time::sleep};

use super::{
    filter,
    namespace::{Namespaces, inside},
    policy,
    socket::{Socket, split},
};

/// `NFNLGRP_NFTABLES` as a bit.
const FILTERS: u32 = 1 << (7 - 1);
/// `RTNLGRP_IPV4_RULE` and `RTNLGRP_IPV6_RULE`.
const ROUTING: u32 = 1 << (8 - 1) | 1 << (19 - 1);
/// Room for one notice; of a longer one the beginning is enough.
const ROOM: usize = 64 * 1024;
/// Bytes that wait to be read; beyond them the kernel says that it dropped some.
const QUEUE: usize = 1024 * 1024;
/// How often it is looked whether sandboxes are still there.
const PERIOD: Duration = Duration::from_secs(1);
/// Namespaces that are asked what they have in one go.
const AT_ONCE: usize = 64;
/// The host's, among those that something may be told of.
const HOST: u64 = 0;
/// Its rules of routing.
const RULES: u64 = 1;

/// Notices about one namespace.
#[derive(Debug)]
struct Notices {
    fd: OwnedFd,
    /// Whether a message of this type is about something of ours.
    is_ours: fn(u16, &[u8]) -> bool,
}

/// A sandbox that is listened to.
#[derive(Debug)]
struct Watched {
    token: u64,
    /// The number of its namespace, which no other has as long as this is open.
    namespace: u64,
    notices: Option<Notices>,
    /// What its packet filter is changed by. The kernel lets who closes such a socket wait until what was changed is
    /// freed, which is many times what a change takes.
    socket: Socket,
}

/// All that is listened to.
#[derive(Debug)]
pub(super) struct Watches {
    epoll: Epoll,
    /// Where the kernel has a packet filter.
    host: Option<Notices>,
    /// Where it has rules of routing.
    rules: Option<Notices>,
    sandboxes: BTreeMap<String, Watched>,
    next: u64,
}

impl Watches {
    /// Listens to the host.
    pub(super) fn new(host: &File) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        let rules = inside(host, Notices::of_rules).flatten().ok();
        let host = inside(host, Notices::of_filter).flatten().ok();
        for (token, notices) in [(HOST, &host), (RULES, &rules)] {
            if let Some(Notices { fd, .. }) = notices {
                epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token))?;
            }
        }
        Ok(Self { epoll, host, rules, sandboxes: BTreeMap::new(), next: RULES + 1 })
    }

    /// Everything will be looked at: what was told of the host until now is no news.
    pub(super) fn begin(&mut self, namespaces: &Namespaces) {
        self.host.iter().chain(&self.rules).for_each(Notices::forget);
        self.leave_gone(namespaces);
    }

    /// Listens to a sandbox from now on; what was told until now is no news. One that can't be listened to is only
    /// looked at.
    pub(super) fn add(&mut self, path: &str, namespaces: &Namespaces) {
        let Ok(there) = namespaces.open(&Place::Sandbox(path.to_owned())) else {
            self.sandboxes.remove(path);
            return;
        };
        let before = self.sandboxes.remove(path).filter(|watched| watched.is_of(&there));
        let Some(mut watched) = before.or_else(|| self.open(&there)) else { return };
        match &watched.notices {
            Some(notices) => notices.forget(),
            None => watched.notices = self.listen(&there, watched.token),
        }
        self.sandboxes.insert(path.to_owned(), watched);
    }

    fn open(&mut self, there: &File) -> Option<Watched> {
        let namespace = there.metadata().ok()?.ino();
        let socket = inside(there, Socket::netfilter).flatten().ok()?;
        let token = self.next;
        self.next += 1;
        Some(Watched { token, namespace, notices: None, socket })
    }

    fn listen(&self, there: &File, token: u64) -> Option<Notices> {
        let notices = inside(there, Notices::of_filter).flatten().ok()?;
        self.epoll.add(&notices.fd, EpollEvent::new(EpollFlags::EPOLLIN, token)).ok()?;
        Some(notices)
    }

    /// Does not listen to a sandbox until it is added again.
    pub(super) fn quiet(&mut self, path: &str) {
        if let Some(watched) = self.sandboxes.get_mut(path) {
            watched.notices = None;
        }
    }

    /// What the packet filter of a sandbox is changed by, if this is the namespace that is listened to.
    pub(super) fn socket(&mut self, at: &Place, there: &File) -> Option<&mut Socket> {
        let Place::Sandbox(path) = at else { return None };
        let watched = self.sandboxes.get_mut(path).filter(|watched| watched.is_of(there))?;
        Some(&mut watched.socket)
    }

    fn leave_gone(&mut self, namespaces: &Namespaces) {
        self.sandboxes.retain(|path, watched| {
            let there = namespaces.open(&Place::Sandbox(path.clone()));
            there.is_ok_and(|there| watched.is_of(&there))
        });
    }

    /// Waits until something happened to one of our tables, or to a rule of ours.
    ///
    /// # Errors
    /// It can't be waited for.
    pub(super) async fn disturbed(&mut self, namespaces: &Namespaces) -> io::Result<()> {
        #[allow(
            deprecated,
            reason = "what is owned here stays open; its successor is unsafe to call"
        )]
        let ready = AsyncFd::new(self.epoll.0.try_clone()?)?;
        loop {
            tokio::select! {
                told = ready.readable() => {
                    let mut told = told?;
                    if self.is_told()? {
                        return Ok(());
                    }
                    told.clear_ready();
                }
                () = sleep(PERIOD) => self.leave_gone(namespaces),
            }
        }
    }

    /// Takes what was told; whether some of it is about something of ours.
    fn is_told(&self) -> io::Result<bool> {
        let mut told = [EpollEvent::empty(); AT_ONCE];
        loop {
            let count = self.epoll.wait(&mut told, EpollTimeout::ZERO)?;
            let mut is_ours = false;
            for event in told.iter().take(count) {
                is_ours |= self.notices(event.data()).is_some_and(Notices::about_ours);
            }
            if is_ours || count == 0 {
                return Ok(is_ours);
            }
        }
    }

    fn notices(&self, token: u64) -> Option<&Notices> {
        match token {
            HOST => return self.host.as_ref(),
            RULES => return self.rules.as_ref(),
            _ => {}
        }
        self.sandboxes.values().find(|watched| watched.token == token)?.notices.as_ref()
    }
}

impl Watched {
    fn is_of(&self, there: &File) -> bool {
        there.metadata().is_ok_and(|file| file.ino() == self.namespace)
    }
}

impl Notices {
    fn of_filter() -> io::Result<Self> {
        Self::open(SockProtocol::NetlinkNetFilter, FILTERS, filter::is_about_ours)
    }

    fn of_rules() -> io::Result<Self> {
        Self::open(SockProtocol::NetlinkRoute, ROUTING, policy::is_about_ours)
    }

    fn open(
        protocol: SockProtocol,
        groups: u32,
        is_ours: fn(u16, &[u8]) -> bool,
    ) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket::socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        // Past the system's limit where we may; else as the system likes.
        let _ = setsockopt(&fd, sockopt::RcvBufForce, &QUEUE);
        Ok(Self { fd, is_ours })
    }

    /// Forgets what was told until now.
    fn forget(&self) {
        self.take(|_| ());
    }

    /// Takes what was told; whether some of it is about something of ours.
    fn about_ours(&self) -> bool {
        let mut about_ours = false;
        // Of those that were dropped some may have been about it.
        self.take(|told| about_ours |= told.is_none_or(|told| self.is_about_ours(told)));
        about_ours
    }

    fn is_about_ours(&self, mut bytes: &[u8]) -> bool {
        while let Some((header, message, rest)) = split(bytes) {
            if (self.is_ours)(header.message_type, message) {
                return true;
            }
            bytes = rest;
        }
        false
    }

    fn take(&self, mut take: impl FnMut(Option<&[u8]>)) {
        let mut buffer = vec![0; ROOM];
        loop {
            match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) => take(buffer.get(..length)),
                // That some were dropped is told once in between.
                Err(Errno::ENOBUFS) => take(None),
                Err(_) => return,
            }
        }
    }
}
