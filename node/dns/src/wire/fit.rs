//! Messages that hickory writes, made to fit.

use hickory_proto::{
    op::Message,
    serialize::binary::{BinEncodable, BinEncoder},
};

/// Writes a message of at most `limit` bytes: first what is only helpful is left out, then it is cut (TC)
/// and keeps half of its answers, a quarter, and so on.
///
/// False if not even the question fits, or it can't be written; `out` is empty then.
pub fn write(mut message: Message, limit: usize, out: &mut Vec<u8>) -> bool {
    if encode(&message, limit, out) {
        return true;
    }
    message.additionals.clear();
    if encode(&message, limit, out) {
        return true;
    }
    message.metadata.truncation = true;
    message.authorities.clear();
    loop {
        let half = message.answers.len() / 2;
        let last = message.answers.is_empty();
        message.answers.truncate(half);
        if encode(&message, limit, out) || last {
            return !out.is_empty();
        }
    }
}

fn encode(message: &Message, limit: usize, out: &mut Vec<u8>) -> bool {
    out.clear();
    let written = message.emit(&mut BinEncoder::new(out)).is_ok();
    let fits = written && out.len() <= limit && !is_cut_by_hickory(message, out);
    if !fits {
        out.clear();
    }
    fits
}

/// Whether records were left out because a message can't be that long: hickory sets TC by itself then.
fn is_cut_by_hickory(message: &Message, out: &[u8]) -> bool {
    const TC_HIGH: u8 = 0b10;
    !message.metadata.truncation && out.get(2).is_some_and(|high| high & TC_HIGH != 0)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_proto::{
        op::{Edns, OpCode, Query},
        rr::{Name, RData, Record, RecordType, rdata::A},
    };

    use super::*;

    fn message(answers: usize) -> Message {
        let name = Name::from_ascii("web.").unwrap();
        let mut message = Message::response(7, OpCode::Query);
        message.add_query(Query::query(name.clone(), RecordType::A));
        let record = || Record::from_rdata(name.clone(), 5, RData::A(A(Ipv4Addr::LOCALHOST)));
        message.answers = (0..answers).map(|_| record()).collect();
        message.additionals.push(record());
        message.set_edns(Edns::new());
        message
    }

    #[test]
    fn what_is_too_long_loses_first_what_helps_and_then_half() {
        let mut out = Vec::new();
        // A header of 12 bytes, a question of 9, 16 for each record, and 11 for EDNS.
        let whole = 12 + 9 + 11 + 16 * 5;
        for (limit, answers, additionals, cut) in [
            (whole, 4, 1, false),
            (whole - 1, 4, 0, false),
            (whole - 16, 4, 0, false),
            (whole - 17, 2, 0, true),
            (whole - 49, 1, 0, true),
            (12 + 9 + 11, 0, 0, true),
        ] {
            assert!(write(message(4), limit, &mut out), "{limit}");
            assert!(out.len() <= limit);
            let read = Message::from_vec(&out).unwrap();
            assert_eq!(read.answers.len(), answers, "{limit}");
            assert_eq!(read.additionals.len(), additionals, "{limit}");
            assert_eq!(read.metadata.truncation, cut, "{limit}");
            assert!(read.edns.is_some());
        }
        assert!(!write(message(4), 12 + 9 + 10, &mut out));
        assert!(out.is_empty());
    }

    #[test]
    fn more_than_any_message_holds_is_cut() {
        let mut out = Vec::new();
        assert!(write(message(5_000), usize::from(u16::MAX), &mut out));
        let read = Message::from_vec(&out).unwrap();
        assert!(read.metadata.truncation && read.answers.len() == 2_500);
    }
}
