//! A pinger of our own: an echo request, and the wait for its answer (RFC 792, RFC 4443).

use std::{
    io::{self, Read},
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use socket2::{Domain, Protocol, Socket, Type};

use crate::namespaces::inside;

/// After this, a request that got no answer is asked again: the first may fall on a link just coming up.
const AGAIN: Duration = Duration::from_millis(200);
/// How long it is tried in all.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two requests of a running ping.
const PERIOD: Duration = Duration::from_millis(20);
/// The same where a gap is to be measured.
const QUICK: Duration = Duration::from_millis(1);
/// Bytes of payload where their number does not matter, as `ping` sends them.
const PAYLOAD: usize = 56;
/// Type, code, checksum, identifier, sequence.
const ECHO_HEADER: usize = 8;
/// In every request, so that answers to others are told apart.
const IDENTIFIER: [u8; 2] = *b"NN";

/// Bytes of the headers of IPv4 and of an echo.
pub const HEADERS_V4: usize = 28;
/// The same of IPv6.
pub const HEADERS_V6: usize = 48;

/// Whether an address answers to somebody in a namespace, with so many bytes of payload.
pub fn answers(from: &Path, to: IpAddr, payload: usize) -> Result<bool> {
    inside(from, || {
        let deadline = Instant::now() + PATIENCE;
        let mut sequences = 1..;
        while Instant::now() < deadline {
            if matches!(once(to, payload, sequences.next().unwrap_or_default()), Ok(true)) {
                return true;
            }
        }
        false
    })
}

/// Whether it stays silent to a few requests.
pub fn is_silent(from: &Path, to: IpAddr) -> Result<bool> {
    inside(from, || (1..4).all(|sequence| !matches!(once(to, PAYLOAD, sequence), Ok(true))))
}

/// How long the answers to so many requests took, one after the other.
pub fn round_trips(from: &Path, to: IpAddr, count: u16) -> Result<Vec<Duration>> {
    inside(from, || {
        let pinger = Pinger::new(to, PAYLOAD)?;
        let timed = (0..count).map(|sequence| pinger.round_trip(sequence));
        Ok(timed.collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect())
    })?
}

/// Asks until there is an answer, anew after each `pause`; when it came.
pub fn first_answer(from: &Path, to: IpAddr, pause: Duration) -> Result<Instant> {
    inside(from, || {
        let pinger = Pinger::new(to, PAYLOAD)?;
        pinger.socket.set_read_timeout(Some(pause))?;
        let deadline = Instant::now() + PATIENCE;
        let mut sequences = (0..u16::MAX).cycle();
        while Instant::now() < deadline {
            // There may be no way yet.
            let _ = pinger.send(sequences.next().unwrap_or_default());
            if pinger.receive(None, Instant::now() + pause)? {
                return Ok(Instant::now());
            }
        }
        Err(anyhow!("{to} did not answer within {PATIENCE:?}"))
    })?
}

/// What a running ping saw.
#[derive(Clone, Copy, Debug)]
pub struct Loss {
    /// Requests, one every 20 ms.
    pub sent: usize,
    /// Those without an answer.
    pub lost: usize,
}

/// Pings while something is done.
pub fn lost_during<T>(from: &Path, to: IpAddr, work: impl FnOnce() -> T) -> Result<(Loss, T)> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pinging = scope.spawn(|| {
            inside(from, || {
                let mut loss = Loss { sent: 0, lost: 0 };
                while !done.load(Ordering::Relaxed) {
                    loss.sent += 1;
                    let sequence = u16::try_from(loss.sent % 60_000).unwrap_or_default();
                    loss.lost += usize::from(!matches!(once(to, PAYLOAD, sequence), Ok(true)));
                    thread::sleep(PERIOD);
                }
                loss
            })
        });
        let came = work();
        done.store(true, Ordering::Relaxed);
        let loss = pinging.join().map_err(|_| anyhow!("the ping was lost"))??;
        Ok((loss, came))
    })
}

