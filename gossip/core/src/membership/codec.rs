//! How membership messages become bytes: foca's own datagrams, and the compact frames that travel.
//!
//! A frame leaves out what its packet says already: the sender's id and generation, and the receiver,
//! of whom a short tag tells whether the sender means the life that reads it.
//!
//! ```text
//! kind 1 | revision varint | incarnation varint | address | receiver tag 4 | message | updates
//! message: ping and ack: number 1 | view 4; relayed ones: number 1 | member; others: nothing
//! member: id 16 | generation varint | revision varint | address
//! update: member | incarnation varint | state 1
//! ```
//! Numbers are the packet's varints, an address is `4 | ip 4 | port 2` or `6 | ip 16 | port 2`, and
//! updates are foca's: a two-byte count, then that many; nothing at all when there is none.
//! Only bytes from opened packets come here. They may still be anything: every read is checked.

use alloc::vec::Vec;
use core::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use bytes::{Buf, BufMut};
use foca::{Header, Message, State};

use super::Member;
use crate::{
    identity::{Generation, NodeId},
    packet::varint,
};

/// The most bytes that are before the updates in a frame whose message has no fields, their count included.
const FRAME_HEAD: usize = 1 + 3 + 3 + 19 + 4 + 2;

pub(crate) type Update = foca::Member<Member>;

/// The bytes are no membership message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("malformed membership message")
    }
}

impl core::error::Error for Malformed {}

/// A membership message in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Datagram {
    pub(crate) header: Header<Member>,
    pub(crate) updates: Vec<Update>,
}

/// A frame as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Incoming {
    pub(crate) datagram: Datagram,
    /// Whether the sender means this very life of this node.
    pub(crate) meant: bool,
    /// In pings and acks: the [digest](super::view::View::digest) of the members the sender knows.
    pub(crate) view: Option<u32>,
}

/// Appends the frame for a message to `header.dst`, `view` being the sender's digest of its members.
pub(crate) fn put_frame(header: &Header<Member>, view: u32, updates: &[u8], to: &mut Vec<u8>) {
    to.push(kind_of(&header.message));
    varint::put(header.src.revision.into(), to);
    varint::put(header.src_incarnation.into(), to);
    put_address(header.src.addr, to);
    to.extend_from_slice(&tag(&header.dst).to_le_bytes());
    put_message(&header.message, to);
    if tells_view(&header.message) {
        to.extend_from_slice(&view.to_le_bytes());
    }
    // A count of zero says no more than nothing does.
    if updates != [0, 0] {
        to.extend_from_slice(updates);
    }
}

/// Reads a frame that `sender` sent in this `generation` to `me`.
pub(crate) fn take_frame(
    mut bytes: &[u8],
    sender: NodeId,
    generation: Generation,
    me: &Member,
) -> Option<Incoming> {
    let from = &mut bytes;
    let kind = take_byte(from)?;
    let revision = take_u16(from)?;
    let src_incarnation = take_u16(from)?;
    let addr = take_address(from)?;
    let meant = u32::from_le_bytes(take_array(from)?) == tag(me);
    let message = take_message(kind, from)?;
    let view =
        if tells_view(&message) { Some(u32::from_le_bytes(take_array(from)?)) } else { None };
    let src = Member { id: sender, generation, revision, addr };
    let header = Header { src, src_incarnation, dst: *me, message };
    let updates = take_updates(from)?;
    Some(Incoming { datagram: Datagram { header, updates }, meant, view })
}

/// Whether a frame is an announcement.
pub(crate) fn is_announce(frame: &[u8]) -> bool {
    frame.first() == Some(&kind_of(&Message::Announce))
}

/// The bytes that foca takes for a message.
pub(crate) fn foca_bytes(datagram: &Datagram) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_header(&datagram.header, &mut bytes);
    put_updates(&datagram.updates, &mut bytes);
    bytes
}

