//! Messages of `nf_tables` as what they say. What we never write is told as that, and no more is asked of it.

use std::collections::BTreeMap;

use netnode_plan::{
    firewall::{
        Base, Ct, Elements, Expr, Family, Field, Header, Hook, Kind, Meta, Refusal, Register, Rule,
        Set, Target, Verdict,
    },
    records::LinkName,
};

use super::{
    encode::{length_of, number_of, type_of},
    numbers::{LIST_ELEM, NETDEV, chain, data, expr, rule, set, verdict},
};
use crate::kernel::linux::attributes::Read;

/// The most fields of a key that are told apart: more than 5 don't fit the kernel's number of its type.
const FIELDS: usize = 5;

/// The name of a chain in a table of this family, and where packets come into it.
pub(super) fn chain(family: u8, read: Read<'_>) -> Option<(String, Option<Base>)> {
    let name = read.text(chain::NAME)?.to_owned();
    let Some(hook) = read.nested(chain::HOOK) else { return Some((name, None)) };
    let kind = match read.text(chain::TYPE) {
        Some("filter") => Kind::Filter,
        Some("nat") => Kind::Nat,
        Some("route") => Kind::Route,
        _ => Kind::Other,
    };
    let priority = hook.signed(chain::PRIORITY)?;
    let drops = read.signed(chain::POLICY) == Some(verdict::DROP);
    let hook = if family == NETDEV { of_frames(hook)? } else { of_packets(hook)? };
    Some((name, Some(Base { kind, hook, priority, drops })))
}

fn of_packets(hook: Read<'_>) -> Option<Hook> {
    let number = hook.number(chain::HOOKNUM)?;
    Some(match number {
        0 => Hook::Prerouting,
        1 => Hook::Input,
        2 => Hook::Forward,
        3 => Hook::Output,
        4 => Hook::Postrouting,
        _ => Hook::Other(number),
    })
}

/// Of several links no one is told by itself.
fn of_frames(hook: Read<'_>) -> Option<Hook> {
    let number = hook.number(chain::HOOKNUM)?;
    let link = hook.text(chain::DEVICE).and_then(|name| LinkName::new(name).ok());
    let egress = link.filter(|_| number == chain::EGRESS).map(Hook::Egress);
    Some(egress.unwrap_or(Hook::Other(number)))
}

/// A set's name, and what it is made of; it has no elements yet.
pub(super) fn set(read: Read<'_>) -> Option<(String, Set)> {
    let name = read.text(set::NAME)?.to_owned();
    let flags = read.number(set::FLAGS).unwrap_or(0);
    let key = fields(read.number(set::KEY_TYPE)?, read.number(set::KEY_LEN)?);
    let value = match flags & !set::FIXED {
        0 => Vec::new(),
        set::MAP => fields(
            read.number(set::DATA_TYPE).unwrap_or(0),
            read.number(set::DATA_LEN).unwrap_or(0),
        ),
        _ => vec![Field::Other],
    };
    Some((name, Set { key, value, ..Set::default() }))
}

/// Whether each of its elements is one value, and none goes by itself.
pub(super) fn is_plain(read: Read<'_>) -> bool {
    read.number(set::FLAGS).is_some_and(|flags| flags & !(set::FIXED | set::MAP) == 0)
}

fn fields(mut number: u32, length: u32) -> Vec<Field> {
    let of = number;
    let known =
        [Field::V4, Field::V6, Field::Mac, Field::Protocol, Field::Port, Field::Link, Field::Mark];
    let mut fields = Vec::new();
    while number != 0 && fields.len() < FIELDS {
        let field = known.into_iter().find(|field| number_of(*field) == number & 0x3f);
        fields.insert(0, field.unwrap_or(Field::Other));
        number >>= 6;
    }
    let whole = type_of(&fields) == of && length_of(&fields) == length;
    if whole { fields } else { vec![Field::Other] }
}

