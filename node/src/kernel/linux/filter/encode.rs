//! Edits of our tables as messages of `nf_tables`.

use netlink_packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL};
use netnode_plan::firewall::{
    Base, Ct, Edit, Elements, Expr, Family, Field, Header, Hook, Kind, Layer, Meta, Refusal,
    Register, Rule, Set, TABLE, Target, Verdict,
};

use super::{
    family, message,
    numbers::{
        DELCHAIN, DELRULE, DELSET, DELSETELEM, DELTABLE, LIST_ELEM, NEWCHAIN, NEWRULE, NEWSET,
        NEWSETELEM, NEWTABLE, chain, data, expr, rule, set, table, verdict,
    },
};
use crate::kernel::linux::{attributes::Attributes, socket::Raw};

/// Elements in one message: an attribute, their list too, has 64 KiB at most.
const ELEMENTS: usize = 500;

/// The messages of an edit.
pub(super) fn edit(layer: Layer, edit: &Edit) -> Vec<Raw> {
    let family = family(layer);
    let one =
        |kind, flags, attributes: Attributes| vec![message(kind, flags, family, &attributes.end())];
    match edit {
        Edit::RemoveTable => one(DELTABLE, 0, start(table::NAME)),
        Edit::AddTable => one(NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, start(table::NAME)),
        Edit::AddSet(name, set) => one(NEWSET, NLM_F_CREATE | NLM_F_EXCL, add_set(name, set)),
        Edit::AddChain(name, base) => {
            one(NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, add_chain(name, base.as_ref()))
        }
        Edit::SetRules(name, rules) => {
            // Without a handle it is about all rules of the chain.
            let mut messages = one(DELRULE, 0, start(rule::TABLE).text(rule::CHAIN, name));
            let add = |rule| one(NEWRULE, NLM_F_CREATE | NLM_F_APPEND, add_rule(name, rule));
            messages.extend(rules.iter().flat_map(add));
            messages
        }
        Edit::RemoveChain(name) => one(DELCHAIN, 0, start(chain::TABLE).text(chain::NAME, name)),
        Edit::RemoveSet(name) => one(DELSET, 0, start(set::TABLE).text(set::NAME, name)),
        Edit::AddElements(name, new) => elements(family, NEWSETELEM, name, new),
        Edit::RemoveElements(name, gone) => elements(family, DELSETELEM, name, gone),
    }
}

/// Every message names the table first, as an attribute of its own.
fn start(table: u16) -> Attributes {
    Attributes::default().text(table, TABLE)
}

fn add_set(name: &str, set: &Set) -> Attributes {
    let map = !set.value.is_empty();
    // The id is for rules of the same transaction that mean a set without a name.
    let attributes = start(set::TABLE)
        .text(set::NAME, name)
        .number(set::FLAGS, if map { set::MAP } else { 0 })
        .number(set::KEY_TYPE, type_of(&set.key))
        .number(set::KEY_LEN, length_of(&set.key))
        .number(set::ID, 1)
        .bytes(set::USERDATA, &[order(0, &set.key), order(1, &set.value)].concat());
    if !map {
        return attributes;
    }
    attributes
        .number(set::DATA_TYPE, type_of(&set.value))
        .number(set::DATA_LEN, length_of(&set.value))
}

/// What `nft` has to know of keys (0) and values (1) to show them: whether they are in the order of this host or of
/// the network (1 and 2 of its `enum byteorder`). The kernel keeps it.
fn order(which: u8, fields: &[Field]) -> Vec<u8> {
    let order: u32 = match fields {
        [Field::Mark | Field::Link] => 1,
        [Field::Other] | [] | [_, _, ..] => return Vec::new(),
        [_] => 2,
    };
    let [a, b, c, d] = order.to_ne_bytes();
    vec![which, 4, a, b, c, d]
}

/// What `nft` shows keys and values by (its `enum datatypes`), 6 bits for each field. The kernel keeps it.
pub(super) fn type_of(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |number, field| (number << 6) | number_of(*field))
}

