//! Connections that a namespace knows of, by ctnetlink: those that lead to where nothing leads any more, end.

use std::{
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use netlink_packet_core::NLM_F_REQUEST;
use netnode_plan::lb::Balance;
use nix::errno::Errno;

use super::{
    attributes::{Attributes, Read},
    namespace::inside,
    socket::{BATCH, Raw, Socket},
};

/// The subsystem, in the upper half of a message's type (`NFNL_SUBSYS_CTNETLINK`).
const CTNETLINK: u16 = 1;
const GET: u16 = 1;
const DELETE: u16 = 2;
/// Bytes of `struct nfgenmsg`.
const HEADER: usize = 4;

/// Attributes of a connection (`enum ctattr_type` and on), as far as they are needed.
const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const ID: u16 = 12;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const IP_V4_SRC: u16 = 1;
const IP_V4_DST: u16 = 2;
const IP_V6_SRC: u16 = 3;
const IP_V6_DST: u16 = 4;
const PROTO_NUMBER: u16 = 1;
const PROTO_SRC_PORT: u16 = 2;
const PROTO_DST_PORT: u16 = 3;
const TCP: u8 = 6;

/// Something that goes on with whom it was led to.
pub(super) struct Flow {
    /// TCP, UDP and so on.
    pub(super) protocol: u8,
    /// Whom it came for.
    pub(super) front: SocketAddr,
    /// Whom it was led to.
    pub(super) to: SocketAddr,
}

impl Flow {
    /// Whether it goes on as far as these balances are concerned.
    pub(super) fn is_kept_by(&self, balances: &[Balance]) -> bool {
        let (front, to, is_connection) = (self.front.ip(), self.to.ip(), self.protocol == TCP);
        balances.iter().all(|balance| balance.keeps(front, to, is_connection))
    }
}

/// Ends what is to end of what was led elsewhere than it came for.
pub(super) fn end(namespace: &File, ends: impl Fn(&Flow) -> bool) -> io::Result<()> {
    let mut socket = inside(namespace, Socket::netfilter)??;
    let all = socket.dump_raw(&message(GET, &[0, 0, 0, 0]))?;
    let ends = all.iter().filter_map(|bytes| ended(bytes, &ends));
    let mut ends: Vec<Raw> = ends.collect();
    while !ends.is_empty() {
        let later = ends.split_off(BATCH.min(ends.len()));
        for error in socket.batch_raw(ends)? {
            // It may have ended by itself.
            if error.raw_os_error() != Some(Errno::ENOENT as i32) {
                return Err(error);
            }
        }
        ends = later;
    }
    Ok(())
}

/// How to end a connection, if it is to end.
fn ended(bytes: &[u8], ends: impl Fn(&Flow) -> bool) -> Option<Raw> {
    let read = Read(bytes.get(HEADER..)?);
    let (there, back) = (read.nested(TUPLE_ORIG)?, read.nested(TUPLE_REPLY)?);
    let front = address(there, IP_V4_DST, IP_V6_DST)?;
    let to = address(back, IP_V4_SRC, IP_V6_SRC)?;
    let protocol = *there.nested(TUPLE_PROTO)?.get(PROTO_NUMBER)?.first()?;
    let front = SocketAddr::new(front, port(there, PROTO_DST_PORT));
    let flow = Flow { protocol, front, to: SocketAddr::new(to, port(back, PROTO_SRC_PORT)) };
    if front.ip() == to || !ends(&flow) {
        return None;
    }
    // By its number, too: another may have the same ends by then.
    let which = Attributes::default().bytes_nested(TUPLE_ORIG, read.get(TUPLE_ORIG)?);
    let which = which.bytes(ID, read.get(ID)?).end();
    let family = *bytes.first()?;
    Some(message(DELETE, &[&[family, 0, 0, 0], which.as_slice()].concat()))
}

fn address(tuple: Read<'_>, v4: u16, v6: u16) -> Option<IpAddr> {
    let ip = tuple.nested(TUPLE_IP)?;
    let of = |kind| ip.get(kind);
    let v4 = of(v4).and_then(|bytes| <[u8; 4]>::try_from(bytes).ok()).map(Ipv4Addr::from);
    let v6 = || of(v6).and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(Ipv6Addr::from);
    v4.map(IpAddr::V4).or_else(|| v6().map(IpAddr::V6))
}

/// 0 where there are none, as in ICMP.
fn port(tuple: Read<'_>, kind: u16) -> u16 {
    let bytes = tuple.nested(TUPLE_PROTO).and_then(|proto| proto.get(kind));
    bytes.and_then(|bytes| <[u8; 2]>::try_from(bytes).ok()).map_or(0, u16::from_be_bytes)
}

fn message(kind: u16, body: &[u8]) -> Raw {
    Raw { kind: CTNETLINK << 8 | kind, flags: NLM_F_REQUEST, body: body.to_vec() }
}
