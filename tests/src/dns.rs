//! A resolver of our own: one question for addresses over UDP, and what is in its answer (RFC 1035).

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use tokio::task::spawn_blocking;

use crate::{namespaces::inside, wait::PATIENCE};

/// Where a sandbox's names are answered.
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(127, 0, 0, 11), 53);
/// Nobody answers: it is asked again.
const AGAIN: Duration = Duration::from_millis(100);
/// Between two questions, so that whoever is to answer gets to run on a small machine.
const PAUSE: Duration = Duration::from_micros(100);
/// The most that an answer without EDNS has, RFC 1035, section 2.3.4.
const MAX_MESSAGE: usize = 512;
const HEADER: usize = 12;
/// Type and class of a question.
const TYPE_AND_CLASS: usize = 4;
/// One question, recursion desired.
const ASKED: [u8; 10] = [1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
/// Type A, class IN.
const A_IN: [u8; TYPE_AND_CLASS] = [0, 1, 0, 1];
/// The first two bits of what points to a name elsewhere, section 4.1.4.
const POINTER: u8 = 0xc0;

/// Asks from inside of a sandbox, again and again.
#[derive(Debug)]
pub struct Asker {
    socket: UdpSocket,
    id: u16,
}

impl Asker {
    /// One in a sandbox; its socket stays there, whoever uses it.
    pub fn within(sandbox: &Path) -> Result<Self> {
        let socket = inside(sandbox, || -> io::Result<UdpSocket> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            socket.set_read_timeout(Some(AGAIN))?;
            socket.connect(SERVER)?;
            Ok(socket)
        })?;
        Ok(Self { socket: socket.context("a socket in the sandbox")?, id: 0 })
    }

    /// The IPv4 addresses that a name comes to now, in order; none if it does not exist.
    pub fn addresses(&mut self, name: &str) -> Result<Vec<Ipv4Addr>> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(addresses) = self.ask(name) {
                return Ok(addresses);
            }
        }
        Err(anyhow!("nobody answered what {name} is within {PATIENCE:?}"))
    }

    /// Asks until the answer is as wanted; when it was.
    pub fn wait(&mut self, name: &str, is: impl Fn(&[Ipv4Addr]) -> bool) -> Result<Instant> {
        let deadline = Instant::now() + PATIENCE;
        let mut last = Vec::new();
        while Instant::now() < deadline {
            if let Some(addresses) = self.ask(name) {
                if is(&addresses) {
                    return Ok(Instant::now());
                }
                last = addresses;
            }
            thread::sleep(PAUSE);
        }
        Err(anyhow!("{name} was {last:?} last, after {PATIENCE:?}"))
    }

    /// The same while something is done meanwhile: asked from before it begins.
    pub async fn wait_during<T>(
        mut self,
        name: &str,
        is: impl Fn(&[Ipv4Addr]) -> bool + Send + 'static,
        work: impl Future<Output = T>,
    ) -> Result<(Self, Instant, T)> {
        // The first answer comes before anything is done.
        self.addresses(name)?;
        let name = name.to_owned();
        let waiting = spawn_blocking(move || (self.wait(&name, is), self));
        let done = work.await;
        let (seen, asker) = waiting.await.context("who asked was lost")?;
        Ok((asker, seen?, done))
    }

    /// One question; nothing if there was no answer to it.
    fn ask(&mut self, name: &str) -> Option<Vec<Ipv4Addr>> {
        self.id = self.id.wrapping_add(1);
        // The sandbox may not be answered yet, or not any more.
        self.socket.send(&question(self.id, name)).ok()?;
        let mut buffer = [0; MAX_MESSAGE];
        loop {
            let length = self.socket.recv(&mut buffer).ok()?;
            let message = buffer.get(..length)?;
            if message.get(..2) == Some(&self.id.to_be_bytes()) {
                return answers(message);
            }
        }
    }
}

/// A question for the IPv4 addresses of a name, recursion desired.
pub fn question(id: u16, name: &str) -> Vec<u8> {
    let mut message = Vec::with_capacity(MAX_MESSAGE);
    message.extend(id.to_be_bytes());
    message.extend(ASKED);
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        message.extend(label.bytes());
    }
    message.push(0);
    message.extend(A_IN);
    message
}

/// The IPv4 addresses in an answer, in order.
fn answers(message: &[u8]) -> Option<Vec<Ipv4Addr>> {
    let count = u16::from_be_bytes(message.get(6..8)?.try_into().ok()?);
    let mut at = after_name(message, HEADER)? + TYPE_AND_CLASS;
    let mut addresses = Vec::new();
    for _ in 0..count {
        at = after_name(message, at)?;
        let is_address = message.get(at..at + TYPE_AND_CLASS)? == A_IN;
        // The time to live is between.
        at += TYPE_AND_CLASS + 4;
        let length = usize::from(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
        at += 2;
        let data = message.get(at..at + length)?;
        if is_address {
            addresses.push(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?));
        }
        at += length;
    }
    addresses.sort_unstable();
    Some(addresses)
}

/// Where a name ends that begins there.
fn after_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            POINTER.. => return Some(at + 2),
            length => at += 1 + usize::from(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer to a question, with these records after it.
    fn answer(name: &str, records: &[&[u8]]) -> Vec<u8> {
        let mut message = question(7, name);
        message[7] = u8::try_from(records.len()).unwrap();
        message.extend(records.concat());
        message
    }

    #[test]
    fn addresses_are_read_in_order_and_other_records_passed_over() {
        let alias: &[u8] = &[1, b'a', 0, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12];
        let second: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 2];
        let first: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 1];
        let message = answer("tasks.web", &[alias, second, first]);
        let expected = [[10, 0, 0, 1], [10, 0, 0, 2]].map(Ipv4Addr::from);
        assert_eq!(answers(&message), Some(expected.to_vec()));
        assert_eq!(answers(&answer("web", &[])), Some(Vec::new()));
        for length in 0..message.len() {
            assert_eq!(answers(&message[..length]), None, "cut off after {length}");
        }
    }

    #[test]
    fn a_question_is_as_the_rfc_has_it() {
        let expected = [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 2, b'b', b'c', 0, 0, 1, 0, 1];
        assert_eq!(question(7, "a.bc"), expected);
    }
}