/// Elements of a set, as many as a message has.
pub(super) fn elements(read: Read<'_>) -> Elements {
    let list = read.nested(set::LIST_ELEMENTS).map(Read::all).into_iter().flatten();
    let element = |(_, bytes)| {
        let element = Read(bytes);
        let key = element.nested(set::ELEM_KEY)?.get(data::VALUE)?.to_vec();
        let value = element.nested(set::ELEM_DATA).and_then(|value| value.get(data::VALUE));
        // One that stands for all others, or ends a range, is none of ours: it matches something else.
        let plain = element.number(set::ELEM_FLAGS).unwrap_or(0) == 0;
        Some((key, if plain { value.unwrap_or_default().to_vec() } else { b"other".to_vec() }))
    };
    list.filter_map(element).collect()
}

/// Elements of a map of verdicts.
pub(super) fn verdicts(read: Read<'_>) -> BTreeMap<Vec<u8>, Verdict> {
    let list = read.nested(set::LIST_ELEMENTS).map(Read::all).into_iter().flatten();
    let element = |(_, bytes)| {
        let element = Read(bytes);
        let key = element.nested(set::ELEM_KEY)?.get(data::VALUE)?.to_vec();
        let decided = element.nested(set::ELEM_DATA)?.nested(data::VERDICT)?;
        Some((key, verdict(decided).unwrap_or(Verdict::Other)))
    };
    list.filter_map(element).collect()
}

/// The name of a rule's chain, and the rule.
pub(super) fn rule(read: Read<'_>) -> Option<(String, Rule)> {
    let chain = read.text(rule::CHAIN)?.to_owned();
    let list = read.nested(rule::EXPRESSIONS).map(Read::all).into_iter().flatten();
    let list = list.filter(|(kind, _)| *kind == LIST_ELEM);
    let expression = |(_, bytes)| {
        let read = Read(bytes);
        let name = read.text(expr::NAME).unwrap_or_default();
        let inner = read.nested(expr::DATA).unwrap_or(Read(&[]));
        expression(name, inner).unwrap_or_else(|| Expr::Other(name.to_owned()))
    };
    Some((chain, list.map(expression).collect()))
}

fn expression(name: &str, read: Read<'_>) -> Option<Expr> {
    let at = |kind| read.number(kind).and_then(register);
    Some(match name {
        "meta" => meta(read)?,
        "ct" => connection(read)?,
        "fib" => {
            let what = (read.number(expr::FIB_RESULT)?, read.number(expr::FIB_FLAGS)?);
            let ours = what == (expr::ADDRTYPE, expr::DADDR);
            Expr::DestinationType(at(expr::FIB_DREG).filter(|_| ours)?)
        }
        "payload" => payload(read)?,
        "bitwise" => mask(read)?,
        "cmp" => {
            let equal = match read.number(expr::CMP_OP)? {
                expr::EQ => true,
                expr::NEQ => false,
                _ => return None,
            };
            let value = read.nested(expr::CMP_DATA)?.get(data::VALUE)?.to_vec();
            Expr::Compare { from: at(expr::CMP_SREG)?, equal, value }
        }
        "lookup" => {
            let plain = read.number(expr::LOOKUP_FLAGS).unwrap_or(0) == 0;
            let set = read.text(expr::LOOKUP_SET).filter(|_| plain)?.to_owned();
            let key = at(expr::LOOKUP_SREG)?;
            match read.number(expr::LOOKUP_DREG) {
                Some(0) => Expr::Decide { map: set, key },
                into => Expr::Lookup { set, key, into: into.and_then(register) },
            }
        }
        _ => return decision(name, read),
    })
}

fn meta(read: Read<'_>) -> Option<Expr> {
    let at = |kind| read.number(kind).and_then(register);
    let key = read.number(expr::META_KEY)?;
    if let Some(from) = at(expr::META_SREG) {
        return (key == expr::MARK).then_some(Expr::Put(Target::Mark, from));
    }
    let meta = match key {
        expr::IIFNAME => Meta::InLink,
        expr::OIFNAME => Meta::OutLink,
        expr::NFPROTO => Meta::Family,
        expr::L4PROTO => Meta::Protocol,
        expr::MARK => Meta::Mark,
        expr::IIFTYPE => Meta::InType,
        _ => return None,
    };
    Some(Expr::Meta(meta, at(expr::META_DREG)?))
}

