//! Somebody who answers on a port, and who asks there.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    thread,
    time::Duration,
};

use crate::lab::inside;

/// How long one tries; enough for a first packet that meets a link just coming up.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one waits who should get no answer.
const IMPATIENCE: Duration = Duration::from_millis(400);

/// Answers everybody in a namespace on this port, of TCP and UDP, with the address that they come from,
/// until the test ends.
pub(crate) fn serve(namespace: &Path, at: &str) {
    let (tcp, udp) =
        inside(namespace, || (TcpListener::bind(at).unwrap(), UdpSocket::bind(at).unwrap()));
    thread::spawn(move || {
        while let Ok((mut stream, from)) = tcp.accept() {
            // Who asked may be gone.
            drop(stream.write_all(from.ip().to_string().as_bytes()));
        }
    });
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = udp.recv_from(&mut buffer) {
            drop(udp.send_to(from.ip().to_string().as_bytes(), from));
        }
    });
}

/// Asks there by TCP; whom the other side saw, if it answered.
pub(crate) fn ask(from: &Path, to: &str) -> Option<String> {
    let to = to.parse().unwrap();
    inside(from, || tcp(to, PATIENCE).ok())
}

/// The same by UDP.
pub(crate) fn ask_udp(from: &Path, to: &str) -> Option<String> {
    let to = to.parse().unwrap();
    inside(from, || udp(to, PATIENCE).ok())
}

/// Whether nobody answers there.
pub(crate) fn is_shut(from: &Path, to: &str) -> bool {
    let to = to.parse().unwrap();
    inside(from, || tcp(to, IMPATIENCE).is_err())
}

fn tcp(to: SocketAddr, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&to, patience)?;
    stream.set_read_timeout(Some(patience))?;
    let mut said = String::new();
    stream.read_to_string(&mut said)?;
    Ok(said)
}

fn udp(to: SocketAddr, patience: Duration) -> io::Result<String> {
    let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.set_read_timeout(Some(patience))?;
    socket.send_to(b"?", to)?;
    let mut buffer = [0; 64];
    let (length, _) = socket.recv_from(&mut buffer)?;
    Ok(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned())
}