pub(super) fn number_of(field: Field) -> u32 {
    match field {
        Field::V4 => 7,
        Field::V6 => 8,
        Field::Protocol => 12,
        Field::Port => 13,
        Field::Mark => 19,
        Field::Mac => 9,
        Field::Link => 41,
        Field::Other => 0,
    }
}

pub(super) fn length_of(fields: &[Field]) -> u32 {
    u32::try_from(Field::width(fields)).unwrap_or(u32::MAX)
}

fn add_chain(name: &str, base: Option<&Base>) -> Attributes {
    let attributes = start(chain::TABLE).text(chain::NAME, name);
    let Some(base) = base else { return attributes };
    let number = match &base.hook {
        Hook::Prerouting => 0,
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
        Hook::Postrouting => 4,
        Hook::Egress(_) => chain::EGRESS,
        Hook::Other(number) => *number,
    };
    let mut hook =
        Attributes::default().number(chain::HOOKNUM, number).signed(chain::PRIORITY, base.priority);
    if let Hook::Egress(link) = &base.hook {
        hook = hook.text(chain::DEVICE, link.as_str());
    }
    let kind = match base.kind {
        Kind::Nat => "nat",
        Kind::Route => "route",
        Kind::Filter | Kind::Other => "filter",
    };
    let policy = if base.drops { verdict::DROP } else { verdict::ACCEPT };
    attributes.nest(chain::HOOK, hook).signed(chain::POLICY, policy).text(chain::TYPE, kind)
}

/// An element of a set or a map.
fn element((key, value): (&Vec<u8>, &Vec<u8>)) -> Attributes {
    let data = |bytes: &[u8]| Attributes::default().bytes(data::VALUE, bytes);
    let element = Attributes::default().nest(set::ELEM_KEY, data(key));
    match value.as_slice() {
        [] => element,
        value => element.nest(set::ELEM_DATA, data(value)),
    }
}

/// Messages about elements, of which none may be there already that is to come.
fn elements(family: u8, kind: u16, name: &str, elements: &Elements) -> Vec<Raw> {
    let flags = if kind == NEWSETELEM { NLM_F_CREATE | NLM_F_EXCL } else { 0 };
    let (mut messages, mut elements) = (Vec::new(), elements.iter().map(element).peekable());
    while elements.peek().is_some() {
        let part = elements.by_ref().take(ELEMENTS);
        let list = part.fold(Attributes::default(), |list, one| list.nest(LIST_ELEM, one));
        let about = start(set::LIST_TABLE).text(set::LIST_SET, name);
        let about = about.nest(set::LIST_ELEMENTS, list);
        messages.push(message(kind, flags, family, &about.end()));
    }
    messages
}

fn add_rule(chain: &str, rule: &Rule) -> Attributes {
    let list = rule.iter().fold(Attributes::default(), |list, expression| {
        let (name, inner) = self::expression(expression);
        let expression = Attributes::default().text(expr::NAME, name).nest(expr::DATA, inner);
        list.nest(LIST_ELEM, expression)
    });
    start(rule::TABLE).text(rule::CHAIN, chain).nest(rule::EXPRESSIONS, list)
}

