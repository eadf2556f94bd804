//! Serves `service-N.blue.example` for the numbers up to COUNT on an address: `names 127.0.0.1:5300 10000`.
//!
//! It is what `cargo xtask bench dns` measures, and shows all that a program needs: names, a forwarder, sockets.

mod services;

use std::{
    env,
    error::Error,
    io::{Write, stdout},
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    sync::Arc,
};

use netnode_dns::{Client, Forwarder, Settings};

use services::Services;

/// The first address; each name has the next one.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 0);

// One thread: of several, one would wait for the socket while another answers, and be woken by each query.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let (Some(address), Some(count)) = (words.next(), words.next()) else {
        return Err("usage: names ADDRESS:PORT COUNT".into());
    };
    let (address, count): (SocketAddr, u32) = (address.parse()?, count.parse()?);
    let service =
        |n| (format!("service-{n}.blue.example"), Ipv4Addr::from_bits(FIRST.to_bits() + n));
    let names = Arc::new(Services((0..count).map(service).collect()));
    let client = Client::new(names, Forwarder::new(Settings::default()));
    let (udp, tcp) = (UdpSocket::bind(address)?, TcpListener::bind(address)?);
    writeln!(stdout(), "serving {count} names on {address}")?;
    client.serve(udp, tcp).await?;
    Ok(())
}