fn connection(read: Read<'_>) -> Option<Expr> {
    let at = |kind| read.number(kind).and_then(register);
    let (key, way) = (read.number(expr::CT_KEY)?, read.get(expr::CT_DIRECTION));
    if let Some(from) = at(expr::CT_SREG) {
        let target = match (key, way) {
            (expr::CT_MARK, None) => Target::ConnectionMark,
            (expr::CT_ZONE, Some([expr::ORIGINAL])) => Target::OriginalZone,
            _ => return None,
        };
        return Some(Expr::Put(target, from));
    }
    let what = match key {
        expr::CT_STATE => Ct::State,
        expr::CT_STATUS => Ct::Status,
        expr::CT_MARK => Ct::Mark,
        expr::CT_WAY => Ct::Direction,
        _ => return None,
    };
    Some(Expr::Ct(what, at(expr::CT_DREG)?))
}

fn payload(read: Read<'_>) -> Option<Expr> {
    let at = |kind| read.number(kind).and_then(register);
    let base = match read.number(expr::PAYLOAD_BASE)? {
        expr::LINK_HEADER => Header::Link,
        expr::NETWORK_HEADER => Header::Network,
        expr::TRANSPORT_HEADER => Header::Transport,
        _ => return None,
    };
    let (offset, length) = (read.number(expr::PAYLOAD_OFFSET)?, read.number(expr::PAYLOAD_LEN)?);
    if let Some(from) = at(expr::PAYLOAD_SREG) {
        let sums = read.number(expr::PAYLOAD_CSUM_TYPE).unwrap_or(0);
        return (sums == 0).then_some(Expr::Write { base, offset, length, from });
    }
    Some(Expr::Payload { base, offset, length, into: at(expr::PAYLOAD_DREG)? })
}

/// An expression that decides, or does something to the packet.
fn decision(name: &str, read: Read<'_>) -> Option<Expr> {
    Some(match name {
        "nat" => dnat(read)?,
        "masq" => {
            let ports = read.get(expr::MASQ_REG_PROTO_MIN).is_some();
            let plain = read.number(expr::MASQ_FLAGS).unwrap_or(0) == 0 && !ports;
            plain.then_some(Expr::Masquerade)?
        }
        "notrack" => Expr::Untracked,
        "immediate" => {
            let inner = read.nested(expr::IMMEDIATE_DATA)?;
            match read.number(expr::IMMEDIATE_DREG)? {
                0 => Expr::Verdict(verdict(inner.nested(data::VERDICT)?)?),
                into => Expr::Immediate(inner.get(data::VALUE)?.to_vec(), register(into)?),
            }
        }
        "rt" => {
            let segment = read.number(expr::RT_KEY) == Some(expr::TCPMSS);
            let into = read.number(expr::RT_DREG).and_then(register);
            Expr::RouteSegment(into.filter(|_| segment)?)
        }
        "byteorder" => Expr::ToNetwork(to_network(read)?),
        "exthdr" => Expr::WriteSegment(write_segment(read)?),
        "counter" | "log" => Expr::Aside(name.to_owned()),
        "numgen" => {
            let what = (read.number(expr::NUMGEN_TYPE)?, read.number(expr::NUMGEN_OFFSET));
            let plain = what.0 == expr::RANDOM && what.1.unwrap_or(0) == 0;
            let into = read.number(expr::NUMGEN_DREG).and_then(register).filter(|_| plain)?;
            Expr::Random { modulus: read.number(expr::NUMGEN_MODULUS)?, into }
        }
        "reject" => Expr::Reject(refusal(read)),
        // As `iptables` has them.
        "match" if read.text(expr::MATCH_NAME) == Some("conntrack") => {
            Expr::States(states(read.get(expr::MATCH_INFO)?)?)
        }
        "target" if read.text(expr::TARGET_NAME) == Some("REJECT") => Expr::Reject(Refusal::Other),
        _ => return None,
    })
}

/// The states that `iptables -m conntrack` asks for, if it asks for nothing else (`xt_conntrack_mtinfo3`; the
/// bits are those of `ct state`).
fn states(info: &[u8]) -> Option<u32> {
    let number = |at: usize| {
        let bytes = info.get(at..)?.first_chunk().copied()?;
        Some(u16::from_ne_bytes(bytes))
    };
    let (asked, inverted) = (number(146)?, number(148)?);
    number(150).filter(|_| (asked, inverted) == (1, 0)).map(u32::from)
}