/// A count and that many updates, or nothing.
pub(crate) fn put_updates(updates: &[Update], to: &mut Vec<u8>) {
    let count = u16::try_from(updates.len()).unwrap_or(u16::MAX);
    if count > 0 {
        to.extend_from_slice(&count.to_be_bytes());
        updates.iter().take(count.into()).for_each(|update| put_update(update, to));
    }
}

/// How many of these, from the first, a frame of so many bytes holds that has no other fields than all have.
pub(crate) fn fitting(updates: &[Update], size: usize) -> usize {
    let mut bytes = Vec::new();
    let fits = |update: &&Update| {
        put_update(update, &mut bytes);
        FRAME_HEAD + bytes.len() <= size
    };
    updates.iter().take_while(fits).count()
}

/// Splits what foca sends into its header and the updates behind it.
pub(crate) fn split_foca(mut bytes: &[u8]) -> Option<(Header<Member>, &[u8])> {
    let header = take_header(&mut bytes)?;
    Some((header, bytes))
}

/// Four bytes that tell the lives of one node apart (FNV-1a; no secret, no proof).
fn tag(member: &Member) -> u32 {
    let mut bytes = Vec::with_capacity(32);
    put_life(member, &mut bytes);
    fnv(&bytes)
}

/// One life's share of a view's digest: a digest is the exclusive or of them.
pub(crate) fn digest(member: &Member) -> u32 {
    let mut bytes = Vec::with_capacity(48);
    put_member(member, &mut bytes);
    fnv(&bytes)
}

fn fnv(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn tells_view(message: &Message<Member>) -> bool {
    matches!(message, Message::Ping(_) | Message::Ack(_))
}

fn take_byte(from: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = from.split_first()?;
    *from = rest;
    Some(*byte)
}

fn take_array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*bytes)
}

fn take_u16(from: &mut &[u8]) -> Option<u16> {
    u16::try_from(varint::take(from)?).ok()
}

fn put_address(addr: SocketAddr, to: &mut Vec<u8>) {
    match addr.ip() {
        IpAddr::V4(ip) => {
            to.push(4);
            to.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            to.push(6);
            to.extend_from_slice(&ip.octets());
        }
    }
    to.extend_from_slice(&addr.port().to_be_bytes());
}

