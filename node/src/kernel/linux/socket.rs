//! A netlink socket: asking, dumping, and many changes in one send.

use std::{
    io,
    ops::ControlFlow,
    os::fd::{AsRawFd, OwnedFd},
};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NetlinkBuffer,
    NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use nix::sys::{
    socket::{
        AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, send,
        setsockopt, socket, sockopt,
    },
    time::TimeVal,
};

/// Messages in one send: enough to make the cost of a send vanish, and their errors fit what the socket
/// may hold for us.
pub(super) const BATCH: usize = 400;
/// No answer of the kernel takes this long, unless it will never come.
const PATIENCE_S: i64 = 10;
/// Room for one datagram of a dump: the kernel makes them 32 KiB at most (`NLMSG_GOODSIZE` and `netlink_dump`).
const ROOM: usize = 64 * 1024;
/// How often a dump is begun again because something changed under it.
const DUMPS: usize = 5;
/// Bytes of netlink's header.
pub(super) const HEADER: usize = 16;
/// The most bytes that are kept of a dump of another family than rtnetlink.
const MAX_DUMP: usize = 64 * 1024 * 1024;
/// What the socket may hold, in bytes.
const QUEUE: usize = 4 * 1024 * 1024;

/// A socket in the namespace that its opener was in.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

/// A change and how it is asked for: `NLM_F_CREATE` and its like.
pub(super) type Request = (RouteNetlinkMessage, u16);

/// A message of another family than rtnetlink.
pub(super) struct Raw {
    /// Its type.
    pub(super) kind: u16,
    /// How it is asked for.
    pub(super) flags: u16,
    /// What follows netlink's header.
    pub(super) body: Vec<u8>,
}

impl Socket {
    pub(super) fn route() -> io::Result<Self> {
        Self::open(SockProtocol::NetlinkRoute)
    }

    pub(super) fn netfilter() -> io::Result<Self> {
        Self::open(SockProtocol::NetlinkNetFilter)
    }