/// The word that a register begins at.
fn register(number: u32) -> Option<Register> {
    let word = match number {
        1..=4 => (number - 1) * 4,
        8..=23 => number - 8,
        _ => return None,
    };
    u8::try_from(word).ok().map(Register)
}

fn mask(read: Read<'_>) -> Option<Expr> {
    let at = |kind| read.number(kind).and_then(register);
    let value = |kind| read.nested(kind)?.get(data::VALUE);
    let (from, into) = (at(expr::BITWISE_SREG)?, at(expr::BITWISE_DREG)?);
    let plain = from == into && value(expr::BITWISE_XOR)?.iter().all(|byte| *byte == 0);
    plain.then_some(Expr::Mask(into, value(expr::BITWISE_MASK)?.to_vec()))
}

/// Where a number of 16 bits is put in the network's order, in its place.
fn to_network(read: Read<'_>) -> Option<Register> {
    let numbers = [expr::ORDER_OP, expr::ORDER_LEN, expr::ORDER_SIZE];
    let how = numbers.map(|kind| read.number(kind));
    let (from, into) = (read.number(expr::ORDER_SREG)?, read.number(expr::ORDER_DREG)?);
    let plain = from == into && how == [Some(expr::HTON), Some(2), Some(2)];
    register(from).filter(|_| plain)
}

/// Where the value comes from that goes into TCP's option for the longest segment.
fn write_segment(read: Read<'_>) -> Option<Register> {
    let numbers = [expr::EXTHDR_OP, expr::EXTHDR_OFFSET, expr::EXTHDR_LEN];
    let how = numbers.map(|kind| read.number(kind));
    let plain = read.get(expr::EXTHDR_TYPE) == Some(&[expr::MAXSEG])
        && how == [Some(expr::TCP_OPTION), Some(expr::MAXSEG_OFFSET), Some(2)]
        && read.number(expr::EXTHDR_FLAGS).unwrap_or(0) == 0;
    read.number(expr::EXTHDR_SREG).and_then(register).filter(|_| plain)
}

fn dnat(read: Read<'_>) -> Option<Expr> {
    let at = |kind| read.number(kind).and_then(register);
    // The kernel tells both ends of a range; ours begins and ends with one register.
    let (address, port) = (at(expr::NAT_REG_ADDR_MIN)?, at(expr::NAT_REG_PROTO_MIN));
    let ends =
        (at(expr::NAT_REG_ADDR_MAX).unwrap_or(address), at(expr::NAT_REG_PROTO_MAX).or(port));
    let flags = if port.is_some() { expr::ADDRESS_AND_PORT } else { expr::ADDRESS };
    let plain = ends == (address, port)
        && read.number(expr::NAT_TYPE) == Some(expr::DNAT)
        && read.number(expr::NAT_FLAGS) == Some(flags);
    let number = read.number(expr::NAT_FAMILY)?;
    let families = Family::BOTH.into_iter();
    let family = families.filter(|_| plain).find(|family| u32::from(family.number()) == number)?;
    Some(Expr::Dnat { family, address, port })
}

fn refusal(read: Read<'_>) -> Refusal {
    match (read.number(expr::REJECT_TYPE), read.get(expr::REJECT_CODE)) {
        (Some(expr::TCP_RST), _) => Refusal::Reset,
        (Some(expr::ICMPX_UNREACH), Some([expr::ICMPX_PORT_UNREACH])) => Refusal::Unreachable,
        _ => Refusal::Other,
    }
}

fn verdict(read: Read<'_>) -> Option<Verdict> {
    let chain = || read.text(data::CHAIN).map(str::to_owned);
    Some(match read.signed(data::CODE)? {
        verdict::ACCEPT => Verdict::Accept,
        verdict::DROP => Verdict::Drop,
        verdict::CONTINUE => Verdict::Continue,
        verdict::RETURN => Verdict::Return,
        verdict::JUMP => Verdict::Jump(chain()?),
        verdict::GOTO => Verdict::Goto(chain()?),
        _ => Verdict::Other,
    })
}
