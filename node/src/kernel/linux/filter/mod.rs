//! The packet filter of a namespace, by nfnetlink: read back as a whole, changed in transactions.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `encode`, `decode` | edits as messages, messages as tables |
//! | `others` | what tables of others say about forwarding |
//! | `numbers` | what the kernel calls it all |

mod decode;
mod encode;
mod numbers;
mod others;
#[cfg(test)]
mod tests;

use std::{fs::File, io};

use netlink_packet_core::NLM_F_REQUEST;
use netnode_plan::firewall::{Chain, Edits, Layer, SeenFirewall, TABLE, Table, Tables};

use self::numbers::{
    BATCH_BEGIN, BATCH_END, BATCH_GENID, GEN_ID, GETCHAIN, GETGEN, GETRULE, GETSET, GETSETELEM,
    GETTABLE, INET, NETDEV, NEWGEN, NFTABLES, UNSPEC, chain, rule, set, table,
};
use super::{
    attributes::{Attributes, Read},
    namespace::inside,
    socket::{Raw, Socket},
};

/// How often it is read anew because something changed in between.
const LOOKS: usize = 5;
/// Bytes of `struct nfgenmsg`.
const HEADER: usize = 4;

/// What is in the packet filter of a namespace. What was read `before` is believed as long as nothing
/// changed: the kernel counts. But for chains of frames, which before Linux 6.16 go with their link without being counted.
pub(super) fn look(namespace: &File, before: Option<&SeenFirewall>) -> io::Result<SeenFirewall> {
    let mut socket = inside(namespace, Socket::netfilter)??;
    let mut now = generation(&mut socket)?;
    if let Some(before) = before.filter(|before| before.generation == now) {
        let mut seen = before.clone();
        if seen.ours.remove(&Layer::Frames).is_some() {
            seen.ours.extend(ours(&mut socket, Layer::Frames)?.map(|table| (Layer::Frames, table)));
        }
        return Ok(seen);
    }
    for _ in 0..LOOKS {
        let found = tables(&mut socket).and_then(|ours| Ok((ours, others::look(&mut socket)?)));
        let after = generation(&mut socket)?;
        if after == now {
            let (ours, others) = found?;
            return Ok(SeenFirewall { generation: now, ours, others });
        }
        now = after;
    }
    Err(io::Error::new(io::ErrorKind::Interrupted, "it changed under every look"))
}

/// Makes all these changes, if nothing changed since that generation, or none of them.
pub(super) fn edit(socket: &mut Socket, generation: u32, edits: &Edits) -> io::Result<()> {
    let unchanged = Attributes::default().number(BATCH_GENID, generation);
    let mut messages = vec![batch(BATCH_BEGIN, &unchanged.end())];
    for (layer, edits) in edits {
        messages.extend(edits.iter().flat_map(|edit| encode::edit(*layer, edit)));
    }
    messages.push(batch(BATCH_END, &[]));
    socket.transact(messages)
}

/// Whether a message is about a table of ours or something in it. All of them name their table first.
pub(super) fn is_about_ours(kind: u16, message: &[u8]) -> bool {
    let read = message.get(super::socket::HEADER..).and_then(body);
    let named = read.and_then(|read| read.text(table::NAME));
    kind != (NFTABLES << 8 | NEWGEN) && named == Some(TABLE)
}

/// How often the packet filter of a namespace was changed.
pub(super) fn generation(socket: &mut Socket) -> io::Result<u32> {
    let answer = socket.ask_raw(message(GETGEN, 0, UNSPEC, &[]))?;
    let id = body(&answer).and_then(|read| read.number(GEN_ID));
    id.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// Ours, as many as are there.
fn tables(socket: &mut Socket) -> io::Result<Tables> {
    let mut tables = Tables::new();
    for layer in [Layer::Packets, Layer::Frames] {
        tables.extend(ours(socket, layer)?.map(|table| (layer, table)));
    }
    Ok(tables)
}

fn family(layer: Layer) -> u8 {
    match layer {
        Layer::Packets => INET,
        Layer::Frames => NETDEV,
    }
}

/// One of them. One that is switched off is as good as empty.
fn ours(socket: &mut Socket, layer: Layer) -> io::Result<Option<Table>> {
    let family = family(layer);
    let tables = dump(socket, family, GETTABLE, Attributes::default())?;
    let mut tables = tables.iter().filter_map(|bytes| body(bytes));
    let Some(found) = tables.find(|read| read.text(table::NAME) == Some(TABLE)) else {
        return Ok(None);
    };
    let mut ours = Table::default();
    if found.number(table::FLAGS).unwrap_or(0) & table::DORMANT != 0 {
        return Ok(Some(ours));
    }
    for bytes in dump(socket, family, GETCHAIN, Attributes::default())? {
        let read = body(&bytes).filter(|read| read.text(chain::TABLE) == Some(TABLE));
        let chain = read.and_then(|read| decode::chain(family, read));
        ours.chains.extend(chain.map(|(name, base)| (name, Chain { base, rules: Vec::new() })));
    }
    for bytes in dump(socket, family, GETRULE, Attributes::default().text(rule::TABLE, TABLE))? {
        if let Some((chain, rule)) = body(&bytes).and_then(decode::rule)
            && let Some(chain) = ours.chains.get_mut(&chain)
        {
            chain.rules.push(rule);
        }
    }
    for bytes in dump(socket, family, GETSET, Attributes::default().text(set::TABLE, TABLE))? {
        ours.sets.extend(body(&bytes).and_then(decode::set));
    }
    for (name, set) in &mut ours.sets {
        let which = Attributes::default().text(set::LIST_TABLE, TABLE).text(set::LIST_SET, name);
        for bytes in dump(socket, family, GETSETELEM, which)? {
            set.elements.extend(body(&bytes).map(decode::elements).unwrap_or_default());
        }
    }
    Ok(Some(ours))
}

fn dump(socket: &mut Socket, family: u8, kind: u16, which: Attributes) -> io::Result<Vec<Vec<u8>>> {
    socket.dump_raw(&message(kind, 0, family, &which.end()))
}

fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Raw {
    let body = [&[family, 0, 0, 0], attributes].concat();
    Raw { kind: NFTABLES << 8 | kind, flags: flags | NLM_F_REQUEST, body }
}

/// The frame of a transaction; it says whose it is where other messages have their type.
fn batch(kind: u16, attributes: &[u8]) -> Raw {
    let [high, low] = NFTABLES.to_be_bytes();
    let body = [&[UNSPEC, 0, high, low], attributes].concat();
    Raw { kind, flags: NLM_F_REQUEST, body }
}

/// The attributes of a message.
fn body(bytes: &[u8]) -> Option<Read<'_>> {
    bytes.get(HEADER..).map(Read)
}
