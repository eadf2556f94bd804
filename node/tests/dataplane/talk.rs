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

/// Answers everybody with a name and the address that they come from. A connection of TCP stays, and whatever is said
/// on it is said back.
pub(crate) fn serve_as(namespace: &Path, at: &str, name: &str) {
    let (tcp, udp) =
        inside(namespace, || (TcpListener::bind(at).unwrap(), UdpSocket::bind(at).unwrap()));
    let named = name.to_owned();
    thread::spawn(move || {
        while let Ok((mut stream, from)) = tcp.accept() {
            let hello = format!("{named} {}\n", from.ip());
            thread::spawn(move || {
                drop(stream.write_all(hello.as_bytes()));
                let mut buffer = [0; 64];
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    drop(stream.write_all(&buffer[..length]));
                }
            });
        }
    });
    let named = name.to_owned();
    thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((_, from)) = udp.recv_from(&mut buffer) {
            drop(udp.send_to(format!("{named} {}", from.ip()).as_bytes(), from));
        }
    });
}

/// A connection that stays.
pub(crate) struct Call {
    stream: TcpStream,
    /// What was said first.
    pub(crate) hello: String,
}

impl Call {
    /// Connects, and hears who answers.
    pub(crate) fn to(from: &Path, to: SocketAddr) -> io::Result<Self> {
        inside(from, || {
            let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            let mut hello = Vec::new();
            let mut byte = [0];
            while byte != [b'\n'] {
                stream.read_exact(&mut byte)?;
                hello.extend(byte);
            }
            let hello = String::from_utf8_lossy(&hello).trim().to_owned();
            Ok(Self { stream, hello })
        })
    }

    /// Says something, and hears it said back.
    pub(crate) fn goes_on(&mut self) -> io::Result<()> {
        self.stream.write_all(b"?")?;
        self.stream.read_exact(&mut [0])
    }
}

/// Who talks by UDP from one port, all the time.
pub(crate) struct Flow(UdpSocket);

impl Flow {
    pub(crate) fn to(from: &Path, to: SocketAddr) -> Self {
        let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = inside(from, || UdpSocket::bind(any).unwrap());
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(IMPATIENCE)).unwrap();
        Self(socket)
    }

    /// Says something; what comes back, if anything does.
    pub(crate) fn ask(&self) -> io::Result<String> {
        self.0.send(b"?")?;
        let mut buffer = [0; 64];
        let length = self.0.recv(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }
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
