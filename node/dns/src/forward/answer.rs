//! What an upstream sends: looked at, kept, and told to a client.
//!
//! An upstream may lie. Must never take an answer to another question, follow a name without end, or keep
//! anything for longer than the answer allows.

#[cfg(test)]
pub(super) mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{RData, Record, RecordType},
};

use super::asked::Asked;
use crate::{
    limits::{FAILURE_LIFE, MAX_NEGATIVE_TTL, MAX_RECORDS, MAX_TTL, UDP_SIZE},
    wire::{HEADER, ede, fit, flags, rcode, reply},
};

/// What an upstream's message is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Looked {
    /// An answer.
    Answer(Answer),
    /// An answer that was cut: the whole of it is to be had over TCP.
    Truncated,
    /// The upstream can't or will not answer.
    Refused {
        /// It may not know EDNS (RFC 6891, 7).
        form: bool,
    },
    /// No answer to what was asked: forged, late, or damaged.
    Stray,
}

/// An answer without what was between the upstream and us only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As a message.
    wire: Vec<u8>,
    /// For how many seconds it holds; 0 for whoever has asked already.
    ttl: u32,
}

/// What has become of a question, to be told to everybody who asks it.
#[derive(Debug)]
pub struct Found {
    answer: Result<Vec<u8>, u16>,
    born: Instant,
    life: Duration,
}

/// Looks at a message that came in answer to `query` with this id.
pub fn look(query: &Query, id: u16, message: &[u8]) -> Looked {
    if !is_worth_reading(id, message) {
        return Looked::Stray;
    }
    let Ok(mut read) = Message::from_vec(message) else { return Looked::Stray };
    // Hickory compares names without regard to case.
    if read.queries.first() != Some(query) {
        return Looked::Stray;
    }
    if read.metadata.truncation {
        return Looked::Truncated;
    }
    match read.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        ResponseCode::FormErr | ResponseCode::NotImp => return Looked::Refused { form: true },
        _ => return Looked::Refused { form: false },
    }
    let ttl = hold(&mut read, query.query_type);
    read.edns = None;
    read.signature = None;
    read.metadata.id = 0;
    read.metadata.authoritative = false;
    let mut wire = Vec::new();
    if !fit::write(read, usize::from(u16::MAX), &mut wire) {
        return Looked::Stray;
    }
    Looked::Answer(Answer { wire, ttl })
}

/// Looks at what costs nothing: so that no forgery makes us read a thousand records.
fn is_worth_reading(id: u16, message: &[u8]) -> bool {
    let Some((header, _)) = message.split_first_chunk::<HEADER>() else { return false };
    let [i0, i1, f0, f1, q0, q1, a0, a1, b0, b1, c0, c1] = *header;
    let flags = u16::from_be_bytes([f0, f1]);
    let records = [[a0, a1], [b0, b1], [c0, c1]].map(u16::from_be_bytes);
    u16::from_be_bytes([i0, i1]) == id
        && flags & (flags::QR | flags::OPCODE) == flags::QR
        && u16::from_be_bytes([q0, q1]) == 1
        && records.map(usize::from).iter().sum::<usize>() <= MAX_RECORDS
}

/// Bounds every time to live, and returns for how many seconds the answer as a whole holds.
fn hold(message: &mut Message, asked: RecordType) -> u32 {
    let is_asked = |record: &Record| {
        let kind = record.record_type();
        kind == asked || asked == RecordType::ANY
    };
    let positive = message.metadata.response_code == ResponseCode::NoError
        && message.answers.iter().any(is_asked);
    // RFC 2308, 5: a "no" holds for as long as its SOA says; without one it is not kept.
    let denied = message.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.minimum.min(record.ttl)),
        _ => None,
    });
    let most = if positive { MAX_TTL } else { denied.unwrap_or(0).min(MAX_NEGATIVE_TTL) };
    let sections = [&mut message.answers, &mut message.authorities, &mut message.additionals];
    let mut least = most;
    for record in sections.into_iter().flatten() {
        // RFC 2181, 8: with the topmost bit it means 0.
        let ttl = if record.ttl > i32::MAX.unsigned_abs() { 0 } else { record.ttl };
        record.ttl = ttl.min(most);
        least = least.min(record.ttl);
    }
    least
}

impl Found {
    /// An answer that came at this moment.
    pub fn new(Answer { wire, ttl }: Answer, now: Instant) -> Arc<Self> {
        Arc::new(Self { answer: Ok(wire), born: now, life: Duration::from_secs(ttl.into()) })
    }

    /// Nobody has answered, with an extended error (RFC 8914).
    pub(super) fn failure(error: u16, now: Instant) -> Arc<Self> {
        Arc::new(Self { answer: Err(error), born: now, life: FAILURE_LIFE })
    }

    /// When it is forgotten; `None` if it is not kept at all.
    pub fn ends(&self) -> Option<Instant> {
        (!self.life.is_zero()).then(|| self.born + self.life)
    }

    /// Bytes that it keeps.
    pub(super) fn weight(&self) -> usize {
        self.answer.as_ref().map_or(0, Vec::len)
    }

    /// Writes it as the answer to a client's query.
    pub fn tell(&self, asked: &Asked, now: Instant, out: &mut Vec<u8>) {
        let wire = match &self.answer {
            Ok(wire) => wire,
            Err(error) => {
                return reply::failure(&asked.head(), rcode::SERV_FAIL, Some(*error), out);
            }
        };
        let age = now.saturating_duration_since(self.born).as_secs();
        let told = asked.query().zip(Message::from_vec(wire).ok()).is_some_and(|(query, kept)| {
            let message = adapted(kept, query, asked, u32::try_from(age).unwrap_or(u32::MAX));
            fit::write(message, asked.limit, out)
        });
        if !told {
            reply::failure(&asked.head(), rcode::SERV_FAIL, Some(ede::OTHER), out);
        }
    }
}

/// The kept answer with what is the client's own: its number, letters and flags, and our EDNS.
fn adapted(mut kept: Message, query: Query, asked: &Asked, age: u32) -> Message {
    let head = asked.head();
    let metadata = &mut kept.metadata;
    metadata.id = head.id;
    metadata.message_type = MessageType::Response;
    metadata.op_code = OpCode::Query;
    metadata.recursion_available = true;
    metadata.recursion_desired = head.flags & flags::RD != 0;
    metadata.checking_disabled = head.flags & flags::CD != 0;
    metadata.authentic_data &= asked.cares_for_authentic_data();
    kept.queries = vec![query];
    let sections = [&mut kept.answers, &mut kept.authorities, &mut kept.additionals];
    for record in sections.into_iter().flatten() {
        record.ttl = record.ttl.saturating_sub(age);
    }
    if head.edns.is_some() {
        let mut ours = Edns::new();
        ours.set_max_payload(UDP_SIZE).set_dnssec_ok(asked.dnssec_ok());
        kept.set_edns(ours);
    }
    kept
}
