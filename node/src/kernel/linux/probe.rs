//! Whether somebody on a wire has an address: asked before it is given to an endpoint there (RFC 5227, section 2.1;
//! RFC 4862, section 5.4).
//!
//! The kernel itself asks, by ARP and neighbour discovery, from a link on the same parent in a namespace that
//! ends with the attempt. Without an address of its own it asks as a probe does: it claims nothing, and nobody
//! learns anything from it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::IpAddr,
    panic, thread,
    time::{Duration, Instant},
};

use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage},
};
use netnode_plan::{
    host::{Change, Kind, Link, Mark, Setting},
    records::{LinkName, Mac, MacvlanMode, NetworkId},
};
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
};

use super::{
    LOOPBACK,
    index::Indexes,
    read::pair,
    settings,
    socket::{Request, Socket},
    write::{self, Making, family_of, neighbour_address},
};

/// What the link is called in its namespace.
const LINK: &str = "probe0";
/// How often each is asked for, and how soon again. RFC 5227 waits for seconds, for hosts that are just being
/// plugged in; a container's start does not, and whoever has an address for long answers at once.
const ASKS: u32 = 3;
const ASK_AGAIN_MS: u32 = 60;
/// When all have been asked for, with time for an answer to the last.
const PATIENCE: Duration = Duration::from_millis(220);
/// How often it is looked who answered.
const LOOK: Duration = Duration::from_millis(10);
/// The least MTU with which a link has IPv6.
const MTU: u32 = 1280;

/// Who on the wire of a link of this host has which of these addresses. Takes some 200 ms, unless all have a
/// holder.
///
/// # Errors
/// There is no such link ([`io::ErrorKind::NotFound`]), or it can't be asked.
pub fn holders(parent: &LinkName, addresses: &[IpAddr]) -> io::Result<BTreeMap<IpAddr, Mac>> {
    let mut host = Socket::route()?;
    let below = Indexes::default().of(&mut host, parent).map_err(no_such_link)?;
    thread::scope(|scope| {
        let asked = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let own = File::open("/proc/thread-self/ns/net")?;
            ask(&mut host, &own, parent, below, addresses)
        });
        asked.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    })
}

/// The kernel has a word of its own for it.
fn no_such_link(error: io::Error) -> io::Error {
    let is_that = error.raw_os_error() == Some(Errno::ENODEV as i32);
    if is_that { io::ErrorKind::NotFound.into() } else { error }
}

/// On a thread that is in its own namespace; the link is made from the host's.
fn ask(
    host: &mut Socket,
    own: &File,
    parent: &LinkName,
    below: u32,
    addresses: &[IpAddr],
) -> io::Result<BTreeMap<IpAddr, Mac>> {
    let name = LinkName::new(LINK).map_err(|error| io::Error::other(error.to_string()))?;
    let kind = Kind::Macvlan { parent: parent.clone(), mode: MacvlanMode::Bridge };
    let link = Link::new(Mark::network(NetworkId([0; 16])), kind, MTU);
    let making = Making { into: Some(own), parent: Some(below) };
    all(host, write::add(&name, &link, &making))?;
    // Its own link-local address is not doubted before it asks for others. Without IPv6 there is none.
    let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{LINK}/accept_dad"), "0");
    let often = [(Setting::Asks, ASKS), (Setting::AsksV6, ASKS)];
    let soon = [(Setting::AskAgain, ASK_AGAIN_MS), (Setting::AskAgainV6, ASK_AGAIN_MS)];
    for (setting, value) in often.into_iter().chain(soon) {
        settings::write(&name, setting, value)?;
    }
    let mut socket = Socket::route()?;
    let index = Indexes::default().of(&mut socket, &name)?;
    // A namespace that never had a route takes every address of IPv4 for one of broadcast, and asks for none.
    let up =
        [LOOPBACK, index].into_iter().filter_map(|link| write::change(link, &Change::Up, None));
    all(&mut socket, up)?;
    all(&mut socket, addresses.iter().map(|address| question(index, *address)))?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = answers(&mut socket)?;
        if found.len() >= addresses.len() || Instant::now() >= deadline {
            return Ok(found);
        }
        thread::sleep(LOOK);
    }
}

fn all(socket: &mut Socket, requests: impl IntoIterator<Item = Request>) -> io::Result<()> {
    match socket.batch(requests.into_iter().collect())?.into_iter().next() {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// `ip neighbour add ADDRESS dev LINK use`: as if a packet had to go there.
fn question(index: u32, address: IpAddr) -> Request {
    let mut message = NeighbourMessage::default();
    message.header.family = family_of(address).0;
    message.header.ifindex = index;
    message.header.flags = NeighbourFlags::Use;
    message.attributes.push(NeighbourAttribute::Destination(neighbour_address(address)));
    (RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE)
}

/// Of the addresses whose holder has said so.
fn answers(socket: &mut Socket) -> io::Result<BTreeMap<IpAddr, Mac>> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Unspec;
    let all = socket.dump(&RouteNetlinkMessage::GetNeighbour(message))?;
    let answered = all.into_iter().filter_map(|message| {
        let RouteNetlinkMessage::NewNeighbour(found) = message else { return None };
        let (address, mac) = pair(&found);
        let address = address.filter(|address: &IpAddr| !address.is_multicast())?;
        Some((address, mac.filter(|mac| mac.is_an_interfaces())?))
    });
    Ok(answered.collect())
}