    fn open(protocol: SockProtocol) -> io::Result<Self> {
        let (family, flags) = (AddressFamily::Netlink, SockFlag::SOCK_CLOEXEC);
        let fd = socket(family, SockType::Raw, flags, protocol)?;
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, 0))?;
        setsockopt(&fd, sockopt::ReceiveTimeout, &TimeVal::new(PATIENCE_S, 0))?;
        // Past the system's limit where we may; else as the system likes.
        let _ = setsockopt(&fd, sockopt::RcvBufForce, &QUEUE);
        let _ = setsockopt(&fd, sockopt::SndBufForce, &QUEUE);
        Ok(Self { fd, sequence: 0 })
    }

    /// Asks for one thing.
    pub(super) fn ask(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Option<RouteNetlinkMessage>> {
        let bytes = self.numbered(message, flags);
        self.send(&bytes)?;
        let mut answer = None;
        self.receive(self.sequence, |part| {
            if let Part::Message(bytes) = part {
                answer = inner(bytes);
            }
            true
        })?;
        Ok(answer)
    }

    /// All that the kernel tells about what is asked for.
    pub(super) fn dump(
        &mut self,
        message: &RouteNetlinkMessage,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        for _ in 0..DUMPS {
            let bytes = self.numbered(message.clone(), NLM_F_REQUEST | NLM_F_DUMP);
            self.send(&bytes)?;
            let (mut found, mut torn) = (Vec::new(), false);
            self.receive(self.sequence, |part| {
                match part {
                    Part::Message(bytes) => found.extend(inner(bytes)),
                    Part::Torn => torn = true,
                    Part::End => return true,
                }
                false
            })?;
            if !torn {
                return Ok(found);
            }
        }
        Err(io::Error::new(io::ErrorKind::Interrupted, "it changed under every look"))
    }

    /// Asks for many changes, [`BATCH`] at most. Tells which failed and why: the kernel goes on after them.
    pub(super) fn batch(&mut self, requests: Vec<Request>) -> io::Result<Vec<(usize, io::Error)>> {
        let first = self.sequence.wrapping_add(1);
        let last = requests.len().saturating_sub(1);
        let mut bytes = Vec::new();
        for (place, (message, flags)) in requests.into_iter().enumerate() {
            // One answer for all that went well, and one for each that did not.
            let ack = if place == last { NLM_F_ACK } else { 0 };
            bytes.extend(self.numbered(message, flags | NLM_F_REQUEST | ack));
        }
        self.send(&bytes)?;
        self.failures(first, last)
    }

    /// Those of the messages from `first` on that failed, up to the `last`, which is answered in any case.
    fn failures(&self, first: u32, last: usize) -> io::Result<Vec<(usize, io::Error)>> {
        let mut failed = Vec::new();
        self.messages(|header, message| {
            let place = usize::try_from(header.sequence_number.wrapping_sub(first));
            let place = place.ok().filter(|place| *place <= last);
            let (NLMSG_ERROR, Some(place)) = (header.message_type, place) else {
                return ControlFlow::Continue(());
            };
            failed.extend(error_of(message).map(|error| (place, error)));
            if place == last { ControlFlow::Break(Ok(())) } else { ControlFlow::Continue(()) }
        })?;
        Ok(failed)
    }

    /// Asks for one thing; what follows the header of the answer.
    pub(super) fn ask_raw(&mut self, message: Raw) -> io::Result<Vec<u8>> {
        let bytes = self.numbered_raw(message);
        self.send(&bytes)?;
        let mut answer = Vec::new();
        self.receive(self.sequence, |part| {
            if let Part::Message(bytes) = part {
                answer = bytes.get(HEADER..).unwrap_or_default().to_vec();
            }
            true
        })?;
        Ok(answer)
    }

    /// All that the kernel tells about what is asked for, each without its header.
    pub(super) fn dump_raw(&mut self, message: &Raw) -> io::Result<Vec<Vec<u8>>> {
        for _ in 0..DUMPS {
            let Raw { kind, flags, body } = message;
            let flags = flags | NLM_F_DUMP;
            let bytes = self.numbered_raw(Raw { kind: *kind, flags, body: body.clone() });
            self.send(&bytes)?;
            let (mut found, mut kept, mut torn) = (Vec::new(), 0_usize, false);
            self.receive(self.sequence, |part| {
                match part {
                    Part::Message(bytes) => {
                        kept = kept.saturating_add(bytes.len());
                        if kept <= MAX_DUMP {
                            found.push(bytes.get(HEADER..).unwrap_or_default().to_vec());
                        }
                    }
                    Part::Torn => torn = true,
                    Part::End => return true,
                }
                false
            })?;
            if kept > MAX_DUMP {
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too much to be read"));
            }
            if !torn {
                return Ok(found);
            }
        }
        Err(io::Error::new(io::ErrorKind::Interrupted, "it changed under every look"))
    }

    /// Asks for changes that are made all or not at all. The first and the last message are their frame.
    pub(super) fn transact(&mut self, mut messages: Vec<Raw>) -> io::Result<()> {
        let first = self.sequence.wrapping_add(1);
        // The last that changes something is acknowledged: the frame is not, by older kernels.
        let last = messages.len().saturating_sub(2);
        if let Some(message) = messages.get_mut(last) {
            message.flags |= NLM_F_ACK;
        }
        let mut bytes = Vec::new();
        for message in messages {
            bytes.extend(self.numbered_raw(message));
        }
        if bytes.len() > QUEUE {
            // All of it goes in one send, and the kernel takes no longer one than may wait.
            setsockopt(&self.fd, sockopt::SndBufForce, &bytes.len().saturating_mul(2))?;
        }
        self.send(&bytes)?;
        let mut went = Ok(());
        self.messages(|header, message| {
            let place = usize::try_from(header.sequence_number.wrapping_sub(first));
            let place = place.ok().filter(|place| *place <= last);
            let (NLMSG_ERROR, Some(place)) = (header.message_type, place) else {
                return ControlFlow::Continue(());
            };
            let error = error_of(message);
            // Of what begins them only that all of them failed is told.
            let end = place == last || (place == 0 && error.is_some());
            if let (Ok(()), Some(error)) = (&went, error) {
                went = Err(error);
            }
            if end { ControlFlow::Break(Ok(())) } else { ControlFlow::Continue(()) }
        })?;
        went
    }

    /// Asks for many changes that don't depend on each other, [`BATCH`] at most; tells which failed and why.
    pub(super) fn batch_raw(&mut self, messages: Vec<Raw>) -> io::Result<Vec<io::Error>> {
        let first = self.sequence.wrapping_add(1);
        let last = messages.len().saturating_sub(1);
        let mut bytes = Vec::new();
        for (place, mut message) in messages.into_iter().enumerate() {
            if place == last {
                message.flags |= NLM_F_ACK;
            }
            bytes.extend(self.numbered_raw(message));
        }
        self.send(&bytes)?;
        self.failures(first, last).map(|failed| failed.into_iter().map(|(_, e)| e).collect())
    }

    fn numbered_raw(&mut self, message: Raw) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let Raw { kind, flags, body } = message;
        let length = u32::try_from(HEADER.saturating_add(body.len())).unwrap_or(u32::MAX);
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(self.sequence.to_ne_bytes());
        // For the kernel.
        bytes.extend([0; 4]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn numbered(&mut self, message: RouteNetlinkMessage, flags: u16) -> Vec<u8> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        // Messages in one send start at multiples of 4.
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        send(self.fd.as_raw_fd(), bytes, MsgFlags::empty())?;
        Ok(())
    }

    /// Takes the answers to the request of this number until `enough` says so.
    fn receive(&self, sequence: u32, mut enough: impl FnMut(Part<'_>) -> bool) -> io::Result<()> {
        self.messages(|header, message| {
            if header.sequence_number != sequence {
                return ControlFlow::Continue(());
            }
            if header.flags & NLM_F_DUMP_INTR != 0 {
                enough(Part::Torn);
            }
            let end = match header.message_type {
                NLMSG_ERROR => match error_of(message) {
                    Some(error) => return ControlFlow::Break(Err(error)),
                    None => enough(Part::End),
                },
                NLMSG_DONE => enough(Part::End),
                _ => enough(Part::Message(message)),
            };
            if end { ControlFlow::Break(Ok(())) } else { ControlFlow::Continue(()) }
        })
    }

    /// Takes messages as they come, until one of them is the last.
    fn messages(
        &self,
        mut take: impl FnMut(&NetlinkHeader, &[u8]) -> ControlFlow<io::Result<()>>,
    ) -> io::Result<()> {
        let mut buffer = vec![0; ROOM];
        loop {
            let length = recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let mut rest = buffer.get(..length).unwrap_or_default();
            while let Some((header, message, after)) = split(rest) {
                rest = after;
                if let ControlFlow::Break(end) = take(&header, message) {
                    return end;
                }
            }
        }
    }
}

/// A piece of an answer.
enum Part<'a> {
    /// A whole message, with its header.
    Message(&'a [u8]),
    /// Something changed while it was made.
    Torn,
    /// There is no more.
    End,
}

/// The first message of these bytes, and what follows it.
pub(super) fn split(bytes: &[u8]) -> Option<(NetlinkHeader, &[u8], &[u8])> {
    let buffer = NetlinkBuffer::new_checked(bytes).ok()?;
    let length = usize::try_from(buffer.length()).ok()?;
    let mut header = NetlinkHeader::default();
    header.length = buffer.length();
    header.message_type = buffer.message_type();
    header.flags = buffer.flags();
    header.sequence_number = buffer.sequence_number();
    let message = bytes.get(..length)?;
    Some((header, message, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// What went wrong; `None` in an acknowledgement (netlink(7), `struct nlmsgerr`).
fn error_of(message: &[u8]) -> Option<io::Error> {
    let code = message.get(16..20)?.try_into().ok().map(i32::from_ne_bytes)?;
    (code != 0).then(|| io::Error::from_raw_os_error(code.wrapping_neg()))
}

/// A message of rtnetlink. One that can't be read is about something that we don't know.
fn inner(bytes: &[u8]) -> Option<RouteNetlinkMessage> {
    match NetlinkMessage::deserialize(bytes).ok()?.payload {
        NetlinkPayload::InnerMessage(message) => Some(message),
        _ => None,
    }
}
