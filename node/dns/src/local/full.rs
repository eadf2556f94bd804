//! Every query that is not plain: hickory reads it, and writes what is not a simple "no".

use std::mem;

use hickory_proto::{
    op::{Edns, Message, OpCode, Query, ResponseCode},
    rr::{
        DNSClass, Name, RData, Record, RecordType,
        rdata::{HINFO, PTR},
    },
    serialize::binary::{BinEncodable, BinEncoder},
};

use super::{Outcome, Scratch, without_records};
use crate::{
    limits::UDP_SIZE,
    names::{Family, Names, Verdict},
    wire::{self, HEADER, Via, fit, flags, plain::Head, rcode, reply, reverse, text},
};

/// Types that are about a message or a transfer, and never of a record that could be looked up (RFC 6895,
/// 3.1); ANY is 255 and not among them.
const META_TYPES: std::ops::RangeInclusive<u16> = 128..=254;

/// Answers any query as [`super::answer`] does, a plain one too, without the hand-written reader.
pub fn answer(
    names: &dyn Names,
    message: &[u8],
    via: Via,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Outcome {
    let Some((&[id_high, id_low, high, low, count_high, count_low, ..], _)) =
        message.split_first_chunk::<HEADER>()
    else {
        return Outcome::Dropped;
    };
    let id = u16::from_be_bytes([id_high, id_low]);
    let flags = u16::from_be_bytes([high, low]);
    if flags & flags::QR != 0 {
        return Outcome::Dropped;
    }
    if flags & flags::OPCODE != 0 {
        return bare(id, flags, rcode::NOT_IMP, out);
    }
    // More than one is malformed (RFC 9619), and hickory would make room for as many as are claimed.
    if [count_high, count_low] != [0, 1] {
        return bare(id, flags, rcode::FORM_ERR, out);
    }
    let Ok(read) = Message::from_vec(message) else {
        return bare(id, flags, rcode::FORM_ERR, out);
    };
    let (Some(query), edns) = (read.queries.first(), read.edns.as_ref()) else {
        return bare(id, flags, rcode::FORM_ERR, out);
    };
    let mut question = Vec::new();
    if query.emit(&mut BinEncoder::new(&mut question)).is_err() {
        return bare(id, flags, rcode::FORM_ERR, out);
    }
    let edns = edns.map(|edns| (edns.version(), wire_edns(edns)));
    let version = edns.map_or(0, |(version, _)| version);
    let head = Head { id, flags, question: &question, edns: edns.map(|(_, edns)| edns) };
    if version != 0 {
        let mut response = response(&head, query);
        response.metadata.response_code = ResponseCode::BADVERS;
        return written(response, &head, via, out);
    }
    let asked = u16::from(query.query_type);
    let refused = asked == wire::kind::OPT || META_TYPES.contains(&asked);
    if query.query_class != DNSClass::IN || refused {
        reply::failure(&head, rcode::REFUSED, None, out);
        return Outcome::Answered;
    }
    answer_query(names, query, &head, via, scratch, out)
}

fn bare(id: u16, flags: u16, code: u16, out: &mut Vec<u8>) -> Outcome {
    reply::bare(id, flags, code, out);
    Outcome::Answered
}

fn wire_edns(edns: &Edns) -> wire::Edns {
    wire::Edns { size: edns.max_payload(), dnssec_ok: edns.flags().dnssec_ok }
}

/// Answers a question of class IN.
fn answer_query(
    names: &dyn Names,
    query: &Query,
    head: &Head<'_>,
    via: Via,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Outcome {
    let name = text::of_labels(query.name.iter());
    scratch.addresses.clear();
    scratch.names.clear();
    let family = if query.query_type == RecordType::AAAA { Family::V6 } else { Family::V4 };
    let verdict = match reverse::address(&name) {
        Some(address) => names.pointers(address, &mut scratch.names),
        None => names.addresses(&name, family, &mut scratch.addresses),
    };
    let found = verdict == Verdict::Found;
    match query.query_type {
        RecordType::A | RecordType::AAAA if found && !scratch.addresses.is_empty() => {
            let limit = via.limit(head.edns);
            reply::addresses(head, family, &scratch.addresses, names.ttl(), limit, out);
            Outcome::Answered
        }
        RecordType::PTR if found && !scratch.names.is_empty() => {
            let mut response = response(head, query);
            let targets = mem::take(&mut scratch.names);
            // A table may hold a name that is none; such a one is left out.
            let targets = targets.iter().filter_map(|target| absolute(target));
            let of = |target| {
                Record::from_rdata(query.name.clone(), names.ttl(), RData::PTR(PTR(target)))
            };
            response.answers = targets.map(of).collect();
            written(response, head, via, out)
        }
        // RFC 8482, 4.2: one record that says why there are no others.
        RecordType::ANY if found || verdict == Verdict::NoData => {
            let mut response = response(head, query);
            let data = RData::HINFO(HINFO::new("RFC8482".to_owned(), String::new()));
            response.answers.push(Record::from_rdata(query.name.clone(), names.ttl(), data));
            written(response, head, via, out)
        }
        _ => without_records(names, verdict, head, via, out),
    }
}

fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_ascii(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// An answer of our own, still empty.
fn response(head: &Head<'_>, query: &Query) -> Message {
    let mut response = Message::response(head.id, OpCode::Query);
    response.metadata.authoritative = true;
    response.metadata.recursion_available = true;
    response.metadata.recursion_desired = head.flags & flags::RD != 0;
    response.metadata.checking_disabled = head.flags & flags::CD != 0;
    response.add_query(query.clone());
    if let Some(edns) = head.edns {
        let mut ours = Edns::new();
        ours.set_max_payload(UDP_SIZE).set_dnssec_ok(edns.dnssec_ok);
        response.set_edns(ours);
    }
    response
}

fn written(response: Message, head: &Head<'_>, via: Via, out: &mut Vec<u8>) -> Outcome {
    if !fit::write(response, via.limit(head.edns), out) {
        reply::failure(head, rcode::SERV_FAIL, None, out);
    }
    Outcome::Answered
}
