//! Pings of which each test expects that they can be sent.

use std::{net::IpAddr, path::Path};

use netdb_tests::ping;

pub(crate) use ping::{HEADERS_V4, HEADERS_V6};

/// Whether an address answers to somebody in a namespace, with so many bytes of payload.
pub(crate) fn answers(from: &Path, to: IpAddr, payload: usize) -> bool {
    ping::answers(from, to, payload).unwrap()
}

/// Whether it stays silent to a few requests.
pub(crate) fn is_silent(from: &Path, to: IpAddr) -> bool {
    ping::is_silent(from, to).unwrap()
}

/// How many of how many requests got no answer while something was done.
pub(crate) fn lost_during(from: &Path, to: IpAddr, work: impl FnOnce()) -> (usize, usize) {
    let (loss, ()) = ping::lost_during(from, to, work).unwrap();
    (loss.lost, loss.sent)
}