fn take_address(from: &mut &[u8]) -> Option<SocketAddr> {
    let ip = match take_byte(from)? {
        4 => IpAddr::V4(Ipv4Addr::from(take_array::<4>(from)?)),
        6 => IpAddr::V6(Ipv6Addr::from(take_array::<16>(from)?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(take_array(from)?)))
}

fn put_life(member: &Member, to: &mut Vec<u8>) {
    varint::put(member.generation.0, to);
    varint::put(member.revision.into(), to);
    put_address(member.addr, to);
}

fn put_member(member: &Member, to: &mut Vec<u8>) {
    to.extend_from_slice(&member.id.0);
    put_life(member, to);
}

fn take_member(from: &mut &[u8]) -> Option<Member> {
    Some(Member {
        id: NodeId(take_array(from)?),
        generation: Generation(varint::take(from)?),
        revision: take_u16(from)?,
        addr: take_address(from)?,
    })
}

fn put_update(update: &Update, to: &mut Vec<u8>) {
    put_member(update.id(), to);
    varint::put(update.incarnation().into(), to);
    to.push(match update.state() {
        State::Alive => 0,
        State::Suspect => 1,
        State::Down => 2,
    });
}

fn take_update(from: &mut &[u8]) -> Option<Update> {
    let member = take_member(from)?;
    let incarnation = take_u16(from)?;
    let state = match take_byte(from)? {
        0 => State::Alive,
        1 => State::Suspect,
        2 => State::Down,
        _ => return None,
    };
    Some(Update::new(member, incarnation, state))
}

/// All updates up to the end of `from`. An update takes 26 bytes at least, so what is allocated
/// follows the bytes that are there, never the count that is claimed.
fn take_updates(from: &mut &[u8]) -> Option<Vec<Update>> {
    let mut updates = Vec::new();
    if !from.is_empty() {
        let count = u16::from_be_bytes(take_array(from)?);
        for _ in 0..count {
            updates.push(take_update(from)?);
        }
    }
    from.is_empty().then_some(updates)
}

fn kind_of(message: &Message<Member>) -> u8 {
    match message {
        Message::Ping(_) => 0,
        Message::Ack(_) => 1,
        Message::PingReq { .. } => 2,
        Message::IndirectPing { .. } => 3,
        Message::IndirectAck { .. } => 4,
        Message::ForwardedAck { .. } => 5,
        Message::Announce => 6,
        Message::Feed => 7,
        Message::Gossip => 8,
        Message::TurnUndead => 9,
        // Never sent: custom broadcasts are not used, and a peer that gets this kind refuses it.
        Message::Broadcast => 10,
    }
}

fn put_message(message: &Message<Member>, to: &mut Vec<u8>) {
    match message {
        Message::Ping(number) | Message::Ack(number) => to.push(*number),
        Message::PingReq { target: other, probe_number }
        | Message::IndirectAck { target: other, probe_number }
        | Message::IndirectPing { origin: other, probe_number }
        | Message::ForwardedAck { origin: other, probe_number } => {
            to.push(*probe_number);
            put_member(other, to);
        }
        Message::Announce
        | Message::Feed
        | Message::Gossip
        | Message::TurnUndead
        | Message::Broadcast => {}
    }
}

fn take_message(kind: u8, from: &mut &[u8]) -> Option<Message<Member>> {
    Some(match kind {
        0 => Message::Ping(take_byte(from)?),
        1 => Message::Ack(take_byte(from)?),
        2..=5 => {
            let probe_number = take_byte(from)?;
            let other = take_member(from)?;
            match kind {
                2 => Message::PingReq { target: other, probe_number },
                3 => Message::IndirectPing { origin: other, probe_number },
                4 => Message::IndirectAck { target: other, probe_number },
                _ => Message::ForwardedAck { origin: other, probe_number },
            }
        }
        6 => Message::Announce,
        7 => Message::Feed,
        8 => Message::Gossip,
        9 => Message::TurnUndead,
        _ => return None,
    })
}

fn put_header(header: &Header<Member>, to: &mut Vec<u8>) {
    put_member(&header.src, to);
    varint::put(header.src_incarnation.into(), to);
    put_member(&header.dst, to);
    to.push(kind_of(&header.message));
    put_message(&header.message, to);
}

fn take_header(from: &mut &[u8]) -> Option<Header<Member>> {
    let src = take_member(from)?;
    let src_incarnation = take_u16(from)?;
    let dst = take_member(from)?;
    let kind = take_byte(from)?;
    Some(Header { src, src_incarnation, dst, message: take_message(kind, from)? })
}

/// The codec inside foca. What it reads was read by [`take_frame`] before.
#[derive(Debug, Default)]
pub(crate) struct FocaCodec {
    scratch: Vec<u8>,
}

impl FocaCodec {
    fn flush(&mut self, mut buf: impl BufMut) -> Result<(), Malformed> {
        let fits = buf.remaining_mut() >= self.scratch.len();
        if fits {
            buf.put_slice(&self.scratch);
        }
        self.scratch.clear();
        if fits { Ok(()) } else { Err(Malformed) }
    }
}

/// Reads from a buffer that is one slice, as all of foca's are.
fn read<T>(mut buf: impl Buf, take: impl FnOnce(&mut &[u8]) -> Option<T>) -> Result<T, Malformed> {
    let chunk = buf.chunk();
    let mut rest = chunk;
    let value = take(&mut rest).ok_or(Malformed)?;
    let used = chunk.len() - rest.len();
    buf.advance(used);
    Ok(value)
}

impl foca::Codec<Member> for FocaCodec {
    type Error = Malformed;

    fn encode_header(
        &mut self,
        header: &Header<Member>,
        buf: impl BufMut,
    ) -> Result<(), Malformed> {
        put_header(header, &mut self.scratch);
        self.flush(buf)
    }

    fn decode_header(&mut self, buf: impl Buf) -> Result<Header<Member>, Malformed> {
        read(buf, take_header)
    }

    fn encode_member(&mut self, member: &Update, buf: impl BufMut) -> Result<(), Malformed> {
        put_update(member, &mut self.scratch);
        self.flush(buf)
    }

    fn decode_member(&mut self, buf: impl Buf) -> Result<Update, Malformed> {
        read(buf, take_update)
    }
}

/// A frame with updates of our own choice: foca only ever adds those of its backlog.
pub(crate) fn compose(header: &Header<Member>, view: u32, updates: &[Update]) -> Vec<u8> {
    let mut tail = Vec::new();
    put_updates(updates, &mut tail);
    let mut frame = Vec::new();
    put_frame(header, view, &tail, &mut frame);
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_addr() -> impl Strategy<Value = SocketAddr> {
        let v4 = any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
        let v6 = any::<([u8; 16], u16)>().prop_map(SocketAddr::from);
        prop_oneof![v4, v6]
    }

    fn any_member() -> impl Strategy<Value = Member> {
        (any::<([u8; 16], u64, u16)>(), any_addr()).prop_map(
            |((id, generation, revision), addr)| Member {
                id: NodeId(id),
                generation: Generation(generation),
                revision,
                addr,
            },
        )
    }

    fn any_message() -> impl Strategy<Value = Message<Member>> {
        (any_member(), any::<u8>(), 0..10).prop_map(|(other, probe_number, kind)| match kind {
            0 => Message::Ping(probe_number),
            1 => Message::Ack(probe_number),
            2 => Message::PingReq { target: other, probe_number },
            3 => Message::IndirectPing { origin: other, probe_number },
            4 => Message::IndirectAck { target: other, probe_number },
            5 => Message::ForwardedAck { origin: other, probe_number },
            6 => Message::Announce,
            7 => Message::Feed,
            8 => Message::Gossip,
            _ => Message::TurnUndead,
        })
    }

    fn any_update() -> impl Strategy<Value = Update> {
        let states = [State::Alive, State::Suspect, State::Down];
        (any_member(), any::<u16>(), prop::sample::select(states.to_vec()))
            .prop_map(|(member, incarnation, state)| Update::new(member, incarnation, state))
    }

    fn any_datagram() -> impl Strategy<Value = Datagram> {
        let updates = prop::collection::vec(any_update(), 0..5);
        (any_member(), any::<u16>(), any_member(), any_message(), updates).prop_map(
            |(src, src_incarnation, dst, message, updates)| Datagram {
                header: Header { src, src_incarnation, dst, message },
                updates,
            },
        )
    }

    proptest! {
        #[test]
        fn a_message_survives_its_frame_and_foca_s_bytes(datagram in any_datagram(), view: u32) {
            let header = &datagram.header;
            let frame = compose(header, view, &datagram.updates);
            let read = take_frame(&frame, header.src.id, header.src.generation, &header.dst).unwrap();
            prop_assert_eq!(read.view, tells_view(&header.message).then_some(view));
            prop_assert!(read.meant);
            prop_assert_eq!(&read.datagram, &datagram);
            let bytes = foca_bytes(&datagram);
            let (header, mut updates) = split_foca(&bytes).unwrap();
            prop_assert_eq!(&header, &datagram.header);
            prop_assert_eq!(take_updates(&mut updates).unwrap(), datagram.updates);
        }

        #[test]
        fn another_life_is_not_meant(datagram in any_datagram(), me in any_member()) {
            let header = &datagram.header;
            let frame = compose(header, 0, &[]);
            let me = Member { id: header.dst.id, ..me };
            let read = take_frame(&frame, header.src.id, header.src.generation, &me).unwrap();
            prop_assert_eq!(read.meant, me == header.dst);
            prop_assert_eq!(read.datagram.header.dst, me);
        }

        #[test]
        fn anything_is_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..200), me in any_member()
        ) {
            let _read = take_frame(&bytes, NodeId::default(), Generation(1), &me);
        }
    }
}