fn expression(expression: &Expr) -> (&str, Attributes) {
    let new = Attributes::default;
    match expression {
        Expr::Meta(meta, into) => (
            "meta",
            new().number(expr::META_KEY, meta_key(*meta)).number(expr::META_DREG, register(*into)),
        ),
        Expr::Ct(what, into) => {
            let key = new().number(expr::CT_KEY, ct_key(*what));
            ("ct", key.number(expr::CT_DREG, register(*into)))
        }
        Expr::DestinationType(into) => {
            let result = new().number(expr::FIB_RESULT, expr::ADDRTYPE);
            (
                "fib",
                result.number(expr::FIB_FLAGS, expr::DADDR).number(expr::FIB_DREG, register(*into)),
            )
        }
        Expr::Payload { base, offset, length, into } => {
            let bytes = payload(*base, *offset, *length);
            ("payload", bytes.number(expr::PAYLOAD_DREG, register(*into)))
        }
        Expr::Write { base, offset, length, from } => {
            let bytes = payload(*base, *offset, *length);
            let written = bytes.number(expr::PAYLOAD_SREG, register(*from));
            ("payload", written.number(expr::PAYLOAD_CSUM_TYPE, 0))
        }
        Expr::Mask(at, mask) => ("bitwise", bitwise(*at, mask)),
        Expr::Compare { from, equal, value } => {
            let operation = if *equal { expr::EQ } else { expr::NEQ };
            let value = new().bytes(data::VALUE, value);
            let what =
                new().number(expr::CMP_SREG, register(*from)).number(expr::CMP_OP, operation);
            ("cmp", what.nest(expr::CMP_DATA, value))
        }
        Expr::Lookup { set, key, into } => ("lookup", lookup(set, *key, into.map(register))),
        Expr::Decide { map, key } => ("lookup", lookup(map, *key, Some(0))),
        Expr::Dnat { family, address, port } => ("nat", dnat(*family, *address, *port)),
        Expr::Random { modulus, into } => ("numgen", random(*modulus, *into)),
        Expr::Reject(how) => ("reject", reject(*how)),
        Expr::Masquerade => ("masq", new()),
        Expr::Untracked => ("notrack", new()),
        Expr::Verdict(what) => {
            let inner = new().nest(data::VERDICT, verdict(what));
            ("immediate", new().number(expr::IMMEDIATE_DREG, 0).nest(expr::IMMEDIATE_DATA, inner))
        }
        Expr::Immediate(bytes, into) => {
            let value = new().bytes(data::VALUE, bytes);
            let to = new().number(expr::IMMEDIATE_DREG, register(*into));
            ("immediate", to.nest(expr::IMMEDIATE_DATA, value))
        }
        Expr::Put(what, from) => put(*what, *from),
        Expr::RouteSegment(into) => {
            let to = new().number(expr::RT_DREG, register(*into));
            ("rt", to.number(expr::RT_KEY, expr::TCPMSS))
        }
        Expr::ToNetwork(at) => ("byteorder", to_network(*at)),
        Expr::WriteSegment(from) => ("exthdr", write_segment(*from)),
        // We never write these; a rule with one the kernel refuses.
        Expr::States(_) => ("match", new()),
        Expr::Aside(name) | Expr::Other(name) => (name, new()),
    }
}

/// Into register 0, which decides, or into another one.
fn lookup(set: &str, key: Register, into: Option<u32>) -> Attributes {
    let lookup = Attributes::default().text(expr::LOOKUP_SET, set);
    let lookup = lookup.number(expr::LOOKUP_SREG, register(key));
    match into {
        Some(into) => lookup.number(expr::LOOKUP_DREG, into),
        None => lookup,
    }
}

fn ct_key(what: Ct) -> u32 {
    match what {
        Ct::State => expr::CT_STATE,
        Ct::Status => expr::CT_STATUS,
        Ct::Mark => expr::CT_MARK,
        Ct::Direction => expr::CT_WAY,
    }
}

fn meta_key(meta: Meta) -> u32 {
    match meta {
        Meta::InLink => expr::IIFNAME,
        Meta::OutLink => expr::OIFNAME,
        Meta::Family => expr::NFPROTO,
        Meta::Protocol => expr::L4PROTO,
        Meta::Mark => expr::MARK,
        Meta::InType => expr::IIFTYPE,
    }
}

fn payload(base: Header, offset: u32, length: u32) -> Attributes {
    let base = match base {
        Header::Link => expr::LINK_HEADER,
        Header::Network => expr::NETWORK_HEADER,
        Header::Transport => expr::TRANSPORT_HEADER,
    };
    let from = Attributes::default().number(expr::PAYLOAD_BASE, base);
    from.number(expr::PAYLOAD_OFFSET, offset).number(expr::PAYLOAD_LEN, length)
}