/// The longest time without an answer while something was done, to requests that follow each other within
/// a few milliseconds.
pub fn gap_during<T>(from: &Path, to: IpAddr, work: impl FnOnce() -> T) -> Result<(Duration, T)> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pinging = scope.spawn(|| {
            inside(from, || {
                let pinger = Pinger::new(to, PAYLOAD)?;
                pinger.socket.set_read_timeout(Some(QUICK))?;
                let (mut last, mut gap) = (Instant::now(), Duration::ZERO);
                let mut sequences = (0..u16::MAX).cycle();
                while !done.load(Ordering::Relaxed) {
                    // There may be no way for a moment.
                    let _ = pinger.send(sequences.next().unwrap_or_default());
                    if pinger.receive(None, Instant::now() + QUICK)? {
                        last = Instant::now();
                        thread::sleep(QUICK);
                    } else {
                        gap = gap.max(last.elapsed());
                    }
                }
                Ok::<_, anyhow::Error>(gap.max(last.elapsed()))
            })?
        });
        let came = work();
        done.store(true, Ordering::Relaxed);
        let gap = pinging.join().map_err(|_| anyhow!("the ping was lost"))??;
        Ok((gap, came))
    })
}

fn once(to: IpAddr, payload: usize, sequence: u16) -> Result<bool> {
    let pinger = Pinger::new(to, payload)?;
    if pinger.send(sequence).is_err() {
        thread::sleep(PERIOD / 2);
        return Ok(false);
    }
    pinger.receive(Some(sequence), Instant::now() + AGAIN)
}

struct Pinger {
    socket: Socket,
    to: SocketAddr,
    payload: usize,
}

impl Pinger {
    fn new(to: IpAddr, payload: usize) -> Result<Self> {
        let (domain, protocol) = match to {
            IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::RAW, Some(protocol)).context("a raw socket")?;
        socket.set_read_timeout(Some(AGAIN))?;
        Ok(Self { socket, to: SocketAddr::new(to, 0), payload })
    }

    fn round_trip(&self, sequence: u16) -> io::Result<Option<Duration>> {
        let began = Instant::now();
        self.send(sequence)?;
        let came = self.receive(Some(sequence), began + AGAIN).map_err(io::Error::other)?;
        Ok(came.then(|| began.elapsed()))
    }

    fn send(&self, sequence: u16) -> io::Result<()> {
        let kind = if self.to.is_ipv4() { 8 } else { 128 };
        let mut packet = vec![kind, 0, 0, 0];
        packet.extend(IDENTIFIER);
        packet.extend(sequence.to_be_bytes());
        packet.resize(ECHO_HEADER + self.payload, 0x5a);
        // Of IPv6 the kernel makes it.
        let sum = checksum(&packet).to_be_bytes();
        packet.splice(2..4, sum);
        self.socket.send_to(&packet, &self.to.into()).map(drop)
    }

    /// Whether an answer came: to this request, or to any.
    fn receive(&self, sequence: Option<u16>, until: Instant) -> Result<bool> {
        let reply = if self.to.is_ipv4() { 0 } else { 129 };
        let mut buffer = vec![0; 70_000];
        while Instant::now() < until {
            let length = match (&self.socket).read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            let packet = buffer.get(..length).unwrap_or_default();
            let header = packet.first().map_or(0, |byte| usize::from(byte & 15) * 4);
            let echo = packet.get(if self.to.is_ipv4() { header } else { 0 }..).unwrap_or_default();
            let whole = echo.len() == ECHO_HEADER + self.payload && echo.first() == Some(&reply);
            let ours = echo.get(4..6) == Some(&IDENTIFIER);
            let this = sequence.is_none_or(|s| echo.get(6..8) == Some(&s.to_be_bytes()));
            if whole && ours && this {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match pair {
        [high, low] => u32::from(*high) << 8 | u32::from(*low),
        [high] => u32::from(*high) << 8,
        _ => 0,
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_with_its_checksum_sums_to_nothing() {
        let mut packet = vec![8, 0, 0, 0, 1, 2, 3, 4, 5];
        let sum = checksum(&packet).to_be_bytes();
        packet.splice(2..4, sum);
        assert_eq!(checksum(&packet), 0);
    }
}
