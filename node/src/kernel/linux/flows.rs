//! Connections that a namespace knows of, by ctnetlink: those that lead to backends which are gone, end.

use std::{
    fs::File,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
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
const TCP: u8 = 6;

/// Ends what these balances don't keep.
pub(super) fn end(namespace: &File, balances: &[Balance]) -> io::Result<()> {
    let mut socket = inside(namespace, Socket::netfilter)??;
    let all = socket.dump_raw(&message(GET, &[0, 0, 0, 0]))?;
    let ends = all.iter().filter_map(|bytes| ended(bytes, balances));
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
fn ended(bytes: &[u8], balances: &[Balance]) -> Option<Raw> {
    let read = Read(bytes.get(HEADER..)?);
    let (there, back) = (read.nested(TUPLE_ORIG)?, read.nested(TUPLE_REPLY)?);
    let front = address(there, IP_V4_DST, IP_V6_DST)?;
    let to = address(back, IP_V4_SRC, IP_V6_SRC)?;
    let is_connection = there.nested(TUPLE_PROTO)?.get(PROTO_NUMBER)? == [TCP];
    let kept = balances.iter().all(|balance| balance.keeps(front, to, is_connection));
    if kept || front == to {
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

fn message(kind: u16, body: &[u8]) -> Raw {
    Raw { kind: CTNETLINK << 8 | kind, flags: NLM_F_REQUEST, body: body.to_vec() }
}