fn put(what: Target, from: Register) -> (&'static str, Attributes) {
    let new = Attributes::default;
    let connection = |key| new().number(expr::CT_KEY, key).number(expr::CT_SREG, register(from));
    match what {
        Target::Mark => {
            let key = new().number(expr::META_KEY, expr::MARK);
            ("meta", key.number(expr::META_SREG, register(from)))
        }
        Target::ConnectionMark => ("ct", connection(expr::CT_MARK)),
        Target::OriginalZone => {
            ("ct", connection(expr::CT_ZONE).bytes(expr::CT_DIRECTION, &[expr::ORIGINAL]))
        }
    }
}

fn to_network(at: Register) -> Attributes {
    Attributes::default()
        .number(expr::ORDER_SREG, register(at))
        .number(expr::ORDER_DREG, register(at))
        .number(expr::ORDER_OP, expr::HTON)
        .number(expr::ORDER_LEN, 2)
        .number(expr::ORDER_SIZE, 2)
}

fn write_segment(from: Register) -> Attributes {
    Attributes::default()
        .number(expr::EXTHDR_SREG, register(from))
        .bytes(expr::EXTHDR_TYPE, &[expr::MAXSEG])
        .number(expr::EXTHDR_OFFSET, expr::MAXSEG_OFFSET)
        .number(expr::EXTHDR_LEN, 2)
        .number(expr::EXTHDR_OP, expr::TCP_OPTION)
}

/// Words that begin one of the 16-byte registers of old have the number of that one (`NFT_REG_1` and on),
/// the others one of their own (`NFT_REG32_00` and on).
fn register(Register(word): Register) -> u32 {
    let word = u32::from(word);
    if word.is_multiple_of(4) { 1 + word / 4 } else { 8 + word }
}

fn bitwise(at: Register, mask: &[u8]) -> Attributes {
    let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
    let value = |bytes: &[u8]| Attributes::default().bytes(data::VALUE, bytes);
    Attributes::default()
        .number(expr::BITWISE_SREG, register(at))
        .number(expr::BITWISE_DREG, register(at))
        .number(expr::BITWISE_LEN, length)
        .nest(expr::BITWISE_MASK, value(mask))
        .nest(expr::BITWISE_XOR, value(&vec![0; mask.len()]))
}

fn dnat(family: Family, address: Register, port: Option<Register>) -> Attributes {
    let attributes = Attributes::default()
        .number(expr::NAT_TYPE, expr::DNAT)
        .number(expr::NAT_FAMILY, family.number().into())
        .number(expr::NAT_REG_ADDR_MIN, register(address));
    match port {
        Some(port) => attributes
            .number(expr::NAT_REG_PROTO_MIN, register(port))
            .number(expr::NAT_FLAGS, expr::ADDRESS_AND_PORT),
        None => attributes.number(expr::NAT_FLAGS, expr::ADDRESS),
    }
}

fn random(modulus: u32, into: Register) -> Attributes {
    Attributes::default()
        .number(expr::NUMGEN_DREG, register(into))
        .number(expr::NUMGEN_MODULUS, modulus)
        .number(expr::NUMGEN_TYPE, expr::RANDOM)
}

fn reject(how: Refusal) -> Attributes {
    let new = Attributes::default;
    match how {
        Refusal::Reset => new().number(expr::REJECT_TYPE, expr::TCP_RST),
        Refusal::Unreachable => new()
            .number(expr::REJECT_TYPE, expr::ICMPX_UNREACH)
            .bytes(expr::REJECT_CODE, &[expr::ICMPX_PORT_UNREACH]),
        // We never write it; the kernel refuses it.
        Refusal::Other => new(),
    }
}

fn verdict(verdict: &Verdict) -> Attributes {
    let (code, chain) = match verdict {
        Verdict::Accept => (verdict::ACCEPT, None),
        Verdict::Drop | Verdict::Other => (verdict::DROP, None),
        Verdict::Continue => (verdict::CONTINUE, None),
        Verdict::Return => (verdict::RETURN, None),
        Verdict::Jump(chain) => (verdict::JUMP, Some(chain)),
        Verdict::Goto(chain) => (verdict::GOTO, Some(chain)),
    };
    let attributes = Attributes::default().signed(data::CODE, code);
    match chain {
        Some(chain) => attributes.text(data::CHAIN, chain),
        None => attributes,
    }
}
