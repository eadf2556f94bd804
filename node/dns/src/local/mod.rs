//! What is answered at once: everything but what has to be forwarded.
//!
//! Must never wait and never allocate for a plain query. Inside it is a function of the query's bytes and of
//! what the tables say.

pub mod full;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::{
    forward::Asked,
    names::{Names, Verdict},
    wire::{
        Via, ede,
        plain::{self, Head, Plain},
        rcode, reply,
        text::Text,
    },
};

/// What is used again for each query.
#[derive(Default)]
pub struct Scratch {
    text: Text,
    addresses: Vec<IpAddr>,
    names: Vec<String>,
}

/// What became of a query.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer has been written.
    Answered,
    /// It was no query, or had no readable header: nobody is waiting for an answer.
    Dropped,
    /// It is for an upstream.
    Forward(Asked),
}

/// Answers a query into `out`, or says what else to do with it.
pub fn answer(
    names: &dyn Names,
    query: &[u8],
    via: Via,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Outcome {
    match plain::read(query, &mut scratch.text) {
        // What addresses are looked up under may be ours too.
        Some(plain) if !scratch.text.as_str().as_bytes().ends_with(b".arpa") => {
            answer_plain(names, &plain, via, scratch, out)
        }
        _ => full::answer(names, query, via, scratch, out),
    }
}

fn answer_plain(
    names: &dyn Names,
    plain: &Plain<'_>,
    via: Via,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Outcome {
    let Plain { head, family } = plain;
    let Scratch { text, addresses, .. } = scratch;
    addresses.clear();
    match names.addresses(text.as_str(), *family, addresses) {
        Verdict::Found if !addresses.is_empty() => {
            let limit = via.limit(head.edns);
            reply::addresses(head, *family, addresses, names.ttl(), limit, out);
            Outcome::Answered
        }
        verdict => without_records(names, verdict, head, via, out),
    }
}

/// Answers where there is no record to send.
fn without_records(
    names: &dyn Names,
    verdict: Verdict,
    head: &Head<'_>,
    via: Via,
    out: &mut Vec<u8>,
) -> Outcome {
    match verdict {
        Verdict::Found | Verdict::NoData => {
            reply::negative(head, rcode::NO_ERROR, names.ttl(), None, out);
        }
        Verdict::NoName => reply::negative(head, rcode::NX_DOMAIN, names.ttl(), None, out),
        Verdict::Unsure => reply::failure(head, rcode::SERV_FAIL, Some(ede::NOT_READY), out),
        Verdict::NotOurs if names.may_forward() => {
            return Outcome::Forward(Asked::new(head, via));
        }
        // Seen from internal networks nothing else exists. SERVFAIL, which Docker answers, would make musl wait
        // for its whole time-out and end its search list, so that a name of ours behind another suffix
        // would never be asked for; "no such name" lets every resolver go on at once.
        Verdict::NotOurs => {
            reply::negative(head, rcode::NX_DOMAIN, names.ttl(), Some(ede::PROHIBITED), out);
        }
    }
    Outcome::Answered
}
