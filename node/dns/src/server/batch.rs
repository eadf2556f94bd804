//! Many datagrams in one call of the system: received, answered, sent.
//!
//! The room for a batch belongs to the thread, not to a sandbox: a thousand sandboxes need no more of it than
//! one. Must never wait, and never keep anything of a batch for the next.

use std::{
    array,
    cell::RefCell,
    io::{self, ErrorKind, IoSlice, IoSliceMut},
    net::SocketAddr,
    os::fd::AsRawFd,
};

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrIn, SockaddrIn6, SockaddrLike, recvmmsg};
use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg, sendto};
use tokio::net::UdpSocket;

use crate::{
    counters::Counters,
    limits::{BATCH, MAX_UDP_QUERY, UDP_SIZE},
    local::Scratch,
};

/// One byte more than allowed shows what was longer.
const BUFFER: usize = MAX_UDP_QUERY + 1;

thread_local! {
    static ROOM: RefCell<Room> = RefCell::new(Room::new());
}

/// What a batch needs.
struct Room {
    queries: Box<[[u8; BUFFER]]>,
    from: Vec<(SocketAddr, usize)>,
    answers: Vec<Vec<u8>>,
    to: Vec<SocketAddr>,
    scratch: Scratch,
    // One for each family: they remember the length of an address.
    four: MultiHeaders<SockaddrIn>,
    six: MultiHeaders<SockaddrIn6>,
}

impl Room {
    fn new() -> Self {
        let answer = || Vec::with_capacity(usize::from(UDP_SIZE));
        Self {
            queries: vec![[0; BUFFER]; BATCH].into_boxed_slice(),
            from: Vec::with_capacity(BATCH),
            answers: (0..BATCH).map(|_| answer()).collect(),
            to: Vec::with_capacity(BATCH),
            scratch: Scratch::default(),
            four: MultiHeaders::preallocate(BATCH, None),
            six: MultiHeaders::preallocate(BATCH, None),
        }
    }
}

/// Takes a batch, has each query answered, and sends what `each` says is to be sent.
///
/// Returns whether the batch was full, so that more may be waiting.
pub(super) fn turn(
    socket: &UdpSocket,
    is_ipv4: bool,
    counters: &Counters,
    mut each: impl FnMut(&[u8], SocketAddr, &mut Scratch, &mut Vec<u8>) -> bool,
) -> io::Result<bool> {
    ROOM.with(|room| {
        let mut room = room.try_borrow_mut().map_err(io::Error::other)?;
        let Room { queries, from, answers, to, scratch, four, six } = &mut *room;
        from.clear();
        to.clear();
        if is_ipv4 {
            receive(socket, four, queries, from, |address| (*address).into())?;
        } else {
            receive(socket, six, queries, from, |address| (*address).into())?;
        }
        counters.udp_queries.add(from.len());
        for (query, (from, length)) in queries.iter().zip(from.iter()) {
            let Some(query) = query.get(..*length).filter(|query| query.len() < BUFFER) else {
                counters.dropped_queries.add(1);
                continue;
            };
            // The answers are as many as the queries.
            let Some(answer) = answers.get_mut(to.len()) else { break };
            if each(query, *from, scratch, answer) {
                to.push(*from);
            }
        }
        let sent = send(socket, answers, to);
        counters.dropped_answers.add(to.len() - sent);
        Ok(from.len() == BATCH)
    })
}

fn receive<S: SockaddrLike + Copy>(
    socket: &UdpSocket,
    headers: &mut MultiHeaders<S>,
    queries: &mut [[u8; BUFFER]],
    from: &mut Vec<(SocketAddr, usize)>,
    address: impl Fn(&S) -> SocketAddr,
) -> io::Result<()> {
    let mut queries = queries.iter_mut();
    let mut slices: [_; BATCH] =
        array::from_fn(|_| [IoSliceMut::new(queries.next().map_or(&mut [], |room| &mut room[..]))]);
    let flags = MsgFlags::MSG_DONTWAIT;
    let received = recvmmsg(socket.as_raw_fd(), headers, slices.iter_mut(), flags, None)?;
    for message in received {
        // An address that is none gets no answer, and neither does an empty query.
        let Some(sender) = message.address.as_ref().map(&address) else { continue };
        from.push((sender, message.bytes));
    }
    Ok(())
}

/// Sends one answer to each, and returns how many went out.
fn send(socket: &UdpSocket, answers: &[Vec<u8>], to: &[SocketAddr]) -> usize {
    // One alone, as nearly always, is cheaper by itself.
    if let ([answer, ..], [to]) = (answers, to) {
        return usize::from(sendto(socket, answer, SendFlags::DONTWAIT, to).is_ok());
    }
    let slices: Vec<[IoSlice<'_>; 1]> =
        answers.iter().zip(to).map(|(answer, _)| [IoSlice::new(answer)]).collect();
    let addresses: Vec<SocketAddrAny> = to.iter().map(|to| (*to).into()).collect();
    let mut controls: [SendAncillaryBuffer<'_, '_, '_>; BATCH] =
        array::from_fn(|_| SendAncillaryBuffer::default());
    let parts = slices.iter().zip(&addresses).zip(&mut controls);
    let mut messages: Vec<MMsgHdr<'_>> = parts
        .map(|((slice, address), control)| MMsgHdr::new_with_addr(address, slice, control))
        .collect();
    let (mut sent, mut passed) = (0, 0);
    while let Some(rest) = messages.get_mut(passed..).filter(|rest| !rest.is_empty()) {
        match sendmmsg(socket, rest, SendFlags::DONTWAIT).map_err(io::Error::from) {
            Ok(0) => break,
            Ok(count) => {
                sent += count;
                passed += count;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            // This one can't be sent, perhaps for a rule of the packet filter; the next may be.
            Err(_) => passed += 1,
        }
    }
    sent
}
