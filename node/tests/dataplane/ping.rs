//! A pinger of our own: an echo request, and the wait for its answer (RFC 792, RFC 4443).

use std::{
    io::{self, Read},
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use socket2::{Domain, Protocol, Socket, Type};

use crate::lab::inside;

/// After this, a request that got no answer is asked again: the first may fall on a link just coming up.
const AGAIN: Duration = Duration::from_millis(200);
/// How long it is tried in all.
const PATIENCE: Duration = Duration::from_secs(2);

/// Bytes of the headers of IPv4 and of an echo.
pub(crate) const HEADERS_V4: usize = 28;
/// The same of IPv6.
pub(crate) const HEADERS_V6: usize = 48;

/// Whether an address answers to somebody in a namespace, with so many bytes of payload.
pub(crate) fn answers(from: &Path, to: IpAddr, payload: usize) -> bool {
    inside(from, || {
        let deadline = Instant::now() + PATIENCE;
        let mut sequence = 0;
        while Instant::now() < deadline {
            sequence += 1;
            if matches!(once(to, payload, sequence), Ok(true)) {
                return true;
            }
        }
        false
    })
}

/// Whether it stays silent to a few requests.
pub(crate) fn is_silent(from: &Path, to: IpAddr) -> bool {
    inside(from, || (1..4).all(|sequence| !matches!(once(to, 8, sequence), Ok(true))))
}

/// How many of how many requests got no answer while something was done, one every 20 ms.
pub(crate) fn lost_during(from: &Path, to: IpAddr, work: impl FnOnce()) -> (usize, usize) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let pinging = scope.spawn(|| {
            inside(from, || {
                let (mut lost, mut sent) = (0, 0);
                while !done.load(Ordering::Relaxed) {
                    sent += 1;
                    let sequence = u16::try_from(sent % 60_000).unwrap();
                    lost += usize::from(!matches!(once(to, 56, sequence), Ok(true)));
                    thread::sleep(Duration::from_millis(20));
                }
                (lost, sent)
            })
        });
        work();
        done.store(true, Ordering::Relaxed);
        pinging.join().unwrap()
    })
}

fn once(to: IpAddr, payload: usize, sequence: u16) -> io::Result<bool> {
    let (domain, protocol, kind, reply) = match to {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8, 0),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 128, 129),
    };
    let mut socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.set_read_timeout(Some(AGAIN))?;
    let mut packet = vec![kind, 0, 0, 0, 0x4e, 0x4e];
    packet.extend(sequence.to_be_bytes());
    packet.resize(8 + payload, 0x5a);
    // Of IPv6 the kernel makes it.
    let sum = checksum(&packet).to_be_bytes();
    packet[2..4].copy_from_slice(&sum);
    if socket.send_to(&packet, &SocketAddr::new(to, 0).into()).is_err() {
        thread::sleep(Duration::from_millis(10));
        return Ok(false);
    }
    let until = Instant::now() + AGAIN;
    let mut buffer = vec![0; 70_000];
    while Instant::now() < until {
        let length = socket.read(&mut buffer)?;
        let start = if to.is_ipv4() { usize::from(buffer[0] & 15) * 4 } else { 0 };
        let echo = &buffer[start..length];
        if echo.len() == packet.len() && echo[0] == reply && echo[4..] == packet[4..] {
            return Ok(true);
        }
    }
    Ok(false)
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or_default()));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}
